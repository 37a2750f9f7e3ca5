"""Items into the database: rows by COPY, issues by kind and number."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from operator import itemgetter
from typing import Any

from django.db import connection

from catalog.feeds.cleaning.check import Item, Occurring, Rules, check
from catalog.feeds.issues import Issue, severity
from catalog.feeds.reading.items import RawItem
from catalog.imports.reading.rows import COPY, row
from catalog.imports.work.metrics import spent_in_database
from catalog.models import ImportRun, RunIssue

PIECE_ITEMS = 50  # so many at a time go to PostgreSQL; more or fewer take longer

Example = dict[str, Any]
Found = Mapping[tuple[str, str], tuple[int, list[Example]]]


def checked(raw_items: Iterator[RawItem], rules: Rules, occurring: Occurring) -> Iterator[Item]:
    """The cleaned items. `occurring` is whole when the last one was given."""
    for raw in raw_items:
        item = check(raw, rules)
        occurring.add(raw, item)
        yield item


def example(issue: Issue, product_id: str) -> Example:
    return {"line": issue.line, "product_id": product_id, "found": issue.found}


class Tally:
    """Issues by kind: how many, and the first of each."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._examples: dict[tuple[str, str], list[Example]] = {}

    def add(self, issue: Issue, product_id: str) -> None:
        name = (issue.code, issue.attribute)
        self._counts[name] += 1
        if self._counts[name] <= RunIssue.EXAMPLES:
            self._examples.setdefault(name, []).append(example(issue, product_id))

    def found(self) -> Found:
        return {name: (count, self._examples[name]) for name, count in self._counts.items()}


class Batch:
    """The next items of a file, copied in. `count` them and how many are `invalid`.

    `digests` are those of items, by position, that the feed's next import may know again.
    """

    def __init__(
        self, run: ImportRun, items: Iterator[Item], size: int | None = None, digests: Mapping[int, str] | None = None
    ) -> None:
        self.count = self.invalid = 0
        self.tally = Tally()
        self._run = run
        self._items = islice(items, size)
        self._digests = digests or {}
        self._error: Exception | None = None

    def copy(self) -> None:
        """Write the items, in the transaction that is open: PostgreSQL stores some while the next are read."""
        # Of a COPY's errors Django translates none by itself, and a lost connection must be known as one.
        start, self._reading = time.monotonic(), 0.0
        with connection.cursor() as cursor, connection.wrap_database_errors:
            cursor.copy_expert(COPY, self)
        spent_in_database(time.monotonic() - start - self._reading)
        if self._error:
            raise self._error

    def read(self, _size: int) -> str:
        """For COPY: some more rows, or "" at the end."""
        start = time.monotonic()
        try:
            return "".join(map(self._take, islice(self._items, PIECE_ITEMS)))
        except Exception as error:
            self._error = error  # psycopg2 would report it as a failure of COPY
            return ""
        finally:
            self._reading += time.monotonic() - start

    def _take(self, item: Item) -> str:
        self.count += 1
        self.invalid += not item.valid
        for issue in item.issues:
            self.tally.add(issue, item.id)
        return row(self._run.pk, item, self._digests.get(item.position, ""))


# The first examples of the file, whichever of its parts was read first.
_ADD_ISSUES = """
    INSERT INTO catalog_runissue (run_id, code, attribute, severity, count, examples)
    VALUES (%s, %s, %s, %s, %s, %s)
    ON CONFLICT (run_id, code, attribute) DO UPDATE SET
        count = catalog_runissue.count + excluded.count,
        examples = (
            SELECT jsonb_agg(example ORDER BY line, number)
            FROM (
                SELECT example, number, (example ->> 'line')::int AS line
                FROM jsonb_array_elements(catalog_runissue.examples || excluded.examples)
                    WITH ORDINALITY AS both_of (example, number)
                ORDER BY line, number LIMIT %s
            ) AS first
        )
"""


def merged(one: Found, other: Found) -> Found:
    """Both, with the first examples in the order of the file."""
    both = dict(one)
    for name, (count, examples) in other.items():
        known, earlier = both.get(name, (0, []))
        both[name] = (known + count, sorted((*earlier, *examples), key=itemgetter("line")))
    return both


def add_issues(run: ImportRun, found: Found) -> None:
    """Add to the run's issues: by code and attribute how many, and examples."""
    rows = [
        (
            run.pk,
            code,
            attribute,
            severity(code, attribute),
            count,
            json.dumps(examples[: RunIssue.EXAMPLES]),
            RunIssue.EXAMPLES,
        )
        for (code, attribute), (count, examples) in sorted(found.items())  # always in one order, against deadlocks
    ]
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(_ADD_ISSUES, rows)


def add_unknown(run: ImportRun, examples: Mapping[str, Example]) -> None:
    """Add the names that no attribute goes by, each with its first example, once a file."""
    add_issues(run, {("attribute.unknown", name): (1, [first]) for name, first in examples.items()})


def examples_of(occurring: Occurring) -> dict[str, Example]:
    """Its unknown names as `add_unknown` takes them."""
    return {name: example(issue, product_id) for name, (issue, product_id) in occurring.unknown.items()}
