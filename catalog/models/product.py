"""Products."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.search import SearchQuery, SearchVector, SearchVectorExact, SearchVectorField
from django.db import connection, models
from django.db.models import Exists, F, Func, OuterRef, Q, Value
from django.db.models.functions import Cast, Left
from django.db.models.signals import post_delete
from django.dispatch import receiver
from django.utils.translation import gettext_lazy as _

from catalog.models.catalogue import CatalogState, CatalogVersion, RemovedProduct
from catalog.models.feed import Feed
from catalog.models.fields import ItemFields
from catalog.models.market import DEFAULT_MARKET, Market
from catalog.models.runs import WORDS_DUE
from catalog.models.search import PUNCTUATION, AnyOf, Beginning, NotIndexed, Word, beginning_with

# Of titles and brands so much is in an index, whose entries are limited: an id of 500 characters has to fit beside it.
KEY_CHARS = 120
SEARCH_CHARS = 200
# With fewer products than this, looking at each is quicker than asking the index for all that have a frequent word.
MIN_INDEXED_PRODUCTS = 1000


def _searchable(field: str) -> Func:
    """An expression takes a fifth of the time that `translate` does with so many characters."""
    apart = Value(PUNCTUATION), Value(" "), Value("g")
    return Func(F(field), *apart, function="regexp_replace", output_field=models.TextField())


# What two indexes begin with: `of_category` and `of_groups` ask for the same expressions.
TYPE_KEY = Left("product_type", KEY_CHARS)
GROUP_KEY = Left("item_group_id", KEY_CHARS)


class ProductQuerySet(models.QuerySet["Product"]):
    # What a search took misspelled words for.
    corrected: Mapping[str, str] = MappingProxyType({})

    def active(self) -> "ProductQuerySet":
        """Products on sale or soon to be: for every list but the archive."""
        return self.filter(archived_at=None)

    def in_market(self, market: int) -> "ProductQuerySet":
        """Products of one market: for every list, since an id may be in several markets.

        The index of words takes the market only as what it is, a small number; other indexes do not mind.
        """
        return self.filter(market=Cast(Value(market), models.SmallIntegerField()))

    def of_brands(self, brands: Iterable[str]) -> "ProductQuerySet":
        """Products of one of these brands, each as it is written. For the list's filter."""
        wanted = models.Q()
        for brand in brands:
            whole = {"brand": brand} if len(brand) >= KEY_CHARS else {}
            wanted |= models.Q(brand_key=brand[:KEY_CHARS], **whole)
        return self.filter(wanted)

    def of_category(self, category: str) -> "ProductQuerySet":
        """Products of a product type, or of one below it: *Women > Shoes* has *Women > Shoes > Boots*."""
        key = category[:KEY_CHARS]
        below = Q(type_key__startswith=f"{key} >") | Q(type_key__startswith=f"{key}>")
        return self.alias(type_key=TYPE_KEY).filter(Q(type_key=key) | below)

    def of_groups(self, groups: Any) -> "ProductQuerySet":
        """The variants of one group, or of those in a list."""
        if isinstance(groups, str):
            groups = [groups]
        keys = {group[:KEY_CHARS] for group in groups}
        chosen = self.alias(group_key=GROUP_KEY).filter(group_key__in=keys, item_group_id__in=groups)
        return chosen.filter(item_group_id__gt="")

    def one_per_group(self) -> "ProductQuerySet":
        """Of the variants that are here only the first one by id, and every product without a group."""
        first = self.order_by().select_related(None).alias(group_key=GROUP_KEY)
        of_group = {"market": OuterRef("market"), "item_group_id": OuterRef("item_group_id")}
        earlier = first.filter(item_group_id__gt="", group_key=OuterRef("group_key"), id__lt=OuterRef("id"), **of_group)
        return self.alias(group_key=GROUP_KEY).filter(Q(item_group_id="") | ~Exists(earlier))

    def search(self, words: str, *, market: int) -> "ProductQuerySet":
        """The market's products with every word, or a word that begins so, in their searchable text. For every search
        box.

        Each word that no product of the market has is taken as its known word that is most like it: what is returned
        has these in `corrected`.
        """
        terms = [word for word in words[:SEARCH_CHARS].replace("\x00", " ").split() if any(map(str.isalnum, word))]
        if not terms:
            return self.none() if words.strip() else self.in_market(market)
        known = Word.begun_by(market, terms, incomplete=WORDS_DUE)
        meant = _meant_words(terms, known, market)
        if not all(meant.values()):
            return self.none()
        corrected = {term: word for term, word in meant.items() if term != word}
        if corrected:
            known |= Word.begun_by(market, list(corrected.values()), incomplete=WORDS_DUE)
        indexed, unindexed = _search_queries(set(meant.values()), known)
        found = self.in_market(market).with_words(*indexed, unindexed=unindexed)
        found.corrected = corrected
        return found

    def some_ids(self, count: int) -> list[str]:
        """Those of so many of them, products of one market, whichever are found first.

        Planned as if all were wanted: for the sake of a few PostgreSQL reads the table instead of an index, and to its
        end when there are none.
        """
        if self.query.is_empty():
            return []
        sql, values = self.order_by().values_list("id").query.sql_with_params()
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
            self = self.filter(SearchVectorExact(NotIndexed("search"), query))
        return self


