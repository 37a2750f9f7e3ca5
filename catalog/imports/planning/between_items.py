"""What only a comparison of a file's items finds: one statement per rule, each over all rows of `compared` at once.

Beside that, which items have an issue is listed here, whichever way it was found.
"""

from collections.abc import Iterable, Iterator

from catalog.feeds.issues import FOUND_MAX, severity
from catalog.imports.sql import execute
from catalog.models import ImportRun, RunIssue

# The rules: their codes, and the attribute that each is about.
ACROSS = {
    "id.duplicate": "id",
    "id.case": "id",
    "price.currency_mixed": "price",
    "gtin.duplicate": "gtin",
    "group.single": "item_group_id",
    "group.brand_differs": "brand",
    "group.title_differs": "item_group_title",
    "group.no_difference": "item_group_id",
}


def mark_duplicates(run: ImportRun) -> int:
    """Some channels repeat an item with a newer price: the last valid one of an id wins, as in Merchant Center."""
    return execute(
        """
        WITH repeated AS (
            SELECT product_id, max(position) AS last FROM compared GROUP BY product_id HAVING count(*) > 1
        ), duplicate AS (
            DELETE FROM compared USING repeated
            WHERE compared.product_id = repeated.product_id AND compared.position < repeated.last
            RETURNING compared.position, compared.product_id
        ), marked AS (
            UPDATE catalog_stageditem item SET state = 'duplicate'
            FROM duplicate
            WHERE item.run_id = %(run)s AND item.position = duplicate.position
        )
        INSERT INTO catalog_itemissue (run_id, code, attribute, position, found)
        SELECT %(run)s, 'id.duplicate', 'id', position, left(product_id, %(found_max)s) FROM duplicate
        """,
        run=run.pk,
        found_max=FOUND_MAX,
    )


def compare(run: ImportRun) -> None:
    """Find what is wrong between the items that would be imported, and count it and the duplicates."""
    for rule in _rules(run.names):
        execute(_FOUND.format(rule=rule), run=run.pk, found_max=FOUND_MAX)
    count_again(run, ACROSS)


def list_items(run: ImportRun) -> None:
    """List the items of each issue. Sorted as the index has them, which makes writing it a third quicker."""
    execute(
        """
        INSERT INTO catalog_itemissue (run_id, code, attribute, position, found)
        SELECT DISTINCT run_id, issue ->> 0, issue ->> 1, position, ''
        FROM catalog_stageditem, jsonb_array_elements(issues) AS issue
        WHERE run_id = %(run)s AND issues <> '[]'
        ORDER BY 2, 3, 4
        """,
        run=run.pk,
    )


def count_again(run: ImportRun, codes: Iterable[str]) -> None:
    """Count the listed items of these codes anew, with the first ones as examples."""
    codes = list(codes)
    run.issues.filter(code__in=codes).delete()
    for code, attribute in run.item_issues.filter(code__in=codes).values_list("code", "attribute").distinct():
        worst = severity(code, attribute)
        execute(_COUNTED, run=run.pk, code=code, attribute=attribute, severity=worst, few=RunIssue.EXAMPLES)


def forget_items(run: ImportRun) -> None:
    """Take items that are gone off the lists."""
    execute(
        """
        DELETE FROM catalog_itemissue listed
        WHERE run_id = %(run)s AND NOT EXISTS (
            SELECT FROM catalog_stageditem item WHERE item.run_id = listed.run_id AND item.position = listed.position
        )
        """,
        run=run.pk,
    )


_COUNTED = """
    INSERT INTO catalog_runissue (run_id, code, attribute, severity, count, examples)
    SELECT %(run)s, %(code)s, %(attribute)s, %(severity)s, count(*), (
        SELECT jsonb_agg(jsonb_build_object('line', line, 'product_id', product_id, 'found', found))
        FROM (
            SELECT item.line, item.product_id, listed.found
            FROM catalog_itemissue listed
            JOIN catalog_stageditem item ON item.run_id = listed.run_id AND item.position = listed.position
            WHERE listed.run_id = %(run)s AND listed.code = %(code)s AND listed.attribute = %(attribute)s
            ORDER BY listed.position
            LIMIT %(few)s
        ) AS first
    )
    FROM catalog_itemissue
    WHERE run_id = %(run)s AND code = %(code)s AND attribute = %(attribute)s
"""


