"""An offer as an item of the feed: RSS's three plain elements, Google's `g:` ones, and the shop's private ones."""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from html import escape

from samples.assortment import Offer, Style
from samples.texts import describe

_APPS = """\
<g:ios_app_store_id>1100334455</g:ios_app_store_id>
<g:ios_app_name>Ounass Luxury Shopping</g:ios_app_name>
<g:android_package>com.example.ounass</g:android_package>
<g:android_app_name>Ounass Luxury Shopping</g:android_app_name>
<appLink property="iphone_app_name" content="Ounass Luxury Shopping"/>
<appLink property="iphone_app_store_id" content="1100334455"/>
"""

Fields = dict[str, str | None]
"""Element name → its text, escaped for XML, in the order of the feed. `None` leaves the element out."""

_SHOP = "https://www.example.com"
_MEDIA = "https://media.example.com"
_APP = "https://app.example.com/product"
_FREE_SHIPPING_FROM = 500_00  # fils
_PRICE_BANDS = ((500_00, "under-500"), (2_000_00, "500-2000"), (10_000_00, "2000-10000"))


@dataclass(slots=True)
class Item:
    """One item, still open to changes. `extras` is markup: the elements that are nested or carry attributes."""

    fields: Fields
    images: list[str]
    extras: str

    def to_xml(self) -> bytes:
        """The `<item>` element in UTF-8, one element a line."""
        lines = [f"<{name}>{text}</{name}>\n" for name, text in self.fields.items() if text is not None]
        lines += [f"<g:additional_image_link>{url}</g:additional_image_link>\n" for url in self.images]
        return f"<item>\n{''.join(lines)}{self.extras}</item>\n".encode()


def item_of(offer: Offer) -> Item:
    """The item of an offer in the feed."""
    sheet = _sheet_of(offer.style)
    stock = offer.stock
    fields = sheet.fields.copy()
    fields["g:id"] = offer.id
    fields["link"] = f"{sheet.link}{offer.id}.html?utm_source=feed&amp;utm_medium=shopping"
    fields["g:availability"] = stock.availability
    fields["g:availability_date"] = stock.date or None
    fields["g:quantity"] = str(stock.quantity)
    fields["g:gtin"] = offer.gtin or None
    fields["g:mpn"] = offer.mpn or None
    fields["g:identifier_exists"] = "yes" if offer.gtin or offer.mpn else "no"
    fields["g:size"] = offer.size
    return Item(fields, sheet.images.copy(), sheet.extras)


def money_text(fils: int) -> str:
    """An amount as Merchant Center reads it: 15500 → 155.00 AED."""
    return f"{fils // 100}.{fils % 100:02} AED"


def escape_text(text: str) -> str:
    """Text as the content of an element."""
    return escape(text, quote=False)


@dataclass(frozen=True, slots=True)
class _Sheet:
    """What the items of one style share in the feed. `link` lacks the item's id."""

    fields: Fields
    images: list[str]
    extras: str
    link: str


@lru_cache(maxsize=4)
def _sheet_of(style: Style) -> _Sheet:
    """Kept for the style that is being written, and for the variations that a changed item makes of it."""
    audience, app_url = style.audience.label, f"{_APP}/{style.number}"
    name = f"{style.house.name} {style.title} for {audience}"
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_name.lower()).strip("-")
    main_image, *more_images = (
        f"{_MEDIA}/products/{style.number % 1000:03}/{style.number}_{n}.jpg?v={style.image_version}&amp;w=1200"
        for n in range(1, style.images + 2)
    )
    fields = {
        "g:id": "",
        "title": escape_text(style.title),
        "g:product_type": escape_text(f"{audience} > {style.department.name} > {style.kind.shelf}"),
        "link": "",
        "description": describe(style),
        "g:image_link": main_image,
        "g:price": money_text(style.price),
        "g:sale_price": money_text(style.final_price) if style.discount else None,
        "g:oldprice": money_text(style.price),
        "g:finalprice": money_text(style.final_price),
        "g:discount_percent": str(style.discount),
        "g:availability": "",
        "g:availability_date": None,
        "g:google_product_category": escape_text(style.kind.category),
        "g:brand": escape_text(style.house.name),
        "g:gtin": None,
        "g:mpn": None,
        "g:identifier_exists": "",
        "g:item_group_id": str(style.number),
        "g:condition": "new",
        "g:age_group": style.audience.age_group,
        "g:color": style.colour,
        "g:size": "",
        "g:material": style.composition or None,
        "g:gender": style.audience.gender,
        "g:gender_orig_value": audience,
        "g:quantity": "",
        "g:adult": "no",
        "g:adwords_labels": f"{audience}-{style.department.name}".lower(),
        "additional_images_count": str(style.images),
        "options_percentage": str(style.options_percentage),
        "icon_media_url": f"{_MEDIA}/icons/{style.icon}.png",
        "all_sizes_skus": ",".join(map(style.sku, style.sizes)),
        "sizes_of_all_skus": ",".join(style.sizes),
        "product_season": style.season.name,
        "product_class": escape_text(style.department.product_class),
        "g:custom_label_0": style.department.name.lower(),
        "g:custom_label_1": next((band for limit, band in _PRICE_BANDS if style.price < limit), "over-10000"),
        "g:custom_label_2": style.tier,
        "g:custom_label_3": style.season.name.lower(),
        "g:custom_label_4": f"sale-{style.discount}" if style.discount else "full-price",
    }
    shipping_price = money_text(0 if style.final_price >= _FREE_SHIPPING_FROM else 25_00)
    extras = (
        "<g:shipping><g:country>AE</g:country><g:service>Standard</g:service>"
        f"<g:price>{shipping_price}</g:price></g:shipping>\n"
        f"{_APPS}"
        f'<g:ios_url>{app_url}</g:ios_url>\n<appLink property="iphone_url" content="{app_url}"/>\n'
    )
    return _Sheet(fields, more_images, extras, f"{_SHOP}/shop-{slug}-")
