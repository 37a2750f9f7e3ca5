"""Puts what is wrong with real feeds into a clean one, as often as real shops have it.

`typical` holds a third of the measured shares of items, `bad` three times as much. Whether an item has a defect is a
pure function of (seed, index), so that a defect is still there in the next day's feed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from html import unescape

from samples.assortment import Assortment, gtin13
from samples.draws import SPAN, Dice
from samples.items import Fields, Item, escape_text, money_text

PROFILES = {"clean": 0.0, "typical": 1 / 3, "bad": 3.0}
"""The factor by which each profile multiplies the measured shares."""

_MOST_PERCENT = 90  # even the worst feed is right somewhere
_PRICES = ("g:price", "g:sale_price", "g:oldprice", "g:finalprice")


@dataclass(frozen=True, slots=True)
class Spot:
    """An item's place in the catalogue."""

    index: int
    assortment: Assortment

    def pick_text(self, texts: tuple[str, ...]) -> str:
        """One of several ways of getting it wrong."""
        return texts[self.index % len(texts)]


Spoil = Callable[[Item, Spot], None]


@dataclass(frozen=True, slots=True)
class Defect:
    """One fault: the issue that an import should report, its measured share of items in percent, and how to make it."""

    code: str
    share: float
    spoil: Spoil


class Defects:
    """The defects of a catalogue in one profile."""

    def __init__(self, assortment: Assortment, profile: str) -> None:
        self._assortment = assortment
        # A defect happens when its draw is below its limit.
        self._limits = [
            (min(defect.share * PROFILES[profile], _MOST_PERCENT) / 100 * SPAN, defect.spoil) for defect in DEFECTS
        ]
        self._dice = Dice(assortment.seed, "defects")

    def spoil_item(self, item: Item, index: int) -> None:
        """Put the defects that number `index` has into its item."""
        draws = self._dice.roll(2 * index) + self._dice.roll(2 * index + 1)
        for draw, (limit, spoil) in zip(draws, self._limits, strict=False):
            if draw < limit:
                spoil(item, Spot(index, self._assortment))


def leave_out(*names: str) -> Spoil:
    """Leave the elements out."""

    def spoil(item: Item, spot: Spot) -> None:
        item.fields.update(dict.fromkeys(names))

    return spoil


def set_text(name: str, *texts: str) -> Spoil:
    """Give the element one of these texts."""

    def spoil(item: Item, spot: Spot) -> None:
        item.fields[name] = escape_text(spot.pick_text(texts))

    return spoil


def edit_text(name: str, change: Callable[[str], str]) -> Spoil:
    """Change the element's text, if it has one."""

    def spoil(item: Item, spot: Spot) -> None:
        text = item.fields.get(name)
        if text:
            item.fields[name] = escape_text(change(unescape(text)))

    return spoil


def do_all(*spoils: Spoil) -> Spoil:
    """Do several at once."""

    def spoil(item: Item, spot: Spot) -> None:
        for each in spoils:
            each(item, spot)

    return spoil


def repeat_id(item: Item, spot: Spot) -> None:
    if spot.index:
        item.fields["g:id"] = spot.assortment.offer(spot.index - 1).id


def repeat_title(item: Item, spot: Spot) -> None:
    item.fields["description"] = item.fields["title"]


def escape_twice(item: Item, spot: Spot) -> None:
    brand = item.fields["g:brand"] or ""
    item.fields["description"] = f"Made by {brand} &amp;amp; friends.&amp;nbsp;Discover the collection."


def drop_currency(item: Item, spot: Spot) -> None:
    for name in _PRICES:
        item.fields[name] = _amount_of(item.fields, name)


def change_currency(item: Item, spot: Spot) -> None:
    for name in _PRICES:
        amount = _amount_of(item.fields, name)
        item.fields[name] = amount and f"{amount} USD"


def write_price_oddly(item: Item, spot: Spot) -> None:
    amount = _amount_of(item.fields, "g:price") or ""
    comma = amount.replace(".", ",")
    forms = (f"AED {amount}", f"{comma} AED", f"{amount}.00 AED", f"{amount}  AED", "{{ price }} AED")
    item.fields["g:price"] = spot.pick_text(forms)


def _amount_of(fields: Fields, name: str) -> str | None:
    """The number of a price, without its currency."""
    text = fields[name]
    return text and text.split(" ")[0]


def raise_sale_price(item: Item, spot: Spot) -> None:
    amount = _amount_of(item.fields, "g:price")
    if amount:
        fils = int(amount.replace(".", ""))
        item.fields["g:sale_price"] = money_text(fils if spot.index % 5 else fils + 50_00)


def make_preorder(item: Item, spot: Spot) -> None:
    item.fields |= {"g:availability": "preorder", "g:availability_date": None, "g:quantity": "0"}


def use_old_availability(item: Item, spot: Spot) -> None:
    text = item.fields["g:availability"] or ""
    item.fields["g:availability"] = text.replace("_", " ")


def change_check_digit(item: Item, spot: Spot) -> None:
    gtin = item.fields["g:gtin"] or gtin13(f"629{spot.index % 10**9:09}")
    item.fields["g:gtin"] = f"{gtin[:-1]}{(int(gtin[-1]) + 1 + spot.index % 9) % 10}"


def use_internal_gtin(item: Item, spot: Spot) -> None:
    item.fields["g:gtin"] = gtin13(f"2{spot.index % 10**9:011}")


def add_images(item: Item, spot: Spot) -> None:
    main = item.fields["g:image_link"] or ""
    item.images = [main.replace("_1.jpg", f"_{n}.jpg") for n in range(2, 14)]
    item.fields["additional_images_count"] = str(len(item.images))


