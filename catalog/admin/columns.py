"""The columns of the list of products: which there are, and which a person has chosen."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from catalog.imports.sql import fetch_rows
from catalog.models import ChosenColumns, Product
from catalog.models.product import KEY_CHARS

# As they stand in the list from the left. The product itself is always there.
COLUMNS: dict[str, Any] = {
    "brand": _("Brand"),
    "category": _("Category"),
    "variants": _("Variants"),
    "shown_price": _("Price"),
    "shown_availability": _("Availability"),
    "quantity": _("Quantity"),
    "condition": _("Condition"),
    "gender": _("Gender"),
    "color": _("Colour"),
    "size": _("Size"),
    "gtin": _("GTIN"),
    "mpn": _("MPN"),
    "group": _("Item group id"),
    "pins": _("Pinned fields"),
    "feed": _("Feed"),
    "created_at": _("Created"),
    "updated_at": _("Updated"),
}
FIRST_CHOICE = ("brand", "shown_price", "shown_availability", "feed", "updated_at")


def columns_of(request: HttpRequest) -> list[str]:
    """Those that the person has chosen, or those that everyone begins with: one query for the whole page."""
    if not hasattr(request, "_columns"):
        chosen = ChosenColumns.objects.filter(person=request.user.pk).values_list("columns", flat=True).first()
        wanted = FIRST_CHOICE if chosen is None else chosen
        request._columns = [name for name in COLUMNS if name in wanted]  # type: ignore[attr-defined]
    columns: list[str] = request._columns  # type: ignore[attr-defined]
    return columns


def choose_columns(by: Any, columns: list[str]) -> None:
    """Keep them for the person. Without any, the first choice is back."""
    chosen = [name for name in COLUMNS if name in columns]
    if chosen:
        ChosenColumns.objects.update_or_create(person=by, defaults={"columns": chosen})
    else:
        ChosenColumns.objects.filter(person=by).delete()


SHOWN_VALUES = 6
# A group is looked at up to so many of its variants.
MAX_VARIANTS = 100


def variants_in_words(market: int, products: list[Product]) -> dict[str, str]:
    """For each group of these products how many variants it has, and their colours and sizes: one query."""
    groups = list({product.item_group_id for product in products} - {""})
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for group, color, size in fetch_rows(
        f"""
        SELECT groups.id, variant.color, variant.size
        FROM unnest(%(groups)s::text[]) AS groups (id) CROSS JOIN LATERAL (
            SELECT color, size FROM catalog_product product
            WHERE product.market_id = %(market)s AND archived_at IS NULL AND item_group_id > ''
                AND LEFT(item_group_id, {KEY_CHARS}) = LEFT(groups.id, {KEY_CHARS}) AND item_group_id = groups.id
            ORDER BY product.id LIMIT {MAX_VARIANTS + 1}
        ) AS variant
        """,
        groups=groups,
        market=market,
    ):
        found[group].append((color, size))
    return {group: _in_words(variants) for group, variants in found.items()}


def _in_words(variants: list[tuple[str, str]]) -> str:
    number = min(len(variants), MAX_VARIANTS)
    counted = ngettext("%(number)s variant", "%(number)s variants", number) % {
        "number": f"{number}+" if len(variants) > MAX_VARIANTS else number
    }
    colors, sizes = (_listed(values) for values in zip(*variants, strict=True))
    return " · ".join(filter(None, (counted, colors, sizes)))


def _listed(values: Any) -> str:
    known = [*dict.fromkeys(filter(None, values))]
    return ", ".join(known[:SHOWN_VALUES]) + (", …" if len(known) > SHOWN_VALUES else "")
