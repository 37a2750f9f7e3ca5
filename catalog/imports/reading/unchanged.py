"""An item with the very bytes that it had in the feed's last import is not read again: its staged item is copied.

The digest of an item is over its bytes and over all that decides how they are read. So equal digests mean equal items,
whatever was changed in the feed's settings or in this program: docs/decisions/0022-known-items.md.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from statistics import median_low
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet
from lxml import etree

from catalog import feeds
from catalog.feeds.cleaning.cleaned import Rules
from catalog.feeds.currencies import PUBLISHED
from catalog.feeds.issues import Issue
from catalog.feeds.reading.slices import Slice, lines_of
from catalog.feeds.reading.split import Piece, Shell
from catalog.imports.issues import IssueTally
from catalog.imports.planning.supplemental import SUPPLEMENTAL_CODE
from catalog.imports.reading import copy
from catalog.imports.sql import column_list, fetch_rows
from catalog.models import Feed, ImportRun, RunIssue, Status
from catalog.models.fields import SHARED
from catalog.models.runs import PROBES_BELOW, ItemState

_DIGEST_CHARS = 32  # of a UUID, without its hyphens
# An item is looked for this many places before and after where it should be: so many may have come or gone in a piece.
MAX_PLACES_MOVED = 500


class DigestedItem(NamedTuple):
    """An item by its digest, with its place and line in the file."""

    digest: str
    position: int
    line: int


class UnchangedItems:
    """What was copied: the `positions`, how many of the items are `invalid`, and the `tally` of their issues."""

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


def copy_unchanged(run: ImportRun, items: Sequence[DigestedItem]) -> UnchangedItems:
    """Copy the staged items that have these digests, in the open transaction.

    They are looked for where most of them should be, since files mostly keep their order. The first item of each shape
    is left to be read, so that the names that occur in the file become known.
    """
    unchanged = UnchangedItems()
    last = runs_with_items(run.feed).first()
    if last is None:
        return unchanged
    # How many places further down than in the last import the items stand, by a few of them.
    probes = {UUID(item.digest): item.position for item in items if item.digest < PROBES_BELOW.hex}
    found = last.staged.filter(digest__in=probes, digest__lt=PROBES_BELOW).values_list("digest", "position")
    shifts = [probes[digest] - position for digest, position in found if digest]
    if not shifts:
        return unchanged
    shift = median_low(shifts)
    digests, positions, lines = map(list, zip(*items, strict=True))
    copied = fetch_rows(
        _COPY_UNCHANGED,
        run=run.pk,
        last=last.pk,
        first_position=items[0].position - shift - MAX_PLACES_MOVED,
        last_position=items[-1].position - shift + MAX_PLACES_MOVED,
        digests=digests,
        positions=positions,
        lines=lines,
    )
    for position, product_id, state, issues in copied:
        unchanged.positions.add(position)
        unchanged.invalid += state == ItemState.INVALID
        for issue in json.loads(issues or "[]"):
            unchanged.tally.add(Issue(*issue), product_id)
    return unchanged


def runs_with_items(feed: Feed) -> QuerySet[ImportRun]:
    """The imports of a feed whose valid items are kept, the newest first: there is one, unless a clean-up is late.

    A supplemental feed has none, because what becomes of its items depends on the catalogue.
    """
    supplemental = RunIssue.objects.filter(run=OuterRef("pk"), code=SUPPLEMENTAL_CODE)
    of_feed = ImportRun.objects.filter(feed=feed, status=Status.APPLIED, in_chunks=True)
    return of_feed.exclude(Exists(supplemental)).order_by("-pk")


# Whether an item is a duplicate is decided in each file again. The lines of issues move with their item.
# In the order of the file, so that the first issues are the examples.
_COPY_UNCHANGED = f"""
    WITH wanted AS (
        SELECT * FROM unnest(%(digests)s::uuid[], %(positions)s::int[], %(lines)s::int[])
            AS each (digest, position, line)
    ), found AS (
        SELECT DISTINCT ON (wanted.position) wanted.position, wanted.line, before.position AS position_before, shape
        FROM wanted JOIN catalog_stageditem before USING (digest)
        WHERE before.run_id = %(last)s AND before.position BETWEEN %(first_position)s AND %(last_position)s
        ORDER BY wanted.position
    ), known AS (
        SELECT *, row_number() OVER (PARTITION BY shape ORDER BY position) AS number_in_shape FROM found
    ), copied AS (
        INSERT INTO catalog_stageditem
            (run_id, position, line, product_id, state, issues, digest, shape, extra, {column_list(SHARED)})
        SELECT
            %(run)s, known.position, known.line, before.product_id, replace(before.state, 'duplicate', 'valid'),
            CASE WHEN before.line = known.line OR before.issues = '[]' THEN before.issues ELSE (
                SELECT jsonb_agg(
                    jsonb_set(issue, '{{3}}', to_jsonb((issue ->> 3)::int + known.line - before.line)) ORDER BY place
                )
                FROM jsonb_array_elements(before.issues) WITH ORDINALITY AS each (issue, place)
            ) END,
            before.digest, before.shape, before.extra, {column_list(SHARED, "before")}
        FROM known
        JOIN catalog_stageditem before ON before.run_id = %(last)s AND before.position = known.position_before
        WHERE known.number_in_shape > 1
        RETURNING position, product_id, state, issues
    )
    SELECT position, product_id, state, NULLIF(issues, '[]')::text FROM copied ORDER BY position
"""
