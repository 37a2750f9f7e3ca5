"""A raw item → a cleaned item and its issues. A bad item is a result, not an exception: every fault is reported."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from catalog.feeds.attributes import BY_ALIAS, COLUMNS, MONEY, Attribute, Need, Type
from catalog.feeds.categories import category
from catalog.feeds.cleaning import values as v
from catalog.feeds.cleaning.cleaned import Item, Rules, text_of
from catalog.feeds.cleaning.names import ATOM, Slot, names_in, names_of, slot_of
from catalog.feeds.cleaning.values import UNFILLED
from catalog.feeds.issues import FOUND_MAX, Issue
from catalog.feeds.reading.items import RawItem, RawValue

__all__ = ["Item", "Occurring", "Rules", "check", "names_of"]

MAX_UNKNOWN_NAMES = 200  # of one file are reported; a file with more has its data in its names
UNKNOWN_NAME_MAX = 500  # characters of such a name: an index takes no more than these in any script


def check(raw: RawItem, rules: Rules) -> Item:
    """Clean one item: read each value as its attribute's type, report what is wrong, keep what is unknown."""
    if raw.lost:
        return _lost(raw, rules)
    names = names_in(tuple(raw.fields), rules.aliases)
    item = Item(raw.position, raw.line, raw, names.tags)
    for code, found in raw.faults:
        item.report(code, "", found)
    if names.contested:
        _take_by_rank(item, zip(names.slots, raw.fields.values(), strict=True), rules)
    else:
        _take_all(item, zip(names.slots, raw.fields.values(), strict=True), rules)
    _check_money(item)
    _check_presence(item)
    _check_texts(item)
    _check_offer(item)
    _check_identifiers(item)
    _check_category(item)
    if rules.domain:
        _check_domain(item, rules.domain)
    return item


def _lost(raw: RawItem, rules: Rules) -> Item:
    """An item of which nothing is known, but perhaps its id. What else may be wrong with it is not said."""
    names = names_in(tuple(raw.fields), rules.aliases)
    item = Item(raw.position, raw.line, raw, names.tags)
    for slot, value in sorted(zip(names.slots, raw.fields.values(), strict=True), key=lambda pair: pair[0].rank):
        if slot.name == "id" and not item.id:
            _take(item, slot, text_of(value), rules)
    item.issues = [Issue(code, "", found[:FOUND_MAX], raw.line) for code, found in raw.faults]
    return item


class Occurring:
    """The names that occur in a file, or in a part of it, gathered while its items are read.

    `unknown` are those that no attribute goes by, each with its first issue and the id of its item.
    """

    def __init__(self, rules: Rules) -> None:
        self.unknown: dict[str, tuple[Issue, str]] = {}
        self._rules = rules
        self._tags: set[str] = set()
        self._more: set[str] = set()

    def add(self, raw: RawItem, item: Item) -> None:
        self._more |= item.more_names
        if not raw.fields.keys() <= self._tags:
            for tag in [tag for tag in raw.fields if tag not in self._tags]:
                self._add_tag(tag, raw, item)

    def _add_tag(self, tag: str, raw: RawItem, item: Item) -> None:
        self._tags.add(tag)
        slot = slot_of(tag, self._rules.aliases)
        if not slot.known and len(self.unknown) < MAX_UNKNOWN_NAMES:
            found = text_of(raw.fields[tag])[:FOUND_MAX]
            name = slot.name[:UNKNOWN_NAME_MAX]
            issue = Issue("attribute.unknown", name, found, raw.line_of(tag))
            self.unknown.setdefault(name, (issue, item.id))

    @property
    def names(self) -> set[str]:
        """The attributes that occur."""
        return names_of(self._tags, self._rules) | self._more


# --- the elements, one by one -------------------------------------------------------------------------


def _take_all(item: Item, found: Iterable[tuple[Slot, RawValue]], rules: Rules) -> None:
    values = item.values
    for slot, value in found:
        if not isinstance(value, str):
            _take_structured(item, slot, value, rules)
        elif text := value.strip():
            # Most values end here: this branch is the item path's speed.
            if len(text) <= slot.plain_text and text.isascii() and "{" not in text and text not in UNFILLED:
                values[slot.name] = text
            elif text in slot.exact:
                values[slot.name] = slot.exact[text]
            else:
                _take(item, slot, text, rules)
        elif slot.attribute.column and slot.attribute.need is Need.OPTIONAL:  # of the others it is said that they miss
            item.report("attribute.empty", slot.name)


