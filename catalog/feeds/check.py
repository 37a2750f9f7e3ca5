"""A raw item → a cleaned item and its issues. A bad item is a result, not an exception: every fault is reported."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any

from catalog.feeds import values as v
from catalog.feeds.attributes import (
    BY_ALIAS,
    BY_NAME,
    COLUMNS,
    MONEY,
    ORIGINAL,
    Attribute,
    Need,
    Type,
    is_known,
)
from catalog.feeds.categories import category
from catalog.feeds.issues import FOUND_MAX, Issue, Severity
from catalog.feeds.items import RawItem, RawValue
from catalog.feeds.values import UNFILLED

MAX_ADDITIONAL_IMAGES = 10
MAX_UNKNOWN_NAMES = 200  # of one file are reported; a file with more has its data in its names


@dataclass(frozen=True, slots=True)
class Rules:
    """What a feed's settings add to the rules that hold for all.

    `base_url` completes relative addresses; links belong on `domain` or below it; `aliases` are pairs of an element's
    name in this shop and the attribute that it is.
    """

    default_currency: str = ""
    base_url: str = ""
    domain: str = ""
    aliases: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Item:
    """One cleaned item.

    `values` holds the columns that have a value, by attribute name: str, Decimal, int, bool or a list of str; the one
    `currency` of all its amounts beside them. `extra` holds everything else that was found, verbatim. `more_names` are
    the attributes on it that `names_of` cannot tell from the tags.
    """

    position: int
    line: int
    _raw: RawItem = field(repr=False, compare=False)
    _layout: "_Layout" = field(repr=False, compare=False)
    values: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)
    more_names: set[str] = field(default_factory=set)

    @property
    def id(self) -> str:
        return str(self.values.get("id", ""))

    @property
    def valid(self) -> bool:
        return not any(issue.severity is Severity.ERROR for issue in self.issues)

    def report(self, code: str, attribute: str, found: str = "") -> None:
        """Say what is wrong, where it stands and what was found there."""
        self.issues.append(Issue(code, attribute, found[:FOUND_MAX], self._line_of(attribute, found)))

    def _line_of(self, attribute: str, found: str) -> int:
        """The line of the attribute's element, of several that with this text; the item's own when it has none."""
        tags = self._layout.tags.get(attribute.partition(".")[0])
        if tags is None:
            return self.line
        if len(tags) == 1 and isinstance(self._raw.fields[tags[0]], str):
            return self._raw.line_of(tags[0])
        places = [(tag, n, part) for tag in tags for n, part in enumerate(_parts(self._raw.fields[tag]))]
        tag, occurrence, _part = next((place for place in places if _text_of(place[2]) == found), places[0])
        return self._raw.line_of(tag, occurrence)

    def keep(self, name: str, value: Any) -> None:
        """Keep a value that no column takes. Nothing that was found is lost."""
        if name not in self.extra:
            self.extra[name] = value
        elif isinstance(self.extra[name], list):
            self.extra[name].append(value)
        else:
            self.extra[name] = [self.extra[name], value]

    def set_aside(self, code: str, attribute: str, found: str) -> None:
        self.report(code, attribute, found)
        self.keep(attribute, found)


def check(raw: RawItem, rules: Rules) -> Item:
    """Clean one item: read each value as its attribute's type, report what is wrong, keep what is unknown."""
    layout = _layout(tuple(raw.fields), rules.aliases)
    item = Item(raw.position, raw.line, raw, layout)
    for code, found in raw.faults:
        item.report(code, "", found)
    if layout.contested:
        _take_by_rank(item, zip(layout.slots, raw.fields.values(), strict=True), rules)
    else:
        _take_all(item, zip(layout.slots, raw.fields.values(), strict=True), rules)
    _check_money(item)
    _check_presence(item)
    _check_texts(item)
    _check_offer(item)
    _check_identifiers(item)
    _check_category(item)
    if rules.domain:
        _check_domain(item, rules.domain)
    return item


def broken(position: int, line: int, id: str, found: str) -> Item:
    """An item of which nothing can be read, but perhaps what its id looks like."""
    item = Item(position, line, RawItem(position, line, {}), _layout((), ()))
    if id:
        item.values["id"] = id
    item.issues.append(Issue("item.not_well_formed", "", found[:FOUND_MAX], line))
    return item


def names_of(tags: Iterable[str], rules: Rules) -> set[str]:
    """The attributes that occur in a file, of the tags that occur in it."""
    slots = [_slot(tag, rules.aliases) for tag in tags]
    # A file that speaks of an address speaks of how it was found, too, also where none of its own had to be changed.
    originals = {slot.name + ORIGINAL for slot in slots if slot.attribute.type in (Type.URL, Type.URLS)}
    return {slot.name for slot in slots} | originals


