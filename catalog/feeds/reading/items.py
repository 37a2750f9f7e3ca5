"""A feed → raw items, streaming: memory is bounded by the largest item, whatever the file.

The XML parser is strict and closed: no DOCTYPE, no external entity, no network, and it is never given a path. Each of
these settings answers a measured trap; docs/decisions/0004-the-xml-parser.md has them.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, count, islice
from typing import Any

from lxml import etree

from catalog.errors import FeedRefused
from catalog.feeds.limits import NAME_CHARS, SAFE, Limits, item_too_large, too_deep, too_many_columns, too_many_items
from catalog.feeds.reading.archives import Stream
from catalog.feeds.reading.delimited import read_rows
from catalog.feeds.reading.discovery import (
    DIALECT_ROOTS,
    PARSER_OPTIONS,
    Discovery,
    html_page,
    no_items,
    other_dialect,
    other_root,
    without_root,
)
from catalog.feeds.reading.encodings import UTF_8
from catalog.feeds.reading.formats import Content, Kind, open_content
from catalog.feeds.reading.headings import SkippedLines
from catalog.feeds.reading.layouts import ITEM_NAMES, LAYOUTS, PREFIX, RSS, Layout
from catalog.feeds.reading.objects import read_objects
from catalog.feeds.reading.own_table import is_own, own_row
from catalog.feeds.reading.partial_keys import KeyWatch
from catalog.feeds.reading.settings import UNSET, FileSettings
from catalog.feeds.reading.workbooks import read_sheet

__all__ = ["CHUNK_BYTES", "RawItem", "RawValue", "Stream", "check_start", "read_items"]

CHUNK_BYTES = 64 * 1024

Element = Any  # lxml has no types
RawValue = str | dict[str, Any] | list[Any]

MAX_FOREIGN_EXAMPLES = 5
_OWN_NAMESPACES = frozenset({"http://purl.org/rss/1.0/", "http://www.w3.org/2005/Atom"})
_GOOGLE = "base.google.com"
_MAX_LINE = 65535  # libxml2 has two bytes for an element's line


@dataclass(frozen=True, slots=True)
class RawItem:
    """One item as it is in the file.

    `fields` maps each child's tag in Clark notation (`{namespace}name`) to its text; to a dict when it has children
    or attributes (`{"child": …, "@attribute": …, "#text": …}`); to a list of these when it occurs more than once.
    The columns of a table are like children without a namespace. `line` is the line of its start tag, or where its
    record begins, in the unpacked file; `position` counts from 1. `faults` are the codes of issues that only the
    reader sees, each with what was found. A `lost` item is not well-formed or over a limit: its `fields` only help to
    identify it. `own_extra` is what a product in a table of the catalogue's own has beside its columns, None elsewhere.
    `element` is what it was read from, None for a row.
    """

    position: int
    line: int
    fields: dict[str, RawValue]
    faults: tuple[tuple[str, str], ...] = ()
    lost: bool = False
    own_extra: dict[str, Any] | None = None
    element: Element = field(default=None, repr=False, compare=False)

    def line_of(self, tag: str, occurrence: int = 0) -> int:
        """The line of a child; that of the item where it has no such child or is a row.

        Lines are looked up on demand, and only until the next item is read: then the element is emptied.
        """
        if self.element is not None:
            child = next(islice(self.element.iterchildren(tag), occurrence, None), None)
            if child is not None:
                return self.line + _line_of(child) - _line_of(self.element)
        return self.line


@dataclass(slots=True)
class Start:
    """A feed whose beginning was read into `chunks`; the stream in `content` has the rest.

    For XML, `layout` is where its items are, `discovery` what was seen until that was known, and `has_root` says that
    they are inside of an outermost element.
    """

    content: Content
    chunks: list[bytes]
    layout: Layout = RSS
    discovery: Discovery | None = None
    has_root: bool = True

    def all_chunks(self) -> Iterator[bytes]:
        while self.chunks:
            yield self.chunks.pop(0)
        while chunk := self.content.stream.read(CHUNK_BYTES):
            yield chunk


@dataclass(slots=True)
class Beside:
    """What a file has beside its items: elements that are only called like one, the first with their lines.

    They are `foreign`: of another namespace. `lines` are those of a table that are no rows. `has_end` says, of a file
    whose items were cut out, that the element around them ends behind the last one.
    """

    foreign: int = 0
    examples: list[tuple[int, str]] = field(default_factory=list)
    lines: SkippedLines = field(default_factory=SkippedLines)
    has_end: bool = False

    def add_foreign(self, line: int, tag: str) -> None:
        self.foreign += 1
        if len(self.examples) < MAX_FOREIGN_EXAMPLES:
            self.examples.append((line, tag))


def read_items(
    stream: Stream, limits: Limits = SAFE, settings: FileSettings = UNSET, beside: Beside | None = None
) -> Iterator[RawItem]:
    """Yield the items of a feed in the order of the file.

    A feed is XML (RSS 2.0, RSS 1.0, Atom, plain lists of products), a table (CSV, TSV) or JSON, plain or in gzip or
    zip, or a sheet of a workbook.
    Raises `FeedRefused` for anything else, for a feed that is broken, empty or over a limit; the items that were
    yielded before must then be thrown away. After the last item the stream has been read to its end.
    """
    start = check_start(stream, limits, settings)
    content = start.content
    items: Iterator[RawItem]
    if content.kind is Kind.XML:
        if not start.has_root:
            raise FeedRefused("feed.not_well_formed", "Line 1: the items have no outermost element around them.")
        items = items_within(start.all_chunks(), start.layout, limits, encoding=content.encoding, beside=beside)
    else:
        skipped = (beside or Beside()).lines
        if content.kind is Kind.WORKBOOK:
            rows = read_sheet(content.seekable_stream, limits, settings, skipped)
        elif content.kind is Kind.JSON:
            rows = read_objects(start.all_chunks(), content.encoding or UTF_8, limits, settings, skipped)
        elif content.header:
            rows = read_rows(start.all_chunks(), content.encoding or UTF_8, content.header, limits, skipped)
            if is_own(content.header.names):
                rows = (own_row(row, limits) for row in rows)
        items = (RawItem(number, *row) for number, row in enumerate(rows, start=1))
    item = None
    watch = KeyWatch(settings.aliases)
    for item in items:
        if watch.is_on and not item.lost:
            watch.check(item.fields)
        if item.position > limits.items:
            raise too_many_items(item.line, limits)
        yield item
    if item is None:
        raise no_items(start.discovery)


# --- before the first element ----------------------------------------------------------------------


class _RootSeen(Exception):
    """Control flow, not an error: the prolog is over."""


class _Prolog:
    """A parser target that stops at the first start tag and refuses a DOCTYPE before any entity is defined."""

    def __init__(self, settings: FileSettings) -> None:
        self._takes_dialects = bool(settings.item_element)

    def doctype(self, name: str, *_: Any) -> None:
        if name in DIALECT_ROOTS and not self._takes_dialects:
            raise other_dialect(name, *DIALECT_ROOTS[name])
        raise html_page() if name.lower() == "html" else has_doctype()

    def start(self, _tag: str, _attributes: Any) -> None:
        raise _RootSeen

    def close(self) -> None:
        """Called by lxml at the end of input."""


def check_start(stream: Stream, limits: Limits = SAFE, settings: FileSettings = UNSET) -> Start:
    """Read a file up to its outermost element or a table's header, and refuse it when these are not a feed's.

    The real parse begins at the first byte again, with the chunks that were read.
    """
    content = open_content(stream, limits, settings)
    start = Start(content, [content.head])
    if content.header and len(content.header.names) > limits.attributes:
        raise too_many_columns(limits)
    if content.kind is not Kind.XML:
        return start
    parser = etree.XMLParser(target=_Prolog(settings), encoding=content.encoding, **PARSER_OPTIONS)
    try:
        parser.feed(content.head)
        while chunk := content.stream.read(CHUNK_BYTES):
            start.chunks.append(chunk)
            if len(start.chunks) * CHUNK_BYTES > limits.item_bytes:
                raise item_too_large(1, limits)
            parser.feed(chunk)
        parser.close()
    except _RootSeen:
        if not content.has_junk:
            _discover_items(start, settings)
        return start
    except etree.XMLSyntaxError:
        return start  # the real parse says what is wrong, and where
    raise FeedRefused("feed.empty", "The file has no element. Export the feed again and upload the new file.")


def _discover_items(start: Start, settings: FileSettings) -> None:
    """Find out where the items are. Raises `FeedRefused` when that cannot be, or is not certain."""
    content = start.content
    discovery = Discovery(settings, content.encoding)
    goes_on = [discovery.feed(chunk) for chunk in start.chunks][-1]
    while goes_on and (chunk := content.stream.read(CHUNK_BYTES)):
        start.chunks.append(chunk)
        goes_on = discovery.feed(chunk)
    layout = discovery.layout
    if layout is None:
        is_item = discovery.root in ITEM_NAMES and f"</{discovery.root}>" in content.text
        if is_item or without_root(content.text, settings):
            layout, start.has_root = RSS, False  # where the items are is found when they are cut out
        elif not discovery.dialect:
            # XML that breaks off before the items are known may show them when it is repaired.
            may_show = discovery.is_broken and discovery.root.lower() != "html"
            layout = LAYOUTS.get(discovery.root, RSS if may_show else None)
    if layout is None:
        raise other_root(discovery)
    start.layout, start.discovery = layout, discovery


def has_doctype() -> FeedRefused:
    return FeedRefused(
        "feed.doctype", "The file has a <!DOCTYPE …> declaration. Remove it: feeds need none, and it is unsafe."
    )


# --- the items --------------------------------------------------------------------------------------


def items_within(
    chunks: Iterable[bytes],
    layout: Layout,
    limits: Limits,
    *,
    lines: int = 0,
    positions: Iterable[int] | None = None,
    encoding: str | None = None,
    beside: Beside | None = None,
) -> Iterator[RawItem]:
    """The items of XML that begins after so many lines, at these positions; counted from 1 when none are given.

    An `element` is valid until the next item is asked for.
    """
    places = iter(positions or count(1))
    tags = [f"{{*}}{name}" for name in layout.items]
    parser = etree.XMLPullParser(events=("end",), tag=tags, encoding=encoding, **PARSER_OPTIONS)
    container: Element | None = None
    own_tags: set[str] = set()
    least_limit = min(limits.value_chars, limits.item_bytes)
    bytes_read = 0  # since the last item
    line = 1
    for chunk in chunks:
        bytes_read += len(chunk)
        _run_parser(parser, parser.feed, chunk)
        for _, element in parser.read_events():
            parent = element.getparent()
            if parent is None or parent is not container:
                # An `item` nested in an item, or one of a page that only looks like a feed, is not an item.
                path = tuple(local_name(outer.tag) for outer in element.iterancestors())
                if path[::-1] not in (layout.path, layout.other_path):
                    continue
                container = parent
            line = element.sourceline or line
            if element.tag not in own_tags:
                if is_foreign(element):
                    if beside:
                        beside.add_foreign(lines + _line_of(element), element.tag)
                    bytes_read = 0
                    _forget(element, container)
                    continue
                own_tags.add(element.tag)
            position, item_line = next(places), lines + _line_of(element)
            try:
                if bytes_read + CHUNK_BYTES > least_limit:  # or no value in it can be so long
                    _check_values(element, limits)
                item = RawItem(position, item_line, _item_fields(element, layout, limits), element=element)
            except ItemLost as lost:
                if lost.code == NOT_WELL_FORMED:
                    raise FeedRefused("feed.not_well_formed", f"Line {lost.line}: {lost.found}.") from None
                # Its first short texts may identify it.
                texts = ((child.tag, child.text or "") for child in islice(element, LOST_NAMES) if not len(child))
                fields: dict[str, RawValue] = {tag: text for tag, text in texts if len(text) <= NAME_CHARS}
                faults = ((lost.code, lost.found),)
                item = RawItem(position, item_line, fields, faults, lost=True, element=element)
            yield item
            bytes_read = 0
            _forget(element, container)
        if bytes_read > limits.item_bytes:
            # libxml2 bounds one text to 10 MB but buffers comments, attributes and CDATA without a bound.
            raise item_too_large(line, limits)
    _run_parser(parser, parser.close)


def _forget(element: Element, container: Element) -> None:
    # Clearing alone leaves the item's empty shell, and a long file leaves a million of them.
    element.clear()
    while element.getprevious() is not None:
        del container[0]


def is_foreign(item: Element) -> bool:
    """Whether what is called like an item is in a namespace that neither feeds nor the element around it have."""
    namespace, parent = item.tag[1:].rpartition("}")[0], item.getparent()
    if not namespace or namespace in _OWN_NAMESPACES or _GOOGLE in namespace:
        return False
    return parent is None or parent.tag[1:].rpartition("}")[0] != namespace


def local_name(tag: str) -> str:
    """A tag without its namespace, which may itself have braces in it."""
    return tag.rpartition("}")[2]


def _line_of(element: Element) -> int:
    """The line of an element's start tag, where it has one."""
    line: int = element.sourceline or 0
    if line < _MAX_LINE:
        return line
    # From there on only a text knows its line, which is that of its end, and an element gives that of its first text.
    while not element.text and len(element):
        element = element[0]
    return line - (element.text or "").count("\n")


