"""What is wrong with real feeds, put into a clean one, as often as shops were found to get it wrong.

`typical` holds a third of the measured shares of items, `bad` three times as much. Whether an item has a defect is a
pure function of (seed, index), so that a defect is still there in the next day's feed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from html import unescape

from samples.assortment import Assortment, gtin13
from samples.draws import SPAN, Dice
from samples.items import Fields, Item, markup, money

PROFILES = {"clean": 0.0, "typical": 1 / 3, "bad": 3.0}
"""How many times the measured shares each profile of a feed has."""

_MOST = 90  # percent; even in the worst feed something is right somewhere
_PRICES = ("g:price", "g:sale_price", "g:oldprice", "g:finalprice")


@dataclass(frozen=True, slots=True)
class Spot:
    """Where in the catalogue the item stands."""

    index: int
    assortment: Assortment

    def pick(self, texts: tuple[str, ...]) -> str:
        """One of several ways of getting it wrong."""
        return texts[self.index % len(texts)]


Spoil = Callable[[Item, Spot], None]


@dataclass(frozen=True, slots=True)
class Defect:
    """One way of being wrong: the issue an import should report, its measured share of items in percent, and how."""

    code: str
    share: float
    spoil: Spoil


class Defects:
    """The defects of a catalogue in one profile."""

    def __init__(self, assortment: Assortment, profile: str) -> None:
        self._assortment = assortment
        self._limits = [(_limit(defect.share * PROFILES[profile]), defect.spoil) for defect in DEFECTS]
        self._dice = Dice(assortment.seed, "defects")

    def spoil(self, item: Item, index: int) -> None:
        """Put the defects that number `index` has into its item."""
        draws = self._dice.roll(2 * index) + self._dice.roll(2 * index + 1)
        for draw, (limit, spoil) in zip(draws, self._limits, strict=False):
            if draw < limit:
                spoil(item, Spot(index, self._assortment))


def _limit(share: float) -> float:
    """Below which a draw must be to happen in `share` percent of the items."""
    return min(share, _MOST) / 100 * SPAN


def _without(*names: str) -> Spoil:
    """Leave the elements out."""

    def spoil(item: Item, spot: Spot) -> None:
        item.fields.update(dict.fromkeys(names))

    return spoil


def _set(name: str, *texts: str) -> Spoil:
    """Give the element one of the texts."""

    def spoil(item: Item, spot: Spot) -> None:
        item.fields[name] = markup(spot.pick(texts))

    return spoil


def _edit(name: str, change: Callable[[str], str]) -> Spoil:
    """Change the element's text, when it has one."""

    def spoil(item: Item, spot: Spot) -> None:
        text = item.fields.get(name)
        if text:
            item.fields[name] = markup(change(unescape(text)))

    return spoil


def _all(*spoils: Spoil) -> Spoil:
    """Several at once."""

    def spoil(item: Item, spot: Spot) -> None:
        for each in spoils:
            each(item, spot)

    return spoil


def _repeat_id(item: Item, spot: Spot) -> None:
    if spot.index:
        item.fields["g:id"] = spot.assortment.offer(spot.index - 1).id


def _title_as_description(item: Item, spot: Spot) -> None:
    item.fields["description"] = item.fields["title"]


def _escape_twice(item: Item, spot: Spot) -> None:
    brand = item.fields["g:brand"] or ""
    item.fields["description"] = f"Made by {brand} &amp;amp; friends.&amp;nbsp;Discover the collection."


def _no_currency(item: Item, spot: Spot) -> None:
    for name in _PRICES:
        item.fields[name] = _amount(item.fields, name)


def _other_currency(item: Item, spot: Spot) -> None:
    for name in _PRICES:
        amount = _amount(item.fields, name)
        item.fields[name] = amount and f"{amount} USD"


def _odd_price(item: Item, spot: Spot) -> None:
    amount = _amount(item.fields, "g:price") or ""
    comma = amount.replace(".", ",")
    forms = (f"AED {amount}", f"{comma} AED", f"{amount}.00 AED", f"{amount}  AED", "{{ price }} AED")
    item.fields["g:price"] = spot.pick(forms)


def _amount(fields: Fields, name: str) -> str | None:
    """The number of a price, without its currency."""
    text = fields[name]
    return text and text.split(" ")[0]


def _sale_not_lower(item: Item, spot: Spot) -> None:
    amount = _amount(item.fields, "g:price")
    if amount:
        fils = int(amount.replace(".", ""))
        item.fields["g:sale_price"] = money(fils if spot.index % 5 else fils + 50_00)


def _preorder_without_date(item: Item, spot: Spot) -> None:
    item.fields |= {"g:availability": "preorder", "g:availability_date": None, "g:quantity": "0"}


def _legacy_availability(item: Item, spot: Spot) -> None:
    text = item.fields["g:availability"] or ""
    item.fields["g:availability"] = text.replace("_", " ")


def _wrong_check_digit(item: Item, spot: Spot) -> None:
    gtin = item.fields["g:gtin"] or gtin13(f"629{spot.index % 10**9:09}")
    item.fields["g:gtin"] = f"{gtin[:-1]}{(int(gtin[-1]) + 1 + spot.index % 9) % 10}"


def _internal_gtin(item: Item, spot: Spot) -> None:
    item.fields["g:gtin"] = gtin13(f"2{spot.index % 10**9:011}")


def _too_many_images(item: Item, spot: Spot) -> None:
    main = item.fields["g:image_link"] or ""
    item.images = [main.replace("_1.jpg", f"_{n}.jpg") for n in range(2, 14)]
    item.fields["additional_images_count"] = str(len(item.images))


