"""Supplemental feeds: what a whole file does not speak of is not missing from products that exist.

A file of ids and prices updates prices. Its items are checked before the catalogue is known, so each comes here as
invalid for the title that it lacks; here it is told whether there is a product that has one.
"""

import json
from collections.abc import Iterable
from typing import Any

from django.db import connection

from catalog.feeds.attributes import COLUMNS, Need
from catalog.feeds.issues import Severity
from catalog.imports.planning.between_items import count_again
from catalog.models import ImportRun, RunIssue

CODE = "feed.supplemental"


def accept(run: ImportRun) -> int:
    """Make the items valid that only lack what the whole file lacks, and whose product exists. Returns how many.

    The product must be one that is on sale, for out of the archive it would come back as it once was; and amounts
    beside a price that is kept have to be in its currency.
    """
    absent = _absent(run, Need.REQUIRED)
    if not absent or not run.invalid:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            _ACCEPTED,
            {
                "run": run.pk,
                "with_price": "price" in run.names,
                "forgiven": _forgiven(run),
                "other_errors": _other_errors(run, absent),
                "few": RunIssue.EXAMPLES,
            },
        )
        count, examples = cursor.fetchone()
    if count:
        _say(run, absent, count, json.loads(examples))
    return int(count)


def count_the_rest(run: ImportRun) -> None:
    """Of what is said of accepted items no more, count what is left: of new products."""
    if run.issues.filter(code=CODE).exists():
        count_again(run, _forgiven(run))


def kept(run: ImportRun) -> list[RunIssue]:
    """What the run's file does not speak of and products that exist keep: one for each attribute; none of most runs."""
    return list(run.issues.filter(code=CODE).order_by("pk"))


_ACCEPTED = """
    WITH accepted AS (
        UPDATE catalog_stageditem item
        SET state = 'valid', issues = COALESCE(
            (
                SELECT jsonb_agg(issue ORDER BY place)
                FROM jsonb_array_elements(item.issues) WITH ORDINALITY AS each (issue, place)
                WHERE issue ->> 0 <> ALL(%(forgiven)s::text[])
            ),
            '[]'
        )
        FROM catalog_product product
        WHERE item.run_id = %(run)s AND item.state = 'invalid'
            AND product.id = item.product_id AND product.archived_at IS NULL
            AND (%(with_price)s OR item.currency IN ('', product.currency))
            AND NOT EXISTS (
                SELECT FROM jsonb_array_elements(item.issues) AS issue
                WHERE concat(issue ->> 0, ' ', issue ->> 1) = ANY(%(other_errors)s::text[])
            )
        RETURNING item.position, item.line, item.product_id
    )
    SELECT count(*), (
        SELECT jsonb_agg(jsonb_build_object('line', line, 'product_id', product_id, 'found', ''))
        FROM (SELECT * FROM accepted ORDER BY position LIMIT %(few)s) AS first
    )
    FROM accepted
"""


def _absent(run: ImportRun, *needs: Need) -> list[str]:
    """The attributes of this need that occur nowhere in the file."""
    return [a.name for a in COLUMNS if a.need in needs and a.name not in run.names]


def _forgiven(run: ImportRun) -> list[str]:
    """The codes that say of an item that it lacks what the whole file lacks."""
    codes = [f"{name}.missing" for name in _absent(run, Need.REQUIRED, Need.RECOMMENDED)]
    return codes if {"gtin", "mpn"} & set(run.names) else [*codes, "identifiers.missing"]


def _other_errors(run: ImportRun, absent: Iterable[str]) -> list[str]:
    """The errors that the run's items have beside these attributes' absence: code and attribute of each."""
    errors = run.issues.filter(severity=Severity.ERROR).exclude(code__in=[f"{name}.missing" for name in absent])
    return [f"{code} {attribute}" for code, attribute in errors.values_list("code", "attribute")]


def _say(run: ImportRun, absent: Iterable[str], count: int, examples: list[dict[str, Any]]) -> None:
    RunIssue.objects.bulk_create(
        RunIssue(run=run, code=CODE, attribute=name, severity=Severity.NOTICE, count=count, examples=examples)
        for name in absent
    )
