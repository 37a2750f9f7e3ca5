"""A feed → raw items, streaming: memory is bounded by the largest item, whatever the file.

The XML parser is strict and closed: no DOCTYPE, no external entity, no network, never a path handed to it. Each of
these settings answers a measured trap; docs/decisions/0004-the-xml-parser.md has them.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from lxml import etree

from catalog.errors import FeedRefused
from catalog.feeds import formats
from catalog.feeds.archives import Stream
from catalog.feeds.delimited import Row, read_rows
from catalog.feeds.limits import (
    SAFE,
    Limits,
    item_too_large,
    too_deep,
    too_many_attributes,
    too_many_items,
    value_too_long,
)

__all__ = ["CHUNK_BYTES", "RawItem", "RawValue", "Stream", "check_start", "read_items"]

CHUNK_BYTES = 64 * 1024

Element = Any  # lxml has no types
RawValue = str | dict[str, Any] | list[Any]


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
_KNOWN_ROOTS = {"yml_catalog": "Yandex YML", "SHOP": "Heureka", "mywebstore": "Skroutz", "urlset": "a sitemap"}


@dataclass(frozen=True, slots=True)
class RawItem:
    """One item as it stands in the file.

    `fields` maps each child's tag in Clark notation (`{namespace}name`) to its text; to a dict when it has children
    or attributes (`{"child": …, "@attribute": …, "#text": …}`); to a list of these when it occurs more than once.
    The columns of a table are like children without a namespace. `line` is the line of its start tag or of its
    record's beginning in the unpacked file, `position` counts from 1. `faults` are the codes of issues that only the
    reader sees, each with what was found. `element` is what it was read from, None for a row.
    """

    position: int
    line: int
    fields: dict[str, RawValue]
    faults: tuple[tuple[str, str], ...] = ()
    element: Element = field(default=None, repr=False, compare=False)

    def line_of(self, tag: str, occurrence: int = 0) -> int:
        """The line of a child, looked up only now; that of the item where it has no such child or is no XML.

        To be asked before the next item is read: the element is emptied then.
        """
        if self.element is not None:
            child = next(islice(self.element.iterchildren(tag), occurrence, None), None)
            if child is not None:
                return self.line + _line_of(child) - _line_of(self.element)
        return self.line


def read_items(stream: Stream, limits: Limits = SAFE) -> Iterator[RawItem]:
    """Yield the items of a feed in the order of the file.

    A feed is XML (RSS 2.0, RSS 1.0, Atom, plain lists of products) or a table (CSV, TSV), as it is, in gzip or zip.
    Raises `FeedRefused` for anything else, for what is not in order, without items or over a limit; items that were
    yielded before must then be thrown away. After the last item the stream was read to its end.
    """
    start = check_start(stream, limits)
    position = 0
    for position, item in enumerate(_items_of(start, limits), start=1):
        if position > limits.items:
            raise too_many_items(item.line, limits)
        yield item
    if not position:
        raise FeedRefused(
            "feed.no_items", "The feed has no items. If the shop really sells nothing, there is nothing to import."
        )


@dataclass(slots=True)
class Start:
    """A feed of which the beginning was read: `chunks`, and `stream` goes on. `layout` is that of XML."""

    content: formats.Content
    chunks: list[bytes]
    layout: Layout = RSS

    def all_chunks(self) -> Iterator[bytes]:
        while self.chunks:
            yield self.chunks.pop(0)
        while chunk := self.content.stream.read(CHUNK_BYTES):
            yield chunk


def check_start(stream: Stream, limits: Limits = SAFE) -> Start:
    """Refuse what can be told from the file's beginning, up to the outermost element or a table's header."""
    content = formats.opened(stream, limits)
    start = Start(content, [content.head])
    if content.header is None:
        start.layout = _check_prolog(start, limits)
    elif len(content.header.names) > limits.attributes:
        raise too_many_attributes(1, limits)
    return start


def _items_of(start: Start, limits: Limits) -> Iterator[RawItem]:
    content = start.content
    if content.header is None:
        yield from items_within(start.all_chunks(), start.layout, limits, encoding=content.encoding)
    else:
        rows = read_rows(start.all_chunks(), content.encoding or "utf-8", content.header, limits)
        for position, row in enumerate(rows, start=1):
            yield RawItem(position, row.line, row.fields, _faults(row, len(content.header.names)))


def items_within(
    chunks: Iterable[bytes],
    layout: Layout,
    limits: Limits,
    *,
    lines: int = 0,
    places: int = 0,
    encoding: str | None = None,
) -> Iterator[RawItem]:
    """The items of the XML that begins after so many lines and places for items."""
    for position, element in enumerate(_elements(chunks, encoding, layout, limits), start=places + 1):
        fields = _fields(element, layout, limits)
        yield RawItem(position, lines + _line_of(element), fields, element=element)


def _faults(row: Row, columns: int) -> tuple[tuple[str, str], ...]:
    return () if row.width is None else (("row.cells", f"{row.width} cells, {columns} columns"),)


# --- before the first element ----------------------------------------------------------------------


class _RootSeen(Exception):
    """Control flow, not an error: the prolog is over."""

    def __init__(self, tag: str) -> None:
        self.tag = tag


class _Prolog:
    """A parser target that stops at the first start tag and refuses a DOCTYPE before any entity is defined."""

    def doctype(self, name: str, *_: Any) -> None:
        if name.lower() == "html":
            raise _html_page()
        raise FeedRefused(
            "feed.doctype", "The file has a <!DOCTYPE …> declaration. Remove it: feeds need none, and it is unsafe."
        )

    def start(self, tag: str, _attributes: Any) -> None:
        raise _RootSeen(tag)

    def close(self) -> None:
        """Called by lxml at the end of input."""


def _check_prolog(start: Start, limits: Limits) -> Layout:
    """Read up to the root element and check it; the chunks are kept for the real parse from byte 0."""
    parser = etree.XMLParser(target=_Prolog(), encoding=start.content.encoding, **_SAFE)
    try:
        parser.feed(start.chunks[0])
        while chunk := start.content.stream.read(CHUNK_BYTES):
            start.chunks.append(chunk)
            if len(start.chunks) * CHUNK_BYTES > limits.item_bytes:
                raise item_too_large(1, limits)
            parser.feed(chunk)
        parser.close()
    except _RootSeen as seen:
        return RSS if start.content.has_junk else _layout_of(etree.QName(seen.tag).localname)
    except etree.XMLSyntaxError:
        return RSS  # the real parse says what and where
    raise FeedRefused("feed.empty", "The file has no element. Export the feed again and upload the new file.")


def _layout_of(root: str) -> Layout:
    if layout := LAYOUTS.get(root):
        return layout
    if root.lower() == "html":
        raise _html_page()
    known = f" ({_KNOWN_ROOTS[root]})" if root in _KNOWN_ROOTS else ""
    raise FeedRefused(
        "feed.unknown_root",
        f"The outermost element is <{root[:40]}>{known}. A feed begins with <rss> (RSS 2.0), <rdf:RDF> (RSS 1.0), "
        f"<feed> (Atom), or <{'>, <'.join(PLAIN_ROOTS)}> with <product>, <item> or <offer> in it.",
    )


def _html_page() -> FeedRefused:
    return FeedRefused(
        "feed.html_page",
        "The file is an HTML page, often the login or error page of the shop. Upload the product feed itself.",
    )


_LINES_COUNTED = 65535  # libxml2 has two bytes for an element's line

# --- the items --------------------------------------------------------------------------------------

_SAFE: dict[str, Any] = {
    # "internal" keeps character references and refuses undefined entities; False would silently cut texts at entities.
    "resolve_entities": "internal",
    "no_network": True,
    "load_dtd": False,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
}


def _elements(chunks: Iterable[bytes], encoding: str | None, layout: Layout, limits: Limits) -> Iterator[Element]:
    """The item elements, each valid until the next is asked for."""
    tags = [f"{{*}}{name}" for name in layout.items]
    parser = etree.XMLPullParser(events=("end",), tag=tags, encoding=encoding, **_SAFE)
    container: Element | None = None
    quiet = 0
    line = 1
    for chunk in chunks:
        quiet += len(chunk)
        _parse(parser, limits, parser.feed, chunk)
        for _, element in parser.read_events():
            parent = element.getparent()
            if parent is None or (parent is not container and not _is_container(parent, layout)):
                continue
            container = parent
            line = element.sourceline or line
            if quiet + CHUNK_BYTES > limits.value_chars:  # else no value in it can be so long
                _check_values(element, limits)
            yield element
            quiet = 0
            _forget(element, container)
        if quiet > limits.item_bytes:
            # libxml2 bounds one text to 10 MB but buffers comments, attributes and CDATA without a bound.
            raise item_too_large(line, limits)
    _parse(parser, limits, parser.close)


def _line_of(element: Element) -> int:
    """The line of an element's start tag, where it has one."""
    line: int = element.sourceline or 0
    if line < _LINES_COUNTED:
        return line
    # From there on only texts know their line, that of their end, and an element tells that of its first text.
    while not element.text and len(element):
        element = element[0]
    return line - (element.text or "").count("\n")


