"""Cleaned items → a Google-Merchant XML feed: the reverse of `read_items` and `check_item`.

What is written here is read there with the same values and the same `extra`. A name in `extra` that no element can
have, such as that of a table's column, or that would be read as another one is written as `<g:custom name="…">`.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from html import unescape
from typing import Any

from catalog.feeds.attributes import BY_ALIAS, BY_NAME, COLUMNS, NAMED_ELEMENT
from catalog.feeds.currencies import DECIMALS

PIECE_ITEMS = 100

_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0" xmlns:c="http://base.google.com/cns/1.0" \
xmlns:atom="http://www.w3.org/2005/Atom">
<channel>
"""
_FOOT = "</channel>\n</rss>\n"
_PLAIN = frozenset({"title", "link", "description"})  # RSS has these itself, without a prefix
_TAGS = tuple((column.name, f"g:{column.name}") for column in COLUMNS)
_NOTHING: tuple[Any, ...] = (None, "", [])
_PREFIXES = {"": "g:", "rss": "", "atom": "atom:", "c": "c:"}

_START = (
    "A-Z_a-z\xc0-\xd6\xd8-\xf6\xf8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c\u200d\u2070-\u218f\u2c00-\u2fef"
    "\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
)
_NAME = re.compile(f"[{_START}][{_START}0-9.\xb7\u0300-\u036f\u203f\u2040-]*")
NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SPECIAL = re.compile("[&<>\r]")
_XML_NAMESPACE = "http://www.w3.org/XML/1998/namespace"

Content = Any  # a text, a group (`{"child": …, "@attribute": …, "#text": …}`), or a list of these


PART_OF = "part-of-a-feed"
"""The name of the element that says that a file is only a part. Its text names the whole."""

_PART_OF = re.compile(rf"<c:{PART_OF}>([^<]*)<".encode())


def feed_pieces(items: Iterable[str], title: str = "Products", note: str = "", part_of: str = "") -> Iterator[bytes]:
    """A whole feed of items that `item_element` wrote, in pieces. `note` is a comment at its top.

    With `part_of` the feed says that it is only a part, so that products that are not in it do not count as missing.
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
    """What a feed that begins with `head` says it is a part of; "" for a whole feed."""
    found = _PART_OF.search(head.replace(b"\x00", b""))  # an editor may have saved it in UTF-16
    return unescape(found[1].decode("utf-8", "replace")) if found else ""


def item_element(values: Mapping[str, Any], extra: Mapping[str, Content], notes: Iterable[str] = ()) -> str:
    """One `<item>`, an element a line, with each of `notes` as a comment before them.

    `values` and `extra` are those of a cleaned item. Columns with nothing in them ("", None, []) count as absent.
    """
    lines = [*map(_comment, notes), *_column_lines(values, extra)]
    for name in sorted(extra, key=lambda name: name.lower().endswith("applink")):  # behind the attribute that beat it
        if name in BY_NAME and BY_NAME[name].column:
            continue
        tag, namespace = _tag_of(name)
        # A value that was kept beside another value of its attribute would, alone, be read as that attribute.
        before, _, local = name.rpartition(":")
        lost_its_name = name != "atom:link" and (before in ("rss", "atom") or (before == "c" and local in BY_NAME))
        main = BY_ALIAS[local].name if local in BY_ALIAS else local
        lost_its_name = lost_its_name or main != local
        if not tag or (lost_its_name and main not in values and main not in extra):
            lines.append(_named_element(name, extra[name]))
        else:
            contents = _contents_of(extra[name])
            if isinstance(extra[name], list) and len(contents) == 1:
                contents.append("")  # a list of one is what is left of several when the others were empty
            lines += [f"{_element(tag, content, namespace)}\n" for content in contents]
    return f"<item>\n{''.join(lines)}</item>\n"


def with_decimals(amount: Decimal, currency: str) -> Decimal:
    """The amount with as many decimals as its currency has, 100.00 AED or 1.250 KWD, but never rounded."""
    rounded = amount.quantize(Decimal(1).scaleb(-DECIMALS.get(currency, 2)))
    return rounded if rounded == amount else amount


# --- the elements of an item --------------------------------------------------------------------------


def _column_lines(values: Mapping[str, Any], extra: Mapping[str, Content]) -> Iterator[str]:
    """Each column's value and, under the same tag, what `extra` keeps of it: of several the first is the value."""
    currency = values.get("currency", "")
    for name, usual in _TAGS:
        value = values.get(name)
        if not value and value in _NOTHING and name not in extra:
            continue
        tag = usual if name not in _PLAIN else _plain_tag(name, value, extra)
        if type(value) is str and name not in extra:
            yield f"<{tag}>{_text(value)}</{tag}>\n"  # most are like this
        else:
            for content in (*_column_texts(value, currency), *_contents_of(extra.get(name))):
                yield f"{_element(tag, content)}\n"


