"""What a run found and would do, as files: invalid items to correct and upload again, issues and changes to read.

All of them are written piece by piece from pages of rows, so the length of a run costs neither memory nor time.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet

from catalog.feeds import write
from catalog.feeds.attributes import expected_value
from catalog.feeds.issues import BY_CODE, Severity, code_named, severity_of
from catalog.imports.planning.between_items import BETWEEN_ITEMS
from catalog.imports.reports.pages import Row, first_rows, invalid_items
from catalog.imports.work.files import opened
from catalog.models import Change, ImportRun, Operation, Outcome, StagedItem
from catalog.models.fields import MONEY_NAMES, SHARED
from catalog.spreadsheet import safe_cell

PAGE_ROWS = 500
ISSUE_COLUMNS = ("line", "id", "code", "severity", "attribute", "found", "advice")
CHANGE_COLUMNS = ("id", "operation", "field", "old", "new")


def original(run: ImportRun) -> Iterator[bytes]:
    """The file as it was uploaded."""
    with opened(run) as file:
        yield from file.chunks()


def invalid_xml(run: ImportRun) -> Iterator[bytes]:
    """The invalid items as a feed, each value where it stood, with a comment for each issue."""
    note = (
        f"Invalid items of {run}, {run.file_name}. Comments at the top of each item say what is wrong with it. Correct "
        "the items and upload this file to the same feed in the mode update, which adds and changes products. "
        "This is only a part of the feed."
    )
    return write.feed_pieces(_invalid_items_xml(run), title=run.file_name, note=note, part_of=str(run))


def _invalid_items_xml(run: ImportRun) -> Iterator[str]:
    for items in _pages_of(invalid_items(run), "position"):
        for item in items:
            notes = [f"In the file this was line {item.line}."]
            for issue in issues_of(item):
                code, found = issue["code"], f" Found: {issue['found']}." if issue["found"] else ""
                what = f"{issue['severity']} {code.name} ({issue['attribute']})"
                notes.append(f"{what}: {code.title}.{found} {code.advice}")
            values = {"id": run.feed.id_in_file(item.product_id), **_column_values(item)}
            yield write.item_element(values, item.extra, notes)


def invalid_csv(run: ImportRun) -> Iterator[str]:
    """A line for each issue of each invalid item."""
    rows = (
        (
            item.line if issue["line"] is None else issue["line"],
            item.product_id,
            issue["code"].name,
            issue["severity"],
            issue["attribute"],
            issue["found"],
            issue["code"].advice,
        )
        for items in _pages_of(invalid_items(run), "position")
        for item in items
        for issue in issues_of(item)
    )
    return _csv_lines(ISSUE_COLUMNS, rows)


def issues_of(item: StagedItem) -> list[dict[str, Any]]:
    """The item's issues in words, the worst first. An issue may have a line of its own."""
    issues = []
    for name, attribute, found, *line in item.issues:
        issue = {"code": code_named(name), "attribute": attribute, "found": found, "line": line[0] if line else None}
        severity = severity_of(name, attribute) if name in BY_CODE else Severity.WARNING
        issues.append({**issue, "severity": severity, "expected": expected_value(attribute)})
    return sorted(issues, key=lambda issue: issue["severity"].rank)


def with_issues(run: ImportRun, items: Iterable[StagedItem]) -> list[dict[str, Any]]:
    """Each item with its issues in words: its own, and those that a comparison found."""
    rows = list(items)
    positions = [item.position for item in rows]
    # The attributes belong to their codes anyway; naming them lets the index skip the other items.
    rules = {"code__in": BETWEEN_ITEMS, "attribute__in": BETWEEN_ITEMS.values()}
    for found in run.item_issues.filter(**rules, position__in=positions):
        item = next(item for item in rows if item.position == found.position)
        item.issues.append([found.code, found.attribute, found.found, item.line])
    return [{"item": item, "issues": issues_of(item)} for item in rows]


