"""Products, and the versions of the catalogue that they are in."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchQuery, SearchVector, SearchVectorExact, SearchVectorField
from django.db import connection, models, transaction
from django.db.models import F, Func, Value
from django.db.models.functions import Left
from django.db.models.signals import post_delete
from django.dispatch import receiver
from django.utils.translation import gettext_lazy as _

from catalog.models.feed import Feed
from catalog.models.fields import ItemFields
from catalog.models.search import Beginning, Word, quoted

# Of titles and brands so much is in an index, whose entries are limited: an id of 500 characters has to fit beside it.
KEY_CHARS = 120
SEARCH_CHARS = 200
# All of ASCII's, between words, in products and in searches. By itself PostgreSQL takes Black/White for a path, 2-5 for
# 2 and minus 5.
_PUNCTUATION = "[!-/:-@[-`{-~]"
# So many products are looked at sooner than the index gives the list of those with a frequent word.
FEW = 1000


def _words_of(field: str) -> Func:
    """An expression takes a fifth of the time that `translate` does with so many characters."""
    apart = Value(_PUNCTUATION), Value(" "), Value("g")
    return Func(F(field), *apart, function="regexp_replace", output_field=models.TextField())


class ProductQuerySet(models.QuerySet["Product"]):
    def active(self) -> "ProductQuerySet":
        """Products on sale or soon to be: for every list but the archive."""
        return self.filter(archived_at=None)

    def of_brands(self, brands: Iterable[str]) -> "ProductQuerySet":
        """Products of one of these brands, each as it is written. For the list's filter."""
        wanted = models.Q()
        for brand in brands:
            whole = {"brand": brand} if len(brand) >= KEY_CHARS else {}
            wanted |= models.Q(brand_key=brand[:KEY_CHARS], **whole)
        return self.filter(wanted)

    def search(self, words: str) -> "ProductQuerySet":
        """Products with every word, or a word that begins so, in their searchable text. For every search box.

        Each word that no product has is taken as the known word that is most like it.
        """
        terms = [word for word in words[:SEARCH_CHARS].replace("\x00", " ").split() if any(map(str.isalnum, word))]
        if not terms:
            return self.none() if words.strip() else self
        indexed, unindexed = _as_meant(terms)
        return self.with_words(*indexed, unindexed=unindexed) if indexed else self.none()

    def some_ids(self, count: int) -> list[str]:
        """Those of so many of them, whichever are found first.

        Planned as if all were wanted: for the sake of a few PostgreSQL reads the table instead of an index, and to its
        end when there are none.
        """
        if self.query.is_empty():
            return []
        sql, values = self.order_by().values_list("pk").query.sql_with_params()
        with connection.cursor() as cursor:
            cursor.execute(f"WITH found (id) AS MATERIALIZED ({sql}) SELECT id FROM found LIMIT %s", [*values, count])
            return [id for (id,) in cursor.fetchall()]

    def with_words(self, *indexed: SearchQuery, unindexed: Iterable[SearchQuery] = ()) -> "ProductQuerySet":
        """Products that all of the queries find.

        The index is asked for the `indexed` ones; the others are looked for in what it finds for these.
        """
        for query in indexed:
            self = self.filter(search=query)
        for query in unindexed:
            self = self.filter(SearchVectorExact(_NotIndexed("search"), query))
        return self


class _NotIndexed(Func):
    """The same words, in the same places: those of `t-shirt` follow one another. D is the weight they all have."""

    template = "setweight(%(expressions)s, 'D')"


class _AnyOf(SearchQuery):
    """One of these words, each as it is in the index."""

    template = "%(expressions)s::tsquery"

    def __init__(self, words: Iterable[str]) -> None:
        super().__init__(" | ".join(map(quoted, dict.fromkeys(words))))


def _beginning(term: str) -> SearchQuery:
    """A word that begins so; of a term with punctuation in it the words one after another, the last begun so."""
    words = " <-> ".join(map(quoted, re.sub(_PUNCTUATION, " ", term).split()))
    return SearchQuery(f"{words}:*", config="simple", search_type="raw")


