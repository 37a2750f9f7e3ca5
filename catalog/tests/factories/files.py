"""Feeds, item by item."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

NAMESPACES = 'xmlns:g="http://base.google.com/ns/1.0" xmlns:c="http://base.google.com/cns/1.0"'
# An item about which there is nothing to say.
FLAWLESS: dict[str, Any] = {
    "title": "Silk dress",
    "description": "A dress of silk.",
    "brand": "Noor",
    "mpn": "N-1",
    "link": "https://www.example.com/1",
    "image_link": "https://www.example.com/1.jpg",
    "price": "100.00 AED",
    "availability": "in_stock",
}


def item(id: str, **fields: Any) -> str:
    """A flawless item but for `fields`: None leaves one out, a list repeats it, `c__heel` is c:heel."""
    elements = {"id": id, **FLAWLESS, **fields}
    return f"<item>{''.join(_element(name, value) for name, value in elements.items())}</item>"


def _element(name: str, value: Any) -> str:
    if isinstance(value, list):
        return "".join(_element(name, one) for one in value)
    tag = name.replace("__", ":") if "__" in name else f"g:{name}"
    text = escape(value or "", {"\r": "&#13;"})  # a bare one is a line's end to a parser
    return "" if value is None else f"<{tag}>{text}</{tag}>"


def feed_of(*items: str) -> bytes:
    """A feed with each item on a line of its own; the first is on line 2."""
    return "\n".join([f'<rss version="2.0" {NAMESPACES}><channel>', *items, "</channel></rss>"]).encode()


def items(count: int, **fields: Any) -> list[str]:
    return [item(f"{n:05}", **fields) for n in range(1, count + 1)]