_OwnManager = models.Manager.from_queryset(ProductQuerySet)


class ProductManager(_OwnManager["Product"]):
    """Products are also found by `product_id`, which is what changes, staged items and versions call their id."""

    def get_queryset(self) -> ProductQuerySet:
        return super().get_queryset().alias(product_id=F("id"))  # type: ignore[return-value]  # it is one still


def _meant_words(terms: list[str], known: dict[str, Beginning], market: int) -> dict[str, str]:
    """Each term with itself, or with the known word that it is a misspelling of; with "" when no word is like it."""
    # One letter or digit is taken as it is: many words begin so, and none is like it.
    return {
        term: term
        if len(term) < 2
        or term in known
        or Product.objects.in_market(market).with_words(beginning_with(term)).some_ids(1)
        else Word.nearest(market, term)
        for term in terms
    }


def _search_queries(meant: set[str], known: dict[str, Beginning]) -> tuple[list[SearchQuery], list[SearchQuery]]:
    """What finds products with these words: the queries for the index, and the other ones.

    The index makes a list of all products for each beginning of a word, which takes longer than anything else. So the
    words themselves are asked for where they can be named. When one term has few products, the beginnings are looked
    for in these few alone.
    """
    ordered = sorted(meant, key=lambda term: (known[term].products if term in known else MIN_INDEXED_PRODUCTS, term))
    queries: list[SearchQuery] = []
    for term in ordered:
        words = known[term].words if term in known and term.isalpha() else None
        queries.append(AnyOf(words) if words else beginning_with(term))
    few = ordered[0] in known and known[ordered[0]].products < MIN_INDEXED_PRODUCTS
    unindexed = [query for query in queries[1:] if few and not isinstance(query, AnyOf)]
    return [query for query in queries if query not in unindexed], unindexed


def _list_index(field: str, *, name: str, include: Sequence[str] = ()) -> models.Index:
    """A market's products on the list in the order of the field, ties by id: any page is found in the index alone."""
    return models.Index("market", field, "id", include=include, condition=models.Q(archived_at=None), name=name)


