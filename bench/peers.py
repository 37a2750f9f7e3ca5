"""What others would do with the same file, read and checked by our reader in one process: write its rows.

`total` is all of it, `writing` only the calls that write.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

BATCH = 1000

Figures = dict[str, float]


def bulk_create(feed: Path) -> Figures:
    """Django's own upsert."""
    from catalog.models import Product

    fields = [name for name in _fields() if name != "id"]
    products = (Product(**values) for values in _values(feed))
    begun, seconds = time.perf_counter(), 0.0
    while batch := list(islice(products, BATCH)):
        start = time.perf_counter()
        Product.objects.bulk_create(batch, update_conflicts=True, unique_fields=["market", "id"], update_fields=fields)
        seconds += time.perf_counter() - start
    return {"total": time.perf_counter() - begun, "writing": seconds}


def import_export(feed: Path) -> Figures:
    """django-import-export at its best: in bulk, without reports, and without looking for products where none are.

    Else it gets all products at once, and writes those that differ, each of which takes it ten milliseconds.
    """
    import tablib  # type: ignore[import-untyped]
    from import_export.instance_loaders import CachedInstanceLoader
    from import_export.resources import ModelResource

    from catalog.models import Product

    is_first = not Product.objects.exists()

    class Resource(ModelResource):
        class Meta:
            model = Product
            fields = tuple(_fields())
            import_id_fields = ("id",)
            use_bulk = True
            batch_size = BATCH
            skip_html_diff = True
            skip_row_result = True
            force_init_instance = is_first
            skip_diff = is_first  # with it nothing is skipped
            skip_unchanged = not is_first
            instance_loader_class = CachedInstanceLoader

    begun = time.perf_counter()
    rows = tablib.Dataset(headers=_fields())
    for values in _values(feed):
        rows.append([_as_cell(values.get(name)) for name in _fields()])
    start = time.perf_counter()
    done = Resource().import_data(rows, raise_errors=True, use_transactions=True)
    end = time.perf_counter()
    if done.has_errors() or Product.objects.count() != len(rows):
        raise SystemExit("django-import-export did not write every row.")
    return {"total": end - begun, "writing": end - start}


def _as_cell(value: Any) -> Any:
    """As its widgets read values: lists with commas, objects as JSON, nothing as an empty text."""
    if isinstance(value, list):
        return ",".join(value)
    return json.dumps(value) if isinstance(value, dict) else "" if value is None else value


def _fields() -> list[str]:
    from catalog.models.fields import SHARED

    return ["id", *SHARED, "extra"]


def _values(feed: Path) -> Iterator[dict[str, Any]]:
    from catalog.feeds.cleaning.check import Rules, check_item
    from catalog.feeds.reading.items import read_items

    with feed.open("rb") as stream:
        for raw in read_items(stream):
            item = check_item(raw, Rules())
            yield {**item.values, "extra": item.extra}
