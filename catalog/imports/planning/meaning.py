"""What a plan means for the shop: counted with the plan, so that its page shows it at once."""

from typing import Any

from catalog.imports.planning.facets import (
    MAX_VALUES,
    PRICE_STEPS,
    count_facets,
    counted_values,
    farthest_moves,
    measure_shifts,
)
from catalog.imports.sql import fetch_rows
from catalog.models import ImportRun


def measure_meaning(run: ImportRun) -> dict[str, Any]:
    """How many prices move how far, which change their currency, who is out of stock, what gets and loses products,
    and how many changes each filter of the list finds."""
    with counted_values(run):
        facets = count_facets(run)
        shifts = measure_shifts(run)
    bars = dict(facets["move"])
    return {
        "prices": [bars.get(bar, 0) for bar in range(len(PRICE_STEPS) + 1)] if bars else [],
        **(farthest_moves(run) if bars else {}),
        "availability": _count_changed(run, "availability"),
        "currency": _count_changed(run, "currency"),
        **shifts,
        "facets": facets,
        "invalid": run.meaning.get("invalid") or _count_invalid(run),  # nothing that is left out touches them
    }


def _count_invalid(run: ImportRun) -> list[list[Any]]:
    """How many invalid items have each issue, the most frequent first."""
    rows = fetch_rows(
        """
        SELECT code, count(DISTINCT item.position)
        FROM catalog_stageditem item
        JOIN catalog_itemissue listed ON listed.run_id = item.run_id AND listed.position = item.position
        WHERE item.run_id = %(run)s AND item.state = 'invalid'
        GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %(most)s
        """,
        run=run.pk,
        most=MAX_VALUES,
    )
    return [list(row) for row in rows]


def _count_changed(run: ImportRun, field: str) -> list[list[Any]]:
    """To which value of the field how many products change."""
    if not run.changed_fields.filter(name=field).exists():
        return []
    rows = fetch_rows(
        f"""
        SELECT change.after ->> '{field}', count(*) FROM catalog_change change
        WHERE change.run_id = %(run)s AND change.operation IN ('update', 'restore') AND change.outcome = 'proposed'
            AND change.after ? '{field}'
        GROUP BY 1 ORDER BY 2 DESC, 1
        """,
        run=run.pk,
    )
    return [list(row) for row in rows]
