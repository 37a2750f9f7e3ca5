"""Items into the database, by PostgreSQL's COPY in its text format."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from itertools import islice
from json import JSONEncoder
from typing import Any

from django.db import connection

from catalog.feeds.attributes import COLUMNS, Type
from catalog.feeds.cleaning.check import Item, Occurring, Rules, check_item
from catalog.feeds.reading.items import RawItem
from catalog.imports.issues import IssueTally
from catalog.imports.sql import column_list
from catalog.imports.work.metrics import spent_in_database
from catalog.models import ImportRun
from catalog.models.fields import SHARED

PIECE_ITEMS = 50  # so many at a time go to PostgreSQL; more or fewer take longer

# XML cannot contain this character, so it can stand for NULL; the usual \N would look like a text that needs escaping.
_NULL = "\x01"
_NULLABLE_TYPES = (Type.MONEY, Type.INTEGER, Type.BOOLEAN)
_LIST_NAMES = [a.name for a in COLUMNS if a.type is Type.URLS]
# One value per column, in the order of COPY; an item's own values are laid over it.
_BLANK_VALUES: dict[str, Any] = {
    "id": "",
    **dict.fromkeys(SHARED, ""),
    **{a.name: _NULL for a in COLUMNS if a.type in _NULLABLE_TYPES},
    **dict.fromkeys(_LIST_NAMES, "{}"),
}
_TABS_IN_ROW = 9 + len(SHARED)

COPY_ITEMS = f"""
    COPY catalog_stageditem
        (run_id, position, line, state, issues, digest, shape, kept, extra, product_id, {column_list(SHARED)})
    FROM STDIN (NULL '{_NULL}')
"""

_to_json = JSONEncoder(ensure_ascii=False).encode


def item_row(run_id: int, item: Item, digest: str = "", shape: int = 0) -> str:
    """The item as one line of COPY's input. An item without a digest will not be recognised in the next file."""
    values = {**_BLANK_VALUES, **item.values}
    for name in _LIST_NAMES:
        if name in item.values:
            quoted = ('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in item.values[name])
            values[name] = "{" + ",".join(quoted) + "}"
    state = "valid" if item.valid else "invalid"
    issues = _to_json(item.issues) if item.issues else "[]"
    extra = _to_json(item.extra) if item.extra else "{}"
    known_by = (digest, f"{shape}") if digest else (_NULL, _NULL)
    kept = f"{{{','.join(names)}}}" if (names := item.kept_names) else _NULL
    start = (f"{run_id}", f"{item.position}", f"{item.line}", state, issues, *known_by, kept, extra)
    cells = [*start, *map(str, values.values())]
    line = "\t".join(cells)
    # Looking once at the whole line is quicker than escaping sixty values of which hardly one needs it.
    if "\\" in line or "\n" in line or "\r" in line or line.count("\t") != _TABS_IN_ROW:
        line = "\t".join(
            cell.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r") for cell in cells
        )
    return f"{line}\n"


def clean_items(raw_items: Iterator[RawItem], rules: Rules, occurring: Occurring) -> Iterator[Item]:
    """The cleaned items. `occurring` is complete after the last one."""
    for raw in raw_items:
        item = check_item(raw, rules)
        occurring.add(raw, item)
        yield item


class ItemBatch:
    """The next items of a file, which `copy` writes. Then `count` says how many they are, and `invalid` how many of
    them are invalid.

    `digests`, by position, are those of the items that may be recognised in the feed's next file; `shapes` are the
    names of these, by the number of each shape.
    """

    def __init__(
        self, run: ImportRun, items: Iterator[Item], size: int | None = None, digests: Mapping[int, str] | None = None
    ) -> None:
        self.count = self.invalid = 0
        self.tally = IssueTally()
        self.shapes: dict[int, tuple[list[str], list[str]]] = {}
        self._run = run
        self._items = islice(items, size)
        self._digests = digests or {}
        self._error: Exception | None = None
        self._reading_seconds = 0.0

    def copy(self) -> None:
        """Write the items, in the open transaction: PostgreSQL stores some while the next are read."""
        start = time.monotonic()
        # Django leaves COPY's errors untranslated, and a lost connection has to be recognised as one.
        with connection.cursor() as cursor, connection.wrap_database_errors:
            cursor.copy_expert(COPY_ITEMS, self)
        spent_in_database(time.monotonic() - start - self._reading_seconds)
        if self._error:
            raise self._error

    def read(self, _size: int) -> str:
        """COPY calls this for more rows until it returns ""."""
        start = time.monotonic()
        rows = []
        try:
            for item in islice(self._items, PIECE_ITEMS):
                self.count += 1
                self.invalid += not item.valid
                for issue in item.issues:
                    self.tally.add(issue, item.id)
                digest, shape = self._digests.get(item.position, ""), 0
                if digest and item.is_lasting:
                    shape = item.shape
                    if shape not in self.shapes:
                        self.shapes[shape] = item.shape_names
                else:
                    digest = ""
                rows.append(item_row(self._run.pk, item, digest, shape))
            return "".join(rows)
        except Exception as error:
            self._error = error  # psycopg2 would report it as a failure of COPY
            return ""
        finally:
            self._reading_seconds += time.monotonic() - start
