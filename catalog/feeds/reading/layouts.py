"""Where each kind of XML feed has its items. Reading, repairing and salvaging all go by this one table."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a kind of feed has its items: the local names on the way from the root, and those of an item."""

    path: tuple[str, ...]
    items: tuple[str, ...]
    takes_attributes: bool = False


RSS = Layout(("rss", "channel"), ("item",))
PLAIN_ROOTS = ("products", "items", "offers", "catalog", "catalogue")
# By the local name of the root. Of plain XML the rule is: a root of these names, its children of these names.
LAYOUTS = {
    "rss": RSS,
    "RDF": Layout(("RDF",), ("item",)),
    "feed": Layout(("feed",), ("entry",)),
    **{root: Layout((root,), ("product", "item", "offer"), takes_attributes=True) for root in PLAIN_ROOTS},
}
ROOT = rf"<(?:[\w.-]+:)?(?P<root>{'|'.join(LAYOUTS)})(?=[\s>/])"
"""The beginning of the start tag of a feed's outermost element, as a regular expression."""
