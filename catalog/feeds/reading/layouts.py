"""Where each kind of XML feed has its items, and what hides markup. Everything that reads XML goes by these tables."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a kind of feed has its items: the local names on the way from the root, and those of an item.

    Some feeds of the kind have them at `other_path`.
    """

    path: tuple[str, ...]
    items: tuple[str, ...]
    takes_attributes: bool = False
    other_path: tuple[str, ...] | None = None


RSS = Layout(("rss", "channel"), ("item",), other_path=("rss",))
PLAIN_ITEMS = ("product", "item", "offer")
PLAIN_ROOTS = ("products", "items", "offers", "catalog", "catalogue", "channel")
# By the local name of the root. Plain XML has a root of these names, with children of these names.
LAYOUTS = {
    "rss": RSS,
    "RDF": Layout(("RDF",), ("item",)),
    "feed": Layout(("feed",), ("entry",)),
    **{root: Layout((root,), PLAIN_ITEMS, takes_attributes=True) for root in PLAIN_ROOTS},
}

PREFIX = r"(?:[\w.-]+:)?"
ROOT_TAG = re.compile(rf"<{PREFIX}(?P<root>{'|'.join(LAYOUTS)})(?=[\s>/])")
"""The beginning of the start tag of a feed's outermost element."""
ITEM_NAMES = tuple(dict.fromkeys(name for layout in LAYOUTS.values() for name in layout.items))
_ITEM = "|".join(ITEM_NAMES)
ITEM_START, ITEM_END = re.compile(rf"<{PREFIX}(?:{_ITEM})(?=[\s>])"), re.compile(rf"</{PREFIX}(?:{_ITEM})\s*>")

SECTION_ENDS = {"<![CDATA[": "]]>", "<!--": "-->"}
"""CDATA sections and comments, by how they begin: between these no tag means anything."""
HIDING_ENDS = {**SECTION_ENDS, "<?": "?>"}
"""The same with processing instructions."""
