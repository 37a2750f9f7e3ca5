"""Where each kind of XML feed has its items, and what hides markup. Everything that reads XML goes by these tables."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a kind of feed has its items: the local names on the way from the root, and those of an item."""

    path: tuple[str, ...]
    items: tuple[str, ...]
    takes_attributes: bool = False


RSS = Layout(("rss", "channel"), ("item",))
PLAIN_ROOTS = ("products", "items", "offers", "catalog", "catalogue")
# By the local name of the root. Plain XML has a root of these names, with children of these names.
LAYOUTS = {
    "rss": RSS,
    "RDF": Layout(("RDF",), ("item",)),
    "feed": Layout(("feed",), ("entry",)),
    **{root: Layout((root,), ("product", "item", "offer"), takes_attributes=True) for root in PLAIN_ROOTS},
}

PREFIX = r"(?:[\w.-]+:)?"
ROOT_TAG = re.compile(rf"<{PREFIX}(?P<root>{'|'.join(LAYOUTS)})(?=[\s>/])")
"""The beginning of the start tag of a feed's outermost element."""
_ITEM = "|".join(dict.fromkeys(name for layout in LAYOUTS.values() for name in layout.items))
ITEM_START, ITEM_END = re.compile(rf"<{PREFIX}(?:{_ITEM})(?=[\s>])"), re.compile(rf"</{PREFIX}(?:{_ITEM})\s*>")

SECTION_ENDS = {"<![CDATA[": "]]>", "<!--": "-->"}
"""CDATA sections and comments, by how they begin: between these no tag means anything."""
HIDING_ENDS = {**SECTION_ENDS, "<?": "?>"}
"""The same with processing instructions."""
