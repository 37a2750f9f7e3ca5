"""What a run found and would do, as files: invalid items to mend and upload again, issues and changes to read.

All of them come in pieces and page by page of their key, so that the length of a run costs neither memory nor time.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet

from catalog.feeds import write
from catalog.feeds.attributes import expected
from catalog.feeds.issues import BY_CODE, Severity, code_named, severity_of
from catalog.imports.confirm import Row, first, invalid_items
from catalog.models import Change, ImportRun, Operation, StagedItem
from catalog.models.fields import MONEY_NAMES, SHARED
from catalog.spreadsheet import cell

PAGE_ROWS = 500
ISSUE_COLUMNS = ("line", "id", "code", "severity", "attribute", "found", "advice")
CHANGE_COLUMNS = ("id", "operation", "field", "old", "new")

_HOW_TO = (
    "Invalid items of {run}, {name}. Comments at the top of each item say what is wrong with it. Mend the items and "
    "upload this file to the same feed in the mode update, to add and change products. It is only a part of the feed."
)


def invalid_xml(run: ImportRun) -> Iterator[bytes]:
    """The invalid items as a feed, each value where it stood, with a comment for each issue."""
    note = _HOW_TO.format(run=run, name=run.file_name)
    rows = _each(invalid_items(run), "position")
    return write.feed((_item(row) for row in rows), title=run.file_name, note=note, part_of=str(run))


def invalid_csv(run: ImportRun) -> Iterator[str]:
    """A line for each issue of each invalid item."""
    items = _each(invalid_items(run), "position")
    rows = (_issue_line(item, issue) for item in items for issue in issues_of(item))
    return _csv(ISSUE_COLUMNS, rows)


def changes_csv(run: ImportRun) -> Iterator[str]:
    """A line for each field that the plan changes; one without a field for a product that is archived or comes back.

    A field that a pin keeps has the operation *keep*, with the product's value and the file's.
    The values of new products are those of the staged items: once these are swept, a new product is one line.
    """
    return _csv(CHANGE_COLUMNS, (line for change in _with_items(run) for line in _lines(*change)))


def issues_of(item: StagedItem) -> list[dict[str, Any]]:
    """The item's issues with their words, the worst first. Each may have a line of its own."""
    issues = [_worded(*issue) for issue in item.issues]
    return sorted(issues, key=lambda issue: issue["severity"].rank)


def _worded(name: str, attribute: str, found: str, line: int | None = None) -> dict[str, Any]:
    return {
        "code": code_named(name),
        "attribute": attribute,
        "found": found,
        "line": line,
        "severity": severity_of(name, attribute) if name in BY_CODE else Severity.WARNING,
        "expected": expected(attribute),
    }


def _each(rows: QuerySet[Row], key: str) -> Iterator[Row]:
    """Every row, a page at a time. A cursor kept open would hold a transaction for as long as somebody downloads."""
    last = 0
    while page := first(rows.filter(**{f"{key}__gt": last}), key, PAGE_ROWS):
        yield from page
        last = getattr(page[-1], key)


# --- invalid items ------------------------------------------------------------------------------------


def _item(item: StagedItem) -> str:
    values = {"id": item.product_id, **_values(item)}
    return write.item(values, item.extra, [f"In the file this was line {item.line}.", *map(_note, issues_of(item))])


def _issue_line(item: StagedItem, issue: dict[str, Any]) -> tuple[Any, ...]:
    line = item.line if issue["line"] is None else issue["line"]
    code = issue["code"]
    return line, item.product_id, code.name, issue["severity"], issue["attribute"], issue["found"], code.advice


def _note(issue: dict[str, Any]) -> str:
    found = f" Found: {issue['found']}." if issue["found"] else ""
    code = issue["code"]
    return f"{issue['severity']} {code.name} ({issue['attribute']}): {code.title}.{found} {code.advice}"


def _values(item: StagedItem) -> dict[str, Any]:
    return {name: getattr(item, name) for name in SHARED}


# --- changes ------------------------------------------------------------------------------------------


def _with_items(run: ImportRun) -> Iterator[tuple[Change, StagedItem | None]]:
    """Each change, and the staged item of a new product."""
    changes: list[Change] = []
    for change in _each(run.changes.all(), "id"):
        changes.append(change)
        if len(changes) == PAGE_ROWS:
            yield from _joined(run, changes)
            changes = []
    yield from _joined(run, changes)


def _joined(run: ImportRun, changes: list[Change]) -> Iterator[tuple[Change, StagedItem | None]]:
    positions = [change.position for change in changes if change.operation == Operation.CREATE and change.position]
    staged = {item.position: item for item in run.staged.filter(position__in=positions)} if positions else {}
    for change in changes:
        is_new = change.operation == Operation.CREATE
        yield change, staged.get(change.position or 0) if is_new else None


def _lines(change: Change, item: StagedItem | None) -> Iterator[tuple[Any, ...]]:
    before, after = change.before, change.after
    if item is not None:
        after = {**_values(item), "extra": item.extra}
    pinned = change.pinned or {}
    yours, theirs = ({name: values[side] for name, values in pinned.items()} for side in ("kept", "file"))
    changed = [(change.operation, *field) for field in _flat(before, after)]
    kept = [(Operation.KEEP.value, *field) for field in _flat(yours, theirs)]
    for line in changed + kept or [(change.operation, "", "", "")]:
        yield change.product_id, *line


def _flat(before: dict[str, Any], after: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for name in SHARED:
        old, new = _told(name, before), _told(name, after)
        if old != new:
            yield name, old, new
    old_extra, new_extra = before.get("extra") or {}, after.get("extra") or {}
    for name in sorted(old_extra.keys() | new_extra.keys()):
        old, new = old_extra.get(name, ""), new_extra.get(name, "")
        if old != new:
            yield name, _as_text(old), _as_text(new)


def _told(name: str, values: dict[str, Any]) -> Any:
    value = values.get(name)
    if value in (None, "", []):
        return ""
    if name in MONEY_NAMES:
        return write.with_decimals(Decimal(value), values.get("currency", ""))
    return value


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# --- CSV ----------------------------------------------------------------------------------------------


class _Line:
    """What the csv module writes to, and gives back at once."""

    def write(self, line: str) -> str:
        return line


def _csv(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """Lines of CSV whose cells cannot become formulas. The mark in front tells Excel that it is UTF-8."""
    line = csv.writer(_Line())
    yield f"\ufeff{line.writerow(header)}"
    for row in rows:
        yield line.writerow(map(cell, row))
