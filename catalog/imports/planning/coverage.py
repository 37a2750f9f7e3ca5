"""How many of a file's items have a value, attribute by attribute."""

from __future__ import annotations

from catalog.feeds.attributes import BY_NAME, COLUMNS, ORIGINAL, Type, is_known
from catalog.imports.sql import fetch_row, fetch_rows
from catalog.models import ImportRun

MAX_EXTRA_NAMES = 500  # a file with its data in its names would have millions of them

_EMPTY_VALUES = {Type.MONEY: "NULL", Type.INTEGER: "NULL", Type.BOOLEAN: "NULL", Type.URLS: "'{}'"}


def measure_coverage(run: ImportRun) -> dict[str, int]:
    """Count the items with a usable value of each attribute, in two passes over the staged items."""
    filled = (
        f"count(*) FILTER (WHERE {'product_id' if a.name == 'id' else a.name} IS DISTINCT FROM "
        f"{_EMPTY_VALUES.get(a.type, repr(''))})"
        for a in COLUMNS
    )
    row = fetch_row(f"SELECT {', '.join(filled)} FROM catalog_stageditem WHERE run_id = %(run)s", run=run.pk)
    counts = dict(zip((a.name for a in COLUMNS), row, strict=True))
    extras = fetch_rows(
        """
        SELECT name, count(*) FROM catalog_stageditem, jsonb_object_keys(extra) AS name
        WHERE run_id = %(run)s GROUP BY name ORDER BY count(*) DESC, name LIMIT %(most)s
        """,
        run=run.pk,
        most=MAX_EXTRA_NAMES,
    )
    occurring = set(run.names)
    covered = {name: count for name, count in counts.items() if count or name in occurring}
    for name, count in extras:
        # Neither how a changed value was found nor a value that was set aside is an attribute of its own.
        is_original = name.endswith(ORIGINAL) and is_known(name)
        is_set_aside = name in BY_NAME and BY_NAME[name].column
        if not is_original and not is_set_aside:
            covered[name] = count
    return covered
