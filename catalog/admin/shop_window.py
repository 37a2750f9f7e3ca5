"""What a product's page shows above its form: its pictures, its price, the way to the shop, and the other variants."""

from __future__ import annotations

from typing import Any

from django.utils.html import format_html

from catalog.admin.pictures import thumbnail
from catalog.feeds.cleaning.values import shown_money
from catalog.models import Product

SHOWN_PICTURES = 12
SHOWN_VARIANTS = 40


def price_of(product: Product) -> str:
    """The price with its currency; a price before a sale is struck out."""
    if product.price is None:
        return "–"
    price = shown_money(product.price, product.currency)
    if product.sale_price is None or product.sale_price >= product.price:
        return price
    return format_html("<del>{}</del> {}", price, shown_money(product.sale_price, product.currency))


def shop_window(product: Product) -> dict[str, Any]:
    """Pictures, price, the shop's page, and the market's other products of the group, named by their colours and sizes.

    Variants are looked for among the products of the brand, which have an index: one of another brand is not shown.
    """
    pictures = dict.fromkeys([product.image_link, *product.additional_image_link])
    variants: list[Product] = []
    if product.item_group_id:
        of_brand = Product.objects.active().filter(market=product.market_id, brand_key=product.brand_key)
        group = of_brand.filter(item_group_id=product.item_group_id).exclude(pk=product.pk)
        variants = list(group.order_by("color", "size", "id")[: SHOWN_VARIANTS + 1])
    return {
        "pictures": [shown for address in list(pictures)[:SHOWN_PICTURES] if (shown := thumbnail(address, product))],
        "price": price_of(product),
        "shop": product.link if product.link.lower().startswith(("https://", "http://")) else "",
        "variants": [
            {"product": each, "name": " · ".join(filter(None, (each.color, each.size))) or each.title or each.id}
            for each in variants[:SHOWN_VARIANTS]
        ],
        "has_more_variants": len(variants) > SHOWN_VARIANTS,
    }
