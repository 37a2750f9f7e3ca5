"""Cleaned items → a Google-Merchant XML feed: `items` and `check` the other way round.

What is written here is read there with the same values and the same `extra`. Two things that no feed can say, and only
an edit by hand can leave in `extra`, are not written: a name that no element can have, and a value that lost its name
to another one (`rss:title`) which is gone since.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from html import unescape
from typing import Any

from catalog.feeds.attributes import BY_ALIAS, BY_NAME, COLUMNS
from catalog.feeds.cleaning.values import DECIMALS

PIECE_ITEMS = 100

_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0" xmlns:c="http://base.google.com/cns/1.0" \
xmlns:atom="http://www.w3.org/2005/Atom">
<channel>
"""
_FOOT = "</channel>\n</rss>\n"
_PLAIN = frozenset({"title", "link", "description"})  # RSS has them itself, without a prefix
_TAGS = tuple((column.name, f"g:{column.name}") for column in COLUMNS)
_NOTHING: tuple[Any, ...] = (None, "", [])
_PREFIXES = {"": "g:", "rss": "", "atom": "atom:", "c": "c:"}

_START = (
    "A-Z_a-z\xc0-\xd6\xd8-\xf6\xf8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c\u200d\u2070-\u218f\u2c00-\u2fef"
    "\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
)
_NAME = re.compile(f"[{_START}][{_START}0-9.\xb7\u0300-\u036f\u203f\u2040-]*")
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SPECIAL = re.compile("[&<>\r]")
_XML_NAMESPACE = "http://www.w3.org/XML/1998/namespace"

Content = Any  # a text, a group (`{"child": …, "@attribute": …, "#text": …}`), or a list of these


PART_OF = "part-of-a-feed"
"""The name of the element that says so. Its text is what the file is a part of."""

_PART_OF = re.compile(rf"<c:{PART_OF}>([^<]*)<".encode())


def feed(items: Iterable[str], title: str = "Products", note: str = "", part_of: str = "") -> Iterator[bytes]:
    """A whole feed of items that `item` wrote, in pieces. `note` is a comment at its top.

    With `part_of` it says of itself that it is only a part, so that nobody takes what is not in it for gone.
    """
    mark = f"<c:{PART_OF}>{_text(part_of)}</c:{PART_OF}>\n" if part_of else ""
    yield f"{_HEAD}{_comment(note) if note else ''}{mark}<title>{_text(title)}</title>\n".encode()
    piece: list[str] = []
    for written in items:
        piece.append(written)
        if len(piece) == PIECE_ITEMS:
            yield "".join(piece).encode()
            piece.clear()
    yield ("".join(piece) + _FOOT).encode()


def part_of(head: bytes) -> str:
    """What a feed that begins with `head` says it is a part of; "" when it says nothing, as all others do."""
    found = _PART_OF.search(head.replace(b"\x00", b""))  # an editor may have saved it in UTF-16
    return unescape(found[1].decode("utf-8", "replace")) if found else ""


def item(values: Mapping[str, Any], extra: Mapping[str, Content], notes: Iterable[str] = ()) -> str:
    """One `<item>`, an element a line, each of `notes` as a comment before them.

    `values` and `extra` are those of `check.Item`; columns that hold nothing ("", None, []) are as good as absent.
    """
    lines = [*map(_comment, notes), *_columns(values, extra), *_others(values, extra)]
    return f"<item>\n{''.join(lines)}</item>\n"


def with_decimals(amount: Decimal, currency: str) -> Decimal:
    """The amount with its currency's number of decimals, 100.00 AED or 1.250 KWD, but never a rounded one."""
    rounded = amount.quantize(Decimal(1).scaleb(-DECIMALS.get(currency, 2)))
    return rounded if rounded == amount else amount


# --- the elements of an item --------------------------------------------------------------------------


def _columns(values: Mapping[str, Any], extra: Mapping[str, Content]) -> Iterator[str]:
    """Each column's value, and under the same tag what is kept of it in `extra`: of several the first is the value."""
    currency = values.get("currency", "")
    for name, usual in _TAGS:
        value = values.get(name)
        if not value and value in _NOTHING and name not in extra:
            continue
        tag = usual if name not in _PLAIN else _plain_tag(name, value, extra)
        if type(value) is str and name not in extra:
            yield f"<{tag}>{_text(value)}</{tag}>\n"  # most are such
        else:
            for content in (*_told(value, currency), *_listed(extra.get(name))):
                yield f"{_element(tag, content)}\n"


def _plain_tag(name: str, value: Any, extra: Mapping[str, Content]) -> str:
    """RSS's own element, unless something else needs it to stay apart."""
    if name == "link" and "atom:link" in extra and _needs_its_kind([value, *_listed(extra.get(name))], extra):
        return "atom:link"
    return f"g:{name}" if f"rss:{name}" in extra else name


def _told(value: Any, currency: str) -> list[str]:
    """A column's value as a feed writes it."""
    if value in _NOTHING:
        return []
    if isinstance(value, list):
        return value
    if isinstance(value, bool):
        return ["yes" if value else "no"]
    return [f"{with_decimals(value, currency):f} {currency}".rstrip() if isinstance(value, Decimal) else str(value)]


def _needs_its_kind(links: list[Content], extra: Mapping[str, Content]) -> bool:
    """Whether Atom's other links (`rel="self"`) are kept only among links of their kind.

    Beside a plain link one without an address, or with that of the product's page, would say nothing of its own.
    """
    others = _listed(extra.get("atom:link"))
    if not all(isinstance(link, dict) and link.get("@rel", "alternate") != "alternate" for link in others):
        return False  # these were kept beside a plain link
    addresses = [_flat(link) or str(link.get("@href", "")).strip() for link in others]
    return any(not address or address in links for address in addresses)