def _as_meant(terms: list[str]) -> tuple[list[SearchQuery], list[SearchQuery]]:
    """What finds the terms, the misspelled ones mended: that which the index is asked for, and that which it is not.

    Nothing, when no product has one of the terms, or anything like it.

    The index makes a list of all products for each beginning that it is asked for, which takes longer than anything
    else. So the words themselves are asked for, where they can be named; and when one term has few products, the
    beginnings are looked for in these few alone.
    """
    known = Word.begun_by(terms)
    meant = {term if term in known or _is_somewhere(term) else Word.nearest(term) for term in terms}
    if not all(meant):
        return [], []
    if mended := meant.difference(terms):
        known |= Word.begun_by(list(mended))
    ordered = sorted(meant, key=lambda term: (known[term].products if term in known else FEW, term))
    queries = [_finding(term, known.get(term)) for term in ordered]
    few = ordered[0] in known and known[ordered[0]].products < FEW
    unindexed = [query for query in queries[1:] if few and not isinstance(query, _AnyOf)]
    return [query for query in queries if query not in unindexed], unindexed


def _finding(term: str, known: Beginning | None) -> SearchQuery:
    return _AnyOf(known.words) if known and known.words and term.isalpha() else _beginning(term)


def _is_somewhere(term: str) -> bool:
    """Whether any product has it. One letter or digit is taken as it is: many words begin so, and none is like it."""
    return len(term) < 2 or bool(Product.objects.with_words(_beginning(term)).some_ids(1))


def _listed_by(field: str, *, name: str, include: Sequence[str] = ()) -> models.Index:
    """Products on the list in the order of the field, ties by id: any page is found in the index alone."""
    return models.Index(field, "id", include=include, condition=models.Q(archived_at=None), name=name)