def _check_values(element: Element, limits: Limits) -> None:
    total = 0
    for inner in element.iter():
        # Count attributes before reading them: the parser looks each one up, and a hundred thousand take an hour.
        if len(inner.attrib) > limits.attributes:
            raise _too_many_attributes(inner, len(inner.attrib))
        for value in chain((inner.text or "", inner.tail or ""), inner.attrib.values()):
            if len(value) > limits.value_chars:
                found = f"{local_name(inner.tag)}: {len(value):,} characters"
                raise ItemLost("item.value_too_long", inner.sourceline or 0, found)
            total += len(value)
    if total > limits.item_bytes:
        raise ItemLost("item.too_large", element.sourceline or 0, f"{total:,} characters")


def _item_fields(element: Element, layout: Layout, limits: Limits) -> dict[str, RawValue]:
    if len(element) > limits.attributes or len(element.attrib) > limits.attributes:
        raise _too_many_attributes(element, len(element) + len(element.attrib))
    fields: dict[str, RawValue] = {}
    for child in element[:]:  # a copy, and keys(), cost half of what an iterator and attrib do
        tag = child.tag
        value: RawValue
        if len(child) or child.keys():
            value = _structured_value(child, limits)
        else:
            value = text = child.text or ""
            if "<" in text:
                _check_sections(child, text)
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