def changes_csv(run: ImportRun) -> Iterator[str]:
    """A line for each field that the plan changes; one without a field for a product that is archived or comes back.

    A field that a pin keeps has the operation *keep*, with the product's value and the file's. The values of new
    products are those of the staged items: once these are deleted, a new product is one line.
    """
    return _csv_lines(CHANGE_COLUMNS, _change_rows(run))


def _change_rows(run: ImportRun) -> Iterator[tuple[Any, ...]]:
    for changes in _pages_of(run.changes.all(), "id"):
        for change, rows in fields_of(run, changes):
            operation = Outcome.LEFT_OUT.value if change.outcome == Outcome.LEFT_OUT else change.operation
            for row in rows or [(operation, "", "", "")]:
                yield change.product_id, *row


def fields_of(run: ImportRun, changes: list[Change]) -> Iterator[tuple[Change, list[tuple[Any, ...]]]]:
    """Each of the run's changes with what it does to each field: operation, name, old and new value."""
    positions = [change.position for change in changes if change.operation == Operation.CREATE and change.position]
    staged = {item.position: item for item in run.staged.filter(position__in=positions)} if positions else {}
    for change in changes:
        before, after, pinned = change.before, change.after, change.pinned or {}
        left = change.left_out or {}
        is_new = change.operation == Operation.CREATE
        if is_new and change.position in staged:
            item = staged[change.position]
            left_extra = left.get("extra", {"file": {}})["file"]
            after = {name: value for name, value in _column_values(item).items() if name not in left}
            after["extra"] = {name: value for name, value in item.extra.items() if name not in left_extra}
        kept, in_file = ({name: values[side] for name, values in pinned.items()} for side in ("kept", "file"))
        rows = [(change.operation, *field) for field in _differing_fields(before, after)]
        rows += [(Operation.KEEP.value, *field) for field in _differing_fields(kept, in_file)]
        if change.outcome == Outcome.LEFT_OUT:
            rows = [(Outcome.LEFT_OUT.value, *field) for _operation, *field in rows]
        left_kept, left_file = ({name: values[side] for name, values in left.items()} for side in ("kept", "file"))
        rows += [(Outcome.LEFT_OUT.value, *field) for field in _differing_fields(left_kept, left_file)]
        yield change, rows


def _differing_fields(before: dict[str, Any], after: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """The name of each field, and of each name in `extra`, with its old and its new value."""
    for name in SHARED:
        old, new = _field_value(name, before), _field_value(name, after)
        if old != new:
            yield name, old, new
    old_extra, new_extra = before.get("extra") or {}, after.get("extra") or {}
    for name in sorted(old_extra.keys() | new_extra.keys()):
        old, new = old_extra.get(name, ""), new_extra.get(name, "")
        if old != new:
            old_text, new_text = (v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in (old, new))
            yield name, old_text, new_text


def _field_value(name: str, values: dict[str, Any]) -> Any:
    value = values.get(name)
    if value in (None, "", []):
        return ""
    if name in MONEY_NAMES:
        return write.with_decimals(Decimal(value), values.get("currency", ""))
    return value


def _column_values(item: StagedItem) -> dict[str, Any]:
    return {name: getattr(item, name) for name in SHARED}


def _pages_of(rows: QuerySet[Row], key: str) -> Iterator[list[Row]]:
    """All rows, page by page. An open cursor would keep a transaction open for as long as the download takes."""
    last = 0
    while page := first_rows(rows.filter(**{f"{key}__gt": last}), key, PAGE_ROWS):
        yield page
        last = getattr(page[-1], key)


class EchoWriter:
    """The csv module writes to this, which returns each line at once."""

    def write(self, line: str) -> str:
        return line


def _csv_lines(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """Lines of CSV whose cells cannot become formulas. The mark in front tells Excel that this is UTF-8."""
    writer = csv.writer(EchoWriter())
    yield f"\ufeff{writer.writerow(header)}"
    for row in rows:
        yield writer.writerow(map(safe_cell, row))