class Product(ItemFields):
    """One sellable item, keyed by the feed's id.

    `version` grows by one with every change, whoever makes it: a plan made for one version is not applied to another.
    """

    id = models.TextField(_("id"), primary_key=True, db_collation="C")
    feed = models.ForeignKey(
        Feed, models.PROTECT, related_name="products", verbose_name=_("feed"), null=True, blank=True
    )
    version = models.PositiveIntegerField(default=1, editable=False)
    pinned = ArrayField(
        models.TextField(),
        verbose_name=_("pinned fields"),
        blank=True,
        default=list,
        help_text=_("Imports leave these as they are; their plans show what the file says instead."),
    )
    archived_at = models.DateTimeField(_("archived"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)
    search = models.GeneratedField(
        expression=SearchVector(*map(_words_of, ("id", "title", "brand", "gtin", "mpn")), config="simple"),
        output_field=SearchVectorField(),
        db_persist=True,
    )

    title_key = models.GeneratedField(
        expression=Left("title", KEY_CHARS), output_field=models.TextField(), db_persist=True
    )
    brand_key = models.GeneratedField(
        expression=Left("brand", KEY_CHARS), output_field=models.TextField(), db_persist=True
    )

    objects = ProductQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        indexes = [
            # ProductQuerySet.search
            GinIndex("search", name="product_search"),
            # /list-products/ by id and the number of its products, whatever the filters, without touching the table
            models.Index(
                fields=["id"],
                include=["condition", "gender", "availability", "brand_key", "price"],
                condition=models.Q(archived_at=None),
                name="product_listed",
            ),
            # /list-products/?brand=… with other filters, ?sort_by=brand, and the brands of /filter-options/
            _listed_by("brand_key", name="product_by_brand", include=["condition", "gender", "availability", "price"]),
            # /list-products/?min_price=…&max_price=… with other filters, and ?sort_by=price
            _listed_by("price", name="product_by_price", include=["condition", "gender", "availability"]),
            # /list-products/?sort_by=title, created_at and updated_at
            _listed_by("title_key", name="product_by_title"),
            _listed_by("created_at", name="product_by_created"),
            _listed_by("updated_at", name="product_by_updated"),
        ]
        constraints = [
            models.CheckConstraint(condition=~models.Q(id=""), name="product_id_not_empty"),
            models.CheckConstraint(
                condition=models.Q(price__gt=0) | models.Q(price=None), name="product_price_positive"
            ),
        ]

    def __str__(self) -> str:
        return self.title or self.id

    def save(self, *, by: Any = None, **options: Any) -> None:
        """A manual edit makes a new version, so that a plan made before it leaves the product alone.

        What differs becomes a line of the product's history, with `by` whom it was edited.
        """
        from catalog.models.runs import Change  # which has the columns of this module

        if options.get("update_fields") is not None:
            options["update_fields"] = {*options["update_fields"], "version", "updated_at"}
        with transaction.atomic():
            earlier = self._row()
            if not self._state.adding:
                self.version = models.F("version") + 1
            super().save(**options)
            CatalogState.bump(product_id=self.pk)
            Change.by_hand(self.pk, earlier, by)
            Word.learn("product.id = %(id)s", id=self.pk)
        self.refresh_from_db(fields=["version"])

    def _row(self) -> str | None:
        """The stored product as JSON, locked until the transaction ends; None when there is none."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT to_jsonb(p)::text FROM catalog_product p WHERE id = %s FOR UPDATE", [self.pk])
            found = cursor.fetchone()
        return found[0] if found else None

    @classmethod
    def brands(cls) -> list[str]:
        """Every brand of an active product, sorted: one step in the index for each, however many products it has."""
        with connection.cursor() as cursor:
            cursor.execute("""
                WITH RECURSIVE step AS (
                    SELECT min(brand_key) AS key FROM catalog_product WHERE archived_at IS NULL AND brand_key > ''
                    UNION ALL
                    SELECT (
                        SELECT min(brand_key) FROM catalog_product WHERE archived_at IS NULL AND brand_key > step.key
                    )
                    FROM step WHERE step.key IS NOT NULL
                )
                SELECT key FROM step WHERE key IS NOT NULL
            """)
            keys = {key for (key,) in cursor.fetchall()}
        cut = {key for key in keys if len(key) == KEY_CHARS}
        whole = cls.objects.active().filter(brand_key__in=cut).order_by().values_list("brand", flat=True).distinct()
        return sorted((keys - cut).union(whole if cut else ()))


class CatalogState(models.Model):
    """One row. `version` grows whenever any product changes: the key of everything cached about the catalogue."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    version = models.BigIntegerField(default=0)

    class Meta:
        default_permissions = ()
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="catalog_state_one_row")]

    def __str__(self) -> str:
        return f"catalogue version {self.version}"

    @classmethod
    def current(cls) -> int:
        """The version now; 0 before the first change. Asked by every call that reads products: written out for them."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT version FROM catalog_catalogstate")
            row = cursor.fetchone()
        return int(row[0]) if row else 0

    @classmethod
    def bump(cls, *, run_id: int | None = None, product_id: str = "") -> None:
        """Call in the transaction that changes products, with the import that does, or the one product."""
        with connection.cursor() as cursor:
            cursor.execute(cls._BUMP, {"run": run_id, "product": product_id})

    # From here to the commit the row is locked: versions are in the order of commits, and what made each is written.
    _BUMP = """
        WITH made AS (
            INSERT INTO catalog_catalogstate (id, version)
            VALUES (1, COALESCE((SELECT max(version) FROM catalog_catalogversion), 0) + 1)
            ON CONFLICT (id) DO UPDATE SET version = catalog_catalogstate.version + 1
            RETURNING version
        )
        INSERT INTO catalog_catalogversion (version, run_id, product_id)
        SELECT version, %(run)s, %(product)s FROM made
    """


class CatalogVersion(models.Model):
    """What made a version of the catalogue: an import, an edit of one product, or, with neither, something else."""

    version = models.BigIntegerField(primary_key=True)
    run = models.ForeignKey("catalog.ImportRun", models.CASCADE, related_name="+", db_index=False, null=True)
    product_id = models.TextField(db_collation="C", blank=True, default="")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"catalogue version {self.version}"

    # With more changed products than this, it is quicker to look at all of an import's products, in their order.
    MAX_LISTED_PRODUCTS = 10_000

    _PRODUCTS_CHANGED_SINCE = """
        WITH made AS (
            SELECT run_id, product_id FROM catalog_catalogversion WHERE version > %(since)s
        ), known AS (
            SELECT count(*) AS versions FROM made WHERE run_id IS NOT NULL OR product_id <> ''
        )
        SELECT
            known.versions = COALESCE((SELECT version FROM catalog_catalogstate), 0) - %(since)s,
            ARRAY(
                SELECT product_id FROM made WHERE product_id <> ''
                UNION ALL
                SELECT product_id FROM catalog_change
                WHERE run_id IN (SELECT run_id FROM made WHERE run_id <> %(run)s)
                LIMIT %(enough)s
            )
        FROM known
    """

    @classmethod
    def products_changed_since(cls, version: int, *, except_by_run: int) -> list[str] | None:
        """The ids of all products that anything but this run may have changed since `version`; some more than once.

        None when there are more than `MAX_LISTED_PRODUCTS`, or when a version does not say what made it.
        """
        with connection.cursor() as cursor:
            enough = cls.MAX_LISTED_PRODUCTS + 1
            cursor.execute(cls._PRODUCTS_CHANGED_SINCE, {"since": version, "run": except_by_run, "enough": enough})
            all_known, ids = cursor.fetchone()
        return ids if all_known and len(ids) < enough else None


@receiver(post_delete, sender=Product)
def _product_removed(instance: Product, **_signal: Any) -> None:
    """No operation removes a product that it has not made. What is removed in the shell is a change all the same."""
    CatalogState.bump(product_id=instance.pk)
