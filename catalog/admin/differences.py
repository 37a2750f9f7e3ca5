"""A change as people read it: old → new for each field. Everything from a feed is escaped."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from rapidfuzz.distance import LCSseq

from catalog.admin.pictures import NOT_LOADED, public_source, thumbnail
from catalog.exports.resource import HEADER, column_label
from catalog.feeds.attributes import BY_NAME, MONEY, Type
from catalog.feeds.cleaning.values import shown_money
from catalog.imports.leave_out import is_needed_by_new
from catalog.imports.planning.changed_fields import EXTRA_PREFIX
from catalog.models import Change

MONEY_NAMES = frozenset(a.name for a in MONEY)
# Characters, old and new together. Comparing is quadratic in the worst case, so longer texts are shown whole.
LONGEST_COMPARED = 10_000
# Texts in which a reader looks for the words that changed. Everything else is read as a whole.
PROSE = frozenset({"title", "description", "product_type", "google_product_category", "material", "link"})
_WORDS = re.compile(r"\w+|\s+|[^\w\s]")
_NOTHING = "–"
_PINNED = _("pinned: kept")
LEFT_OUT = _("left out")


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """One field, old and new, ready to show."""

    label: str
    old: str
    new: str
    note: Any = ""
    name: str = ""  # as plans call it; "" where it cannot be left out


# Those of an export, in its order. The currency of an item is shown with each of its amounts.
_SHOWN_ALONE = [name for name in HEADER if name in BY_NAME and name != "currency"]


def field_differences(change: Change, currency: str) -> Iterator[FieldDifference]:
    """The fields that the change changes, in the order of the table; amounts in `currency` unless it changes too."""
    before, after = change.before, change.after
    pinned, left = change.pinned or {}, change.left_out or {}
    for name in [*_SHOWN_ALONE, "currency", "pinned"]:
        if name in after:
            old_currency, new_currency = before.get("currency", currency), after.get("currency", currency)
            yield replace(_field_difference(name, before[name], after[name], old_currency, new_currency), name=name)
        if name in pinned:
            kept = _field_difference(name, pinned[name]["kept"], pinned[name]["file"], currency, currency)
            yield replace(kept, note=_PINNED)
        if name in left:
            kept = _field_difference(name, left[name]["kept"], left[name]["file"], currency, currency)
            yield replace(kept, note=LEFT_OUT)
    for each in _extra_differences(before.get("extra") or {}, after.get("extra") or {}):
        yield replace(each, name=f"{EXTRA_PREFIX}{each.label}")
    if "extra" in left:
        for kept in _extra_differences(left["extra"]["kept"], left["extra"]["file"]):
            yield replace(kept, note=LEFT_OUT)
    if "extra" in pinned:
        for kept in _extra_differences(pinned["extra"]["kept"], pinned["extra"]["file"]):
            yield replace(kept, note=_PINNED)


def product_facts(
    values: Mapping[str, Any], currency: str, left: Mapping[str, Any] | None = None
) -> Iterator[FieldDifference]:
    """The filled fields of a new product, some of which are `left` out."""
    left = left or {}
    for name in _SHOWN_ALONE:
        if values.get(name) not in (None, "", []):
            note, key = (LEFT_OUT, "") if name in left else ("", "" if is_needed_by_new(name) else name)
            yield FieldDifference(field_label(name), "", shown_value(name, values[name], currency), note, key)
    left_names = left.get("extra", {"file": {}})["file"]
    for each in _extra_differences({}, values.get("extra") or {}):
        is_left = each.label in left_names
        yield replace(each, note=LEFT_OUT if is_left else "", name="" if is_left else f"{EXTRA_PREFIX}{each.label}")


def _field_difference(name: str, old: Any, new: Any, old_currency: str, new_currency: str) -> FieldDifference:
    label = field_label(name)
    if name in PROSE and old and new:
        return FieldDifference(label, *compare_texts(old, new))
    note = ""
    if name in MONEY_NAMES and old_currency == new_currency and old and new is not None:
        note = f"{(Decimal(new) - Decimal(old)) / Decimal(old):+.1%}"
    return FieldDifference(label, shown_value(name, old, old_currency), shown_value(name, new, new_currency), note)


def _extra_differences(before: dict[str, Any], after: dict[str, Any]) -> Iterator[FieldDifference]:
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old != new:
            yield FieldDifference(name, *compare_texts(as_text(old), as_text(new)))


def field_label(name: str) -> str:
    """A field as people know it."""
    return _label_in(get_language(), name)


@lru_cache(maxsize=1000)
def _label_in(_language: str | None, name: str) -> str:
    """A page of new products asks for some thousand labels, and translating them takes longer than all the rest."""
    return column_label(name)


def shown_value(name: str, value: Any, currency: str) -> str:
    """A value as people read it; amounts in `currency`."""
    if value in (None, "", []):
        return _NOTHING
    if name in MONEY_NAMES:
        return shown_money(Decimal(value), currency)
    if name in BY_NAME and BY_NAME[name].type is Type.BOOLEAN:
        return "yes" if value else "no"
    if name == "pinned":
        return ", ".join(field_label(each) for each in value)
    if name in ("image_link", "additional_image_link"):
        urls = value if isinstance(value, list) else [value]
        pictures = ((thumbnail(url), url, _why_not_loaded(url)) for url in urls)
        return format_html_join("", '<span class="picture">{}<span>{}</span>{}</span>', pictures)
    return str(value)


def _why_not_loaded(url: str) -> SafeString | str:
    is_left_out = url.startswith(("http://", "https://")) and not public_source(url)
    return format_html(" <small>{}</small>", NOT_LOADED) if is_left_out else ""


def as_text(value: Any) -> str:
    """A value of `extra`, which may be nested."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False, indent=1, default=str)


def compare_texts(old: str, new: str) -> tuple[str, str]:
    """Both texts, with what was taken out and what was put in marked."""
    if len(old) + len(new) > LONGEST_COMPARED:
        return old or _NOTHING, new or _NOTHING
    parts = _align_words(_WORDS.findall(old), _WORDS.findall(new))
    marked = []
    for side, wrap in ((0, "<del>{}</del>"), (1, "<ins>{}</ins>")):
        texts = ((wrap if _differs(part) else "{}", part[side]) for part in parts if part[side])
        marked.append(format_html_join("", "{}", ((format_html(form, text),) for form, text in texts)))
    return marked[0] or _NOTHING, marked[1] or _NOTHING


Part = tuple[str, str]


def _align_words(old: list[str], new: list[str]) -> list[Part]:
    """The texts in parts, old and new, which are alike or not.

    A stretch between two changes that is alike, but no longer than either of them, belongs to both: a word or a blank
    that is left by chance would only make a reader stumble.
    """
    parts: list[Part] = []
    for step in LCSseq.opcodes(old, new):
        part = "".join(old[step.src_start : step.src_end]), "".join(new[step.dest_start : step.dest_end])
        if _differs(part):
            if parts and _differs(parts[-1]):
                part = _join_parts(parts.pop(), part)
            while len(parts) > 1 and len(parts[-1][0]) <= min(max(map(len, each)) for each in (parts[-2], part)):
                alike, change = parts.pop(), parts.pop()
                part = _join_parts(change, alike, part)
        parts.append(part)
    return parts


def _differs(part: Part) -> bool:
    return part[0] != part[1]


def _join_parts(*parts: Part) -> Part:
    return "".join(old for old, _new in parts), "".join(new for _old, new in parts)
