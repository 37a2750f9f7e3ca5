"""An item with the very bytes that it had in the feed's last import is not read again, and needs no row of its own.

The digest of an item is over its bytes and over all that decides how they are read. So equal digests mean equal items,
whatever was changed in the feed's settings or in this program: docs/decisions/0022-known-items.md.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from statistics import median_low
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from lxml import etree

from catalog import feeds
from catalog.feeds.cleaning.check import Occurring
from catalog.feeds.cleaning.cleaned import Rules
from catalog.feeds.currencies import PUBLISHED
from catalog.feeds.reading.slices import Slice, lines_of
from catalog.feeds.reading.split import Piece, Shell
from catalog.imports.issues import IssueTally
from catalog.imports.items import copy_known
from catalog.imports.mirrors import stays_known
from catalog.imports.reading import copy
from catalog.imports.reading.copy import ItemBatch
from catalog.imports.sql import fetch_rows
from catalog.models import ImportRun, KnownItem, Shape, Status
from catalog.models.runs import PROBES_BELOW

_DIGEST_CHARS = 32  # of a UUID, without its hyphens
# An item is looked for this many places before and after where it should be: so many may have come or gone in a piece.
MAX_PLACES_MOVED = 500


class DigestedItem(NamedTuple):
    """An item by its digest, with its place and line in the file."""

    digest: str
    position: int
    line: int


class FoundItems:
    """What need not be read of a piece: the items at these `positions`, how many of them are `invalid`, and the `tally`
    of the issues of those that were copied."""

    def __init__(self) -> None:
        self.positions: set[int] = set()
        self.invalid = 0
        self.tally = IssueTally()


def digest_items(data: bytes, slices: Sequence[Slice], piece: Piece, shell: Shell, rules: Rules) -> list[DigestedItem]:
    """The digests of the items in a piece, which `slices` tells apart."""
    how_read = (program_digest(), shell, replace(rules, today=""), settings.FEED_LIMITS)
    seed = hashlib.sha256(repr(how_read).encode())
    view = memoryview(data)
    found = []
    for (start, end, position), line in zip(slices, lines_of(data, slices, piece), strict=True):
        digest = seed.copy()
        digest.update(view[start:end])
        found.append(DigestedItem(digest.hexdigest()[:_DIGEST_CHARS], position, line))
    return found


@lru_cache
def program_digest() -> str:
    """The parts of the program that make rows of items, and the versions of what they parse with."""
    sources = [*sorted(Path(feeds.__file__).parent.rglob("*.py")), Path(copy.__file__)]
    code = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    return f"{code} {sys.version} {etree.LXML_VERSION} {etree.LIBXML_VERSION} {PUBLISHED}"


def find_known(run: ImportRun, items: Sequence[DigestedItem], occurring: Occurring) -> FoundItems:
    """Note which of these the feed's last import had, in the open transaction: a `KnownItem` for each.

    They are looked for where most of them should be, since files mostly keep their order. Those whose product has to be
    looked at anew are copied. Their names occur; where they have one that is not an attribute, the first item with it
    is left to be read, and so is the first of each shape of which the names are not known.
    """
    known = FoundItems()
    if not items or not run.known_from_id or not stays_known(run):
        return known
    # How many places further down than in the last import the items stand, by a few of them.
    probes = {UUID(item.digest): item.position for item in items if item.digest < PROBES_BELOW.hex}
    there = KnownItem.objects.filter(run=run.known_from_id, digest__in=probes, digest__lt=PROBES_BELOW)
    shifts = [probes[digest] - position for digest, position in there.values_list("digest", "position") if digest]
    if not shifts:
        return known
    shift = median_low(shifts)
    digests, positions, lines = zip(*items, strict=True)
    found = fetch_rows(
        _NOTE_KNOWN,
        run=run.pk,
        last=run.known_from_id,
        first_position=items[0].position - shift - MAX_PLACES_MOVED,
        last_position=items[-1].position - shift + MAX_PLACES_MOVED,
        digests=_array(digests),
        positions=_array(positions),
        lines=_array(lines),
    )
    unread = _choose_unread(found, occurring)
    if unread:
        run.known.filter(position__in=unread).delete()
    known.positions = {position for position, *_ in found} - unread
    unsettled = [(position, line, last) for position, line, last, _shape, is_settled in found if not is_settled]
    if unsettled := [row for row in unsettled if row[0] in known.positions]:
        positions, lines, lasts = zip(*unsettled, strict=True)
        places = {"positions": _array(positions), "lines": _array(lines), "lasts": _array(lasts)}
        known.invalid = copy_known(_UNSETTLED, len(lasts), known.tally, run=run.pk, last=run.known_from_id, **places)
    return known


def forget_piece(run: ImportRun, piece: Piece) -> None:
    """All items of the piece have to be read after all."""
    positions = (piece.places + 1, piece.places + piece.room)
    run.known.filter(position__range=positions).delete()
    run.staged.filter(position__range=positions).delete()


def begin_known(run: ImportRun) -> None:
    """Choose the import in whose items those of the run are looked for: the feed's last one, as far as it is kept."""
    mirror = ImportRun.objects.filter(feed=run.feed_id, status=Status.APPLIED, is_mirror=True).order_by("-pk").first()
    run.known_from_id = mirror.pk if mirror else None
    run.save(update_fields=["known_from"])


