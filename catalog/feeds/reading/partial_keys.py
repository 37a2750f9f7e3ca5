"""Files whose ids are only a part of the key: stock by shop, prices by region, texts by language.

Each product has several rows there. Read as a feed of products, the last row of each would win over the product.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from catalog.errors import FeedRefused

# The other part of the key, by what a file has for each of its values.
KEYS = {
    "store_code": "local inventory: the stock of each product in each shop",
    "region_id": "regional inventory: the price of each product in each region",
    "override": "a country or language feed for Meta: what each product has instead in each country or language",
}
KEY_TAG = re.compile(rf"<(?:[\w.-]+:)?(?:{'|'.join(KEYS)})[\s>]".encode())
ID_NAMES = frozenset({"id", "itemid", "item_id"})  # earlier local inventory had the second
SAMPLE_ITEMS = 100  # after so many without a key, the file is one of products
MAX_IDS = 10_000

# One of these is in every feed of products, and none in local or regional inventory.
_DESCRIBING = frozenset("title description brand link link_template image_link vin".split())
_COUNTRY_OR_LANGUAGE = re.compile(r"(?!NO$)[A-Z]{2}|[a-z]{2,3}_[A-Z]{2,4}(\|[A-Z]{2})?")


def check_names(names: Iterable[str]) -> None:
    """Raise `FeedRefused` when a table with these columns has several rows for each product."""
    found = set(names)
    if found & ID_NAMES and not found & _DESCRIBING:
        for key in ("store_code", "region_id"):
            if key in found:
                raise _refused(key, min(found & ID_NAMES))


class KeyWatch:
    """Looks at the first items of a file, and at all of them up to a bound when they have another part of the key."""

    def __init__(self, aliases: Iterable[tuple[str, str]] = ()) -> None:
        self.is_on = True
        self._attributes = dict(aliases)
        self._seen: dict[str, str] = {}
        self._looked_at = 0

    def check(self, fields: Mapping[str, Any]) -> None:
        """Raise `FeedRefused` when this item shows that the file has several for each product."""
        self._looked_at += 1
        names = {self._name_of(tag): value for tag, value in fields.items()}
        keys = [key for key in KEYS if isinstance(names.get(key), str) and names[key].strip()]
        self.is_on = bool(keys or self._seen or self._looked_at < SAMPLE_ITEMS) and len(self._seen) < MAX_IDS
        if not keys:
            return
        check_names(names)
        for key in keys:
            value, id_name = names[key].strip(), next((name for name in names if name in ID_NAMES), "id")
            if key == "override" and _COUNTRY_OR_LANGUAGE.fullmatch(value):
                raise _refused(key, id_name)
            if self._seen.setdefault(f"{key} {names.get(id_name, '')}", value) != value:
                raise _refused(key, id_name)

    def _name_of(self, tag: str) -> str:
        local = tag.rpartition("}")[2]
        return self._attributes.get(local) or re.sub(r"[\s_-]+", "_", local.strip().lower())


def _refused(key: str, id_name: str) -> FeedRefused:
    return FeedRefused(
        "feed.partial_key",
        f"The columns {id_name} and {key} together are the key of this file. It is {KEYS[key]}. Upload the feed of the "
        "products themselves, in which each id stands once.",
    )
