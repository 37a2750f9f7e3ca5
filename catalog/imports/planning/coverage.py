"""How many of a file's items have a value, attribute by attribute."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

from catalog.feeds.attributes import BY_NAME, COLUMNS, ORIGINAL, Attribute, Need, Type, is_known
from catalog.models import ImportRun

_EMPTY = {Type.MONEY: "NULL", Type.INTEGER: "NULL", Type.BOOLEAN: "NULL", Type.URLS: "'{}'"}


def measure(run: ImportRun) -> dict[str, int]:
    """Count the items with a usable value of each attribute, in two readings of the staged items."""
    with connection.cursor() as cursor:
        cursor.execute(_COLUMNS_FILLED, [run.pk])
        counts = dict(zip((a.name for a in COLUMNS), cursor.fetchone(), strict=True))
        cursor.execute(_EXTRAS_FILLED, [run.pk])
        extras = {name: count for name, count in cursor.fetchall() if not _belongs_to_a_column(name)}
    occurring = set(run.names)
    return {name: count for name, count in counts.items() if count or name in occurring} | extras


def _filled(attribute: Attribute) -> str:
    column = "product_id" if attribute.name == "id" else attribute.name
    return f"count(*) FILTER (WHERE {column} IS DISTINCT FROM {_EMPTY.get(attribute.type, repr(''))})"


_COLUMNS_FILLED = f"SELECT {', '.join(map(_filled, COLUMNS))} FROM catalog_stageditem WHERE run_id = %s"
# A file with its data in its names would have millions of them.
_EXTRAS_FILLED = """
    SELECT name, count(*) FROM catalog_stageditem, jsonb_object_keys(extra) AS name
    WHERE run_id = %s GROUP BY name ORDER BY count(*) DESC, name LIMIT 500
"""


def _belongs_to_a_column(name: str) -> bool:
    """A value that was set aside, and how a changed one was found, are no attributes of their own."""
    return (name.endswith(ORIGINAL) and is_known(name)) or (name in BY_NAME and BY_NAME[name].column)


@dataclass(frozen=True, slots=True)
class Covered:
    """One attribute of a run: the items that have it, and their share of all.

    `change` is by how much that share differs from the feed's run before; None when there is nothing to compare with.
    """

    name: str
    items: int
    share: float
    change: float | None

    @property
    def trend(self) -> str:
        """“more”, “less” or, within a twentieth of a point, nothing."""
        if self.change is None or abs(self.change) < 0.0005:
            return ""
        return "more" if self.change > 0 else "less"

    @property
    def need(self) -> str:
        return BY_NAME[self.name].need if self.name in BY_NAME else Need.OPTIONAL


@dataclass(frozen=True, slots=True)
class Coverage:
    """A run's attributes in the order of the table, what goes by no name of it, and what products ought to have.

    `previous` is the run they are compared with, by number.
    """

    attributes: list[Covered]
    unknown: list[Covered]
    absent: list[str]
    previous: int | None


def cover(run: ImportRun) -> Coverage:
    """What the run's items have, beside those of the feed's run before."""
    before = _before(run)
    names = run.coverage.keys() | (before.coverage.keys() if before else set())
    known = [_covered(run, before, name) for name in BY_NAME if name in names]
    others = [_covered(run, before, name) for name in sorted(names - BY_NAME.keys())]
    absent = [a.name for a in COLUMNS if a.need is not Need.OPTIONAL and a.name not in run.names]
    return Coverage(known, others, absent, before.pk if before else None)


def _covered(run: ImportRun, before: ImportRun | None, name: str) -> Covered:
    share = _share(run, name)
    return Covered(name, run.coverage.get(name, 0), share, share - _share(before, name) if before else None)


def _share(run: ImportRun, name: str) -> float:
    return float(run.coverage.get(name, 0) / max(run.items, 1))


def _before(run: ImportRun) -> ImportRun | None:
    """The feed's last run before this one that was measured."""
    earlier = ImportRun.objects.filter(feed=run.feed_id, pk__lt=run.pk).exclude(coverage={})
    return earlier.order_by("-pk").first()
