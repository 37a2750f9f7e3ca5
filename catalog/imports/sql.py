"""SQL statements with their values by name."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

# The product of an item or a change of an import; `market` is the import's.
ITS_PRODUCT = "product.market_id = %(market)s AND product.id = {}.product_id"
PRODUCT_OF_ITEM = ITS_PRODUCT.format("item")
PRODUCT_OF_CHANGE = ITS_PRODUCT.format("change")
# The changes of products that may differ by now. `changed_ids` is what `ImportRun.products_changed_since` returns.
OF_CHANGED_PRODUCTS = "(%(changed_ids)s::text[] IS NULL OR change.product_id = ANY(%(changed_ids)s::text[]))"


def execute(sql: str, **values: Any) -> int:
    """Run the statement and return how many rows it wrote."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return int(cursor.rowcount)


def fetch_rows(sql: str, **values: Any) -> list[tuple[Any, ...]]:
    """Run the query and return all of its rows."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())


def fetch_row(sql: str, **values: Any) -> tuple[Any, ...]:
    """Run a query that returns one row."""
    (row,) = fetch_rows(sql, **values)
    return row


@contextmanager
def joining_by_hashes() -> Iterator[None]:
    """Within, in the open transaction, statements join whole sets of rows.

    PostgreSQL does not know how many rows were just written. It takes them for few, and would compare each with each.
    """
    execute("SET LOCAL enable_nestloop = off")
    yield
    execute("SET LOCAL enable_nestloop = on")


def column_list(columns: Iterable[str], table: str = "") -> str:
    """`a, b` or `t.a, t.b`. The names come from the attribute table, so they are safe in SQL."""
    prefix = f"{table}." if table else ""
    return ", ".join(f"{prefix}{column}" for column in columns)
