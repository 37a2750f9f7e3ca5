"""The columns that staged items and products share, as SQL needs them."""

from collections.abc import Iterable

from catalog.feeds.attributes import COLUMNS, MONEY

MONEY_NAMES = frozenset(a.name for a in MONEY)
# In the order of the attribute table. The id is a key in both tables, under two names; `extra` is merged, not compared.
SHARED = (*(a.name for a in COLUMNS if a.name != "id"), "currency")


def spoken_of(names: Iterable[str]) -> list[str]:
    """The columns that a file speaks of, of the attributes that occur in it. It leaves all others alone.

    The currency is the price's: other amounts are only taken in the one that the product has.
    """
    occurring = set(names)
    if "price" in occurring:
        occurring.add("currency")
    return [column for column in SHARED if column in occurring]


def listed(columns: Iterable[str], table: str = "") -> str:
    """`a, b` or `t.a, t.b`. Column names are ours, from the attribute table, and safe to stand in SQL."""
    prefix = f"{table}." if table else ""
    return ", ".join(f"{prefix}{column}" for column in columns)
