"""How complete a file is: the share of its items that have each attribute, beside the feed's file before."""

from __future__ import annotations

from dataclasses import dataclass

from catalog.feeds.attributes import BY_NAME, COLUMNS, Need
from catalog.models import ImportRun

_EQUAL_SHARES = 0.0005  # closer than a twentieth of a percentage point


@dataclass(frozen=True, slots=True)
class CoveredAttribute:
    """One attribute of a run: how many items have it, and their share of all.

    `change` is by how much the share differs from that in the feed's run before; None when there is nothing to compare.
    """

    name: str
    items: int
    share: float
    change: float | None

    @property
    def trend(self) -> str:
        """“more”, “less”, or "" for no change worth showing."""
        if self.change is None or abs(self.change) < _EQUAL_SHARES:
            return ""
        return "more" if self.change > 0 else "less"

    @property
    def need(self) -> str:
        return BY_NAME[self.name].need if self.name in BY_NAME else Need.OPTIONAL


@dataclass(frozen=True, slots=True)
class Coverage:
    """A run's attributes in the order of the table, its unknown names, and the attributes that products should have
    and the file lacks. `previous` is the number of the run that they are compared with."""

    attributes: list[CoveredAttribute]
    unknown: list[CoveredAttribute]
    absent: list[str]
    previous: int | None


def cover_run(run: ImportRun) -> Coverage:
    """What the run's items have, beside those of the feed's last run before it that was measured."""
    earlier = ImportRun.objects.filter(feed=run.feed_id, pk__lt=run.pk).exclude(coverage={})
    before = earlier.order_by("-pk").first()

    def cover_attribute(name: str) -> CoveredAttribute:
        share = _share_with(run, name)
        change = share - _share_with(before, name) if before else None
        return CoveredAttribute(name, run.coverage.get(name, 0), share, change)

    names = run.coverage.keys() | (before.coverage.keys() if before else set())
    known = [cover_attribute(name) for name in BY_NAME if name in names]
    unknown = [cover_attribute(name) for name in sorted(names - BY_NAME.keys())]
    absent = [a.name for a in COLUMNS if a.need is not Need.OPTIONAL and a.name not in run.names]
    return Coverage(known, unknown, absent, before.pk if before else None)


def _share_with(run: ImportRun, name: str) -> float:
    return float(run.coverage.get(name, 0) / max(run.items, 1))
