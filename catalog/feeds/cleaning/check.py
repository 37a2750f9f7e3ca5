"""A raw item → a cleaned item and its issues. A bad item is a result, not an exception: every fault is reported."""

from collections.abc import Container, Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Any

from catalog.feeds.attributes import BY_ALIAS, BY_NAME, Attribute, Need, Type
from catalog.feeds.cleaning import item_rules
from catalog.feeds.cleaning import values as v
from catalog.feeds.cleaning.cleaned import Item, Rules, parts_of, text_of
from catalog.feeds.cleaning.names import ATOM, Slot, names_in, names_of, slot_of
from catalog.feeds.cleaning.readers import check_gtin, is_of_type
from catalog.feeds.cleaning.values import NOTHING, NOTHING_CHARS, UNUSUAL_CHARS, UNUSUAL_WORDS
from catalog.feeds.currencies import CURRENCIES
from catalog.feeds.issues import FOUND_MAX, Issue
from catalog.feeds.limits import SAFE
from catalog.feeds.reading.items import RawItem, RawValue, local_name
from catalog.feeds.reading.json_values import ValueRefused, check_value, decoded

__all__ = ["Item", "Occurring", "Rules", "check_item", "names_of"]

OWN_TABLE = "own table"
"""Among the names that occur: the file is a table that the catalogue exported."""
MAX_UNKNOWN_NAMES = 200  # reported of one file; a file with more has its data in its names
_CURRENCY_NAMES = frozenset({"currency", "currencycode", "currency_code", "currencyid"})
UNKNOWN_NAME_MAX = 500  # characters of such a name: an index takes no more than these in any script


def check_item(raw: RawItem, rules: Rules) -> Item:
    """Clean one item: read each value as its attribute's type, report what is wrong, keep what is unknown."""
    names = names_in(tuple(raw.fields), rules.aliases)
    item = Item(raw.position, raw.line, raw, names.tags)
    found = zip(names.slots, raw.fields.values(), strict=True)
    if raw.lost:
        # Nothing is known about it, except perhaps its id. Nothing else is reported.
        for slot, value in sorted(found, key=lambda pair: pair[0].order):
            if slot.name == "id" and not item.id:
                _take_text(item, slot, text_of(value), rules)
        item.issues = [Issue(code, "", text[:FOUND_MAX], raw.line) for code, text in raw.faults]
        return _with_prefix(item, rules)
    for code, text in raw.faults:
        item.report(code, "", text)
    if names.has_currency:
        code = v.without_marks(text_of(raw.fields[names.tags["currency"][0]])).upper()
        rules = _in_currency(rules, code if code in CURRENCIES else "")
    if raw.own_extra is not None:
        rules = _of_own_table(rules)
    if names.contested:
        _take_by_rank(item, found, rules)
    else:
        _take_all(item, found, rules)
    if names.has_guid_alone:
        _take_guid(item, raw, rules)
    item_rules.check_money(item)
    item_rules.check_presence(item)
    item_rules.check_texts(item)
    item_rules.check_dates(item)
    item_rules.check_identifiers(item)
    item_rules.check_category(item)
    if rules.domain:
        item_rules.check_domain(item, rules.domain)
    if item.unread:
        item_rules.settle_unread(item)
    if raw.own_extra is not None:
        _take_own_extra(item, raw.own_extra, rules)
        return item  # its id is the catalogue's already
    return _with_prefix(item, rules) if rules.prefix else item


def _with_prefix(item: Item, rules: Rules) -> Item:
    if rules.prefix and item.id:
        item.values["id"] = rules.prefix + item.id
    return item


@lru_cache
def _in_currency(rules: Rules, currency: str) -> Rules:
    """The rules for an item with a currency of its own beside its amounts."""
    return replace(rules, own_currency=currency)


@lru_cache
def _of_own_table(rules: Rules) -> Rules:
    """The rules for an item of a table that the catalogue exported: its amounts have a point and a known currency."""
    return replace(rules, default_currency="", decimal_mark=v.POINT)