def _array(values: Iterable[Any]) -> str:
    """An array of numbers or digests as PostgreSQL reads it: many times as quick as adapting each."""
    return "{" + ",".join(map(str, values)) + "}"


# --- the names in a file --------------------------------------------------------------------------------

# A shape's names never change, so a process may keep them: so many.
MAX_SHAPES = 20_000
MIN_ITEMS_OF_SHAPE, FEW_SHAPES = 4, 50
_shapes: dict[int, tuple[list[str], list[str]]] = {}


def note_shapes(batch: ItemBatch) -> None:
    """Remember the names of the shapes of these items, so that none has to be read for them; unless its data is in its
    names, and each has other ones."""
    if len(batch.shapes) <= max(batch.count // MIN_ITEMS_OF_SHAPE, FEW_SHAPES):
        new = sorted(batch.shapes.keys() - _shapes.keys())
        rows = [Shape(number=number, tags=batch.shapes[number][0], more=batch.shapes[number][1]) for number in new]
        Shape.objects.bulk_create(rows, ignore_conflicts=True)


def _names_of_shapes(numbers: Collection[int]) -> Mapping[int, tuple[list[str], list[str]]]:
    if len(_shapes) > MAX_SHAPES:
        _shapes.clear()
    if missing := [number for number in numbers if number not in _shapes]:
        for number, tags, more in Shape.objects.filter(number__in=missing).values_list("number", "tags", "more"):
            _shapes[number] = tags, more
    return _shapes


def _choose_unread(found: list[tuple[Any, ...]], occurring: Occurring) -> set[int]:
    """The positions of the known items that show a name first; the names of the others occur from now on."""
    firsts: dict[int, int] = {}
    for position, _line, _last, shape, _settled in found:
        firsts.setdefault(shape, position)
    names = _names_of_shapes(firsts)
    unread: set[int] = set()
    unknown: set[str] = set()
    for shape, position in firsts.items():
        described = names.get(shape)
        if described is None:
            unread.add(position)
            continue
        new = occurring.note_shape(*described) - unknown
        if new:
            unknown |= new
            unread.add(position)
    return unread


# In the order of the file: so the first item of each shape is known.
_NOTE_KNOWN = """
    WITH wanted AS (
        SELECT * FROM unnest(%(digests)s::uuid[], %(positions)s::int[], %(lines)s::int[])
            AS each (digest, position, line)
    ), found AS MATERIALIZED (
        SELECT DISTINCT ON (wanted.position)
            wanted.position, wanted.line, before.position AS last_position, from_run_id, from_position, digest, shape,
            product_id, currency, gtin, item_group_id, compared, is_settled
        FROM wanted JOIN catalog_knownitem before USING (digest)
        WHERE before.run_id = %(last)s AND before.position BETWEEN %(first_position)s AND %(last_position)s
        ORDER BY wanted.position
    ), noted AS (
        INSERT INTO catalog_knownitem (
            run_id, position, line, last_position, from_run_id, from_position, digest, shape, product_id, currency,
            gtin, item_group_id, compared, is_settled
        )
        SELECT %(run)s, found.* FROM found WHERE is_settled
    )
    SELECT position, line, last_position, shape, is_settled FROM found ORDER BY position
"""

_UNSETTLED = """(
    SELECT wanted.position, wanted.line, from_run_id, from_position
    FROM unnest(%(positions)s::int[], %(lines)s::int[], %(lasts)s::int[]) AS wanted (position, line, last_position)
    JOIN catalog_knownitem before ON before.run_id = %(last)s AND before.position = wanted.last_position
)"""