def _plain_tag(name: str, value: Any, extra: Mapping[str, Content]) -> str:
    """RSS's own element, unless another value of the item needs it to be a different one."""
    others = _contents_of(extra.get("atom:link")) if name == "link" else []
    if all(isinstance(link, dict) and link.get("@rel", "alternate") != "alternate" for link in others):
        # These are kept among Atom's links (`rel="self"`). Beside a plain link, one without an address, or with the
        # address of the product's page, would mean nothing.
        links = [value, *_contents_of(extra.get(name))]
        addresses = [_flat_text(link) or str(link.get("@href", "")).strip() for link in others]
        if any(not address or address in links for address in addresses):
            return "atom:link"
    return f"g:{name}" if f"rss:{name}" in extra else name


def _column_texts(value: Any, currency: str) -> list[str]:
    """A column's value as a feed writes it."""
    if value in _NOTHING:
        return []
    if isinstance(value, list):
        return value
    if isinstance(value, bool):
        return ["yes" if value else "no"]
    return [f"{with_decimals(value, currency):f} {currency}".rstrip() if isinstance(value, Decimal) else str(value)]


def _tag_of(name: str) -> tuple[str, str]:
    """The tag of a name in `extra`, and the namespace that it must declare. ("", "") if no element can have it."""
    namespace = ""
    if name.startswith("{"):
        namespace, _, local = name[1:].rpartition("}")
        prefix = "n:" if namespace else None
    else:
        before, _, local = name.rpartition(":")
        prefix = "" if local.lower() == "applink" and not before else _PREFIXES.get(before)
    if prefix is None or not _NAME.fullmatch(local):
        return "", ""
    return f"{prefix}{local}", namespace


def _contents_of(content: Content) -> list[Content]:
    """The elements under one name. Lists in lists, from two spellings of one namespace, become one list."""
    if isinstance(content, list):
        return [one for part in content for one in (_contents_of(part) if isinstance(part, list) else [part])]
    return [] if content is None else [content]


def _named_element(name: str, content: Content) -> str:
    """An element that says the name of its content beside it. What is not a text is written in JSON."""
    is_text = isinstance(content, str) and content == content.strip()
    text, kind = (content, "") if is_text else (json.dumps(content, ensure_ascii=False), ' type="json"')
    return f'<g:{NAMED_ELEMENT} name="{_attribute_text(name)}"{kind}>{_text(text)}</g:{NAMED_ELEMENT}>\n'


# --- one element --------------------------------------------------------------------------------------


def _element(tag: str, content: Content, namespace: str = "") -> str:
    declared = f' xmlns:n="{_attribute_text(namespace)}"' if namespace else ""
    if not isinstance(content, dict):
        return f"<{tag}{declared}>{_text(content)}</{tag}>"
    written = []
    for number, (key, value) in enumerate((key[1:], value) for key, value in content.items() if key.startswith("@")):
        of, _, local = key[1:].rpartition("}") if key.startswith("{") else ("", "", key)
        if not _NAME.fullmatch(local) or local == "xmlns":
            continue
        if of == _XML_NAMESPACE:
            local = f"xml:{local}"
        elif of:
            written.append(f' xmlns:a{number}="{_attribute_text(of)}"')
            local = f"a{number}:{local}"
        written.append(f' {local}="{_attribute_text(value)}"')
    prefix = tag[: tag.find(":") + 1]
    return f"<{tag}{declared}{''.join(written)}>{_group_content(content, prefix)}</{tag}>"


def _group_content(group: dict[str, Content], prefix: str) -> str:
    """The elements of a group and the text around them. `#text` is the group's own text and that of its elements."""
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
        places = [(text.find(_flat_text(children[index][1]), offset), index) for index in firsts.values()]
        place, index = min((place for place in places if place[0] >= 0), default=(-1, 0))
        if place < 0:
            break
        name, child = children.pop(index)
        written.append(f"{_text(text[offset:place])}{_element(f'{prefix}{name}', child)}")
        offset = place + len(_flat_text(child))
    return "".join([*written, _text(text[offset:]), *(_element(f"{prefix}{name}", child) for name, child in children)])


def _flat_text(content: Content) -> str:
    """All text of an element, as the `#text` of the element around it contains it."""
    if isinstance(content, list):
        return "".join(map(_flat_text, content))
    if not isinstance(content, dict):
        return _nearest_text(content)
    if "#text" in content:
        return _nearest_text(content["#text"])
    return "".join(_flat_text(child) for name, child in content.items() if not name.startswith("@"))


def _nearest_text(value: Any) -> str:
    """A value of `extra` as text. An edit by hand can put any JSON value there."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _text(value: Any) -> str:
    """The value escaped. What XML does not have becomes U+FFFD.

    A parser reads a bare `\\r` as the end of a line, so it is written by its number.
    """
    text = value if type(value) is str else _nearest_text(value)
    if _SPECIAL.search(text):
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")
    return text if text.isprintable() else NOT_IN_XML.sub("\ufffd", text)


def _attribute_text(value: Any) -> str:
    return _text(value).replace('"', "&quot;").replace("\n", "&#10;").replace("\t", "&#9;")


def _comment(text: str) -> str:
    """A comment of one line. Two hyphens in a row, which would end it, are separated."""
    line = NOT_IN_XML.sub("\ufffd", " ".join(text.split()))
    return f"<!-- {re.sub('-(?=-)', '- ', line)} -->\n"