_FOUND = """
    INSERT INTO catalog_itemissue (run_id, code, attribute, position, found)
    SELECT %(run)s, found.code, found.attribute, found.position, left(found.found, %(found_max)s)
    FROM ({rule}) AS found (code, attribute, position, found)
"""


def _rules(names: Iterable[str]) -> Iterator[str]:
    """Those of which the file has the attribute."""
    yield _IDS_BUT_FOR_CASE
    if "price" in names:
        yield _CURRENCIES
    if "gtin" in names:
        yield _GTINS
    if "item_group_id" in names:
        yield _GROUPS


# Two ids that differ in capitals only are two products, and more often than not one that is written in two ways.
_IDS_BUT_FOR_CASE = """
    SELECT 'id.case', 'id', position, product_id || ', also ' || CASE product_id WHEN first THEN last ELSE first END
    FROM (
        SELECT position, product_id, min(product_id) OVER same AS first, max(product_id) OVER same AS last
        FROM compared
        WHERE product_id ~ '[A-Za-z]'
        WINDOW same AS (PARTITION BY lower(product_id))
    ) AS named
    WHERE first <> last
"""

# A file has one currency, that of most of its items; the others are named.
_CURRENCIES = """
    WITH occurring AS MATERIALIZED (
        SELECT currency, count(*) AS items FROM compared WHERE currency <> '' GROUP BY currency
    ), usual AS MATERIALIZED (
        SELECT currency FROM occurring ORDER BY items DESC, currency LIMIT 1
    )
    SELECT 'price.currency_mixed', 'price', position, currency || ', most items ' || (SELECT currency FROM usual)
    FROM compared
    WHERE (SELECT count(*) FROM occurring) > 1 AND currency NOT IN ('', (SELECT currency FROM usual))
"""

# One GTIN is one thing to buy. The forms of 8, 12, 13 and 14 digits of it are the same number.
_GTINS = """
    SELECT
        'gtin.duplicate', 'gtin', position,
        gtin || ', also of ' || CASE product_id WHEN first THEN last ELSE first END
    FROM (
        SELECT position, gtin, product_id, min(product_id) OVER same AS first, max(product_id) OVER same AS last
        FROM compared
        WHERE gtin ~ '^[0-9][0-9 -]{6,20}[0-9]$' AND translate(gtin, '0 -', '') <> ''
        WINDOW same AS (PARTITION BY ltrim(translate(gtin, ' -', ''), '0'))
    ) AS numbered
    WHERE first <> last
"""


# A group is one product in several variants: of one brand and one title, each member different from the others.
_GROUPS = """
    SELECT broken.code, broken.attribute, position, broken.found
    FROM (
        SELECT
            position, item_group_id, brand, group_title,
            count(*) OVER members AS members,
            min(NULLIF(brand, '')) OVER members <> max(brand) OVER members AS brands_differ,
            min(group_title) OVER members <> max(group_title) OVER members AS titles_differ,
            count(*) OVER (PARTITION BY item_group_id, variant) AS alike
        FROM compared
        WHERE item_group_id <> ''
        WINDOW members AS (PARTITION BY item_group_id)
    ) AS member
    CROSS JOIN LATERAL (
        VALUES
            ('group.single', 'item_group_id', item_group_id, members = 1),
            ('group.brand_differs', 'brand', brand, brands_differ AND brand <> ''),
            ('group.title_differs', 'item_group_title', group_title, titles_differ),
            ('group.no_difference', 'item_group_id', item_group_id, alike > 1)
    ) AS broken (code, attribute, found, is_broken)
    WHERE is_broken
"""
