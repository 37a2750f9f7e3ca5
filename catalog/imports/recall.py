"""What is known is not read again: an item with the very bytes that it had in the feed's last import.

Its staged item is copied from that of then. The digest of an item is over its bytes and over all that decides how they
are read, so that equal digests mean equal items, whatever was changed in the feed's settings or in this program:
docs/decisions/0022-known-items.md.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet

from catalog import feeds
from catalog.feeds.cleaned import Rules
from catalog.feeds.issues import Issue
from catalog.feeds.slices import Slice, lines_of
from catalog.feeds.split import Piece, Shell
from catalog.imports import rows
from catalog.imports.batch import Tally
from catalog.imports.columns import SHARED, listed
from catalog.imports.supplements import CODE as SUPPLEMENTAL
from catalog.models import Feed, ImportRun, RunIssue, Status
from catalog.models.imports import ItemState

_DIGEST_CHARS = 32  # of a UUID, without its hyphens


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
        self.tally = Tally()


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
    """The program itself, as far as it makes rows of items."""
    sources = [*sorted(Path(feeds.__file__).parent.glob("*.*")), Path(rows.__file__)]
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()


def recall(run: ImportRun, wanted: Sequence[Wanted]) -> Known:
    """Copy the staged items that are known, in the transaction that is open.

    The first item of each shape is left to be read: with it the names are known that occur in the file.
    """
    known = Known()
    last = remembered(run.feed).first()
    if not last or not wanted:
        return known
    names = ("digests", "positions", "lines")
    with connection.cursor() as cursor:
        values = dict(zip(names, map(list, zip(*wanted, strict=True)), strict=True))
        cursor.execute(_COPIED, {"run": run.pk, "last": last.pk, **values})
        for position, product_id, state, issues in cursor:
            known.positions.add(position)
            known.invalid += state == ItemState.INVALID
            for issue in json.loads(issues or "[]"):
                known.tally.add(Issue(*issue), product_id)
    return known


def remembered(feed: Feed) -> QuerySet[ImportRun]:
    """The imports of a feed whose items are kept, the newest first: there is one, unless a clean-up is late.

    Of supplemental feeds none is: what their items are depends on the catalogue.
    """
    supplemental = RunIssue.objects.filter(run=OuterRef("pk"), code=SUPPLEMENTAL)
    of_feed = ImportRun.objects.filter(feed=feed, status=Status.APPLIED, in_chunks=True)
    return of_feed.exclude(Exists(supplemental)).order_by("-pk")


# A duplicate is one of its own file only. The lines of issues move with their item.
_COPIED = f"""
    WITH wanted AS (
        SELECT * FROM unnest(%(digests)s::uuid[], %(positions)s::int[], %(lines)s::int[])
            AS each (digest, position, line)
    ), known AS (
        SELECT wanted.*, before.position AS position_before,
            row_number() OVER (PARTITION BY before.shape ORDER BY wanted.position) AS number_in_shape
        FROM wanted
        CROSS JOIN LATERAL (
            SELECT position, shape FROM catalog_stageditem
            WHERE run_id = %(last)s AND digest = wanted.digest
            LIMIT 1
        ) AS before
    ), copied AS (
        INSERT INTO catalog_stageditem
            (run_id, position, line, product_id, state, issues, digest, shape, extra, {listed(SHARED)})
        SELECT
            %(run)s, known.position, known.line, before.product_id, replace(before.state, 'duplicate', 'valid'),
            CASE WHEN before.line = known.line OR before.issues = '[]' THEN before.issues ELSE (
                SELECT jsonb_agg(
                    jsonb_set(issue, '{{3}}', to_jsonb((issue ->> 3)::int + known.line - before.line)) ORDER BY place
                )
                FROM jsonb_array_elements(before.issues) WITH ORDINALITY AS each (issue, place)
            ) END,
            before.digest, before.shape, before.extra, {listed(SHARED, "before")}
        FROM known
        JOIN catalog_stageditem before ON before.run_id = %(last)s AND before.position = known.position_before
        WHERE known.number_in_shape > 1
        RETURNING position, product_id, state, issues
    )
    SELECT position, product_id, state, NULLIF(issues, '[]')::text FROM copied
"""
