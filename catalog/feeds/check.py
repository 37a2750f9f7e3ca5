"""A raw item → a cleaned item and its issues. A bad item is a result, not an exception: every fault is reported."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any

from catalog.feeds import values as v
from catalog.feeds.attributes import BY_ALIAS, COLUMNS, MONEY, Attribute, Need, Type
from catalog.feeds.issues import FOUND_MAX, Issue, Severity
from catalog.feeds.items import RawItem, RawValue
from catalog.feeds.values import UNFILLED

MAX_ADDITIONAL_IMAGES = 10


@dataclass(frozen=True, slots=True)
class Rules:
    """What a feed's settings add to the rules that hold for all."""

    default_currency: str = ""


@dataclass(slots=True)
class Item:
    """One cleaned item.

    `values` holds the columns that have a value, by attribute name: str, Decimal, int, bool or a list of str; the one
    `currency` of all its amounts beside them. `extra` holds everything else that was found, verbatim. `more_names` are
    the attributes on it that `names_of` cannot tell from the tags.
    """

    position: int
    line: int
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
        self.issues.append(Issue(code, attribute, found[:FOUND_MAX]))

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
    item = Item(raw.position, raw.line)
    for code, found in raw.faults:
        item.report(code, "", found)
    slots, contested = _layout(tuple(raw.fields))
    if contested:
        _take_by_rank(item, zip(slots, raw.fields.values(), strict=True), rules)
    else:
        _take_all(item, zip(slots, raw.fields.values(), strict=True), rules)
    _check_money(item)
    _check_presence(item)
    return item


def names_of(tags: Iterable[str]) -> set[str]:
    """The attributes that occur in a file, of the tags that occur in it."""
    return {_slot(tag).name for tag in tags}


# --- names: which attribute an element is ------------------------------------------------------------

GOOGLE, PLAIN, ATOM, CUSTOM, OTHER = range(5)
_PREFIXES = {PLAIN: "rss:", ATOM: "atom:", CUSTOM: "c:"}
_RANKS = {"": PLAIN, "http://purl.org/rss/1.0/": PLAIN, "http://www.w3.org/2005/Atom": ATOM}
_ATOM_ALIASES = {"summary": "description", "content": "description"}


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

    @property
    def other_name(self) -> str:
        """Where a value goes that lost its name to a better namespace."""
        return f"{_PREFIXES.get(self.rank, '')}{self.name}"


@lru_cache(maxsize=10_000)
def _slot(tag: str) -> _Slot:
    namespace, _, local = tag[1:].rpartition("}") if tag.startswith("{") else ("", "", tag)
    rank = _rank(namespace)
    attribute = _attribute(tag, local, rank)
    plain_text = (attribute.max_length or attribute.limit) if attribute.type is Type.TEXT else 0
    is_app_link = local.lower() == "applink"
    return _Slot(attribute.name, attribute, rank, _READERS[attribute.type], plain_text, is_app_link)


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


@lru_cache(maxsize=2_000)  # the items of a feed have the same elements, give or take a few
def _layout(tags: tuple[str, ...]) -> tuple[tuple[_Slot, ...], bool]:
    """The slots of an item's elements, and whether two of them may want the same name."""
    slots = tuple(map(_slot, tags))
    return slots, len({slot.name for slot in slots}) < len(slots)


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
    parts: list[Any] = value if isinstance(value, list) else [value]
    if slot.is_app_link:
        _take_app_links(item, slot, parts, rules)
    elif not slot.attribute.column:
        if kept := _stripped(value):
            item.keep(slot.name, kept)
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
            _take_all(item, [(_slot(attribute.name), link.get("@content", ""))], rules)


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
    if code in ("url.scheme", "url.format"):
        item.set_aside(code, attribute.name, text)
        return
    if code:
        item.report(code, attribute.name, text)
    _read_text(item, attribute, text, rules)


def _read_url_of_list(item: Item, attribute: Attribute, text: str, _rules: Rules) -> None:
    code = v.url_issue(text)
    if code in ("url.scheme", "url.format"):
        item.set_aside(code, attribute.name, text)
        return
    if code:
        item.report(code, attribute.name, text)
    urls = item.values.setdefault(attribute.name, [])
    urls.append(text)
    if len(urls) == MAX_ADDITIONAL_IMAGES + 1:
        item.report("images.too_many", attribute.name, text)


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
    Type.VERBATIM: _read_verbatim,
}

# --- the item as a whole ------------------------------------------------------------------------------

_MONEY_NAMES = tuple(a.name for a in MONEY)
_NEEDED = tuple(a.name for a in COLUMNS if a.need is not Need.OPTIONAL)


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
    for name in _NEEDED:
        if name not in item.values and name not in item.extra:
            item.report(f"{name}.missing", name)
    if "id" in item.values and v.has_invisible_characters(item.id):
        item.report("id.control_chars", "id", item.id)