def _take_own_extra(item: Item, extra: dict[str, Any], rules: Rules) -> None:
    """Take what the product has beside its columns as it was exported, and an empty cell for what it is."""
    if rules.own_currency:
        item.values["currency"] = rules.own_currency
        item.extra.pop("currency", None)
    item.extra |= extra
    item.more_names |= extra.keys() | {OWN_TABLE}
    item.issues = [issue for issue in item.issues if issue.code != "attribute.empty"]


def _take_guid(item: Item, raw: RawItem, rules: Rules) -> None:
    """Plain RSS identifies an item by its guid."""
    text = next(filter(None, (text_of(value) for tag, value in raw.fields.items() if local_name(tag) == "guid")), "")
    if text:
        item.more_names.add("id")
        _take_text(item, slot_of("id"), text, rules)


class Occurring:
    """The names that occur in a file, or in a part of it, gathered while its items are read.

    `unknown` are the names that are not attributes, each with its first issue and the id of its item; but not those
    that are `reported` of an earlier part.
    """

    def __init__(self, rules: Rules, reported: Container[str] = ()) -> None:
        self.unknown: dict[str, tuple[Issue, str]] = {}
        self._rules = rules
        self._reported = reported
        self._tags: set[str] = set()
        self._more: set[str] = set()

    def add(self, raw: RawItem, item: Item) -> None:
        self._more |= item.more_names
        if raw.fields.keys() <= self._tags:
            return
        for tag in [tag for tag in raw.fields if tag not in self._tags]:
            self._tags.add(tag)
            name = self._unknown_name(tag)
            if name and len(self.unknown) < MAX_UNKNOWN_NAMES:
                found = text_of(raw.fields[tag])[:FOUND_MAX]
                issue = Issue("attribute.unknown", name, found, raw.line_of(tag))
                self.unknown.setdefault(name, (issue, item.id))

    def note_shape(self, tags: Iterable[str], more_names: Iterable[str]) -> set[str]:
        """Items with these tags and names occur. Returns the tags of new `unknown` names: of these the first item has
        to be added."""
        self._more.update(more_names)
        new = {tag for tag in tags if tag not in self._tags}
        unknown = {tag for tag in new if self._unknown_name(tag)}
        self._tags |= new - unknown
        return unknown

    def _unknown_name(self, tag: str) -> str:
        """What the tag is called, if it is no attribute and is to be reported; else ""."""
        slot = slot_of(tag, self._rules.aliases)
        name = "" if slot.known else slot.name[:UNKNOWN_NAME_MAX]
        return "" if name in self._reported else name

    @property
    def names(self) -> set[str]:
        """The attributes that occur."""
        return names_of(self._tags, self._rules) | self._more


def _take_all(item: Item, found: Iterable[tuple[Slot, RawValue]], rules: Rules) -> None:
    values = item.values
    for slot, value in found:
        if not isinstance(value, str):
            _take_structured(item, slot, value, rules)
        elif text := value.strip():
            # Most values end here: this branch decides how fast items are read.
            chars = len(text)
            if (
                chars <= slot.plain_text
                and text.isascii()
                and "{" not in text
                and (chars > UNUSUAL_CHARS or text not in UNUSUAL_WORDS)
            ):
                values[slot.name] = text
            elif text in slot.exact:
                values[slot.name] = slot.exact[text]
            else:
                _take_text(item, slot, text, rules)
        else:
            _report_empty(item, slot)


