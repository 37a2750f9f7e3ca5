"""The issues of an import: how many of each kind with the first examples, and which items have them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Any

from django.db import connection

from catalog.feeds.cleaning.check import Occurring
from catalog.feeds.issues import FOUND_MAX, Issue, severity_of
from catalog.feeds.reading.items import Beside
from catalog.imports.sql import execute, joining_by_hashes
from catalog.models import ImportRun, RunIssue, Status

Example = dict[str, Any]
# By code and attribute: how many, and the first of them.
IssueCounts = Mapping[tuple[str, str], tuple[int, list[Example]]]


def example_of(issue: Issue, product_id: str) -> Example:
    return {"line": issue.line, "product_id": product_id, "found": issue.found}


def unknown_examples(occurring: Occurring) -> dict[str, Example]:
    """The names in a file that are not attributes, each with its first example."""
    return {name: example_of(issue, product_id) for name, (issue, product_id) in occurring.unknown.items()}


def beside_counts(beside: Beside) -> IssueCounts:
    """What stands beside the items of a file, as issues."""
    found = {
        "feed.foreign_item": (beside.foreign, beside.examples),
        "feed.lines_skipped": (beside.lines.count, beside.lines.examples),
    }
    return {
        (code, ""): (count, [{"line": line, "product_id": "", "found": text[:FOUND_MAX]} for line, text in examples])
        for code, (count, examples) in found.items()
        if count
    }


class IssueTally:
    """Counts issues by code and attribute, and keeps the first examples of each."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._examples: dict[tuple[str, str], list[Example]] = {}

    def add(self, issue: Issue, product_id: str) -> None:
        name = (issue.code, issue.attribute)
        self._counts[name] += 1
        if self._counts[name] <= RunIssue.EXAMPLES:
            self._examples.setdefault(name, []).append(example_of(issue, product_id))

    def counts(self) -> IssueCounts:
        return {name: (count, self._examples[name]) for name, count in self._counts.items()}


def merge_counts(one: IssueCounts, other: IssueCounts) -> IssueCounts:
    """Add up the two; their examples follow each other in the order of the file."""
    both = dict(one)
    for name, (count, examples) in other.items():
        known, earlier = both.get(name, (0, []))
        both[name] = (known + count, sorted((*earlier, *examples), key=itemgetter("line")))
    return both


# Chunks are read in any order; the examples that stay are the first ones of the file.
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


def add_issues(run: ImportRun, counts: IssueCounts) -> None:
    """Add these to the run's issues."""
    most = RunIssue.EXAMPLES
    rows = [
        (run.pk, code, attribute, severity_of(code, attribute), count, json.dumps(examples[:most]), most)
        for (code, attribute), (count, examples) in sorted(counts.items())  # always in one order, against deadlocks
    ]
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(_ADD_ISSUES, rows)


def add_unknown_names(run: ImportRun, examples: Mapping[str, Example]) -> None:
    """Add an issue for each of the `unknown_examples`. A name counts once per file."""
    add_issues(run, {("attribute.unknown", name): (1, [first]) for name, first in examples.items()})


# --- items --------------------------------------------------------------------------------------------


def list_items(run: ImportRun) -> None:
    """List the items of each issue that was found while reading. In the index's order, writing takes a third less."""
    execute(
        """
        INSERT INTO catalog_itemissue (run_id, code, attribute, position, found, times)
        SELECT run_id, issue ->> 0, issue ->> 1, position, '', count(*)
        FROM catalog_stageditem, jsonb_array_elements(issues) AS issue
        WHERE run_id = %(run)s AND issues <> '[]'
        GROUP BY 1, 2, 3, 4
        ORDER BY 2, 3, 4
        """,
        run=run.pk,
    )