def _check_values(element: Element, limits: Limits) -> None:
    for inner in element.iter():
        # Before anything lists them: the parser looks each one up, and a hundred thousand would take an hour.
        if len(inner.attrib) > limits.attributes:
            raise too_many_attributes(inner.sourceline or 0, limits)
        values = chain((inner.text or "", inner.tail or ""), inner.attrib.values())
        if any(len(value) > limits.value_chars for value in values):
            raise value_too_long(inner.sourceline or 0, limits)


def _is_container(parent: Element, layout: Layout) -> bool:
    """An `item` nested in an item, or one of a page that only looks like a feed, is no item."""
    path = [parent, *parent.iterancestors()]
    return layout.path == tuple(etree.QName(e).localname for e in reversed(path))


def _forget(element: Element, container: Element) -> None:
    """Free an item that was read. Clearing alone leaves its empty shell, and a long file leaves a million."""
    element.clear()
    while element.getprevious() is not None:
        del container[0]


def _fields(element: Element, layout: Layout, limits: Limits) -> dict[str, RawValue]:
    if len(element) > limits.attributes or len(element.attrib) > limits.attributes:
        raise too_many_attributes(element.sourceline or 0, limits)
    fields: dict[str, RawValue] = {}
    for child in element:
        plain = not len(child) and not child.attrib
        value: RawValue = (child.text or "") if plain else _structured(child, limits)
        tag = child.tag
        if tag in fields:
            _add_another(fields, tag, value)
        else:
            fields[tag] = value
    if layout.takes_attributes:
        for name, text in element.items():
            if name in fields:
                _add_another(fields, name, text)
            else:
                fields[name] = text
    return fields


