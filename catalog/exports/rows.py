"""Products → rows of an export: one cursor at the server, from one snapshot, in constant memory."""

from collections.abc import Iterator
from typing import Any

from catalog.exports.resource import HEADER, VALUES
from catalog.feeds.write import with_decimals
from catalog.models.fields import MONEY_NAMES
from catalog.models.product import ProductQuerySet

_CURRENCY = HEADER.index("currency")
_AMOUNTS = [HEADER.index(name) for name in HEADER if name in MONEY_NAMES]
ROWS_AT_ONCE = 1000

Row = list[Any]


def product_rows(products: ProductQuerySet) -> Iterator[Row]:
    """The values of each product under `HEADER`, amounts with the decimals of their currency.

    In a transaction they come as the server finds them. Outside of one the server puts all of them aside first, so that
    a slow reader keeps no transaction open: for lists that are not long.
    """
    for values in products.values_list(*VALUES).iterator(chunk_size=ROWS_AT_ONCE):
        row = list(values)
        for place in _AMOUNTS:
            if row[place] is not None:
                row[place] = with_decimals(row[place], row[_CURRENCY])
        yield row
