"""An XML feed → raw items, streaming: memory is bounded by the largest item, whatever the file.

The parser is strict and closed: no DOCTYPE, no external entity, no network, never a path handed to it. Each of these
settings answers a measured trap; docs/decisions/0004-the-xml-parser.md has them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from lxml import etree

from catalog.errors import FeedRefused
from catalog.feeds import formats

CHUNK_BYTES = 64 * 1024
# libxml2 bounds one text to 10 MB but buffers comments, attributes and CDATA without a bound.
SILENCE_BYTES = 11 * 1024 * 1024

# The element that is an item, and the local names on the way to it from the root.
ITEM_PATHS = {"item": ("rss", "channel"), "entry": ("feed",)}

Element = Any  # lxml has no types
RawValue = str | dict[str, Any] | list[Any]


class Stream(Protocol):
    """Bytes to read once, from the start."""

    def read(self, size: int = ..., /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class RawItem:
    """One item as it stands in the file.

    `fields` maps each child's tag in Clark notation (`{namespace}name`) to its text; to a dict when it has children
    or attributes (`{"child": …, "@attribute": …, "#text": …}`); to a list of these when it occurs more than once.
    `line` is the line of its start tag, `position` counts from 1.
    """

    position: int
    line: int
    fields: dict[str, RawValue]


def read_items(stream: Stream) -> Iterator[RawItem]:
    """Yield the items of an RSS 2.0 or Atom feed in the order of the file.

    Raises `FeedRefused` for anything that is not a well-formed feed with at least one item; items that were yielded
    before must then be thrown away.
    """
    chunks = check_start(stream)
    position = 0
    for position, element in enumerate(_elements(chunks, stream), start=1):
        yield RawItem(position, element.sourceline or 0, _fields(element))
    if not position:
        raise FeedRefused(
            "feed.no_items", "The feed has no items. If the shop really sells nothing, there is nothing to import."
        )


def check_start(stream: Stream) -> list[bytes]:
    """Refuse what can be told from the file's beginning, up to its outermost element. Returns the chunks read."""
    head = stream.read(formats.SNIFF_BYTES)
    formats.check_is_xml(head)
    return _check_prolog(head, stream)


# --- before the first element ----------------------------------------------------------------------


class _RootSeen(Exception):
    """Control flow, not an error: the prolog is over."""

    def __init__(self, tag: str) -> None:
        self.tag = tag


class _Prolog:
    """A parser target that stops at the first start tag and refuses a DOCTYPE before any entity is defined."""

    def doctype(self, *_: Any) -> None:
        raise FeedRefused(
            "feed.doctype", "The file has a <!DOCTYPE …> declaration. Remove it: feeds need none, and it is unsafe."
        )

    def start(self, tag: str, _attributes: Any) -> None:
        raise _RootSeen(tag)

    def close(self) -> None:
        """Called by lxml at the end of input."""


def _check_prolog(head: bytes, stream: Stream) -> list[bytes]:
    """Read up to the root element and check it. Returns the chunks consumed, for the real parse from byte 0."""
    chunks = [head]
    parser = etree.XMLParser(target=_Prolog(), **_SAFE)
    try:
        parser.feed(head)
        while chunk := stream.read(CHUNK_BYTES):
            chunks.append(chunk)
            if len(chunks) * CHUNK_BYTES > SILENCE_BYTES:
                raise _too_quiet(1)
            parser.feed(chunk)
        parser.close()
    except _RootSeen as seen:
        name = etree.QName(seen.tag).localname if ":" not in seen.tag or "{" in seen.tag else seen.tag
        if name.lower() == "html" or not formats.begins_late(head.decode("latin-1")):
            _check_root(name)
        return chunks
    except etree.XMLSyntaxError:
        return chunks  # the real parse says what and where
    raise FeedRefused("feed.empty", "The file has no element. Export the feed again and upload the new file.")


def _check_root(name: str) -> None:
    roots = [path[0] for path in ITEM_PATHS.values()]
    if name in roots:
        return
    if name.lower() == "html":
        raise FeedRefused(
            "feed.html_page",
            "The file is an HTML page, often the login or error page of the shop. Upload the product feed itself.",
        )
    raise FeedRefused(
        "feed.unknown_root",
        f"The outermost element is <{name[:40]}>. A feed begins with <rss> (RSS 2.0) or <feed> (Atom).",
    )


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


def _elements(head: list[bytes], stream: Stream) -> Iterator[Element]:
    """The item elements, each valid until the next is asked for."""
    parser = etree.XMLPullParser(events=("end",), tag=[f"{{*}}{name}" for name in ITEM_PATHS], **_SAFE)
    container: Element | None = None
    quiet = 0
    line = 1
    for chunk in _chunks(head, stream):
        quiet += len(chunk)
        _parse(parser, parser.feed, chunk)
        for _, element in parser.read_events():
            parent = element.getparent()
            if parent is None or (parent is not container and not _is_container(element, parent)):
                continue
            container = parent
            yield element
            quiet, line = 0, element.sourceline or line
            _forget(element, container)
        if quiet > SILENCE_BYTES:
            raise _too_quiet(line)
    _parse(parser, parser.close)


def _chunks(head: list[bytes], stream: Stream) -> Iterator[bytes]:
    while head:
        yield head.pop(0)
    while chunk := stream.read(CHUNK_BYTES):
        yield chunk


def _is_container(element: Element, parent: Element) -> bool:
    """An `item` nested in an item, or one of a page that only looks like a feed, is no item."""
    path = [parent, *parent.iterancestors()]
    names = tuple(etree.QName(e).localname for e in reversed(path))
    return ITEM_PATHS[etree.QName(element).localname] == names


def _forget(element: Element, container: Element) -> None:
    """Free an item that was read. Clearing alone leaves its empty shell, and a long file leaves a million."""
    element.clear()
    while element.getprevious() is not None:
        del container[0]


def _fields(element: Element) -> dict[str, RawValue]:
    fields: dict[str, RawValue] = {}
    for child in element:
        value: RawValue = (child.text or "") if not len(child) and not child.items() else _structured(child)
        tag: str = child.tag
        if tag not in fields:
            fields[tag] = value
            continue
        earlier = fields[tag]
        if isinstance(earlier, list):
            earlier.append(value)
        else:
            fields[tag] = [earlier, value]
    return fields


def _structured(element: Element) -> dict[str, Any]:
    """A child with children or attributes, losslessly but for the order of differently named children."""
    value: dict[str, Any] = {f"@{name}": text for name, text in element.items()}
    if not len(element):
        if text := (element.text or "").strip():
            value["#text"] = text
        return value
    for child in element:
        plain = not len(child) and not child.items()
        inner = (child.text or "").strip() if plain else _structured(child)
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


def read_one(item: bytes, *, within: list[bytes]) -> dict[str, RawValue]:
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
    return _fields(root)


# --- what goes wrong ---------------------------------------------------------------------------------


def _parse(parser: Any, step: Callable[..., Any], *arguments: Any) -> None:
    try:
        step(*arguments)
    except etree.XMLSyntaxError as error:
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


def _too_quiet(line: int) -> FeedRefused:
    megabytes = SILENCE_BYTES // 1024**2
    return FeedRefused(
        "feed.item_too_large",
        f"After line {line}: {megabytes} MB without the end of an item. Is an element left open, or is this a feed?",
    )
