"""The version of a market's products, and what made each version."""

from collections.abc import Sequence
from typing import Any

from django.db import connection, models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from catalog.models.market import Market
from catalog.models.webhooks import WebhookEvent, changes_url, write_event


class CatalogState(models.Model):
    """A row for each market. `version` grows whenever any of its products changes: the key of everything cached."""

    market = models.OneToOneField(Market, models.CASCADE, primary_key=True, related_name="state")
    version = models.BigIntegerField(default=0)
    known_since = models.BigIntegerField(
        default=0, db_default=0, help_text=_("What changed is known since this version, and not what changed before.")
    )

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"catalogue version {self.version}"

    @classmethod
    def current(cls, market: int) -> int:
        """The market's version now; 0 before the first change."""
        return cls.objects.filter(market=market).values_list("version", flat=True).first() or 0

    @classmethod
    def bump(
        cls, market: Any, *, change_number: int | None = None, run_id: int | None = None, product_id: str = ""
    ) -> None:
        """Call in the transaction that changes products, after it did, with the number that it gave them, and with the
        import that does, or the one product. Without a number, what changed before is known no longer."""
        values = {"market": market, "number": change_number, "run": run_id, "product": product_id}
        with connection.cursor() as cursor:
            cursor.execute(cls._BUMP, values)
            (version,) = cursor.fetchone()
        announce_changes(market, since=version - 1, version=version, run_id=run_id)

    @classmethod
    def bump_each(cls, market: Any, products: Sequence[tuple[Any, ...]]) -> None:
        """As `bump` for each of these products, id and number, of which there is one: a version for each says what
        made it, and webhooks are told once."""
        ids, numbers = ([product[place] for product in products] for place in range(2))
        values = {"market": market, "products": ids, "numbers": numbers, "versions": len(ids)}
        with connection.cursor() as cursor:
            cursor.execute(cls._BUMP_EACH, values)
            (version,) = cursor.fetchone()
        announce_changes(market, since=version - len(ids), version=version)

    # From here to the commit the row is locked: versions are in the order of commits, and what made each is written.
    _BUMP = """
        WITH back_again AS (
            DELETE FROM catalog_removedproduct removed
            USING catalog_product product
            WHERE removed.market_id = %(market)s
                AND product.market_id = removed.market_id AND product.id = removed.product_id
                AND product.change_number = %(number)s::bigint
        ), known AS (
            SELECT COALESCE(max(version), 0) AS version FROM catalog_catalogversion WHERE market_id = %(market)s
        ), made AS (
            INSERT INTO catalog_catalogstate AS state (market_id, version, known_since)
            SELECT %(market)s, version + 1, version + (%(number)s::bigint IS NULL)::int FROM known
            ON CONFLICT (market_id) DO UPDATE SET
                version = state.version + 1,
                known_since = CASE WHEN %(number)s::bigint IS NULL THEN state.version + 1 ELSE state.known_since END
            RETURNING market_id, version
        )
        INSERT INTO catalog_catalogversion (market_id, version, change_number, run_id, product_id)
        SELECT market_id, version, %(number)s::bigint, %(run)s, %(product)s FROM made
        RETURNING version
    """
    _BUMP_EACH = """
        WITH known AS (
            SELECT COALESCE(max(version), 0) AS version FROM catalog_catalogversion WHERE market_id = %(market)s
        ), made AS (
            INSERT INTO catalog_catalogstate AS state (market_id, version, known_since)
            SELECT %(market)s, version + %(versions)s, version FROM known
            ON CONFLICT (market_id) DO UPDATE SET version = state.version + %(versions)s
            RETURNING market_id, version
        )
        INSERT INTO catalog_catalogversion (market_id, version, change_number, run_id, product_id)
        SELECT market_id, version - %(versions)s + place, number, NULL, id
        FROM made, unnest(%(products)s::text[], %(numbers)s::bigint[]) WITH ORDINALITY AS each (id, number, place)
        RETURNING (SELECT version FROM made)
    """


def announce_changes(market: int, *, since: int, version: int, run_id: int | None = None) -> None:
    """Tell webhooks that the market's products went from one version to another, in the transaction that did it."""

    def facts() -> dict[str, Any]:
        code = Market.objects.values_list("code", flat=True).get(pk=market)
        return {"market": code, "since": since, "version": version, "import": run_id, "url": changes_url(code, since)}

    write_event(WebhookEvent.CHANGED, f"{Market._meta.label_lower}:{market}", facts)


class CatalogVersion(models.Model):
    """What made a version of a market's products: an import, an edit of one, or, with neither, something else."""

    pk = models.CompositePrimaryKey("market_id", "version")
    market = models.ForeignKey(Market, models.CASCADE, related_name="+", db_index=False)
    version = models.BigIntegerField()
    run = models.ForeignKey("catalog.ImportRun", models.CASCADE, related_name="+", db_index=False, null=True)
    product_id = models.TextField(db_collation="C", blank=True, default="")
    change_number = models.BigIntegerField(null=True, help_text=_("The number of the products that it changed."))
    made_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"catalogue version {self.version}"

    @staticmethod
    def new_number() -> int:
        """A number for the products that a transaction is about to change.

        It is taken before, because the version is known last: until the commit nobody else could change a product.
        """
        with connection.cursor() as cursor:
            cursor.execute("SELECT nextval('catalog_change_number')")
            (number,) = cursor.fetchone()
        return int(number)

    # With more changed products than this, it is quicker to look at all of an import's products, in their order.
    MAX_LISTED_PRODUCTS = 10_000

    _PRODUCTS_CHANGED_SINCE = """
        WITH made AS (
            SELECT run_id, product_id FROM catalog_catalogversion
            WHERE market_id = %(market)s AND version > %(since)s
        ), known AS (
            SELECT count(*) AS versions FROM made WHERE run_id IS NOT NULL OR product_id <> ''
        )
        SELECT
            known.versions = COALESCE(
                (SELECT version FROM catalog_catalogstate WHERE market_id = %(market)s), 0
            ) - %(since)s,
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
    def products_changed_since(cls, market: int, version: int, *, except_by_run: int) -> list[str] | None:
        """The ids of all products of the market that anything but this run may have changed since `version`; some more
        than once.

        None when there are more than `MAX_LISTED_PRODUCTS`, or when a version does not say what made it.
        """
        enough = cls.MAX_LISTED_PRODUCTS + 1
        values = {"market": market, "since": version, "run": except_by_run, "enough": enough}
        with connection.cursor() as cursor:
            cursor.execute(cls._PRODUCTS_CHANGED_SINCE, values)
            all_known, ids = cursor.fetchone()
        return ids if all_known and len(ids) < enough else None


class RemovedProduct(models.Model):
    """A product that is no more: an undo took back the import that had added it, or it was deleted in the shell."""

    pk = models.CompositePrimaryKey("market_id", "product_id")
    market = models.ForeignKey(Market, models.CASCADE, related_name="+", db_index=False)
    product_id = models.TextField(db_collation="C")
    change_number = models.BigIntegerField(help_text=_("That of the version which removed it."))

    class Meta:
        default_permissions = ()
        indexes = [
            # /products/changes/, as product_by_change
            models.Index("market", "change_number", "product_id", name="removedproduct_by_change"),
        ]

    def __str__(self) -> str:
        return self.product_id
