"""A table that the catalogue exported: its columns that are no attributes are known, and its cells are as they were.

Beside the attributes it has `extra`, all that a product has beside its columns, in JSON; its `feed`; and since when it
is `archived`. A row of a product in the archive is an invalid item: it would bring the product back.
"""

from collections.abc import Collection
from typing import Any

from catalog.feeds.formulas import unquoted
from catalog.feeds.limits import Limits
from catalog.feeds.reading.headings import Row
from catalog.feeds.reading.json_values import ValueRefused, check_value, decoded

EXTRA, FEED, ARCHIVED = "extra", "feed", "archived"
_MARKS = frozenset({"id", "currency", FEED, ARCHIVED})


def is_own(names: Collection[str]) -> bool:
    """Whether a table with these columns is the catalogue's own. Other columns may have been taken out of it."""
    return _MARKS.issubset(names)


def own_row(row: Row, limits: Limits) -> Row:
    """The row of a spreadsheet with its cells as they were before the export made them safe."""
    if row.lost:
        return row
    fields: dict[str, Any] = {
        name: unquoted(value) if isinstance(value, str) else list(map(unquoted, value))
        for name, value in row.fields.items()
    }
    return with_own_columns(row._replace(fields=fields), limits)


def with_own_columns(row: Row, limits: Limits) -> Row:
    """The row with the attributes alone as its fields, and all that its product has beside them as `own_extra`."""
    fields = dict(row.fields)
    fields.pop(FEED, None)
    faults = row.faults
    if archived := fields.pop(ARCHIVED, ""):
        faults += (("row.archived", str(archived)),)
    extra = fields.pop(EXTRA, "") or {}
    try:
        if isinstance(extra, str):
            extra = decoded(extra)
        if not isinstance(extra, dict):
            raise ValueError
        check_value(extra, limits)
    except (ValueRefused, ValueError, RecursionError):
        faults += (("row.extra", str(row.fields[EXTRA])),)
        extra = {}
    return row._replace(fields=fields, faults=faults, own_extra=extra)