def _others(values: Mapping[str, Any], extra: Mapping[str, Content]) -> Iterator[str]:
    """What no column takes, under the tags it came with. An app link must follow the attribute that outranked it."""
    for name in sorted(extra, key=lambda name: name.lower().endswith("applink")):
        if name in BY_NAME and BY_NAME[name].column:
            continue
        tag, namespace = _tag(name)
        if tag and (not _lost_its_name(name) or _winner(name) in values or _winner(name) in extra):
            contents = _listed(extra[name])
            if isinstance(extra[name], list) and len(contents) == 1:
                contents.append("")  # a list of one is what is left of several, and the others were empty
            yield from (f"{_element(tag, content, namespace)}\n" for content in contents)


def _tag(name: str) -> tuple[str, str]:
    """The tag of an extra name, and the namespace that it has to declare. ("", "") when there is none."""
    namespace = ""
    if name.startswith("{"):
        namespace, _, local = name[1:].rpartition("}")
        prefix = "n:" if namespace else None
    else:
        before, _, local = name.rpartition(":")
        prefix = "" if local.lower() == "applink" and not before else _PREFIXES.get(before)
    if prefix is None or not _NAME.fullmatch(local) or (local in BY_ALIAS and local not in BY_NAME):
        return "", ""
    return f"{prefix}{local}", namespace


def _lost_its_name(name: str) -> bool:
    """Whether the value was kept beside another one of that attribute: alone it would be read as the attribute."""
    before, _, local = name.rpartition(":")
    return name != "atom:link" and (before in ("rss", "atom") or (before == "c" and local in BY_NAME))


def _winner(name: str) -> str:
    return name.rpartition(":")[2]


def _listed(content: Content) -> list[Content]:
    """The elements that a name stands for. Lists in lists, of two spellings of one namespace, become one list."""
    if isinstance(content, list):
        return [one for part in content for one in (_listed(part) if isinstance(part, list) else [part])]
    return [] if content is None else [content]


# --- one element --------------------------------------------------------------------------------------


def _element(tag: str, content: Content, namespace: str = "") -> str:
    declared = f' xmlns:n="{_attribute_text(namespace)}"' if namespace else ""
    if not isinstance(content, dict):
        return f"<{tag}{declared}>{_text(content)}</{tag}>"
    prefix = tag[: tag.find(":") + 1]
    return f"<{tag}{declared}{_attributes(content)}>{_inside(content, prefix)}</{tag}>"


def _attributes(group: dict[str, Content]) -> str:
    written = []
    for number, (key, value) in enumerate((key[1:], value) for key, value in group.items() if key.startswith("@")):
        namespace, _, local = key[1:].rpartition("}") if key.startswith("{") else ("", "", key)
        if not _NAME.fullmatch(local) or local == "xmlns":
            continue
        if namespace == _XML_NAMESPACE:
            local = f"xml:{local}"
        elif namespace:
            written.append(f' xmlns:a{number}="{_attribute_text(namespace)}"')
            local = f"a{number}:{local}"
        written.append(f' {local}="{_attribute_text(value)}"')
    return "".join(written)


def _inside(group: dict[str, Content], prefix: str) -> str:
    """The elements of a group and the text around them. Its `#text` is that of its elements and its own."""
    text = group.get("#text", "")
    children = [
        (name, child)
        for name, content in group.items()
        if _NAME.fullmatch(name)
        for child in (content if isinstance(content, list) else [content])
    ]
    written = []
    offset = 0
    while text and children:
        firsts = {name: index for index, (name, _child) in reversed([*enumerate(children)])}  # each name in its order
        places = [(text.find(_flat(children[index][1]), offset), index) for index in firsts.values()]
        place, index = min((place for place in places if place[0] >= 0), default=(-1, 0))
        if place < 0:
            break
        name, child = children.pop(index)
        written.append(f"{_text(text[offset:place])}{_element(f'{prefix}{name}', child)}")
        offset = place + len(_flat(child))
    return "".join([*written, _text(text[offset:]), *(_element(f"{prefix}{name}", child) for name, child in children)])


def _flat(content: Content) -> str:
    """All text of an element, as it stands in the `#text` of the one around it."""
    if isinstance(content, list):
        return "".join(map(_flat, content))
    if not isinstance(content, dict):
        return _plain(content)
    if "#text" in content:
        return _plain(content["#text"])
    return "".join(_flat(child) for name, child in content.items() if not name.startswith("@"))


def _plain(value: Any) -> str:
    """A text; of what else a hand can write into `extra`, its nearest text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _text(value: Any) -> str:
    """Escaped; `\\r` by its number, since a parser takes a bare one for a line's end. What XML lacks becomes U+FFFD."""
    text = value if type(value) is str else _plain(value)
    if _SPECIAL.search(text):
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")
    return text if text.isprintable() else _NOT_IN_XML.sub("\ufffd", text)


def _attribute_text(value: Any) -> str:
    return _text(value).replace('"', "&quot;").replace("\n", "&#10;").replace("\t", "&#9;")


def _comment(text: str) -> str:
    """A comment of one line. Two hyphens in a row would end it."""
    line = _NOT_IN_XML.sub("\ufffd", " ".join(text.split()))
    return f"<!-- {re.sub('-(?=-)', '- ', line)} -->\n"
