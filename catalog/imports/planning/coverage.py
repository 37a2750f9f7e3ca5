"""How many of a file's items have a value, attribute by attribute."""

from __future__ import annotations

from collections import Counter

from catalog.errors import ItemsMissing
from catalog.feeds.attributes import BY_NAME, COLUMNS, ORIGINAL, Type, is_known
from catalog.imports.sql import fetch_row, fetch_rows
from catalog.models import ImportRun

MAX_EXTRA_NAMES = 500  # a file with its data in its names would have millions of them

_EMPTY_VALUES = {Type.MONEY: "NULL", Type.INTEGER: "NULL", Type.BOOLEAN: "NULL", Type.URLS: "'{}'"}

_OWN = "SELECT * FROM catalog_stageditem WHERE run_id = %(run)s"
_PLACED = """
    SELECT item.* FROM {places} AS place
    JOIN catalog_stageditem item ON item.run_id = place.from_run_id AND item.position = place.from_position
"""
_KNOWN = _PLACED.format(places="(SELECT * FROM catalog_knownitem WHERE run_id = %(run)s)")
_GONE = _PLACED.format(places="gone_item")


def measure_coverage(run: ImportRun, *, is_partial: bool) -> dict[str, int]:
    """Count the items with a usable value of each attribute. Raises `ItemsMissing`.

    If it `is_partial`, they are those of the feed's last import without the `gone_item`s, and the run's own ones.
    """
    items, counts = _count_filled(_OWN, run)
    if items + run.known.count() != run.items:
        raise ItemsMissing
    if is_partial:
        last = Counter[str](ImportRun.objects.values_list("coverage", flat=True).get(pk=run.known_from_id or 0))
        gone = _count_filled(_GONE, run)[1]
        # With too many names, not all of them are counted.
        if max(len(counts), len(last), len(gone)) < MAX_EXTRA_NAMES // 2:
            counts = last + counts - gone
        else:
            counts = _count_filled(f"{_OWN} UNION ALL {_KNOWN}", run)[1]
    occurring = set(run.names)
    columns = {a.name for a in COLUMNS}
    return {name: counts[name] for name in [*counts, *(occurring & columns - counts.keys())]}


def _count_filled(source: str, run: ImportRun) -> tuple[int, Counter[str]]:
    """The number of these items, and that of those with a usable value of each attribute, in two passes over them.

    What an earlier plan took from the product is not the item's own.
    """
    filled = (
        f"count(*) FILTER (WHERE {'product_id' if a.name == 'id' else a.name} IS DISTINCT FROM "
        f"{_EMPTY_VALUES.get(a.type, repr(''))} AND (kept IS NULL OR '{a.name}' <> ALL(kept)))"
        for a in COLUMNS
    )
    items, *row = fetch_row(f"SELECT count(*), {', '.join(filled)} FROM ({source}) AS item", run=run.pk)
    extras = fetch_rows(
        f"""
        SELECT name, count(*) FROM ({source}) AS item, jsonb_object_keys(extra) AS name
        GROUP BY name ORDER BY count(*) DESC, name LIMIT %(most)s
        """,
        run=run.pk,
        most=MAX_EXTRA_NAMES,
    )
    counts = Counter({a.name: count for a, count in zip(COLUMNS, row, strict=True) if count})
    for name, count in extras:
        # Neither how a changed value was found nor a value that was set aside is an attribute of its own.
        is_original = name.endswith(ORIGINAL) and is_known(name)
        is_set_aside = name in BY_NAME and BY_NAME[name].column
        if not is_original and not is_set_aside:
            counts[name] = count
    return items, counts