def report_unknown(item: Item, raw: RawItem, tags: set[str], rules: Rules) -> None:
    """Add an item's tags to those that the file had before, and report the new ones that no attribute goes by."""
    if raw.fields.keys() <= tags:
        return
    for tag in [tag for tag in raw.fields if tag not in tags]:
        slot = _slot(tag, rules.aliases)
        tags.add(tag)
        if not slot.known and len(tags) <= MAX_UNKNOWN_NAMES:
            item.report("attribute.unknown", slot.name, _text_of(raw.fields[tag]))


# --- names: which attribute an element is ------------------------------------------------------------

GOOGLE, PLAIN, ATOM, CUSTOM, OTHER = range(5)
_PREFIXES = {PLAIN: "rss:", ATOM: "atom:", CUSTOM: "c:"}
_RANKS = {"": PLAIN, "http://purl.org/rss/1.0/": PLAIN, "http://www.w3.org/2005/Atom": ATOM}
_ATOM_ALIASES = {"summary": "description", "content": "description"}
# What RSS and Atom give an item of their own accord.
_OF_THE_CONTAINER = frozenset(
    "author category comments contributor enclosure guid published pubDate rights source updated".split()
)


@dataclass(frozen=True, slots=True)
class _Slot:
    """Where an element's text goes and how it is read. The lowest `rank` wins a name.

    `plain_text` is the length up to which the attribute's text needs no further look, or 0.
    """

    name: str
    attribute: Attribute
    rank: int
    read: Callable[[Item, Attribute, str, Rules], None]
    plain_text: int = 0
    is_app_link: bool = False
    known: bool = True
    alias: str = ""

    @property
    def other_name(self) -> str:
        """Where a value goes that lost its name to a better namespace, or to the name of the table."""
        return self.alias or f"{_PREFIXES.get(self.rank, '')}{self.name}"


@lru_cache(maxsize=10_000)
def _slot(tag: str, aliases: tuple[tuple[str, str], ...] = ()) -> _Slot:
    namespace, _, local = tag[1:].rpartition("}") if tag.startswith("{") else ("", "", tag)
    if aliased := BY_NAME.get(dict(aliases).get(local, "")):
        return _Slot(aliased.name, aliased, OTHER, _READERS[aliased.type], alias=local)
    rank = _rank(namespace)
    attribute = _attribute(tag, local, rank)
    plain_text = (attribute.max_length or attribute.limit) if attribute.type is Type.TEXT else 0
    is_app_link = local.lower() == "applink"
    known = is_known(attribute.name) or rank == CUSTOM or is_app_link
    known = known or (rank in (PLAIN, ATOM) and local in _OF_THE_CONTAINER)
    return _Slot(attribute.name, attribute, rank, _READERS[attribute.type], plain_text, is_app_link, known)


def _attribute(tag: str, local: str, rank: int) -> Attribute:
    """The attribute that an element is; one of its own, kept as found, when it is none of the table."""
    if rank == OTHER:
        return Attribute(tag, Type.VERBATIM, column=False)
    if rank == ATOM:
        local = _ATOM_ALIASES.get(local, local)
    return BY_ALIAS.get(local) or Attribute(f"c:{local}" if rank == CUSTOM else local, Type.VERBATIM, column=False)


def _rank(namespace: str) -> int:
    # Shops write https, a slash more, even a Python dict around the address: all mean the same.
    if "base.google.com/ns/1.0" in namespace:
        return GOOGLE
    if "base.google.com/cns/1.0" in namespace:
        return CUSTOM
    return _RANKS.get(namespace, OTHER)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where an item's elements go: their slots, whether two may want the same name, and the tags of each name."""

    slots: tuple[_Slot, ...]
    contested: bool
    tags: dict[str, list[str]]


@lru_cache(maxsize=2_000)  # the items of a feed have the same elements, give or take a few
def _layout(tags: tuple[str, ...], aliases: tuple[tuple[str, str], ...]) -> _Layout:
    slots = tuple(_slot(tag, aliases) for tag in tags)
    tags_of: dict[str, list[str]] = {}
    for tag, slot in zip(tags, slots, strict=True):
        tags_of.setdefault(slot.name, []).append(tag)
    return _Layout(slots, len(tags_of) < len(slots), tags_of)


def _take_all(item: Item, found: Iterable[tuple[_Slot, RawValue]], rules: Rules) -> None:
    values = item.values
    for slot, value in found:
        if not isinstance(value, str):
            _take_structured(item, slot, value, rules)
        elif text := value.strip():
            # Most values end here: this branch is the item path's speed.
            if len(text) <= slot.plain_text and text.isascii() and "{" not in text and text not in UNFILLED:
                values[slot.name] = text
            else:
                _take(item, slot, text, rules)
        elif slot.attribute.column and slot.attribute.need is Need.OPTIONAL:  # of the others it is said that they miss
            item.report("attribute.empty", slot.name)


