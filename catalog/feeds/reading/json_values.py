"""Values in JSON → values of a raw item, and what of JSON cannot be part of an item."""

import json
import re
from typing import Any

from catalog.feeds.limits import Limits

INFINITY = float("inf")
MAX_DIGITS = 300  # of a whole number; a longer one is only a text

NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
"""What neither XML nor the database can hold. Half a character is what undecodable bytes become, too."""


class ValueRefused(Exception):
    """A value cannot be part of an item: the code of the issue, and what was found."""

    def __init__(self, code: str, found: str) -> None:
        super().__init__(found)
        self.code = code
        self.found = found


class Fraction(float):
    """A number with the text that it had."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> "Fraction":
        number = super().__new__(cls, text)
        number.text = text
        return number


def _fraction(text: str) -> Fraction | str:
    number = Fraction(text)
    return text if abs(number) == INFINITY else number


def _whole(text: str) -> int | str:
    return int(text) if len(text) <= MAX_DIGITS else text


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; a name that occurs more than once is like an element that does."""
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    values: dict[str, list[Any]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return {name: several if len(several) > 1 else several[0] for name, several in values.items()}


# Texts with bare line breaks are not JSON, but have one meaning only. So have NaN and Infinity: they are words.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_fraction, parse_int=_whole, parse_constant=str, strict=False
)
decode_next = _DECODER.raw_decode
"""The value that begins at a place of a text, and where it ends. Raises `JSONDecodeError` and `RecursionError`."""
decoded = _DECODER.decode


def raw_value(value: Any, limits: Limits, name: str, depth: int = 0) -> Any:
    """A value as a raw item has it: a text, a group of them, or a list. Raises `ValueRefused`."""
    if isinstance(value, str):
        return _checked_text(value, limits, name)
    if not isinstance(value, dict | list):
        return _scalar_text(value)
    if depth > limits.depth:
        raise ValueRefused("item.too_deep", f"{name}: {depth} levels and more")
    if len(value) > limits.attributes:
        raise ValueRefused("item.too_many_attributes", f"{name}: {len(value):,} values")
    if isinstance(value, dict):
        return {
            _checked_text(key, limits, name): raw_value(inner, limits, name, depth + 1) for key, inner in value.items()
        }
    return _flat_list([raw_value(inner, limits, name, depth + 1) for inner in value])


def check_value(value: Any, limits: Limits) -> None:
    """Raise `ValueRefused` for a value that no item may have."""
    raw_value(value, limits, "extra")


def _flat_list(values: list[Any]) -> Any:
    """A list as a repeated element: lists in it are more of the same, and one value is that value."""
    flat = [inner for value in values for inner in (value if isinstance(value, list) else [value])]
    return flat if len(flat) > 1 else flat[0] if flat else ""


def _scalar_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.text if isinstance(value, Fraction) else str(value)


def _checked_text(text: str, limits: Limits, name: str) -> str:
    if len(text) > limits.value_chars:
        raise ValueRefused("item.value_too_long", f"{name}: {len(text):,} characters")
    if match := NO_TEXT.search(text):
        raise ValueRefused("row.character", f"{name}: U+{ord(match[0]):04X}")
    return text
