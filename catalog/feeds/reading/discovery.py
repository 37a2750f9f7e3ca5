"""Find where XML has its items: by its outermost element, or by what is repeated in it with an id beyond doubt."""

from collections import Counter
from contextlib import suppress
from typing import Any

from lxml import etree

from catalog.errors import FeedRefused
from catalog.feeds.attributes import BY_ALIAS, COLUMNS, Need
from catalog.feeds.reading.encodings import DECLARATION
from catalog.feeds.reading.headings import column_name
from catalog.feeds.reading.layouts import ITEM_NAMES, LAYOUTS, PLAIN_ROOTS, RSS, Layout
from catalog.feeds.reading.settings import UNSET, FileSettings

MAX_BYTES = 1024**2  # the first items have to be within these
PARSER_OPTIONS: dict[str, Any] = {
    # "internal" keeps character references and refuses undefined entities; False would silently cut texts at entities.
    "resolve_entities": "internal",
    "no_network": True,
    "load_dtd": False,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
}
_MAX_ATTRIBUTES = 500  # of an element that may be an item: the parser looks each one up
_MAX_NAMES = 10_000
_SHOWN_NAMES = 5
_COLUMN_NAMES = frozenset(a.name for a in COLUMNS)
_REQUIRED_NAMES = frozenset(a.name for a in COLUMNS if a.need is Need.REQUIRED)

# Feeds that other channels ask for: by the outermost element, and where that is not enough by a name within; then what
# they are called, and their items.
_DIALECTS = {
    ("yml_catalog", ""): ("Yandex YML", "offer"),
    ("SHOP", ""): ("Heureka", "SHOPITEM"),
    ("mywebstore", ""): ("Skroutz", "product"),
    ("urlset", ""): ("a sitemap", ""),
    ("ITEMS", "ITEM"): ("Mall", "ITEM"),
    ("offers", "o"): ("Ceneo", "o"),
    ("catalog", "product-id"): ("Demandware", "product"),
}
_USUAL_NAMES = frozenset({*ITEM_NAMES, "shopitem"})  # a single element with one of them is an item, too
DIALECT_ROOTS = {root: dialect for (root, within), dialect in _DIALECTS.items() if not within}
ROOT_INSTEAD = (
    '<rss xmlns:g="http://base.google.com/ns/1.0" xmlns:c="http://base.google.com/cns/1.0" '
    'xmlns:atom="http://www.w3.org/2005/Atom" xmlns:media="http://search.yahoo.com/mrss/" '
    'xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:dc="http://purl.org/dc/elements/1.1/">',
    "<channel>",
)
"""The start tags that are put before items without an outermost element."""

Path = tuple[str, ...]


