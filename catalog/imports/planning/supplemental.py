"""Supplemental feeds: existing products keep the attributes that occur nowhere in a file.

A file of ids and prices updates prices. Items are checked before the catalogue is known, so each of its items arrives
here as invalid, because it has no title. Here it becomes valid if its product exists and so has a title.
"""

import json

from catalog.feeds.attributes import COLUMNS, Need
from catalog.feeds.issues import Severity
from catalog.imports.issues import count_listed
from catalog.imports.sql import PRODUCT_OF_ITEM, fetch_row
from catalog.models import ImportRun, RunIssue

SUPPLEMENTAL_CODE, OWN_TABLE_CODE = "feed.supplemental", "feed.own_table"


def accept_items(run: ImportRun) -> int:
    """Make valid the items that only lack what the whole file lacks, and whose product exists. Returns how many.

    The product has to be on sale, since one from the archive would come back as it once was. Amounts beside a price
    that is kept have to be in its currency.
    """
    absent = _absent_names(run, Need.REQUIRED)
    if not absent or not run.invalid:
        return 0
    errors = run.issues.filter(severity=Severity.ERROR).exclude(code__in=[f"{name}.missing" for name in absent])
    count, examples = fetch_row(
        f"""
        WITH accepted AS (
            UPDATE catalog_stageditem item
            SET state = 'valid', extra = item.extra - COALESCE(item.kept, '{{}}'), issues = COALESCE(
                (
                    SELECT jsonb_agg(issue ORDER BY place)
                    FROM jsonb_array_elements(item.issues) WITH ORDINALITY AS each (issue, place)
                    WHERE issue ->> 0 <> ALL(%(forgiven)s::text[])
                ),
                '[]'
            )
            FROM catalog_product product
            WHERE item.run_id = %(run)s AND item.state = 'invalid'
                AND {PRODUCT_OF_ITEM} AND product.archived_at IS NULL
                AND (%(with_price)s OR item.currency IN ('', product.currency))
                AND NOT EXISTS (
                    SELECT FROM jsonb_array_elements(item.issues) AS issue
                    WHERE concat(issue ->> 0, ' ', issue ->> 1) = ANY(%(other_errors)s::text[])
                )
            RETURNING item.position, item.line, item.product_id
        )
        SELECT count(*), (
            SELECT jsonb_agg(jsonb_build_object('line', line, 'product_id', product_id, 'found', ''))
            FROM (SELECT * FROM accepted ORDER BY position LIMIT %(most)s) AS first
        )
        FROM accepted
        """,
        run=run.pk,
        market=run.market_id,
        with_price="price" in run.names,
        forgiven=_forgiven_codes(run),
        other_errors=[f"{code} {attribute}" for code, attribute in errors.values_list("code", "attribute")],
        most=RunIssue.EXAMPLES,
    )
    if count:
        found = {"count": count, "examples": json.loads(examples)}
        RunIssue.objects.bulk_create(
            RunIssue(run=run, code=SUPPLEMENTAL_CODE, attribute=name, severity=Severity.NOTICE, **found)
            for name in absent
        )
    return int(count)


def is_supplemental(run: ImportRun) -> bool:
    """Whether a required attribute occurs nowhere in the file, or the catalogue exported it, whose products it has."""
    return bool(_absent_names(run, Need.REQUIRED)) or run.issues.filter(code=OWN_TABLE_CODE).exists()


def count_remaining(run: ImportRun) -> None:
    """Count the forgiven issues again: only new products have them now."""
    if run.issues.filter(code=SUPPLEMENTAL_CODE).exists():
        count_listed(run, _forgiven_codes(run))


def kept_attributes(run: ImportRun) -> list[RunIssue]:
    """The attributes that existing products keep since the file lacks them, an issue for each; mostly there is none."""
    return list(run.issues.filter(code=SUPPLEMENTAL_CODE).order_by("pk"))


def _absent_names(run: ImportRun, *needs: Need) -> list[str]:
    """The attributes of this need that occur nowhere in the file."""
    return [a.name for a in COLUMNS if a.need in needs and a.name not in run.names]


def _forgiven_codes(run: ImportRun) -> list[str]:
    """The codes of issues that say that an item lacks what the whole file lacks."""
    codes = [f"{name}.missing" for name in _absent_names(run, Need.REQUIRED, Need.RECOMMENDED)]
    return codes if {"gtin", "mpn"} & set(run.names) else [*codes, "identifiers.missing"]