def _take_by_rank(item: Item, found: Iterable[tuple[_Slot, RawValue]], rules: Rules) -> None:
    """Where two elements give one attribute and differ, that in Google's namespace counts and the other is kept."""
    for slot, value in sorted(found, key=lambda pair: pair[0].rank):
        if slot.name in item.values or slot.name in item.extra:
            _compare(item, slot, value)
        else:
            _take_all(item, [(slot, value)], rules)


def _compare(item: Item, slot: _Slot, value: RawValue) -> None:
    text = _text_of(value)
    winner = item.values.get(slot.name, item.extra.get(slot.name, ""))
    if text and text != winner:
        if (slot.name, slot.rank) != ("id", ATOM):  # every Atom entry has an id of its own beside the product's
            item.report("attribute.two_names", slot.name, text)
        item.keep(slot.other_name, value)
        item.more_names.add(slot.other_name)


# --- values: what an element says ---------------------------------------------------------------------


def _take(item: Item, slot: _Slot, text: str, rules: Rules) -> None:
    if len(text) > slot.attribute.limit and slot.attribute.column:
        item.set_aside("value.too_large", slot.name, text)
    else:
        slot.read(item, slot.attribute, text, rules)


def _take_structured(item: Item, slot: _Slot, value: RawValue, rules: Rules) -> None:
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
        for text in filter(None, map(_text_of, parts)):
            _take(item, slot, text, rules)
    else:
        _take_first(item, slot, parts, rules)


def _take_first(item: Item, slot: _Slot, parts: list[Any], rules: Rules) -> None:
    """Of several values for one column the first counts, and the others are kept."""
    if slot.name == "link":
        parts = _without_other_links(item, parts)
    if any(isinstance(part, dict) and _has_elements(part) for part in parts):
        item.report("text.markup", slot.name, _text_of(parts[0]))
    texts = list(filter(None, map(_text_of, parts)))
    for text in texts[:1]:
        _take(item, slot, text, rules)
    others = [text for text in texts if text != texts[0]]
    if others and not slot.attribute.repeated:
        item.report("attribute.repeated", slot.name, others[0])
    for text in others:
        item.keep(slot.name, text)


def _parts(value: RawValue) -> list[Any]:
    """The values of an element, one for each time it occurs."""
    return value if isinstance(value, list) else [value]


def _check_groups(item: Item, attribute: Attribute, groups: list[Any]) -> None:
    """A group may be written with colons in one text; one with elements must have all that the table asks for."""
    for group in groups:
        for name in attribute.parts:
            if isinstance(group, dict) and not group.get(name) and _has_elements(group):
                item.report("group.subattribute_missing", f"{attribute.name}.{name}", _text_of(group))


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


def _take_app_links(item: Item, slot: _Slot, links: list[Any], rules: Rules) -> None:
    """`<appLink property="iphone_url" content="…"/>` is the attribute iphone_url."""
    for link in links:
        link_property = link.get("@property", "") if isinstance(link, dict) else ""
        attribute = BY_ALIAS.get(link_property)
        if attribute is None or attribute.name in item.values:
            item.keep(slot.name, link)
        else:
            item.more_names.add(attribute.name)
            if text := link.get("@content", "").strip():
                _take(item, _slot(attribute.name), text, rules)


