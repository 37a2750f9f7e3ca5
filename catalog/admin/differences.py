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
from django.utils.text import capfirst
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from rapidfuzz.distance import LCSseq

from catalog.feeds.attributes import BY_NAME, MONEY, Type
from catalog.feeds.cleaning.values import shown_money
from catalog.models import Change, Product

MONEY_NAMES = frozenset(a.name for a in MONEY)
# Comparing is quadratic in the worst case: longer texts, the old with the new, are shown whole.
LONGEST_COMPARED = 10_000
# Texts in which a reader looks for the word that changed; all else is read as a whole.
PROSE = frozenset({"title", "description", "product_type", "google_product_category", "material", "link"})
_WORDS = re.compile(r"\w+|\s+|[^\w\s]")
_NOTHING = "–"
_PINNED = _("pinned: kept")


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """One field, old and new, ready to show."""

    label: str
    old: str
    new: str
    note: Any = ""


def differences(change: Change, currency: str) -> Iterator[FieldDifference]:
    """The fields that the change changes, in the order of the table; amounts in `currency` unless it changes too."""
    before, after = change.before, change.after
    pinned = change.pinned or {}
    for name in [*BY_NAME, "currency", "pinned"]:
        if name in after:
            yield _difference(
                name, before[name], after[name], before.get("currency", currency), after.get("currency", currency)
            )
        if name in pinned:
            yield _kept(name, pinned[name], currency)
    yield from _extra(before.get("extra") or {}, after.get("extra") or {})
    if "extra" in pinned:
        for each in _extra(pinned["extra"]["kept"], pinned["extra"]["file"]):
            yield replace(each, note=_PINNED)


def facts(values: Mapping[str, Any], currency: str) -> Iterator[FieldDifference]:
    """The filled fields of a new product."""
    for name in BY_NAME:
        if values.get(name) not in (None, "", []):
            yield FieldDifference(label(name), "", shown(name, values[name], currency))
    yield from _extra({}, values.get("extra") or {})


def _difference(name: str, old: Any, new: Any, old_currency: str, new_currency: str) -> FieldDifference:
    if name in PROSE and old and new:
        return FieldDifference(label(name), *_compared(old, new))
    note = _percent(old, new) if name in MONEY_NAMES and old_currency == new_currency else ""
    return FieldDifference(label(name), shown(name, old, old_currency), shown(name, new, new_currency), note)


def _kept(name: str, values: dict[str, Any], currency: str) -> FieldDifference:
    """A pinned field: what the product keeps, and what the file says."""
    return replace(_difference(name, values["kept"], values["file"], currency, currency), note=_PINNED)


def _extra(before: dict[str, Any], after: dict[str, Any]) -> Iterator[FieldDifference]:
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old != new:
            yield FieldDifference(name, *_compared(as_text(old), as_text(new)))


def label(name: str) -> str:
    """A field as people know it."""
    return _label(name, get_language())


@lru_cache(maxsize=1000)
def _label(name: str, _language: str | None) -> str:
    """A page of new products asks for some thousand, and translating takes longer than all the rest of one."""
    return capfirst(str(Product._meta.get_field(name).verbose_name))  # type: ignore[union-attr]


def _is_picture(name: str) -> bool:
    return name in ("image_link", "additional_image_link")


def shown(name: str, value: Any, currency: str) -> str:
    """A value as people read it; amounts in `currency`."""
    if value in (None, "", []):
        return _NOTHING
    if name in MONEY_NAMES:
        return shown_money(Decimal(value), currency)
    if name in BY_NAME and BY_NAME[name].type is Type.BOOLEAN:
        return "yes" if value else "no"
    if name == "pinned":
        return ", ".join(label(each) for each in value)
    if _is_picture(name):
        urls = value if isinstance(value, list) else [value]
        return format_html_join("", '<span class="picture">{}<span>{}</span></span>', ((_thumb(u), u) for u in urls))
    return str(value)


def _thumb(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        return ""
    return format_html('<img class="thumb" src="{}" alt="" loading="lazy" referrerpolicy="no-referrer">', url)


def _percent(old: Any, new: Any) -> str:
    if not old or new is None:
        return ""
    share = (Decimal(new) - Decimal(old)) / Decimal(old)
    return f"{share:+.1%}"


def as_text(value: Any) -> str:
    """A value of `extra`, which may be nested."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False, indent=1, default=str)


def _compared(old: str, new: str) -> tuple[str, str]:
    """Both texts, with what was taken out and what was put in marked."""
    if len(old) + len(new) > LONGEST_COMPARED:
        return old or _NOTHING, new or _NOTHING
    parts = _word_by_word(_WORDS.findall(old), _WORDS.findall(new))
    taken, put = (_marked(parts, side, tag) for side, tag in ((0, "del"), (1, "ins")))
    return taken or _NOTHING, put or _NOTHING


Part = tuple[str, str]


def _word_by_word(old: list[str], new: list[str]) -> list[Part]:
    """The texts in parts, old and new, which are alike or not.

    What is alike between two changes and no longer than either of them belongs to both: a word or a blank that is left
    by chance, which a reader would stumble over.
    """
    parts: list[Part] = []
    for step in LCSseq.opcodes(old, new):
        part = "".join(old[step.src_start : step.src_end]), "".join(new[step.dest_start : step.dest_end])
        if _differs(part):
            if parts and _differs(parts[-1]):
                part = _joined(parts.pop(), part)
            while len(parts) > 1 and len(parts[-1][0]) <= min(_longer(parts[-2]), _longer(part)):
                alike, change = parts.pop(), parts.pop()
                part = _joined(change, alike, part)
        parts.append(part)
    return parts


def _differs(part: Part) -> bool:
    return part[0] != part[1]


def _joined(*parts: Part) -> Part:
    return "".join(old for old, _new in parts), "".join(new for _old, new in parts)


def _longer(part: Part) -> int:
    return max(map(len, part))


def _marked(parts: list[Part], side: int, tag: str) -> SafeString:
    wrap = f"<{tag}>{{}}</{tag}>"
    texts = ((part[side], _differs(part)) for part in parts if part[side])
    return format_html_join("", "{}", ((format_html(wrap, text) if marked else text,) for text, marked in texts))
