"""The calls that read the catalogue."""

from __future__ import annotations

from typing import Any

from django.db import connection
from drf_spectacular.utils import extend_schema_view
from rest_framework.exceptions import NotFound
from rest_framework.request import Request

from catalog.api import examples
from catalog.api.counts import CHOICES, choices, count_of
from catalog.api.etag import CatalogueView
from catalog.api.openapi import PRODUCT_ID, call
from catalog.api.pages import check_page, envelope, keys_of_page, pages_of
from catalog.api.queries import PAGING, Query, amount, choice, text
from catalog.api.serializers import (
    PRODUCT_FIELDS,
    FilterOptionsSerializer,
    ProductPageSerializer,
    ProductSerializer,
    product,
)
from catalog.feeds.attributes import BY_NAME
from catalog.models import Product
from catalog.models.product import SEARCH_CHARS, ProductQuerySet
from catalog.version_cache import cached

# What the list may be sorted by, and the column that has an index for it.
COLUMN_OF = {
    "id": "id",
    "title": "title_key",
    "brand": "brand_key",
    "price": "price",
    "created_at": "created_at",
    "updated_at": "updated_at",
}
FILTERS = (
    *(choice(name, BY_NAME[name].values, "Given again, either will do.", repeated=True) for name in CHOICES),
    text(
        "brand",
        "As it is written in /filter-options/. Given again, either will do.",
        least=1,
        most=BY_NAME["brand"].limit,
        repeated=True,
    ),
    amount("min_price", "The lowest price, in whatever currency."),
    amount("max_price", "The highest price, in whatever currency."),
    text(
        "search",
        "Beginnings of words in id, title, brand, GTIN or MPN; punctuation stands between words. A word that no "
        "product has is taken as the one most like it; a number is taken as it is.",
        most=SEARCH_CHARS,
        default="",
    ),
)
LIST = Query(
    (
        *FILTERS,
        choice("sort_by", COLUMN_OF, "Of products that are alike in it, the id decides.", default="id"),
        choice("order", ("asc", "desc"), "`desc` is exactly the reverse of `asc`.", default="asc"),
        *PAGING,
    )
)
BY_ID = Query((text("id", "The product's id.", least=1, most=BY_NAME["id"].limit, required=True),))
FORM = ",".join(PRODUCT_FIELDS)


@extend_schema_view(
    get=call(
        "products",
        "list_products",
        {200: ProductPageSerializer},
        errors=(400, 404),
        parameters=LIST.described(),
        example=examples.page(examples.PRODUCT),
        conditional=True,
    )
)
class ProductListView(CatalogueView):
    """Products that are not archived, page by page."""

    form = FORM
    query = LIST

    def answer(self, request: Request, version: int, asked: dict[str, Any]) -> dict[str, Any]:
        chosen = products_with(asked)
        count = count_of(version, asked, chosen)
        number, size = asked["page"], asked["page_size"]
        total = pages_of(count, size)
        check_page(number, total)
        ids = keys_of_page(chosen, order_of(asked), number=number, size=size, count=count)
        return envelope(request, products_by(ids), number=number, total=total, count=count)


class OneProductView(CatalogueView):
    """What the calls about one product have in common."""

    form = FORM

    def answer(self, request: Request, version: int, asked: dict[str, Any]) -> dict[str, Any]:
        found = products_by([asked["id"]])
        if not found:
            raise NotFound("There is no product of this id.")
        return found[0]


@extend_schema_view(
    get=call(
        "products",
        "product_detail",
        {200: ProductSerializer},
        place=PRODUCT_ID,
        errors=(400, 404),
        example=examples.PRODUCT,
        conditional=True,
    )
)
class ProductDetailView(OneProductView):
    """One product that is not archived. In the address its id is percent-encoded: `a/b` is `a%2Fb`."""


@extend_schema_view(
    get=call(
        "products",
        "product_detail_by_query",
        {200: ProductSerializer},
        errors=(400, 404),
        parameters=BY_ID.described(),
        example=examples.PRODUCT,
        conditional=True,
    )
)
class ProductByQueryView(OneProductView):
    """One product whose id no path can hold: clients take `.` and `..` between slashes out of an address."""

    query = BY_ID


@extend_schema_view(
    get=call(
        "products",
        "filter_options",
        {200: FilterOptionsSerializer},
        errors=(400,),
        example=examples.OPTIONS,
        conditional=True,
    )
)
class FilterOptionsView(CatalogueView):
    """What the list can be filtered by: every condition, gender and brand that a product on it has."""

    def answer(self, request: Request, version: int, asked: dict[str, Any]) -> dict[str, Any]:
        return options(version)


def products_with(asked: dict[str, Any]) -> ProductQuerySet:
    """The listed products that every given filter lets through."""
    chosen = Product.objects.active()
    for name in CHOICES:
        if asked[name]:
            chosen = chosen.filter(**{f"{name}__in": asked[name]})
    if asked["brand"]:
        chosen = chosen.of_brands(asked["brand"])
    if asked["min_price"] is not None:
        chosen = chosen.filter(price__gte=asked["min_price"])
    if asked["max_price"] is not None:
        chosen = chosen.filter(price__lte=asked["max_price"])
    return chosen.search(asked["search"])


def order_of(asked: dict[str, Any]) -> list[str]:
    sign = "-" if asked["order"] == "desc" else ""
    return [f"{sign}{column}" for column in dict.fromkeys((COLUMN_OF[asked["sort_by"]], "id"))]


# Written out, because it takes the ORM as long to write it as the database to answer.
ROWS = f"""
    SELECT {", ".join(f'"{name}"' for name in PRODUCT_FIELDS)}
    FROM catalog_product
    WHERE id = ANY(%s) AND archived_at IS NULL
"""


def products_by(ids: list[str]) -> list[dict[str, Any]]:
    """The listed products of these ids as they are sent, in the order of the ids."""
    with connection.cursor() as cursor:
        cursor.execute(ROWS, [ids])
        rows = {row[0]: dict(zip(PRODUCT_FIELDS, row, strict=True)) for row in cursor.fetchall()}
    return [product(rows[id]) for id in ids if id in rows]


def options(version: int) -> dict[str, list[str]]:
    conditions, genders = ({values[place] for values in choices(version)} for place in (0, 1))
    return {
        "conditions": sorted(conditions - {""}),
        "genders": sorted(genders - {""}),
        "brands": cached(version, "brands", Product.brands),
    }
