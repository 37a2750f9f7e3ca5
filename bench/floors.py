"""What an import cannot do without: parsing the file, copying its rows in, merging them into the catalogue."""

from __future__ import annotations

import time
from pathlib import Path

Figures = dict[str, float]


def parse(feed: Path) -> Figures:
    """lxml walks over the items and looks at nothing."""
    from lxml import etree

    start = time.perf_counter()
    with feed.open("rb") as stream:
        for _event, element in etree.iterparse(stream, tag="item"):
            element.clear()
            while element.getprevious() is not None:
                del element.getparent()[0]
    return {"total": time.perf_counter() - start}


def write_rows(feed: Path) -> Figures:
    """Write the feed's rows beside it, as COPY reads them. Not a floor: what the others start from."""
    from catalog.feeds.cleaning.check import Rules, check_item
    from catalog.feeds.reading.items import read_items
    from catalog.imports.reading.copy import item_row

    with feed.open("rb") as stream, _rows_of(feed).open("w") as out:
        out.writelines(item_row(0, check_item(raw, Rules())) for raw in read_items(stream))
    return {}


def make_tables() -> None:
    """Tables like ours, with their keys and indexes, and nobody else's rows in them."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE floor_rows (LIKE catalog_stageditem INCLUDING ALL)")
        cursor.execute("CREATE TABLE floor_products (LIKE catalog_product INCLUDING ALL)")


def drop_tables() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE floor_rows, floor_products")


def copy(feed: Path) -> Figures:
    """One COPY of all rows into an indexed table."""
    from django.db import connection

    from catalog.imports.reading.copy import COPY_ITEMS

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE floor_rows")
        start = time.perf_counter()
        with _rows_of(feed).open() as rows:
            cursor.copy_expert(COPY_ITEMS.replace("catalog_stageditem", "floor_rows"), rows)
    return {"total": time.perf_counter() - start}


def merge(feed: Path) -> Figures:
    """One MERGE of the rows into a table of products: nothing checked, planned, kept for undo or told."""
    from django.db import connection

    from catalog.imports.sql import column_list
    from catalog.models.fields import SHARED

    columns = [*SHARED, "extra"]
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE floor_rows")
        start = time.perf_counter()
        cursor.execute(
            f"""
            MERGE INTO floor_products product USING floor_rows item ON product.id = item.product_id
            WHEN MATCHED AND ({column_list(columns, "product")}) IS DISTINCT FROM ({column_list(columns, "item")}) THEN
                UPDATE SET
                    ({column_list(columns)}) = ROW ({column_list(columns, "item")}), version = product.version + 1
            WHEN NOT MATCHED THEN
                INSERT (id, {column_list(columns)}, version, created_at, updated_at, pinned)
                VALUES (item.product_id, {column_list(columns, "item")}, 1, now(), now(), '{{}}')
            """
        )
    return {"total": time.perf_counter() - start}


def _rows_of(feed: Path) -> Path:
    return feed.with_suffix(".rows")
