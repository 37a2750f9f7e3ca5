"""Which attribute an element is: by its name, its namespace and the aliases in the feed's settings."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from catalog.feeds.attributes import BY_ALIAS, BY_NAME, NAMED_ELEMENT, ORIGINAL, Attribute, Type, is_known
from catalog.feeds.cleaning.cleaned import Rules
from catalog.feeds.cleaning.readers import READERS, Reader
from catalog.feeds.cleaning.values import BOOLEANS, without_marks
from catalog.feeds.reading.headings import column_name

GOOGLE, PLAIN, ATOM, CUSTOM, OTHER = range(5)
_PREFIXES = {PLAIN: "rss:", ATOM: "atom:", CUSTOM: "c:"}
_RANKS = {"": PLAIN, "http://purl.org/rss/1.0/": PLAIN, "http://www.w3.org/2005/Atom": ATOM}
_ATOM_ALIASES = {"summary": "description", "content": "description"}
# Elements of an item that belong to RSS and Atom themselves.
_CONTAINER_ELEMENTS = frozenset(
    "author category comments contributor enclosure guid published pubDate rights source updated".split()
)


_KEEPING_ORIGINALS = (Type.URL, Type.URLS, Type.GTIN)


@dataclass(frozen=True, slots=True)
class Slot:
    """Where an element's text goes and how it is read. The lowest `order` wins a name.

    A text of up to `plain_text` characters needs no further check; 0 means that all do. `exact` are the texts that are
    already one of the attribute's values.
    """

    name: str
    attribute: Attribute
    rank: int
    read: Reader
    plain_text: int = 0
    exact: Mapping[str, Any] = field(default_factory=dict)
    is_app_link: bool = False
    is_named_beside: bool = False
    known: bool = True
    alias: str = ""

    @property
    def is_other_name(self) -> bool:
        """Whether the table has the attribute under another name."""
        return bool(self.alias) and self.rank != OTHER

    @property
    def order(self) -> tuple[bool, int]:
        """Of several elements for one attribute, the lowest counts."""
        return bool(self.alias), self.rank

    @property
    def other_name(self) -> str:
        """Where a value goes when an element of a better namespace, or with the table's name, has the attribute."""
        return self.alias or f"{_PREFIXES.get(self.rank, '')}{self.name}"


@lru_cache(maxsize=10_000)
def slot_of(tag: str, aliases: tuple[tuple[str, str], ...] = ()) -> Slot:
    """The slot of a tag. An element that is not in the table becomes an attribute of its own, kept as found."""
    namespace, _, local = tag[1:].rpartition("}") if tag.startswith("{") else ("", "", tag)
    local = without_marks(local)
    if aliased := BY_NAME.get(dict(aliases).get(local, "")):
        return Slot(aliased.name, aliased, OTHER, READERS[aliased.type], alias=local)
    # Shops write https, one more slash, even a Python dict around the address: all of it means the same.
    if "base.google.com/ns/1.0" in namespace:
        rank = GOOGLE
    elif "base.google.com/cns/1.0" in namespace:
        rank = CUSTOM
    else:
        rank = _RANKS.get(namespace, OTHER)
    table_name = _ATOM_ALIASES.get(local, local) if rank == ATOM else local
    attribute = None
    if rank != OTHER:
        # Another case or a hyphen makes no other attribute of it, but a name as the table has it counts first.
        attribute = BY_ALIAS.get(table_name) or BY_ALIAS.get(column_name(table_name))
    if attribute is None:
        own_name = tag if rank == OTHER else f"c:{local}" if rank == CUSTOM else table_name
        attribute = Attribute(own_name, Type.VERBATIM, column=False)
    plain_text = (attribute.max_length or attribute.limit) if attribute.type is Type.TEXT else 0
    exact = BOOLEANS if attribute.type is Type.BOOLEAN else {text: text for text in attribute.values}
    is_app_link = local.lower() == "applink"
    alias = table_name if attribute.name in BY_NAME and table_name != attribute.name else ""
    is_named_beside = rank == GOOGLE and local == NAMED_ELEMENT
    known = is_known(attribute.name) or rank == CUSTOM or is_app_link or is_named_beside
    known = known or (rank in (PLAIN, ATOM) and local in _CONTAINER_ELEMENTS)
    return Slot(
        attribute.name,
        attribute,
        rank,
        READERS[attribute.type],
        plain_text,
        exact,
        is_app_link,
        is_named_beside,
        known,
        alias,
    )


@dataclass(frozen=True, slots=True)
class Names:
    """Where an item's elements go: their slots, whether two may have the same name, and the tags of each name.

    An item may have a currency beside its amounts, and a guid without an id.
    """

    slots: tuple[Slot, ...]
    contested: bool
    tags: dict[str, list[str]]
    has_currency: bool
    has_guid_alone: bool


@lru_cache(maxsize=2_000)  # the items of a feed have the same elements, give or take a few
def names_in(tags: tuple[str, ...], aliases: tuple[tuple[str, str], ...]) -> Names:
    slots = tuple(slot_of(tag, aliases) for tag in tags)
    tags_of: dict[str, list[str]] = {}
    for tag, slot in zip(tags, slots, strict=True):
        tags_of.setdefault(slot.name, []).append(tag)
    contested = len(tags_of) < len(slots)
    return Names(slots, contested, tags_of, "currency" in tags_of, "guid" in tags_of and "id" not in tags_of)


def names_of(tags: Iterable[str], rules: Rules) -> set[str]:
    """The attributes that occur in a file with these tags."""
    slots = [slot_of(tag, rules.aliases) for tag in tags]
    # A file that has an address also decides its original value, even if none of its own had to be changed.
    originals = {slot.name + ORIGINAL for slot in slots if slot.attribute.type in _KEEPING_ORIGINALS}
    return {slot.name for slot in slots} | originals
