"""What is known is not read again: an item with the very bytes that it had in the feed's last import.

Its staged item is copied from that of then. The digest of an item is over its bytes and over all that decides how they
are read, so that equal digests mean equal items, whatever was changed in the feed's settings or in this program:
docs/decisions/0022-known-items.md.
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
from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet
from lxml import etree

from catalog import feeds
from catalog.feeds.cleaning.cleaned import Rules
from catalog.feeds.issues import Issue
from catalog.feeds.reading.slices import Slice, lines_of
from catalog.feeds.reading.split import Piece, Shell
from catalog.imports.issues import IssueTally
from catalog.imports.planning.supplemental import SUPPLEMENTAL_CODE
from catalog.imports.reading import copy
from catalog.imports.sql import column_list
from catalog.models import Feed, ImportRun, RunIssue, Status
from catalog.models.fields import SHARED
from catalog.models.runs import PROBES_BELOW, ItemState

_DIGEST_CHARS = 32  # of a UUID, without its hyphens
_NEAR = 500  # items: so many more or fewer may come in the middle of a piece


class Wanted(NamedTuple):
    """An item by its digest, with its place and line in the file."""

    digest: str
    position: int
    line: int


class Known:
    """What was copied: the `positions`, how many of them are `invalid`, and the `tally` of their issues."""

    def __init__(self) -> None:
        self.positions: set[int] = set()
        self.invalid = 0
        self.tally = IssueTally()


def wanted_of(data: bytes, slices: Sequence[Slice], piece: Piece, shell: Shell, rules: Rules) -> list[Wanted]:
    """What to look for instead of reading the slices of a piece."""
    seed = hashlib.sha256(repr((_how_items_are_read(), shell, replace(rules, today=""), settings.FEED_LIMITS)).encode())
    view = memoryview(data)
    found = []
    for (start, end, position), line in zip(slices, lines_of(data, slices, piece), strict=True):
        digest = seed.copy()
        digest.update(view[start:end])
        found.append(Wanted(digest.hexdigest()[:_DIGEST_CHARS], position, line))
    return found


@lru_cache
def _how_items_are_read() -> str:
    """The program itself, as far as it makes rows of items, and what it parses them with."""
    sources = [*sorted(Path(feeds.__file__).parent.rglob("*.py")), Path(copy.__file__)]
    code = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    return f"{code} {sys.version} {etree.LXML_VERSION} {etree.LIBXML_VERSION}"


def recall(run: ImportRun, wanted: Sequence[Wanted]) -> Known:
    """Copy the staged items that are known, in the transaction that is open.

    They are looked for where most of them should be, since files keep their order, more or less. The first item of each
    shape is left to be read: with it the names are known that occur in the file.
    """
    known = Known()
    last = remembered(run.feed).first()
    shift = _shift(last, wanted) if last else None
    if last is None or shift is None:
        return known
    values = dict(zip(("digests", "positions", "lines"), map(list, zip(*wanted, strict=True)), strict=True))
    place = {"first": wanted[0].position - shift - _NEAR, "final": wanted[-1].position - shift + _NEAR}
    with connection.cursor() as cursor:
        cursor.execute(_COPIED, {"run": run.pk, "last": last.pk, **place, **values})
        for position, product_id, state, issues in cursor:
            known.positions.add(position)
            known.invalid += state == ItemState.INVALID
            for issue in json.loads(issues or "[]"):
                known.tally.add(Issue(*issue), product_id)
    return known


def _shift(last: ImportRun, wanted: Sequence[Wanted]) -> int | None:
    """How many places further down most of the items stand than in the last import; None when hardly any is known."""
    probes = {UUID(item.digest): item.position for item in wanted if item.digest < PROBES_BELOW.hex}
    found = last.staged.filter(digest__in=probes, digest__lt=PROBES_BELOW).values_list("digest", "position")
    shifts = [probes[digest] - position for digest, position in found if digest]
    return median_low(shifts) if shifts else None


def remembered(feed: Feed) -> QuerySet[ImportRun]:
    """The imports of a feed whose items are kept, the newest first: there is one, unless a clean-up is late.

    Of supplemental feeds none is: what their items are depends on the catalogue.
    """
    supplemental = RunIssue.objects.filter(run=OuterRef("pk"), code=SUPPLEMENTAL_CODE)
    of_feed = ImportRun.objects.filter(feed=feed, status=Status.APPLIED, in_chunks=True)
    return of_feed.exclude(Exists(supplemental)).order_by("-pk")


# A duplicate is one of its own file only. The lines of issues move with their item, and the first are their examples.
_COPIED = f"""
    WITH wanted AS (
        SELECT * FROM unnest(%(digests)s::uuid[], %(positions)s::int[], %(lines)s::int[])
            AS each (digest, position, line)
    ), found AS (
        SELECT DISTINCT ON (wanted.position) wanted.position, wanted.line, before.position AS position_before, shape
        FROM wanted JOIN catalog_stageditem before USING (digest)
        WHERE before.run_id = %(last)s AND before.position BETWEEN %(first)s AND %(final)s
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