def count_listed(run: ImportRun, codes: Iterable[str]) -> None:
    """Count the run's issues with these codes again, by the items that are listed, the first ones as examples."""
    codes = list(codes)
    run.issues.filter(code__in=codes).delete()
    for code, attribute in run.item_issues.filter(code__in=codes).values_list("code", "attribute").distinct():
        execute(
            """
            INSERT INTO catalog_runissue (run_id, code, attribute, severity, count, examples)
            SELECT %(run)s, %(code)s, %(attribute)s, %(severity)s, count(*), (
                SELECT jsonb_agg(jsonb_build_object('line', line, 'product_id', product_id, 'found', found))
                FROM (
                    SELECT
                        COALESCE(item.line, known.line) AS line,
                        COALESCE(item.product_id, known.product_id) AS product_id, listed.found
                    FROM catalog_itemissue listed
                    LEFT JOIN catalog_stageditem item
                        ON item.run_id = listed.run_id AND item.position = listed.position
                    LEFT JOIN catalog_knownitem known
                        ON known.run_id = listed.run_id AND known.position = listed.position
                    WHERE listed.run_id = %(run)s AND listed.code = %(code)s AND listed.attribute = %(attribute)s
                    ORDER BY listed.position
                    LIMIT %(most)s
                ) AS first
            )
            FROM catalog_itemissue
            WHERE run_id = %(run)s AND code = %(code)s AND attribute = %(attribute)s
            """,
            run=run.pk,
            code=code,
            attribute=attribute,
            severity=severity_of(code, attribute),
            most=RunIssue.EXAMPLES,
        )


def note_product_issues(run: ImportRun) -> None:
    """Note at each product in the file which issues its item has, or that it has none any more.

    Of a product with several items the last valid one counts, else the last. What is noted at a product whose item came
    as it was in the feed's last import stays.
    """
    items, invalid = "catalog_stageditem WHERE run_id = %(run)s AND state <> 'duplicate'", "state = 'invalid'"
    own = ""
    if run.known.exists():
        items, invalid = "catalog_knownitem WHERE run_id = %(run)s", "compared IS NULL"
        own = "AND from_run_id = %(run)s" if _last_is_noted(run) else ""
    with joining_by_hashes():
        execute(
            f"""
            CREATE TEMPORARY TABLE noted_item ON COMMIT DROP AS
            SELECT product_id, position, false AS is_invalid FROM {items} {own} AND NOT {invalid}
            UNION ALL
            (
                SELECT DISTINCT ON (product_id) product_id, position, true
                FROM (SELECT product_id, position FROM {items} {own} AND {invalid}) AS item
                WHERE NOT EXISTS (
                    SELECT FROM {items} AND NOT {invalid} AND product_id = item.product_id
                )
                ORDER BY product_id, position DESC
            );
            DELETE FROM catalog_productissues noted
            USING noted_item item
            WHERE noted.market_id = %(market)s AND noted.feed_id = %(feed)s AND noted.product_id = item.product_id
                AND noted.run_id <= %(run)s;
            INSERT INTO catalog_productissues (market_id, product_id, feed_id, run_id, position, is_invalid, issues)
            SELECT
                %(market)s, product_id, %(feed)s, %(run)s, position, is_invalid,
                array_agg(code || COALESCE(':' || NULLIF(attribute, ''), '') ORDER BY code, attribute)
            FROM noted_item JOIN catalog_itemissue USING (position)
            WHERE run_id = %(run)s
            GROUP BY product_id, position, is_invalid
            ON CONFLICT DO NOTHING;  -- a later import was quicker
            DROP TABLE noted_item
            """,
            run=run.pk,
            market=run.market_id,
            feed=run.feed_id,
        )


_WERE_APPLIED = [Status.APPLIED, Status.UNDOING, Status.UNDONE, Status.REDOING]


def _last_is_noted(run: ImportRun) -> bool:
    """Whether what is noted of the feed's products is what the import found from which the run began."""
    last = run.known_from
    if last is None or last.words_due:
        return False
    were_applied = ImportRun.objects.filter(feed=run.feed_id, status__in=_WERE_APPLIED)
    return not were_applied.filter(finished_at__gt=last.finished_at).exclude(pk=run.pk).exists()


def forget_valid_items(run: ImportRun) -> None:
    """Take all but the invalid items off the lists."""
    execute(
        """
        DELETE FROM catalog_itemissue listed
        WHERE run_id = %(run)s AND NOT EXISTS (
            SELECT FROM catalog_stageditem item
            WHERE item.run_id = listed.run_id AND item.position = listed.position AND item.state = 'invalid'
        )
        """,
        run=run.pk,
    )
