"""The items of an import, wherever their rows are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from catalog.models import ImportRun, StagedItem


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