def _structured_value(element: Element, limits: Limits, depth: int = 1) -> dict[str, Any]:
    """A child with children or attributes. Only the order of children with different names is lost."""
    if depth > limits.depth:
        name = local_name(element.tag)
        raise ItemLost(TOO_DEEP, element.sourceline or 0, f"{name}: {depth} levels and more")
    number = len(element.keys()) + len(element)
    if number > limits.attributes:
        raise _too_many_attributes(element, number)
    value: dict[str, Any] = {f"@{name}": text for name, text in element.items()}
    if not len(element):
        if text := _inner_text(element):
            value["#text"] = text
        return value
    own_text = (element.text or "").strip()
    for child in element[:]:
        name = local_name(child.tag)
        inner = _structured_value(child, limits, depth + 1) if len(child) or child.keys() else _inner_text(child)
        if name in value:
            _add_another(value, name, inner)
        else:
            value[name] = inner
        own_text = own_text or (child.tail or "").strip()
    if own_text:
        value["#text"] = "".join(element.itertext()).strip()
    return value


def _inner_text(element: Element) -> str:
    text = (element.text or "").strip()
    if "<" in text:
        _check_sections(element, text)
    return text


# --- an item alone -------------------------------------------------------------------------------------

NOT_WELL_FORMED, TOO_DEEP = "item.not_well_formed", "item.too_deep"
LOST_NAMES = 1000  # a lost item keeps at most so many short texts