def repeat_elements(item: Item, spot: Spot) -> None:
    item.extras += "<g:condition>new</g:condition>\n<g:color>As shown</g:color>\n"


def drop_shipping_country(item: Item, spot: Spot) -> None:
    item.extras = item.extras.replace("<g:country>AE</g:country>", "")


def separate_group(item: Item, spot: Spot) -> None:
    item.fields["g:item_group_id"] = f"G{item.fields['g:id']}"


def use_id_as_group(item: Item, spot: Spot) -> None:
    item.fields["g:item_group_id"] = item.fields["g:id"]


# A later defect may undo an earlier one but never fails on it: the defects that leave elements out come last.
# Rare ones have 0.05 %. Those without a figure in the survey have 0.1 %.
DEFECTS: tuple[Defect, ...] = (
    Defect("id.too_long", 1.9, edit_text("g:id", lambda text: f"{text}-{'spring-summer-collection-dubai-' * 2}")),
    Defect("title.all_caps", 6.8, edit_text("title", str.upper)),
    Defect("title.too_long", 0.05, edit_text("title", lambda text: f"{text} | {'exclusive online ' * 12}".strip())),
    Defect("text.placeholder", 0.1, set_text("title", "{{ product.title }}", "undefined", "null")),
    Defect("text.double_escaped", 10, escape_twice),
    Defect("description.too_long", 0.05, set_text("description", "An heirloom in the making. " * 200)),
    Defect(
        "text.control_chars", 0.05, set_text("description", "Soft \ufffdcalfskin\ufffd, lined.", "Handmade \ue000.")
    ),
    Defect("description.equals_title", 10, repeat_title),
    Defect("url.scheme", 0.7, edit_text("link", lambda text: text.removeprefix("https://"))),
    Defect("url.space", 0.6, edit_text("link", lambda text: text.replace("-for-", " for "))),
    Defect("url.non_ascii", 3.4, edit_text("link", lambda text: text.replace("/shop-", "/boutique-été-"))),
    Defect("image.placeholder", 0.1, set_text("g:image_link", "https://media.example.com/no-image.jpg")),
    Defect("images.too_many", 0.4, add_images),
    Defect("availability.date_missing", 1.2, make_preorder),
    Defect("availability.legacy", 64, use_old_availability),
    Defect("availability.unknown", 0.05, set_text("g:availability", "coming soon", "ask in store", "on demand")),
    Defect("price.no_currency", 13.4, drop_currency),
    Defect("price.currency_mixed", 2.2, change_currency),
    Defect("sale.not_lower", 2.5, raise_sale_price),
    Defect("sale.date_format", 0.1, set_text("g:sale_price_effective_date", "01/11/2026 - 30/11/2026")),
    Defect("price.format", 0.8, write_price_oddly),
    Defect("price.zero", 0.2, set_text("g:price", "0.00 AED", "0 AED")),
    Defect("brand.generic", 0.1, set_text("g:brand", "N/A", "Generic", "No brand")),
    Defect("group.brand_differs", 0.3, set_text("g:brand", "Sample & Sons")),
    Defect("identifiers.missing", 37, leave_out("g:gtin", "g:mpn", "g:identifier_exists")),
    Defect("gtin.checksum", 0.5, change_check_digit),
    Defect("gtin.length", 0.3, set_text("g:gtin", "12345678901", "880123456", "8.80E+12")),
    Defect("gtin.not_digits", 0.1, set_text("g:gtin", "n/a", "EAN8012345678901")),
    Defect("gtin.restricted", 0.05, use_internal_gtin),
    Defect("gtin.coupon", 0.05, set_text("g:gtin", gtin13("990123456789"))),
    Defect("gtin.duplicate", 0.1, set_text("g:gtin", gtin13("400638133393"))),
    Defect(
        "identifiers.contradiction",
        3.1,
        do_all(set_text("g:identifier_exists", "no"), set_text("g:gtin", gtin13("761234567890"))),
    ),
    Defect("condition.unknown", 0.05, set_text("g:condition", "mint", "as good as ever")),
    Defect("gender.unknown", 0.05, set_text("g:gender", "everybody", "n/a")),
    Defect("age_group.unknown", 0.05, set_text("g:age_group", "all ages", "grown-up")),
    Defect("color.bad", 0.1, set_text("g:color", "#C0FFEE", "multicolor", "123", "X", "Red/Green/Blue/Gold")),
    Defect(
        "category.unknown", 2.1, set_text("g:google_product_category", "Damen / Taschen", "ladies-fashion", "ملابس")
    ),
    Defect("group.single", 2.8, separate_group),
    Defect("group.equals_id", 1.2, use_id_as_group),
    Defect("group.subattribute_missing", 0.1, drop_shipping_country),
    Defect("attribute.repeated", 1.0, repeat_elements),
    Defect("attribute.empty", 22, do_all(set_text("g:custom_label_2", ""), set_text("product_class", ""))),
    Defect("id.duplicate", 1.6, repeat_id),
    Defect("title.missing", 5.9, leave_out("title")),
    Defect("description.missing", 7.9, leave_out("description")),
    Defect("link.missing", 5.9, leave_out("link")),
    Defect("image_link.missing", 6.0, leave_out("g:image_link")),
    Defect("availability.missing", 0.3, leave_out("g:availability")),
    Defect("price.missing", 0.05, leave_out("g:price")),
    Defect("brand.missing", 19.7, leave_out("g:brand")),
    Defect("apparel.color", 2.6, leave_out("g:color")),
    Defect("apparel.gender", 3.2, leave_out("g:gender")),
    Defect("apparel.age_group", 3.2, leave_out("g:age_group")),
    Defect("apparel.size", 1.1, leave_out("g:size")),
)