def _take_by_rank(item: Item, found: Iterable[tuple[Slot, RawValue]], rules: Rules) -> None:
    """When two elements give one attribute, the one in Google's namespace counts; another value is kept."""
    for slot, value in sorted(found, key=lambda pair: pair[0].order):
        name = slot.name
        if not item.has(name):
            _take_all(item, [(slot, value)], rules)
            continue
        text = text_of(value)
        known = item.values.get(name) or item.extra.get(name) or next(iter(item.unread.get(name, ())), "")
        if text != known if text else _has_attributes(value):
            # Every Atom entry has its own id beside the product's, and TikTok's feeds have two.
            if text and not (name == "id" and (slot.rank == ATOM or slot.is_other_name)):
                item.report("attribute.two_names", name, text)
            item.keep(slot.other_name, value)
            item.more_names.add(slot.other_name)


def _report_empty(item: Item, slot: Slot, word: str = "") -> None:
    if slot.attribute.column and slot.attribute.need is Need.OPTIONAL:  # the others are reported as missing
        item.report("attribute.empty", slot.name, word)


def _take_text(item: Item, slot: Slot, text: str, rules: Rules) -> None:
    if not text.isascii() and (visible := _without_marks(slot.attribute, text)) != text:
        item.report("text.invisible_marks", slot.name, text)
        text = visible
    # An id is the shop's own and stays as it is, also where it reads like a word for nothing.
    if len(text) <= NOTHING_CHARS and text in NOTHING and ((slot.name in BY_NAME and slot.name != "id") or not text):
        _report_empty(item, slot, text)
    elif len(text) > slot.attribute.limit and slot.attribute.column:
        item.report("value.too_large", slot.name, text)
        item.unread.setdefault(slot.name, [])
        item.keep(slot.name, text)  # only its column is too small for it
    else:
        slot.read(item, slot.attribute, text, rules)


def _without_marks(attribute: Attribute, text: str) -> str:
    """The text without the characters that nobody sees, where they mean nothing."""
    if attribute.type in (Type.URL, Type.URLS, Type.CHOICE, Type.BOOLEAN):
        return v.without_outer_marks(text)
    if attribute.type in (Type.TEXT, Type.VERBATIM):
        return text if v.without_outer_marks(text) else ""
    return v.without_marks(text)


def _take_structured(item: Item, slot: Slot, value: RawValue, rules: Rules) -> None:
    """Take an element that is repeated, or has attributes or elements inside."""
    parts = value if isinstance(value, list) else [value]
    attribute = slot.attribute
    if slot.is_app_link:
        _take_app_links(item, slot, parts, rules)
    elif slot.is_named_beside:
        _take_named_beside(item, slot, parts)
    elif not attribute.column:
        if kept := _stripped(value):
            item.keep(slot.name, kept)
        for group in parts if attribute.parts or attribute.elements else ():
            if isinstance(group, dict) and _has_elements(group):
                _check_group(item, attribute, group, rules)
    elif attribute.type is Type.URLS:
        for part in parts:
            if text := text_of(part):
                _take_text(item, slot, text, rules)
            elif part and isinstance(part, dict):
                item.keep(slot.name, part)  # its attributes say something, whatever it is
    else:
        _take_first(item, slot, parts, rules)


def _check_group(item: Item, attribute: Attribute, group: dict[str, Any], rules: Rules) -> None:
    """Whether it has the elements that it must have, each of its type. A group that is a text is not looked into."""
    how = (rules.own_currency or rules.default_currency, rules.decimal_mark)
    try:
        faults = _group_faults(attribute.name, tuple(group.items()), *how)
    except TypeError:  # there are lists or groups inside, which have no hash
        faults = _group_faults.__wrapped__(attribute.name, tuple(group.items()), *how)
    for code, name, found in faults:
        item.report(code, f"{attribute.name}.{name}", found)


@lru_cache(maxsize=4096)  # a feed repeats its groups
def _group_faults(
    name_of_group: str, elements: tuple[tuple[str, Any], ...], currency: str, mark: str
) -> list[tuple[str, str, str]]:
    """The code, the element and what was found, of each element that is missing or not understood."""
    attribute, group = BY_NAME[name_of_group], dict(elements)
    missing = [
        ("group.subattribute_missing", name, text_of(group))
        for name in attribute.parts
        if not (part := group.get(name)) or (isinstance(part, str) and part in NOTHING)
    ]
    found = [
        (name, kind, text_of(_with_currency(part)))
        for name, value in elements
        if (kind := attribute.elements.get(name))
        for part in parts_of(value)
    ]
    return missing + [
        ("group.subattribute_format", name, text)
        for name, kind, text in found
        if text not in NOTHING and not is_of_type(kind, text, currency, mark)
    ]