def _repeat_element(item: Item, spot: Spot) -> None:
    item.extras += "<g:condition>new</g:condition>\n<g:color>As shown</g:color>\n"


def _shipping_to_nowhere(item: Item, spot: Spot) -> None:
    item.extras = item.extras.replace("<g:country>AE</g:country>", "")


def _group_of_its_own(item: Item, spot: Spot) -> None:
    item.fields["g:item_group_id"] = f"G{item.fields['g:id']}"


def _group_named_like_the_item(item: Item, spot: Spot) -> None:
    item.fields["g:item_group_id"] = item.fields["g:id"]


# In an order in which a later one may undo an earlier one's work, never break on it: what is missing comes last.
# Rare ones have 0.05 %; those the survey found no figure for have 0.1 %.
DEFECTS: tuple[Defect, ...] = (
    Defect("id.too_long", 1.9, _edit("g:id", lambda text: f"{text}-{'spring-summer-collection-dubai-' * 2}")),
    Defect("title.all_caps", 6.8, _edit("title", str.upper)),
    Defect("title.too_long", 0.05, _edit("title", lambda text: f"{text} | {'exclusive online ' * 12}".strip())),
    Defect("text.placeholder", 0.1, _set("title", "{{ product.title }}", "undefined", "null")),
    Defect("text.double_escaped", 10, _escape_twice),
    Defect("description.too_long", 0.05, _set("description", "An heirloom in the making. " * 200)),
    Defect("text.control_chars", 0.05, _set("description", "Soft \ufffdcalfskin\ufffd, lined.", "Handmade \ue000.")),
    Defect("description.equals_title", 10, _title_as_description),
    Defect("url.scheme", 0.7, _edit("link", lambda text: text.removeprefix("https://"))),
    Defect("url.space", 0.6, _edit("link", lambda text: text.replace("-for-", " for "))),
    Defect("url.non_ascii", 3.4, _edit("link", lambda text: text.replace("/shop-", "/boutique-été-"))),
    Defect("image.placeholder", 0.1, _set("g:image_link", "https://media.example.com/no-image.jpg")),
    Defect("images.too_many", 0.4, _too_many_images),
    Defect("availability.date_missing", 1.2, _preorder_without_date),
    Defect("availability.legacy", 64, _legacy_availability),
    Defect("availability.unknown", 0.05, _set("g:availability", "coming soon", "ask in store", "on demand")),
    Defect("price.no_currency", 13.4, _no_currency),
    Defect("price.currency_mixed", 2.2, _other_currency),
    Defect("sale.not_lower", 2.5, _sale_not_lower),
    Defect("sale.date_format", 0.1, _set("g:sale_price_effective_date", "01/11/2026 - 30/11/2026")),
    Defect("price.format", 0.8, _odd_price),
    Defect("price.zero", 0.2, _set("g:price", "0.00 AED", "0 AED")),
    Defect("brand.generic", 0.1, _set("g:brand", "N/A", "Generic", "No brand")),
    Defect("group.brand_differs", 0.3, _set("g:brand", "Sample & Sons")),
    Defect("identifiers.missing", 37, _without("g:gtin", "g:mpn", "g:identifier_exists")),
    Defect("gtin.checksum", 0.5, _wrong_check_digit),
    Defect("gtin.length", 0.3, _set("g:gtin", "12345678901", "880123456", "8.80E+12")),
    Defect("gtin.not_digits", 0.1, _set("g:gtin", "n/a", "EAN8012345678901")),
    Defect("gtin.restricted", 0.05, _internal_gtin),
    Defect("gtin.coupon", 0.05, _set("g:gtin", gtin13("990123456789"))),
    Defect("gtin.duplicate", 0.1, _set("g:gtin", gtin13("400638133393"))),
    Defect(
        "identifiers.contradiction",
        3.1,
        _all(_set("g:identifier_exists", "no"), _set("g:gtin", gtin13("761234567890"))),
    ),
    Defect("condition.unknown", 0.05, _set("g:condition", "mint", "as good as ever")),
    Defect("gender.unknown", 0.05, _set("g:gender", "everybody", "n/a")),
    Defect("age_group.unknown", 0.05, _set("g:age_group", "all ages", "grown-up")),
    Defect("color.bad", 0.1, _set("g:color", "#C0FFEE", "multicolor", "123", "X", "Red/Green/Blue/Gold")),
    Defect("category.unknown", 2.1, _set("g:google_product_category", "Damen / Taschen", "ladies-fashion", "ملابس")),
    Defect("group.single", 2.8, _group_of_its_own),
    Defect("group.equals_id", 1.2, _group_named_like_the_item),
    Defect("group.subattribute_missing", 0.1, _shipping_to_nowhere),
    Defect("attribute.repeated", 1.0, _repeat_element),
    Defect("attribute.empty", 22, _all(_set("g:custom_label_2", ""), _set("product_class", ""))),
    Defect("id.duplicate", 1.6, _repeat_id),
    Defect("title.missing", 5.9, _without("title")),
    Defect("description.missing", 7.9, _without("description")),
    Defect("link.missing", 5.9, _without("link")),
    Defect("image_link.missing", 6.0, _without("g:image_link")),
    Defect("availability.missing", 0.3, _without("g:availability")),
    Defect("price.missing", 0.05, _without("g:price")),
    Defect("brand.missing", 19.7, _without("g:brand")),
    Defect("apparel.color", 2.6, _without("g:color")),
    Defect("apparel.gender", 3.2, _without("g:gender")),
    Defect("apparel.age_group", 3.2, _without("g:age_group")),
    Defect("apparel.size", 1.1, _without("g:size")),
)