def _text_of(value: RawValue) -> str:
    """The text of an element; of an Atom link, its address; of repeated elements, that of the first."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list):
        return _text_of(value[0])
    if "#text" in value:
        return str(value["#text"]).strip()
    if "@href" in value:
        return str(value["@href"]).strip()
    return " ".join(_text_of(inner) for name, inner in value.items() if not name.startswith("@")).strip()


def _stripped(value: RawValue) -> RawValue:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list):
        return [kept for part in value if (kept := _stripped(part))]
    return value


def _read_verbatim(item: Item, attribute: Attribute, text: str, _rules: Rules) -> None:
    item.keep(attribute.name, text)


def _read_text(item: Item, attribute: Attribute, text: str, _rules: Rules) -> None:
    name = attribute.name
    if attribute.max_length and len(text) > attribute.max_length:
        item.report(f"{name}.too_long", name, text)
    if v.has_odd_characters(text):
        item.report("text.control_chars", name, text)
    if v.is_placeholder(text):
        item.set_aside("text.placeholder", name, text)
    else:
        item.values[name] = text


def _read_gtin(item: Item, attribute: Attribute, text: str, rules: Rules) -> None:
    _read_text(item, attribute, text, rules)
    if attribute.name in item.values and (code := v.gtin_issue(text)):
        item.report(code, attribute.name, text)


def _read_url(item: Item, attribute: Attribute, text: str, rules: Rules) -> None:
    code = v.url_issue(text)
    if not code and len(text) <= (attribute.max_length or attribute.limit):
        item.values[attribute.name] = text  # plain ASCII, and no template could be in it
    elif url := _address(item, attribute.name, text, code, rules):
        _read_text(item, attribute, url, rules)


def _read_url_of_list(item: Item, attribute: Attribute, text: str, rules: Rules) -> None:
    code = v.url_issue(text)
    url = _address(item, attribute.name, text, code, rules) if code else text
    if url:
        urls = item.values.setdefault(attribute.name, [])
        urls.append(url)
        if attribute.max_length and len(url) > attribute.max_length:
            item.report(f"{attribute.name}.too_long", attribute.name, text)
        if len(urls) == MAX_ADDITIONAL_IMAGES + 1:
            item.report("images.too_many", attribute.name, text)


def _address(item: Item, name: str, text: str, code: str, rules: Rules) -> str:
    """The address, completed and encoded where it must be; "" when it is none and was set aside."""
    if v.is_placeholder(text):
        code = "text.placeholder"
    url = text
    if code == "url.scheme" and rules.base_url and (resolved := v.resolved(text, rules.base_url)):
        item.report("url.relative", name, text)
        url, code = resolved, v.url_issue(resolved)
    if code in ("url.scheme", "url.format", "text.placeholder"):
        item.set_aside(code, name, text)
        return ""
    if code:
        item.report(code, name, text)
        url = v.percent_encoded(url)
    if url != text:
        item.keep(name + ORIGINAL, text)
    return url


def _read_date(item: Item, attribute: Attribute, text: str, rules: Rules) -> None:
    _read_kept(item, attribute, text, rules)
    if not v.is_moment(text) and not v.is_placeholder(text):
        item.report("date.format", attribute.name, text)


def _read_period(item: Item, attribute: Attribute, text: str, rules: Rules) -> None:
    _read_kept(item, attribute, text, rules)
    if not v.is_period(text) and not v.is_placeholder(text):
        item.report("sale.date_format", attribute.name, text)


def _read_measure(item: Item, attribute: Attribute, text: str, rules: Rules) -> None:
    _read_kept(item, attribute, text, rules)
    if not v.is_measure(text):
        item.report("measure.format", attribute.name, text)


def _read_kept(item: Item, attribute: Attribute, text: str, rules: Rules) -> None:
    (_read_text if attribute.column else _read_verbatim)(item, attribute, text, rules)


def _read_choice(item: Item, attribute: Attribute, text: str, _rules: Rules) -> None:
    value = attribute.choices.get(text) or attribute.choices.get(v.choice_key(text))
    if value is None:
        item.set_aside(f"{attribute.name}.unknown", attribute.name, text)
        return
    item.values[attribute.name] = value
    if value != text:
        item.report(
            "availability.legacy" if attribute.name == "availability" else "choice.lenient", attribute.name, text
        )


def _read_boolean(item: Item, attribute: Attribute, text: str, _rules: Rules) -> None:
    value = v.BOOLEANS.get(text.lower())
    if value is None:
        item.set_aside("boolean.unknown", attribute.name, text)
    else:
        item.values[attribute.name] = value


def _read_integer(item: Item, attribute: Attribute, text: str, _rules: Rules) -> None:
    value = v.whole_number(text)
    if value is None:
        item.set_aside("integer.format", attribute.name, text)
    else:
        item.values[attribute.name] = value


def _read_money(item: Item, attribute: Attribute, text: str, rules: Rules) -> None:
    money = v.money(text, rules.default_currency)
    for code in money.codes:
        item.report(code, attribute.name, text)
    if money.amount is None:
        item.keep(attribute.name, text)
    else:
        item.values[attribute.name] = (money, text)  # `_check_money` settles the item's one currency


_READERS: dict[Type, Callable[[Item, Attribute, str, Rules], None]] = {
    Type.TEXT: _read_text,
    Type.URL: _read_url,
    Type.URLS: _read_url_of_list,
    Type.MONEY: _read_money,
    Type.CHOICE: _read_choice,
    Type.BOOLEAN: _read_boolean,
    Type.INTEGER: _read_integer,
    Type.GTIN: _read_gtin,
    Type.DATE: _read_date,
    Type.PERIOD: _read_period,
    Type.MEASURE: _read_measure,
    Type.VERBATIM: _read_verbatim,
}

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
    if "&" in title and v.has_entities(title):
        item.report("text.double_escaped", "title", title)
    if "&" in brand and v.has_entities(brand):
        item.report("text.double_escaped", "brand", brand)
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
    """What a category is, and what it asks for; whether a colour is one."""
    values = item.values
    if "color" in values and v.is_bad_color(values["color"]):
        item.report("color.bad", "color", values["color"])
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