class ItemLost(Exception):
    """One item cannot be read: the code of the issue, its line, and what was found there."""

    def __init__(self, code: str, line: int, found: str) -> None:
        super().__init__(found)
        self.code = code
        self.line = line
        self.found = found


class ItemForeign(Exception):
    """An element is only called like an item; its tag is the argument."""


def read_one(item: bytes, *, within: list[bytes], layout: Layout = RSS, limits: Limits = SAFE) -> dict[str, RawValue]:
    """The fields of one item that was cut out of a file, parsed `within` the start tags that were open there.

    Raises `ItemLost` when it is not exactly one well-formed element, or over a limit; its lines count from 1 within it.
    """
    parser = etree.XMLPullParser(events=("end",), **PARSER_OPTIONS)
    names = [tag[1:].split()[0].rstrip(b">") for tag in within]
    try:
        parser.feed(b"".join([*within, item, *(b"</%b>" % name for name in reversed(names))]))
        root = parser.close()
    except etree.XMLSyntaxError as error:
        raise _item_broken(*_first_fault(parser, error.position)) from None
    if any(entry.level >= etree.ErrorLevels.ERROR for entry in parser.feed_error_log):
        raise _item_broken(*_first_fault(parser, (1, 1)))
    for _ in within:
        if len(root) != 1 or (root.text or "").strip() or (root[0].tail or "").strip():
            raise _item_broken(1, 1, "an item begins or ends inside another one")
        root = root[0]
    if is_foreign(root):
        raise ItemForeign(root.tag)
    if len(item) > min(limits.value_chars, limits.item_bytes):
        _check_values(root, limits)
    return _item_fields(root, layout, limits)