def _add_another(fields: dict[str, RawValue], tag: str, value: RawValue) -> None:
    if isinstance(earlier := fields[tag], list):
        earlier.append(value)
    else:
        fields[tag] = [earlier, value]


def _structured(element: Element, limits: Limits, depth: int = 1) -> dict[str, Any]:
    """A child with children or attributes, losslessly but for the order of differently named children."""
    if depth > limits.depth:
        raise too_deep(element.sourceline or 0, limits)
    if len(element.attrib) + len(element) > limits.attributes:
        raise too_many_attributes(element.sourceline or 0, limits)
    value: dict[str, Any] = {f"@{name}": text for name, text in element.items()}
    if not len(element):
        if text := (element.text or "").strip():
            value["#text"] = text
        return value
    for child in element:
        plain = not len(child) and not child.attrib
        inner = (child.text or "").strip() if plain else _structured(child, limits, depth + 1)
        name = child.tag.rpartition("}")[2]
        if name not in value:
            value[name] = inner
        elif isinstance(value[name], list):
            value[name].append(inner)
        else:
            value[name] = [value[name], inner]
    own_text = (element.text or "").strip() or any((child.tail or "").strip() for child in element)
    if own_text:
        value["#text"] = "".join(element.itertext()).strip()
    return value


class ItemBroken(Exception):
    """One item is not well-formed: `line` counts from 1 within it."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


def read_one(item: bytes, *, within: list[bytes], limits: Limits = SAFE) -> dict[str, RawValue]:
    """The fields of one item that was cut out of a file, parsed `within` the start tags that were open there.

    Raises `ItemBroken` when it is not exactly one well-formed element.
    """
    parser = etree.XMLPullParser(events=("end",), **_SAFE)
    names = [tag[1:].split()[0].rstrip(b">") for tag in within]
    try:
        parser.feed(b"".join([*within, item, *(b"</%b>" % name for name in reversed(names))]))
        root = parser.close()
    except etree.XMLSyntaxError as error:
        raise ItemBroken(*_first_fault(parser, error.position)[::2]) from None
    if any(entry.level >= etree.ErrorLevels.ERROR for entry in parser.feed_error_log):
        raise ItemBroken(*_first_fault(parser, (1, 1))[::2])
    for _ in within:
        if len(root) != 1 or (root.text or "").strip() or (root[0].tail or "").strip():
            raise ItemBroken(1, "an item begins or ends inside another one")
        root = root[0]
    return _fields(root, RSS, limits)


# --- what goes wrong ---------------------------------------------------------------------------------


def _parse(parser: Any, limits: Limits, step: Callable[..., Any], *arguments: Any) -> None:
    try:
        step(*arguments)
    except etree.XMLSyntaxError as error:
        if "depth" in str(error):
            raise too_deep(error.position[0], limits) from None
        raise _not_well_formed(parser, error.position) from None
    if any(entry.level >= etree.ErrorLevels.ERROR for entry in parser.feed_error_log):
        # An undeclared prefix raises nothing until the end, and its elements would arrive with unreadable names.
        raise _not_well_formed(parser, (1, 1))


# How the parser's message begins or what it holds → what to look for. The five faults behind nearly every broken feed.
_HINTS = (
    (("EntityRef", "xmlParseEntityRef"), "Is there a bare &? Write it as &amp;."),
    (("Entity '",), "Is there an HTML entity such as &nbsp;? Write the character itself."),
    (("tag mismatch", "Premature end", "EndTag", "not finished"), "Is an element left open, or was the file cut off?"),
    (
        ("encoding", "Input is not proper", "invalid byte", "PCDATA invalid Char"),
        "Are there bytes of another encoding?",
    ),
    (
        ("Extra content", "Start tag expected", "not at the start", "allowed only"),
        "Is there something before or after?",
    ),
    (("Namespace prefix",), 'Is xmlns:g="http://base.google.com/ns/1.0" missing on the outermost element?'),
)


def _not_well_formed(parser: Any, position: tuple[int, int]) -> FeedRefused:
    line, column, message = _first_fault(parser, position)
    hint = next((advice for marks, advice in _HINTS if any(mark in message for mark in marks)), "")
    return FeedRefused(
        "feed.not_well_formed",
        f"Line {line}, column {column}: the XML is not well-formed ({message}). {hint}".strip(),
    )


def _first_fault(parser: Any, position: tuple[int, int]) -> tuple[int, int, str]:
    """Line, column and the parser's words."""
    # The parser's own log: the exception's log may hold entries of a file that somebody else uploaded before.
    entry = next((e for e in parser.feed_error_log if e.level >= etree.ErrorLevels.ERROR), None)
    if entry is None:
        return *position, "no element found"
    return entry.line, entry.column, " ".join(entry.message.split())[:300]
