"""A known value is not overwritten with nothing by accident.

A staged item names the columns whose values are not understood: `StagedItem.kept`. For these it takes the values of its
product here, before the two are compared. So nothing later has to know of it.
"""

from catalog.feeds.attributes import BY_NAME, Type
from catalog.imports.sql import PRODUCT_OF_ITEM, execute, fetch_row, fetch_rows
from catalog.models import ImportRun
from catalog.models.fields import SHARED

# A sale is a sale of one price: with another price, what is known of it would be wrong.
SALE_NAMES = ("sale_price", "sale_price_effective_date")
_CURRENCY = "CASE WHEN 'currency' = ANY(item.kept) THEN product.currency ELSE item.currency END"
_OF_PRODUCT = f"""
    FROM catalog_product product
    WHERE item.run_id = %(run)s AND item.kept IS NOT NULL AND item.state = 'valid' AND {PRODUCT_OF_ITEM}
"""


def keep_known_values(run: ImportRun) -> None:
    """Give each valid item the values of its product for the columns that it does not understand."""
    rows = fetch_rows(
        "SELECT DISTINCT unnest(kept) FROM catalog_stageditem WHERE run_id = %(run)s AND kept IS NOT NULL", run=run.pk
    )
    names = [name for name in SHARED if (name,) in set(rows)]
    if not names:
        return
    values = {name: f"CASE WHEN {_is_kept(run, name)} THEN product.{name} ELSE item.{name} END" for name in names}
    # Where the product knows nothing either, nothing is written: a feed without currencies has a million such items.
    execute(
        f"""
        UPDATE catalog_stageditem item
        SET {", ".join(f"{name} = {value}" for name, value in values.items())}
        {_OF_PRODUCT}
            AND ({", ".join(f"item.{name}" for name in names)}) IS DISTINCT FROM ({", ".join(values.values())})
        """,
        run=run.pk,
        market=run.market_id,
    )


def count_ended_sales(run: ImportRun) -> int:
    """How many products would lose a sale price or its dates: the file's are not understood, and the price is new."""
    lost = " OR ".join(f"'{name}' = ANY(item.kept) AND NOT ({_is_empty(name)})" for name in SALE_NAMES)
    (count,) = fetch_row(
        f"""
        SELECT count(*) FROM catalog_stageditem item JOIN catalog_product product ON {PRODUCT_OF_ITEM}
        WHERE item.run_id = %(run)s AND item.kept IS NOT NULL AND item.state = 'valid'
            AND NOT ({_same_price(run)}) AND ({lost})
        """,
        run=run.pk,
        market=run.market_id,
    )
    return int(count)


def _is_kept(run: ImportRun, name: str) -> str:
    same_price = f" AND {_same_price(run)}" if name in SALE_NAMES else ""
    return f"'{name}' = ANY(item.kept){same_price}"


def _same_price(run: ImportRun) -> str:
    if "price" not in run.names:
        return "true"
    return f"(product.price, product.currency) IS NOT DISTINCT FROM (item.price, {_CURRENCY})"


def _is_empty(name: str) -> str:
    return f"product.{name} IS NULL" if BY_NAME[name].type is Type.MONEY else f"product.{name} = ''"