def _take_by_rank(item: Item, found: Iterable[tuple[Slot, RawValue]], rules: Rules) -> None:
    """Where two elements give one attribute and differ, that in Google's namespace counts and the other is kept."""
    for slot, value in sorted(found, key=lambda pair: pair[0].rank):
        if slot.name in item.values or slot.name in item.extra:
            _compare(item, slot, value)
        else:
            _take_all(item, [(slot, value)], rules)


def _compare(item: Item, slot: Slot, value: RawValue) -> None:
    text = text_of(value)
    winner = item.values.get(slot.name, item.extra.get(slot.name, ""))
    if text and text != winner:
        if (slot.name, slot.rank) != ("id", ATOM):  # every Atom entry has an id of its own beside the product's
            item.report("attribute.two_names", slot.name, text)
        item.keep(slot.other_name, value)
        item.more_names.add(slot.other_name)


def _take(item: Item, slot: Slot, text: str, rules: Rules) -> None:
    if len(text) > slot.attribute.limit and slot.attribute.column:
        item.set_aside("value.too_large", slot.name, text)
    else:
        slot.read(item, slot.attribute, text, rules)


def _take_structured(item: Item, slot: Slot, value: RawValue, rules: Rules) -> None:
    """An element that is repeated, or has attributes or elements inside."""
    parts = value if isinstance(value, list) else [value]
    if slot.is_app_link:
        _take_app_links(item, slot, parts, rules)
    elif not slot.attribute.column:
        if kept := _stripped(value):
            item.keep(slot.name, kept)
        if slot.attribute.parts:
            _check_groups(item, slot.attribute, parts)
    elif slot.attribute.type is Type.URLS:
        for text in filter(None, map(text_of, parts)):
            _take(item, slot, text, rules)
    else:
        _take_first(item, slot, parts, rules)


def _take_first(item: Item, slot: Slot, parts: list[Any], rules: Rules) -> None:
    """Of several values for one column the first counts, and the others are kept."""
    if slot.name == "link":
        parts = _without_other_links(item, parts)
    if any(isinstance(part, dict) and _has_elements(part) for part in parts):
        item.report("text.markup", slot.name, text_of(parts[0]))
    texts = list(filter(None, map(text_of, parts)))
    for text in texts[:1]:
        _take(item, slot, text, rules)
    others = [text for text in texts if text != texts[0]]
    if others and not slot.attribute.repeated:
        item.report("attribute.repeated", slot.name, others[0])
    for text in others:
        item.keep(slot.name, text)


def _check_groups(item: Item, attribute: Attribute, groups: list[Any]) -> None:
    """A group may be written with colons in one text; one with elements must have all that the table asks for."""
    for group in groups:
        for name in attribute.parts:
            if isinstance(group, dict) and not group.get(name) and _has_elements(group):
                item.report("group.subattribute_missing", f"{attribute.name}.{name}", text_of(group))


def _has_elements(group: dict[str, Any]) -> bool:
    return any(not name.startswith(("@", "#")) for name in group)


def _without_other_links(item: Item, links: list[Any]) -> list[Any]:
    """Atom gives an entry several links; the product's page is the one that is `alternate`, or says nothing."""
    pages = [link for link in links if isinstance(link, str) or link.get("@rel", "alternate") == "alternate"]
    for link in links:
        if link not in pages:
            item.keep("atom:link", link)
            item.more_names.add("atom:link")
    return pages


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
                _take(item, slot_of(attribute.name), text, rules)


def _stripped(value: RawValue) -> RawValue:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list):
        return [kept for part in value if (kept := _stripped(part))]
    return value


# --- the item as a whole ------------------------------------------------------------------------------

_MONEY_NAMES = tuple(a.name for a in MONEY)
_NEEDED = tuple(a.name for a in COLUMNS if a.need is not Need.OPTIONAL)
_NEEDED_AT_ALL = frozenset(_NEEDED)


