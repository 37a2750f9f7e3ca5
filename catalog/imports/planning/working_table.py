"""What a plan is made from: the valid items beside their products, in a table that lives as long as the planning.

The wide rows of items and products are joined once. The result is a tenth as wide, and the statements of the plan read
it again and again: docs/decisions/0020-items-are-compared-in-the-plan.md.
"""

from catalog.imports.planning.facets import DIMENSIONS, WORDS
from catalog.imports.planning.supplemental import is_supplemental
from catalog.imports.sql import PRODUCT_OF_ITEM, column_list, execute, fetch_row
from catalog.models import ImportRun, Mode
from catalog.models.fields import columns_in_file

# The members of a group have to differ in at least one of these: columns, and names in `extra`.
_VARYING_COLUMNS = ("color", "size", "material", "pattern", "gender", "age_group")
_VARYING_EXTRAS = ("size_type", "size_system", "variant_option")

_GROUP_TITLE = "CASE WHEN item.item_group_id <> '' THEN item.extra ->> 'item_group_title' END"
_VARYING = [f"item.{name}" for name in _VARYING_COLUMNS] + [f"item.extra -> '{name}'" for name in _VARYING_EXTRAS]
_VARIANT = f"CASE WHEN item.item_group_id <> '' THEN ROW({', '.join(_VARYING)})::text END"
# What the list of changes is filtered by: of the item, and of its product. The table has the item's brand anyway.
_FACETS = [f"item.{name}" for name in DIMENSIONS if name != "brand"]
_FACETS += [f"product.{name} AS old_{name}" for name in (*DIMENSIONS, "currency")]
# One number for all that the rules between items look at.
COMPARED = f"hashtextextended(ROW(item.gtin, item.brand, item.item_group_id, {_GROUP_TITLE}, {_VARIANT})::text, 0)"
# The items that would be imported, or are as they were.
EVERY_CURRENCY = """(
    SELECT position, currency FROM working_table
    UNION ALL SELECT position, currency FROM catalog_knownitem WHERE run_id = %(run)s
) AS item"""

# What becomes of a product's `extra`: names that the file has are removed, and the item's own are added.
MERGED_EXTRA = "(product.extra - %(names)s::text[]) || item.extra"


def create_table(run: ImportRun) -> None:
    """Make the `working_table`: a row for each valid item, whether it `is_new`, and whether its product `differs`.

    `owner` is the feed of a product that belongs to another one. Where an item `is_left`, its product stays as it is:
    in the mode add every one, else a product of another feed, unless this feed may change it. Call `drop_table` in the
    same transaction.
    """
    columns = columns_in_file(run.names)
    owner = "CASE WHEN product.feed_id <> %(feed)s THEN product.feed_id END"
    if run.mode == Mode.ADD:
        is_left = "product.id IS NOT NULL"
    elif run.feed.may_change_others or is_supplemental(run):
        is_left = "product.feed_id <> %(feed)s AND product.archived_at IS NOT NULL"
    else:
        is_left = "product.feed_id <> %(feed)s"
    if run.mode == Mode.ADD or not columns:  # without columns no item is valid, for a valid one has a title
        differs = "false"
    else:
        differs = f"""
            ({column_list(columns, "product")}) IS DISTINCT FROM ({column_list(columns, "item")})
            -- merging is slow, and equal before it is equal after it
            OR product.extra <> item.extra AND product.extra <> {MERGED_EXTRA}
            OR product.archived_at IS NOT NULL
        """
    execute(
        f"""
        CREATE TEMPORARY TABLE working_table ON COMMIT DROP AS
        SELECT
            position, line, product_id, item.currency, item.gtin, item.brand, item.item_group_id,
            {_GROUP_TITLE} AS group_title, {_VARIANT} AS variant, {COMPARED} AS compared, digest, shape,
            {", ".join(_FACETS)}, CASE WHEN product.id IS NULL THEN {WORDS.format("item")} END AS words,
            product.id IS NULL AS is_new,
            {owner} AS owner,
            COALESCE({is_left}, false) AS is_left,
            product.id IS NOT NULL AND ({is_left}) IS NOT TRUE AND ({differs}) AS differs
        FROM catalog_stageditem item LEFT JOIN catalog_product product ON {PRODUCT_OF_ITEM}
        WHERE run_id = %(run)s AND state = 'valid'
        """,
        run=run.pk,
        feed=run.feed_id,
        market=run.market_id,
        names=run.names,
    )
    execute("ANALYZE working_table (position, product_id, is_new, differs)")


def count_left() -> int:
    """How many items are left out, since their products stay as they are."""
    (count,) = fetch_row("SELECT count(*) FROM working_table WHERE is_left")
    return int(count)


def drop_table() -> None:
    execute("DROP TABLE working_table")
