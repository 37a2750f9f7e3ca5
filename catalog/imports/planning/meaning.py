"""What a plan means for prices and availability: counted with the plan, so that its page shows it at once."""

from typing import Any

from catalog.imports.sql import fetch_rows
from catalog.models import ImportRun

# The ends of the bars of the histogram, as shares of the old price; below the first and above the last is one more.
PRICE_STEPS = (-0.5, -0.2, -0.05, 0, 0.05, 0.2, 0.5)
SHOWN_EXTREMES = 3

# The move of a price in one currency, as a share of the old one. Zero is no move, and belongs to no bar.
_SHARE = "((change.after ->> 'price')::numeric / NULLIF((change.before ->> 'price')::numeric, 0) - 1)"
_HAS_MOVE = "change.after ? 'price' AND NOT change.after ? 'currency'"
# The number of the bar of a change's price; null where it has none.
PRICE_BAR = f"CASE WHEN {_HAS_MOVE} THEN width_bucket({_SHARE}, ARRAY{[*PRICE_STEPS]}::numeric[]) END"
_PROPOSED = "change.run_id = %(run)s AND change.operation IN ('update', 'restore') AND change.outcome = 'proposed'"


def measure_meaning(run: ImportRun) -> dict[str, Any]:
    """How many prices move how far, the farthest of them, and how many products change to which availability."""
    bars = [0] * (len(PRICE_STEPS) + 1)
    counted = f"""
        SELECT {PRICE_BAR} AS bar, count(*) FROM catalog_change change
        WHERE {_PROPOSED} AND {_HAS_MOVE} GROUP BY bar
    """
    moved = run.changed_fields.filter(name="price").exists()
    for bar, count in fetch_rows(counted, run=run.pk) if moved else ():
        if bar is not None:
            bars[bar] = count
    extremes = {
        name: [
            [product_id, float(share)]
            for product_id, share in fetch_rows(
                f"""
                SELECT product_id, {_SHARE} AS share FROM catalog_change change
                WHERE {_PROPOSED} AND {_HAS_MOVE} AND {_SHARE} {sign} 0
                ORDER BY share {order}, product_id LIMIT %(most)s
                """,
                run=run.pk,
                most=SHOWN_EXTREMES,
            )
        ]
        for name, sign, order in (("falls", "<", "ASC"), ("rises", ">", "DESC"))
        if any(bars)
    }
    availability = fetch_rows(
        f"""
        SELECT change.after ->> 'availability', count(*) FROM catalog_change change
        WHERE {_PROPOSED} AND change.after ? 'availability' GROUP BY 1 ORDER BY 2 DESC, 1
        """,
        run=run.pk,
    )
    return {"prices": bars if any(bars) else [], **extremes, "availability": [list(row) for row in availability]}