def _item_broken(line: int, _column: int, message: str) -> ItemLost:
    return ItemLost(TOO_DEEP if _DEPTH in message else NOT_WELL_FORMED, line, message)


def _check_sections(element: Element, text: str) -> None:
    """Refuse a CDATA section that the end of a later one closed: its text holds the end of its own element."""
    if "<![CDATA[" in text:
        name = local_name(element.tag)
        if re.search(rf"</{PREFIX}{re.escape(name)}\s*>.*<!\[CDATA\[", text, re.DOTALL):
            found = f"a CDATA section in <{name[:40]}> is left open, and the next one's end closes it"
            raise ItemLost(NOT_WELL_FORMED, element.sourceline or 0, f"{found}: write ]]> where it ends")


def _too_many_attributes(element: Element, number: int) -> ItemLost:
    name = local_name(element.tag)
    return ItemLost("item.too_many_attributes", element.sourceline or 0, f"{name}: {number:,} elements and attributes")


# --- what is wrong with a file ------------------------------------------------------------------------

_DEPTH = "depth"  # in the parser's message on elements that are nested too deep


def _run_parser(parser: Any, step: Callable[..., Any], *arguments: Any) -> None:
    try:
        step(*arguments)
    except etree.XMLSyntaxError as error:
        if _DEPTH in str(error):
            raise too_deep(error.position[0]) from None
        raise _not_well_formed(parser, error.position) from None
    if any(entry.level >= etree.ErrorLevels.ERROR for entry in parser.feed_error_log):
        # An undeclared prefix raises nothing until the end, and its elements would arrive with unreadable names.
        raise _not_well_formed(parser, (1, 1))


# Parts of the parser's message → what to look for. These five faults are behind nearly every broken feed.
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
