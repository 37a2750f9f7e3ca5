"""The rules for an item as a whole: what its values say beside each other, and what it must have."""

from catalog.feeds.attributes import COLUMNS, MONEY, Need
from catalog.feeds.categories import read_category
from catalog.feeds.cleaning import values as v
from catalog.feeds.cleaning.cleaned import Item

_MONEY_NAMES = tuple(a.name for a in MONEY)
_NEEDED = tuple(a.name for a in COLUMNS if a.need is not Need.OPTIONAL)
_NEEDED_AT_ALL = frozenset(_NEEDED)
MAX_GTINS = 10
_ONE_LINE_TEXTS = ("title", "brand", "product_type", "google_product_category")
_APPAREL_NEEDS = ("color", "gender", "age_group")
_SIZED_APPAREL_NEEDS = (*_APPAREL_NEEDS, "size")


def check_money(item: Item) -> None:
    """All amounts of an item are in the currency of its price, and its sale price is lower."""
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
        if "currency" in item.extra and str(item.extra["currency"]).upper() == currency:
            del item.extra["currency"]  # it stands in its column
    price, sale = values.get("price"), values.get("sale_price")
    if price is not None and sale is not None and sale >= price:
        item.report("sale.not_lower", "sale_price", f"{sale:f}")


def check_presence(item: Item) -> None:
    """The item has what it needs. A value that was set aside is wrong, not missing."""
    values = item.values
    if not values.keys() >= _NEEDED_AT_ALL:
        for name in _NEEDED:
            if not item.has(name):
                item.report(f"{name}.missing", name)
    if "id" in values and v.has_invisible_characters(values["id"]):
        item.report("id.control_chars", "id", item.id)


def check_texts(item: Item) -> None:
    """The texts are written for people, and escaped once."""
    values = item.values
    title, description, brand = values.get("title", ""), values.get("description", ""), values.get("brand", "")
    if title.isupper() and v.is_all_capitals(title):
        item.report("title.all_caps", "title", title)
    if description and len(description) == len(title) and description.casefold() == title.casefold():
        item.report("description.equals_title", "description", description)
    if "<" in description and v.has_tags(description):
        item.report("description.html", "description", description)  # entities belong in HTML
    elif "&" in description and v.has_entities(description):
        item.report("text.double_escaped", "description", description)
    for name in _ONE_LINE_TEXTS:
        text = values.get(name, "")
        if "&" in text and v.has_entities(text):
            item.report("text.double_escaped", name, text)
        if "  " in text or "\n" in text or "\t" in text:
            item.report("text.whitespace", name, text)
    if brand.lower() in v.GENERIC_BRANDS:
        item.report("brand.generic", "brand", brand)
    if v.is_placeholder_picture(values.get("image_link", "")):
        item.report("image.placeholder", "image_link", values["image_link"])


def check_dates(item: Item) -> None:
    """What is not in stock yet says when it can be delivered, and only a sale has the dates of a sale."""
    values = item.values
    if values.get("availability") in ("preorder", "backorder") and not item.has("availability_date"):
        item.report("availability.date_missing", "availability_date")
    if "sale_price_effective_date" in values and not item.has("sale_price"):
        item.report("sale.date_without_price", "sale_price_effective_date", str(values["sale_price_effective_date"]))


def check_identifiers(item: Item) -> None:
    """The item has a GTIN or a part number, or says that there is none. A value that was set aside is not missing."""
    values = item.values
    none_exists = values.get("identifier_exists") is False
    if "gtin" in values:
        if none_exists:
            item.report("identifiers.contradiction", "identifier_exists", "no")
        if "gtin" in item.extra and isinstance(others := item.extra["gtin"], list) and len(others) >= MAX_GTINS:
            item.report("gtin.too_many", "gtin", str(others[MAX_GTINS - 1]))
    elif not none_exists and not item.has("gtin") and not item.has("mpn"):
        item.report("identifiers.missing", "gtin")
    group = values.get("item_group_id")
    if group is not None and group == values.get("id"):
        item.report("group.equals_id", "item_group_id", group)


def check_category(item: Item) -> None:
    """The colour is a colour, the size is one size, and the item has what its category needs."""
    values = item.values
    if "color" in values and v.is_bad_color(values["color"]):
        item.report("color.bad", "color", values["color"])
    if "," in values.get("size", "") and v.is_list_of_sizes(values["size"]):
        item.report("size.several", "size", values["size"])
    if "google_product_category" not in values:
        return
    known, apparel, sized = read_category(values["google_product_category"])
    if not known:
        item.report("category.unknown", "google_product_category", values["google_product_category"])
    if apparel:
        for name in _SIZED_APPAREL_NEEDS if sized else _APPAREL_NEEDS:
            if not item.has(name):
                item.report(f"apparel.{name}", name)


def settle_unread(item: Item) -> None:
    """Show what is not understood where nothing else does: in an invalid item, and beside addresses that are."""
    is_valid = item.valid
    for name, texts in item.unread.items():
        if not is_valid or name in item.values:
            others = item.extra.pop(name, [])
            for text in [*texts, *(others if isinstance(others, list) else [others])]:
                item.keep(name, text)


def check_domain(item: Item, domain: str) -> None:
    """The links lead to the shop's own pages."""
    for name in ("link", "mobile_link"):
        if name in item.values and not v.is_on_domain(item.values[name], domain):
            item.report("url.domain", name, item.values[name])