def _check_money(item: Item) -> None:
    """All amounts of an item are in the currency of its price; a sale is a reduction."""
    values = item.values
    currency = ""
    for name in _MONEY_NAMES:
        if name not in values:
            continue
        money, text = values[name]
        currency = currency or money.currency
        if money.currency in ("", currency):
            values[name] = money.amount
        else:
            del values[name]
            item.set_aside("price.currency_differs", name, text)
    if currency:
        values["currency"] = currency
    price, sale = values.get("price"), values.get("sale_price")
    if price is not None and sale is not None and sale >= price:
        item.report("sale.not_lower", "sale_price", _plain(sale))


def _plain(amount: Decimal) -> str:
    return f"{amount:f}"


def _check_presence(item: Item) -> None:
    values = item.values
    if not values.keys() >= _NEEDED_AT_ALL:
        for name in _NEEDED:
            if name not in values and name not in item.extra:
                item.report(f"{name}.missing", name)
    if "id" in values and v.has_invisible_characters(values["id"]):
        item.report("id.control_chars", "id", item.id)


_OF_ONE_LINE = ("title", "brand", "product_type", "google_product_category")


def _check_texts(item: Item) -> None:
    values = item.values
    title, description, brand = values.get("title", ""), values.get("description", ""), values.get("brand", "")
    if title.isupper() and v.is_all_capitals(title):
        item.report("title.all_caps", "title", title)
    if description and len(description) == len(title) and description.casefold() == title.casefold():
        item.report("description.equals_title", "description", description)
    if "<" in description and v.has_tags(description):
        item.report("description.html", "description", description)  # in which entities have their place
    elif "&" in description and v.has_entities(description):
        item.report("text.double_escaped", "description", description)
    for name in _OF_ONE_LINE:
        text = values.get(name, "")
        if "&" in text and v.has_entities(text):
            item.report("text.double_escaped", name, text)
        if "  " in text or "\n" in text or "\t" in text:
            item.report("text.whitespace", name, text)
    if brand.lower() in v.GENERIC_BRANDS:
        item.report("brand.generic", "brand", brand)
    if v.is_placeholder_picture(values.get("image_link", "")):
        item.report("image.placeholder", "image_link", values["image_link"])


def _check_offer(item: Item) -> None:
    values = item.values
    if values.get("availability") == "preorder" and "availability_date" not in values:
        item.report("availability.date_missing", "availability_date")
    if "sale_price_effective_date" in values and "sale_price" not in values and "sale_price" not in item.extra:
        item.report("sale.date_without_price", "sale_price_effective_date", str(values["sale_price_effective_date"]))


def _check_identifiers(item: Item) -> None:
    """A value that was set aside is wrong, not missing."""
    values = item.values
    none_exists = values.get("identifier_exists") is False
    if "gtin" in values:
        if none_exists:
            item.report("identifiers.contradiction", "identifier_exists", "no")
    elif "mpn" not in values and not none_exists and not {"gtin", "mpn"} & item.extra.keys():
        item.report("identifiers.missing", "gtin")
    group = values.get("item_group_id")
    if group is not None and group == values.get("id"):
        item.report("group.equals_id", "item_group_id", group)


def _check_category(item: Item) -> None:
    """What a category is, and what it asks for; whether a colour is one, and a size only one."""
    values = item.values
    if "color" in values and v.is_bad_color(values["color"]):
        item.report("color.bad", "color", values["color"])
    if "," in values.get("size", "") and v.is_list_of_sizes(values["size"]):
        item.report("size.several", "size", values["size"])
    if "google_product_category" not in values:
        return
    known, apparel, sized = category(values["google_product_category"])
    if not known:
        item.report("category.unknown", "google_product_category", values["google_product_category"])
    if apparel:
        for name in _OF_SIZED if sized else _OF_APPAREL:
            if name not in values and name not in item.extra:
                item.report(f"apparel.{name}", name)


_OF_APPAREL = ("color", "gender", "age_group")
_OF_SIZED = (*_OF_APPAREL, "size")


def _check_domain(item: Item, domain: str) -> None:
    for name in ("link", "mobile_link"):
        if name in item.values and not v.is_on_domain(item.values[name], domain):
            item.report("url.domain", name, item.values[name])
