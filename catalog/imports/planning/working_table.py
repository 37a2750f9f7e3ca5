"""What a plan is made from: the valid items beside their products, in a table that lives as long as the planning.

The wide rows of items and products are joined once. What is left, a tenth as wide, is what the statements of the plan
read again and again: docs/decisions/0020-items-are-compared-in-the-plan.md.
"""

from collections.abc import Iterable

from catalog.imports.sql import column_list, execute
from catalog.models import ImportRun, Mode
from catalog.models.fields import columns_in_file

# In at least one of these the members of a group have to differ: columns, and names in `extra`.
_VARYING = ("color", "size", "material", "pattern", "gender", "age_group")
_VARYING_EXTRAS = ("size_type", "size_system", "variant_option")

# What an item makes of what its product has in `extra`: what the file speaks of goes, what the item says comes.
EXTRA = "(product.extra - %(names)s::text[]) || item.extra"


def gather(run: ImportRun) -> None:
    """Make the table `compared`: a row for each valid item, whether it `is_new`, and whether its product `differs`.

    `drop` it in the same transaction.
    """
    execute(
        f"""
        CREATE TEMPORARY TABLE compared ON COMMIT DROP AS
        SELECT
            position, line, product_id, item.currency, item.gtin, item.brand, item.item_group_id,
            CASE WHEN item.item_group_id <> '' THEN {_title(run.names)} END AS group_title,
            CASE WHEN item.item_group_id <> '' THEN ROW({_varying(run.names)})::text END AS variant,
            product.id IS NULL AS is_new,
            product.id IS NOT NULL AND ({_difference(run)}) AS differs
        FROM catalog_stageditem item LEFT JOIN catalog_product product ON product.id = item.product_id
        WHERE run_id = %(run)s AND state = 'valid'
        """,
        run=run.pk,
        names=run.names,
    )
    execute("ANALYZE compared (position, product_id, is_new, differs)")


def drop() -> None:
    execute("DROP TABLE compared")


def _difference(run: ImportRun) -> str:
    """Whether the product is not what the item says of it, in the columns that the file speaks of."""
    columns = columns_in_file(run.names)
    if run.mode == Mode.ADD or not columns:  # without columns no item is valid, for a valid one has a title
        return "false"
    return f"""
        ({column_list(columns, "product")}) IS DISTINCT FROM ({column_list(columns, "item")})
        -- merging is slow, and equal before it is equal after it
        OR product.extra <> item.extra AND product.extra <> {EXTRA}
        OR product.archived_at IS NOT NULL
    """


def _title(names: Iterable[str]) -> str:
    return "item.extra ->> 'item_group_title'" if "item_group_title" in names else "NULL"


def _varying(names: Iterable[str]) -> str:
    extras = (f"item.extra -> '{name}'" for name in _VARYING_EXTRAS if name in names)
    return ", ".join((*(f"item.{name}" for name in _VARYING), *extras))