class Discovery:
    """Looks at the beginning of XML for its items. `known` is the layout by the outermost element, if it is that."""

    def __init__(self, settings: FileSettings = UNSET, encoding: str | None = None) -> None:
        self.root = ""
        self.known: Layout | None = None
        self.has_ended = self.is_broken = False
        self._wanted = settings.item_element
        self._named: Layout | None = None
        self._aliases = dict(settings.aliases)
        self._parser = etree.XMLPullParser(events=("start", "end"), encoding=encoding, **PARSER_OPTIONS)
        self._bytes = 0
        self._path: list[str] = []
        self._counts: Counter[Path] = Counter()
        self._with_id: Counter[Path] = Counter()
        self._filled: Counter[Path] = Counter()
        self._names: set[str] = set()
        self._attributes: set[str] = set()
        self._uses_aliases = False

    def feed(self, chunk: bytes) -> bool:
        """Look at some more. False when no more is needed."""
        self._bytes += len(chunk)
        with suppress(etree.XMLSyntaxError):  # the real parse says what is wrong, and where
            self._parser.feed(chunk)
        self._look_at_events()
        self.is_broken = any(entry.level >= etree.ErrorLevels.FATAL for entry in self._parser.feed_error_log)
        is_found = self._named or (self.known and not self._wanted) or self.first_candidate
        return not (is_found or self.has_ended or self.is_broken or self._bytes > MAX_BYTES)

    @property
    def layout(self) -> Layout | None:
        """Where the items are, once all that may be looked at was; None when that is not certain."""
        if self._named or self._has_other_names:
            return self._named
        if self.known or len(self._candidates) != 1:
            return self.known
        path = self.first_candidate
        return Layout(path[:-1], (path[-1],), takes_attributes=True)

    @property
    def dialect(self) -> tuple[str, str] | None:
        """The channel that the feed was made for, where that is not Google, and what its items are called there."""
        found = [(within, dialect) for (root, within), dialect in _DIALECTS.items() if root == self.root]
        return next((dialect for within, dialect in found if not within or within in self._names), None)

    @property
    def _has_other_names(self) -> bool:
        """Whether it is made for another channel, and the feed's settings do not say what its names mean."""
        return bool(self.dialect) and not self._uses_aliases and not self._attributes >= _REQUIRED_NAMES

    @property
    def _candidates(self) -> list[Path]:
        """Where elements with an id and one attribute more stand, without those inside of others."""
        found = [
            path
            for path, number in self._with_id.items()
            if len(path) > 1 and 2 * number > self._counts[path] and (number > 1 or path[-1].lower() in _USUAL_NAMES)
        ]
        return [path for path in found if not any(path[:n] in found for n in range(len(path)))]

    @property
    def first_candidate(self) -> Path:
        return next(iter(self._candidates), ())

    @property
    def likely_item(self) -> str:
        """The name of the element that is most likely an item; "" when nothing looks like one."""
        likely = self._candidates or [*self._with_id] or [path for path, number in self._filled.items() if number > 1]
        return max(likely, key=self._filled.__getitem__)[-1] if likely else ""

    def described(self) -> str:
        """What stands in the file, and what to do when some of it are the items."""
        outer: Path = (self.root,)
        while True:
            inner = list(dict.fromkeys(path[: len(outer) + 1] for path in self._counts if path[: len(outer)] == outer))
            inner = [path for path in inner if len(path) > len(outer)]
            is_container = len(inner) == 1 and self._counts[inner[0]] <= 1 and inner[0] not in self._with_id
            if not is_container or not any(path[:-1] == inner[0] for path in self._counts):
                break
            outer = inner[0]
        shown = [f"{max(self._counts[path], 1):,} × <{path[-1][:40]}>" for path in inner[:_SHOWN_NAMES]]
        there = ", ".join(shown) + (" and others" if len(inner) > _SHOWN_NAMES else "")
        sentence = f"In <{'><'.join(name[:40] for name in outer)}> there {'are ' + there if there else 'is nothing'}."
        if not self.likely_item:
            return sentence
        example = f"for example {self.likely_item[:40]}"
        return f"{sentence} Enter the name of the items as the feed's item element, {example}."

    # --- looking ---

    def _look_at_events(self) -> None:
        for event, element in self._parser.read_events():
            if event == "end":
                self._look_at(element)
                self._path.pop()
                self.has_ended = not self._path
                continue
            name = element.tag.rpartition("}")[2]
            self.root = self.root or name
            if name == self._wanted and self._path and not self._named:
                self._named = Layout(tuple(self._path), (name,), takes_attributes=True)
            layout = LAYOUTS.get(self.root)
            if layout and name in layout.items and tuple(self._path) in (layout.path, layout.other_path):
                self.known = layout
            self._path.append(name)

    def _look_at(self, element: Any) -> None:
        """Count an element that is complete, and see whether it may be an item."""
        path = tuple(self._path)
        if len(self._counts) > _MAX_NAMES or len(element.attrib) > _MAX_ATTRIBUTES:
            return
        self._counts[path] += 1
        if not self.known:
            self._names.add(path[-1])
        if not len(element) and not element.keys():
            return
        self._filled[path] += len(path) > 1
        self._names.update(element.keys())
        tags = [*element.keys(), *(child.tag for child in element if not len(child) and child.text)]
        names = {tag.rpartition("}")[2] for tag in tags}
        attributes = {self._attribute_named(name) for name in names}
        if "id" in attributes and len(attributes & _COLUMN_NAMES) > 1:
            self._with_id[path] += 1
            self._attributes |= attributes
            self._uses_aliases = self._uses_aliases or not names.isdisjoint(self._aliases)

    def _attribute_named(self, name: str) -> str:
        """The attribute that an element is by its name; "" where it is none."""
        known = BY_ALIAS.get(column_name(name))
        return self._aliases.get(name) or (known.name if known else "")


def without_root(text: str, settings: FileSettings = UNSET) -> Layout | None:
    """The layout of items that stand at the beginning of a file without an outermost element; None where none do."""
    declaration = DECLARATION.match(text)
    text = text[declaration.end() :] if declaration else text
    discovery = Discovery(settings)
    discovery.feed("".join((*ROOT_INSTEAD, text)).encode(errors="replace"))
    path = discovery.first_candidate
    return Layout(RSS.path, (path[-1],), path[-1] != RSS.items[0]) if path[:-1] == RSS.path else None


def other_root(discovery: Discovery) -> FeedRefused:
    """The refusal of a file whose items are not found."""
    if discovery.root.lower() == "html":
        return html_page()
    if discovery.dialect:
        return other_dialect(discovery.root, *discovery.dialect)
    return FeedRefused(
        "feed.unknown_root",
        f"The outermost element is <{discovery.root[:40]}>. {discovery.described()} A feed begins with <rss> "
        f"(RSS 2.0), <rdf:RDF> (RSS 1.0), <feed> (Atom), or <{'>, <'.join(PLAIN_ROOTS)}> with <product>, <item> or "
        "<offer> in it.",
    )


def other_dialect(root: str, name: str, item: str) -> FeedRefused:
    """The refusal of a feed that was made for another channel."""
    advice = "Ask the shop for its Google feed"
    if item:
        advice += f", or enter the item element ({item}) and the names of its own in the feed's settings"
    return FeedRefused(
        "feed.unknown_root",
        f"The outermost element is <{root}> ({name}). Its names are not those of Google's feeds. {advice}.",
    )


def no_items(discovery: Discovery | None) -> FeedRefused:
    """The refusal of a file that was read to its end without an item."""
    if discovery and (discovery.likely_item or discovery.dialect):
        return FeedRefused("feed.no_items", f"No item was found in the file. {discovery.described()}")
    return FeedRefused(
        "feed.no_items", "The feed has no items. If the shop really sells nothing, there is nothing to import."
    )


def html_page() -> FeedRefused:
    return FeedRefused(
        "feed.html_page",
        "The file is an HTML page, often the login or error page of the shop. Upload the product feed itself.",
    )
