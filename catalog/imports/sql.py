"""SQL statements with their values by name."""

from collections.abc import Iterable
from typing import Any

from django.db import connection


def execute(sql: str, **values: Any) -> int:
    """Run the statement; how many rows it wrote."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return int(cursor.rowcount)


def column_list(columns: Iterable[str], table: str = "") -> str:
    """`a, b` or `t.a, t.b`. The names come from the attribute table, so they are safe in SQL."""
    prefix = f"{table}." if table else ""
    return ", ".join(f"{prefix}{column}" for column in columns)
