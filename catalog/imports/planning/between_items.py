"""What only a comparison of a file's items finds: one statement per rule, over all of them at once."""

from catalog.feeds.issues import FOUND_MAX
from catalog.imports.issues import count_listed
from catalog.imports.planning.working_table import EVERY_CURRENCY
from catalog.imports.sql import execute
from catalog.models import ImportRun, Mode

# The codes of the rules, and the attribute that each is about.
BETWEEN_ITEMS = {
    "id.duplicate": "id",
    "id.case": "id",
    "id.other_feed": "id",
    "price.currency_mixed": "price",
    "gtin.duplicate": "gtin",
    "group.single": "item_group_id",
    "group.brand_differs": "brand",
    "group.title_differs": "item_group_title",
    "group.no_difference": "item_group_id",
}


# Where an item is as it was, and all that it is compared with, these are what they were.
CARRIED_CODES = [code for code in BETWEEN_ITEMS if code.startswith(("group.", "gtin.")) or code == "id.case"]


def mark_duplicates(run: ImportRun) -> int:
    """Some channels repeat an item with a newer price: the last valid one of an id wins, as in Merchant Center."""
    return execute(
        """
        WITH repeated AS (
            SELECT product_id, max(position) AS last FROM working_table GROUP BY product_id HAVING count(*) > 1
        ), duplicate AS (
            DELETE FROM working_table item USING repeated
            WHERE item.product_id = repeated.product_id AND item.position < repeated.last
            RETURNING item.position, item.product_id
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


def compare_items(run: ImportRun, *, is_partial: bool) -> None:
    """List what is wrong between the items that would be imported, and count it and the duplicates.

    If it `is_partial`, only the items in the table `touched_item` are compared: what is listed of the others stays.
    """
    only = "WHERE position IN (SELECT position FROM touched_item)" if is_partial else ""
    rules = [("id", _IDS_BUT_FOR_CASE), ("price", _CURRENCIES), ("gtin", _GTINS), ("item_group_id", _GROUPS)]
    if run.mode != Mode.ADD:
        rules.append(("id", _OF_OTHER_FEEDS))
    for attribute, rule in rules:
        if attribute != "id" and attribute not in run.names:
            continue
        execute(
            f"""
            WITH compared AS (SELECT * FROM working_table {only})
            INSERT INTO catalog_itemissue (run_id, code, attribute, position, found)
            SELECT %(run)s, found.code, found.attribute, found.position, left(found.found, %(found_max)s)
            FROM ({rule}) AS found (code, attribute, position, found)
            """,
            run=run.pk,
            found_max=FOUND_MAX,
        )
    count_listed(run, BETWEEN_ITEMS)


# Two ids that differ only in capitals are two products, but most often one that is written in two ways.
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

# A product belongs to one feed. Another feed with its id leaves it as it is, and says whose it is.
_OF_OTHER_FEEDS = """
    SELECT 'id.other_feed', 'id', position, feed.name
    FROM working_table JOIN catalog_feed feed ON feed.id = owner
    WHERE is_left
"""

# A file should have one currency. Where it has several, the items with another than most are listed.
_CURRENCIES = f"""
    WITH occurring AS MATERIALIZED (
        SELECT currency, count(*) AS items FROM {EVERY_CURRENCY} WHERE currency <> '' GROUP BY currency
    ), usual AS MATERIALIZED (
        SELECT currency FROM occurring ORDER BY items DESC, currency LIMIT 1
    )
    SELECT 'price.currency_mixed', 'price', position, currency || ', most items ' || (SELECT currency FROM usual)
    FROM {EVERY_CURRENCY}
    WHERE (SELECT count(*) FROM occurring) > 1 AND currency NOT IN ('', (SELECT currency FROM usual))
"""

# A GTIN stands for one thing to buy. Written with 8, 12, 13 or 14 digits it is the same number.
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
# Capital and small letters are the same, as in Merchant Center.
_GROUPS = """
    SELECT broken.code, broken.attribute, position, broken.found
    FROM (
        SELECT
            position, item_group_id, brand, group_title,
            count(*) OVER members AS members,
            min(NULLIF(lower(brand), '')) OVER members <> max(lower(brand)) OVER members AS brands_differ,
            min(lower(group_title)) OVER members <> max(lower(group_title)) OVER members AS titles_differ,
            count(*) OVER (PARTITION BY lower(item_group_id), lower(variant)) AS alike
        FROM compared
        WHERE item_group_id <> ''
        WINDOW members AS (PARTITION BY lower(item_group_id))
    ) AS member
    CROSS JOIN LATERAL (
        VALUES
            ('group.single', 'item_group_id', item_group_id, members = 1),
            ('group.brand_differs', 'brand', brand, brands_differ AND brand <> ''),
            ('group.title_differs', 'item_group_title', group_title, titles_differ AND group_title IS NOT NULL),
            ('group.no_difference', 'item_group_id', item_group_id, alike > 1)
    ) AS broken (code, attribute, found, is_broken)
    WHERE is_broken
"""
