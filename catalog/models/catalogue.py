"""The version of the whole catalogue, and what made each version."""

from django.db import connection, models


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
