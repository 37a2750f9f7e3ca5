"""The items of an import, wherever their rows are."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection
from typing import Any

from catalog.errors import ItemsMissing
from catalog.feeds.issues import Issue
from catalog.imports.issues import IssueTally
from catalog.imports.sql import column_list, fetch_rows
from catalog.models import ImportRun, StagedItem
from catalog.models.fields import SHARED
from catalog.models.runs import ItemState


def items_at(run: ImportRun, positions: Collection[int]) -> list[StagedItem]:
    """The run's items at these positions, in the order of the file, as far as they are still kept.

    The row of a known item is that of an earlier import: here it stands where it stands in the run's file.
    """
    items = list(run.staged.filter(position__in=positions))
    known = list(run.known.filter(position__in={*positions} - {item.position for item in items}))
    places = defaultdict(list)
    for place in known:
        places[place.from_run_id].append(place.from_position)
    rows = {
        (row.run_id, row.position): row
        for from_run, from_positions in places.items()
        for row in StagedItem.objects.filter(run=from_run, position__in=from_positions)
    }
    for place in known:
        if row := rows.get((place.from_run_id, place.from_position)):
            items.append(row.moved_to(run, place.position, place.line))
    return sorted(items, key=lambda item: item.position)


def copy_known(source: str, number: int, tally: IssueTally, **values: Any) -> int:
    """Give these known items rows of the run's own. `source` says which: `position`, `line`, `from_run_id` and
    `from_position` of a `number` of them. Their issues are added to `tally`; returns how many are invalid.

    Raises `ItemsMissing` where a row is gone.
    """
    invalid = 0
    copied = fetch_rows(_COPY_KNOWN.format(source=source), **values)
    if len(copied) != number:
        raise ItemsMissing
    for product_id, state, issues in copied:
        invalid += state == ItemState.INVALID
        for issue in json.loads(issues or "[]"):
            tally.add(Issue(*issue), product_id)
    return invalid


# The issues of an item that now stands elsewhere.
_MOVED_ISSUES = """
    CASE WHEN before.line = known.line OR before.issues = '[]' THEN before.issues ELSE (
        SELECT jsonb_agg(
            jsonb_set(issue, '{{3}}', to_jsonb((issue ->> 3)::int + known.line - before.line)) ORDER BY place
        )
        FROM jsonb_array_elements(before.issues) WITH ORDINALITY AS each (issue, place)
    ) END
"""

# Whether an item is a duplicate is decided in each file again. The lines of issues move with their item.
# In the order of the file, so that the first issues are the examples.
_COPY_KNOWN = f"""
    WITH copied AS (
        INSERT INTO catalog_stageditem
            (run_id, position, line, product_id, state, issues, digest, shape, extra, {column_list(SHARED)})
        SELECT
            %(run)s, known.position, known.line, before.product_id, replace(before.state, 'duplicate', 'valid'),
            {_MOVED_ISSUES}, before.digest, before.shape, before.extra, {column_list(SHARED, "before")}
        FROM {{source}} AS known
        JOIN catalog_stageditem before
            ON before.run_id = known.from_run_id AND before.position = known.from_position
        RETURNING position, product_id, state, issues
    )
    SELECT product_id, state, NULLIF(issues, '[]')::text FROM copied ORDER BY position
"""
