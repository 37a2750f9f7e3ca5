"""Which products were changed since an import looked at them: as many are looked at as were changed."""

from __future__ import annotations

from django.db import connection

from catalog.models import ImportRun

# More than this, and it is quicker to look at all of the import's products, in their order.
FEW = 10_000

# Of an import's changes, those of products that were touched. Give it what `touched_since` returns.
TOUCHED = "(%(touched)s::text[] IS NULL OR change.product_id = ANY(%(touched)s::text[]))"

_TOUCHED_SINCE = """
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


def touched_since(run: ImportRun) -> list[str] | None:
    """Every product that anybody but the run itself may have changed since `run.catalog_version`; some more than once.

    None where there are more than `FEW`, or where it is not known of each version since what made it.
    """
    with connection.cursor() as cursor:
        cursor.execute(_TOUCHED_SINCE, {"since": run.catalog_version, "run": run.pk, "enough": FEW + 1})
        all_known, ids = cursor.fetchone()
    return ids if all_known and len(ids) <= FEW else None