class Product(ItemFields):
    """One sellable item of one market, which knows it by the feed's id. Another market may have a product with this id.

    `version` grows by one with every change, whoever makes it: a plan made for one version is not applied to another.
    """

    key = models.BigAutoField(primary_key=True)
    # A constraint over both (migration 0013) refers to the feed: a product is in the market of its feed.
    market: "models.ForeignKey[Market, Market]" = models.ForeignKey(
        Market,
        models.PROTECT,
        related_name="products",
        verbose_name=_("market"),
        db_constraint=False,
        db_index=False,  # the indexes below begin with it
        default=DEFAULT_MARKET,
        db_default=DEFAULT_MARKET,  # type: ignore[arg-type]
        editable=False,
    )
    id = models.TextField(_("id"), db_collation="C")
    feed = models.ForeignKey(
        Feed,
        models.PROTECT,
        related_name="products",
        verbose_name=_("feed"),
        null=True,
        blank=True,
        db_constraint=False,
    )
    version = models.PositiveIntegerField(default=1, editable=False)
    change_number = models.BigIntegerField(
        default=0,
        db_default=0,
        editable=False,
        help_text=_("Shared by all products that one transaction changed: CatalogVersion says which version it made."),
    )
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
        expression=SearchVector(*map(_searchable, ("id", "title", "brand", "gtin", "mpn")), config="simple"),
        output_field=SearchVectorField(),
        db_persist=True,
    )

    title_key = models.GeneratedField(
        expression=Left("title", KEY_CHARS), output_field=models.TextField(), db_persist=True
    )
    brand_key = models.GeneratedField(
        expression=Left("brand", KEY_CHARS), output_field=models.TextField(), db_persist=True
    )

    objects = ProductManager()

    class Meta:
        ordering = ["id"]
        permissions = [("export_product", "Can export products")]
        indexes = [
            # ProductQuerySet.search, in one market
            GinIndex("market", "search", name="product_words"),
            # /list-products/ by id and the number of its products, whatever the filters, without touching the table
            models.Index(
                fields=["market", "id"],
                include=["condition", "gender", "availability", "brand_key", "price"],
                condition=models.Q(archived_at=None),
                name="product_listed",
            ),
            # /list-products/?brand=… with other filters, ?sort_by=brand, and the brands of /filter-options/
            _list_index("brand_key", name="product_by_brand", include=["condition", "gender", "availability", "price"]),
            # /list-products/?min_price=…&max_price=… with other filters, and ?sort_by=price
            _list_index("price", name="product_by_price", include=["condition", "gender", "availability"]),
            # /list-products/?sort_by=title, created_at and updated_at
            _list_index("title_key", name="product_by_title"),
            _list_index("created_at", name="product_by_created"),
            _list_index("updated_at", name="product_by_updated"),
            # /products/changes/: what a version changed, archived products too
            models.Index("market", "change_number", "id", name="product_by_change"),
            # ProductQuerySet.of_category, and Product.categories
            models.Index(
                "market",
                OpClass(TYPE_KEY, name="text_pattern_ops"),
                "id",
                condition=models.Q(archived_at=None),
                name="product_by_type",
            ),
            # ProductQuerySet.of_groups and one_per_group
            models.Index(
                "market",
                GROUP_KEY,
                "id",
                condition=models.Q(item_group_id__gt=""),
                name="product_by_group",
            ),
            # the list's filters: few have pins or are archived
            models.Index("market", "id", condition=~models.Q(pinned=[]), name="product_pinned"),
            models.Index("market", "id", condition=models.Q(archived_at__isnull=False), name="product_archived"),
            # how many products a feed has
            models.Index("feed", condition=models.Q(archived_at=None), name="product_of_feed"),
        ]
        constraints = [
            # imports find their products by it
            models.UniqueConstraint(fields=["market", "id"], name="product_one_per_market"),
            models.CheckConstraint(condition=~models.Q(id=""), name="product_id_not_empty"),
            models.CheckConstraint(
                condition=models.Q(price__gt=0) | models.Q(price=None), name="product_price_positive"
            ),
        ]

    def __str__(self) -> str:
        return self.title or self.id

    def save(self, *_: Any, **__: Any) -> None:
        """Refused: an edit has to make a new version, and a line of the product's history."""
        raise TypeError("Save a product with its history: catalog.imports.edit.edit_product(product, by=…).")

    @classmethod
    def brands(cls, market: int) -> list[str]:
        """Every brand of the market's active products, sorted: one step in the index for each, however many have it."""
        with connection.cursor() as cursor:
            cursor.execute(
                """
                WITH RECURSIVE step AS (
                    SELECT min(brand_key) AS key FROM catalog_product
                    WHERE market_id = %(market)s AND archived_at IS NULL AND brand_key > ''
                    UNION ALL
                    SELECT (
                        SELECT min(brand_key) FROM catalog_product
                        WHERE market_id = %(market)s AND archived_at IS NULL AND brand_key > step.key
                    )
                    FROM step WHERE step.key IS NOT NULL
                )
                SELECT key FROM step WHERE key IS NOT NULL
                """,
                {"market": market},
            )
            keys = {key for (key,) in cursor.fetchall()}
        cut = {key for key in keys if len(key) == KEY_CHARS}
        products = cls.objects.in_market(market).active()
        whole = products.filter(brand_key__in=cut).order_by().values_list("brand", flat=True).distinct()
        return sorted((keys - cut).union(whole if cut else ()))

    @classmethod
    def categories(cls, market: int, most: int) -> list[str]:
        """The product types of the market's active products and all that they are below, sorted: one step in the index
        for each. With very many, those that the first `most` make.
        """
        with connection.cursor() as cursor:
            cursor.execute(
                f"""
                WITH RECURSIVE step AS (
                    SELECT '' AS key
                    UNION ALL
                    SELECT (
                        SELECT LEFT(product_type, {KEY_CHARS}) FROM catalog_product
                        WHERE market_id = %(market)s AND archived_at IS NULL
                            AND LEFT(product_type, {KEY_CHARS}) ~>~ step.key
                        ORDER BY LEFT(product_type, {KEY_CHARS}) USING ~<~ LIMIT 1
                    )
                    FROM step WHERE step.key IS NOT NULL
                )
                SELECT key FROM step WHERE key > '' LIMIT %(most)s
                """,
                {"market": market, "most": most},
            )
            keys = [key for (key,) in cursor.fetchall()]
        categories: set[str] = set()
        for key in keys:
            levels = key.split(">")
            whole = levels[:-1] if len(key) == KEY_CHARS else levels
            categories.update(">".join(levels[: depth + 1]).strip() for depth in range(len(whole)))
        return sorted(categories - {""})


@receiver(post_delete, sender=Product)
def _product_removed(instance: Product, **_signal: Any) -> None:
    """No operation removes a product that it has not made. What is removed in the shell is a change all the same."""
    number = CatalogVersion.new_number()
    RemovedProduct.objects.update_or_create({"change_number": number}, market=instance.market, product_id=instance.id)
    CatalogState.bump(instance.market_id, change_number=number, product_id=instance.id)
