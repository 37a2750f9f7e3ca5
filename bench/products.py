"""Products in any number, made by the database itself: believable titles, brands of very different sizes, 2 KB each.

A title has two words that about every sixteenth product has, and the name of a model, of which there are thousands.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

BRANDS = 400
LOOKS = (
    "silk cotton linen wool leather evening summer winter classic slim printed floral embroidered pleated quilted midi"
).split()
KINDS = "dress shirt coat bag ring scarf belt kaftan abaya sandals boots heels loafers skirt clutch jacket".split()
SYLLABLES = "bel cor dan fir gal hem jor kas lum mar nev ost pal rin sol tav".split()
SPREAD = 7919  # a prime, so that neighbours have nothing in common


def product_id(number: int) -> str:
    return f"{number * SPREAD % 100_000_007:09}_{number}"


def title_of(number: int) -> list[str]:
    """Its words in lower case: how it looks, which model, what it is."""
    spread = number * SPREAD
    model = "".join(SYLLABLES[spread // 16**place % 16] for place in (0, 1, 2))
    return [LOOKS[spread // 16**3 % 16], model, KINDS[spread // 16**4 % 16]]


def kept_in_memory() -> str:
    """How much of the tables and indexes the server keeps at hand."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SHOW shared_buffers")
        return str(cursor.fetchone()[0])


def _words(parts: list[str], place: int) -> str:
    """In SQL, the part of a title that stands at this place, as `title_of` chooses it."""
    return f"('{{{','.join(parts)}}}'::text[])[1 + n::bigint * {SPREAD} / {16**place} %% 16]"


def fill(products: int, markets: int = 1) -> None:
    """Have so many products in the database, which is empty or has had them before: the same ids in each market."""
    from catalog.models import CatalogState, CatalogVersion, Market, Product, Word

    there = Product.objects.count()
    if there not in (0, products):
        raise SystemExit(f"The database has {there:,} products already, not {products:,}.")
    if not there:
        for number in range(Market.objects.count(), markets):
            Market.objects.create(code=f"market-{number + 1}", name=f"Market {number + 1}")
        with _indexed_afterwards():
            for market in Market.objects.all():
                number = CatalogVersion.new_number()
                insert(products // markets, market.pk, number)
                CatalogState.bump(market.pk, change_number=number)
        Word.renew()
    _settle()


def insert(products: int, market: int, change_number: int) -> None:
    from django.db import connection

    from catalog.models import Product

    model = " || ".join(_words(SYLLABLES, place) for place in (0, 1, 2))
    given = {
        "market_id": f"{market}",
        "id": f"lpad((n::bigint * {SPREAD} %% 100000007)::text, 9, '0') || '_' || n",
        "title": f"initcap({_words(LOOKS, 3)} || ' ' || {model} || ' ' || {_words(KINDS, 4)})",
        "brand": f"'Brand ' || (power(random(), 3) * {BRANDS - 1})::int",
        "description": "repeat(md5(n::text), 50)",
        "condition": "CASE WHEN n %% 100 = 0 THEN 'used' WHEN n %% 1000 = 1 THEN 'refurbished' ELSE 'new' END",
        "gender": "(ARRAY['female', 'male', 'unisex'])[1 + n %% 3]",
        "availability": "(ARRAY['in_stock', 'in_stock', 'in_stock', 'out_of_stock', 'preorder'])[1 + n %% 5]",
        "price": "100 + (n::bigint * 37) %% 20000",
        "currency": "'AED'",
        "link": "'https://www.example.com/' || n",
        "image_link": "'https://www.example.com/' || n || '.jpg'",
        "version": "1",
        "change_number": f"{change_number}",
        "created_at": "now() - n * interval '1 second'",
        "updated_at": "now() - n * interval '1 second'",
    }
    blank = {"TextField": "''", "ArrayField": "'{}'", "JSONField": "'{}'"}
    columns = {
        str(column.column): given.get(str(column.column)) or blank.get(column.get_internal_type(), "NULL")
        for column in Product._meta.concrete_fields
        if not column.generated and not column.primary_key
    }
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO catalog_product ({", ".join(f'"{name}"' for name in columns)})
            SELECT {", ".join(columns.values())}
            FROM generate_series(1, %s) AS n
            """,
            [products],
        )


@contextmanager
def _indexed_afterwards() -> Iterator[None]:
    """Without the indexes meanwhile: to make them of a million products takes less time than to keep them."""
    from django.db import connection

    from catalog.models import Product

    with connection.schema_editor(atomic=False) as editor:
        for index in Product._meta.indexes:
            editor.remove_index(Product, index)
        yield
        for index in Product._meta.indexes:
            editor.add_index(Product, index)


def _settle() -> None:
    """Have every row known as visible to all, as autovacuum sees to; it may be at work itself, and then ends first."""
    from django.db import connection

    with connection.cursor() as cursor:
        for _ in range(20):
            cursor.execute("VACUUM ANALYZE catalog_product")
            cursor.execute("SELECT relallvisible >= relpages * 0.99 FROM pg_class WHERE relname = 'catalog_product'")
            if cursor.fetchone()[0]:
                return
            time.sleep(0.5)