def _take_first(item: Item, slot: Slot, parts: list[Any], rules: Rules) -> None:
    """Take the first of several values for one column, and keep the others."""
    if slot.name == "link":
        # Atom gives an entry several links. The product's page is the one that is `alternate` or does not say.
        links, parts = parts, [p for p in parts if isinstance(p, str) or p.get("@rel", "alternate") == "alternate"]
        for link in links:
            if link not in parts:
                item.keep("atom:link", link)
                item.more_names.add("atom:link")
    if any(isinstance(part, dict) and _has_elements(part) for part in parts):
        item.report("text.markup", slot.name, text_of(parts[0]))
    if slot.attribute.type is Type.MONEY:
        parts = [_with_currency(part) for part in parts]
    texts = list(filter(None, map(text_of, parts)))
    if len(texts) < len(parts):
        for part in parts:
            if isinstance(part, dict) and not text_of(part):
                item.keep(slot.name, part)  # its attributes say something, whatever it is
    if not texts:
        return
    texts = [text for text in texts if text not in NOTHING] or texts[:1]
    _take_text(item, slot, texts[0], rules)
    others = [text for text in texts if text != texts[0]]
    if others and slot.attribute.type is Type.GTIN:
        for text in others:
            check_gtin(item, slot.attribute, text)
    if others and not slot.attribute.repeated:
        item.report("attribute.repeated", slot.name, others[0])
    for text in others:
        item.keep(slot.name, text)


def _with_currency(part: Any) -> Any:
    """`<price currency="AED">12</price>` is 12 AED."""
    if not isinstance(part, dict) or _has_elements(part):
        return part
    text = text_of(part)
    for name, value in part.items():
        if local_name(name).lstrip("@").lower() in _CURRENCY_NAMES and text[-1:].isdigit() and text[:1].isdigit():
            return f"{text} {value.strip()}"
    return part


def _has_attributes(value: RawValue) -> bool:
    return any(isinstance(part, dict) for part in parts_of(value))


def _has_elements(group: dict[str, Any]) -> bool:
    for name in group:  # noqa: SIM110 - a generator takes twice as long, once for each group of a feed
        if name[:1] not in ("@", "#"):
            return True
    return False


def _take_app_links(item: Item, slot: Slot, links: list[Any], rules: Rules) -> None:
    """`<appLink property="iphone_url" content="…"/>` is the attribute iphone_url."""
    for link in links:
        link_property = link.get("@property", "") if isinstance(link, dict) else ""
        attribute = BY_ALIAS.get(link_property)
        if attribute is None or attribute.name in item.values:
            item.keep(slot.name, link)
        else:
            item.more_names.add(attribute.name)
            if text := link.get("@content", "").strip():
                _take_text(item, slot_of(attribute.name), text, rules)


def _take_named_beside(item: Item, slot: Slot, parts: list[Any]) -> None:
    """`<g:custom name="size chart">…</g:custom>` is what an export writes that has no element's name."""
    for part in parts:
        name, content = slot.name, part
        if isinstance(part, dict) and "@name" in part:
            name, content = part["@name"], part.get("#text", "")
            if part.get("@type") == "json":
                try:
                    content = decoded(content)
                    check_value(content, SAFE)
                except (ValueError, RecursionError, ValueRefused):
                    name, content = slot.name, part
        item.more_names.add(name)
        item.keep(name, content)


def _stripped(value: RawValue) -> RawValue:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list):
        return [kept for part in value if (kept := _stripped(part))]
    return value
