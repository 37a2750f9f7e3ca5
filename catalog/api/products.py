"""The calls that read the catalogue."""

from __future__ import annotations

from typing import Any

from django.db import connection
from drf_spectacular.utils import extend_schema_view
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.schema import Answer, documented
from accounts.models import Scope
from catalog.api import examples
from catalog.api.counts import CHOICES, count_by_choices, count_products
from catalog.api.etag import CatalogueView
from catalog.api.openapi import CONDITIONAL, NOT_MODIFIED, PRODUCT_ID
from catalog.api.pages import Page
from catalog.api.queries import SORT_COLUMNS, MarketQuery, NoQuery, ProductIdQuery, ProductsQuery
from catalog.api.serializers import (
    PRODUCT_FIELDS,
    STORED_FIELDS,
    FilterOptionsSerializer,
    MarketSerializer,
    ProductPageSerializer,
    ProductSerializer,
    render_product,
)
from catalog.models import Market, MarketState, Product
from catalog.models.product import ProductQuerySet
from catalog.version_cache import compute_once

FORM = ",".join(PRODUCT_FIELDS)
PRODUCT = Answer(ProductSerializer, examples.PRODUCT)


@extend_schema_view(
    get=documented(
        "products",
        "list_products",
        {200: Answer(ProductPageSerializer, examples.page(examples.PRODUCT)), 304: NOT_MODIFIED},
        errors=(400, 404),
        parameters=[ProductsQuery(), *CONDITIONAL],
    )
)
class ProductListView(CatalogueView):
    """Products that are not archived, page by page."""

    form = FORM
    query = ProductsQuery()

    def answer(self, request: Request, market: MarketState, asked: dict[str, Any]) -> dict[str, Any]:
        chosen = filter_products(market.id, asked)
        page = Page(asked["page"], asked["page_size"], count_products(market, asked, chosen))
        sign = "-" if asked["order"] == "desc" else ""
        order = [f"{sign}{column}" for column in dict.fromkeys((SORT_COLUMNS[asked["sort_by"]], "id"))]
        return page.wrap_results(request, find_products(market, page.find_ids(chosen, order)))


class OneProductView(CatalogueView):
    """What the calls about one product have in common."""

    form = FORM

    def answer(self, request: Request, market: MarketState, asked: dict[str, Any]) -> dict[str, Any]:
        found = find_products(market, [asked["id"]])
        if not found:
            raise NotFound("There is no product with this id.")
        return found[0]


@extend_schema_view(
    get=documented(
        "products",
        "product_detail",
        {200: PRODUCT, 304: NOT_MODIFIED},
        errors=(400, 404),
        parameters=[PRODUCT_ID, MarketQuery(), *CONDITIONAL],
    )
)
class ProductDetailView(OneProductView):
    """One product that is not archived. Percent-encode its id in the address: `a/b` is `a%2Fb`."""


@extend_schema_view(
    get=documented(
        "products",
        "product_detail_by_query",
        {200: PRODUCT, 304: NOT_MODIFIED},
        errors=(400, 404),
        parameters=[ProductIdQuery(), *CONDITIONAL],
    )
)
class ProductByQueryView(OneProductView):
    """One product by any id, even one that a path cannot hold: clients remove `.` and `..` between slashes."""

    query = ProductIdQuery()


@extend_schema_view(
    get=documented(
        "products",
        "filter_options",
        {200: Answer(FilterOptionsSerializer, examples.OPTIONS), 304: NOT_MODIFIED},
        errors=(400,),
        parameters=[MarketQuery(), *CONDITIONAL],
    )
)
class FilterOptionsView(CatalogueView):
    """What the list can be filtered by: every condition, gender and brand that a product on it has."""

    def answer(self, request: Request, market: MarketState, asked: dict[str, Any]) -> dict[str, list[str]]:
        counted = count_by_choices(market)
        conditions, genders = ({values[place] for values in counted} for place in (0, 1))
        return {
            "conditions": sorted(conditions - {""}),
            "genders": sorted(genders - {""}),
            "brands": compute_once(market.id, market.version, "brands", lambda: Product.brands(market.id)),
        }


class MarketsView(APIView):
    key_scopes = (Scope.READ,)
    query = NoQuery()

    @documented("products", "markets", {200: Answer(MarketSerializer(many=True), examples.MARKET)}, errors=(400,))
    def get(self, request: Request) -> Response:
        """Every market, the default one first."""
        self.query.read(request.query_params)
        return Response(MarketSerializer(Market.objects.order_by("pk"), many=True).data)


def filter_products(market: int, asked: dict[str, Any]) -> ProductQuerySet:
    """The market's listed products that pass every given filter."""
    chosen = Product.objects.in_market(market).active()
    for name in CHOICES:
        if asked[name]:
            chosen = chosen.filter(**{f"{name}__in": asked[name]})
    if asked["brand"]:
        chosen = chosen.of_brands(asked["brand"])
    if asked["min_price"] is not None:
        chosen = chosen.filter(price__gte=asked["min_price"])
    if asked["max_price"] is not None:
        chosen = chosen.filter(price__lte=asked["max_price"])
    if asked["updated_since"] is not None:
        chosen = chosen.filter(updated_at__gte=asked["updated_since"])
    return chosen.search(asked["search"], market=market)


# Written out, because it takes the ORM as long to write it as the database to answer.
ROWS = f"""
    SELECT {", ".join(f'"{name}"' for name in STORED_FIELDS)}
    FROM catalog_product
    WHERE market_id = %s AND id = ANY(%s) AND archived_at IS NULL
"""


def find_products(market: MarketState, ids: list[str]) -> list[dict[str, Any]]:
    """The market's listed products with these ids as they are sent, in the order of the ids."""
    with connection.cursor() as cursor:
        cursor.execute(ROWS, [market.id, ids])
        rows = {row[0]: dict(zip(STORED_FIELDS, row, strict=True)) for row in cursor.fetchall()}
    return [render_product(rows[id], market.code) for id in ids if id in rows]
