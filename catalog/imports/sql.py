"""One statement at a time, its values by name."""

from typing import Any

from django.db import connection


def execute(sql: str, **values: Any) -> int:
    """Run the statement; how many rows it wrote."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return int(cursor.rowcount)
