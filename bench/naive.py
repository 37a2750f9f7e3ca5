"""The API as one writes it first, beside ours: count(), OFFSET, DISTINCT, and a ModelSerializer with every field."""

from typing import Any

from django.db.models import QuerySet
from django.urls import path
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ModelSerializer
from rest_framework.views import APIView

from catalog.models import DEFAULT_MARKET, Product
from config.urls import urlpatterns as ours

LOOKUPS = {
    "condition": "condition",
    "gender": "gender",
    "brand": "brand",
    "availability": "availability",
    "min_price": "price__gte",
    "max_price": "price__lte",
    "search": "title__icontains",
}


class ProductSerializer(ModelSerializer[Product]):
    class Meta:
        model = Product
        exclude = ("search", "title_key", "brand_key")


class Pages(PageNumberPagination):
    page_size = 20


class ProductList(ListAPIView[Product]):
    serializer_class = ProductSerializer
    pagination_class = Pages

    def get_queryset(self) -> QuerySet[Product]:
        given = self.request.query_params
        chosen = {lookup: given[name] for name, lookup in LOOKUPS.items() if name in given}
        order = ("-" if given.get("order") == "desc" else "") + given.get("sort_by", "id")
        return Product.objects.filter(market=DEFAULT_MARKET, archived_at=None, **chosen).order_by(order)


class ProductDetail(RetrieveAPIView[Product]):
    serializer_class = ProductSerializer
    queryset = Product.objects.filter(market=DEFAULT_MARKET, archived_at=None)
    lookup_field = "id"


class FilterOptions(APIView):
    def get(self, request: Request) -> Response:
        listed = Product.objects.filter(market=DEFAULT_MARKET, archived_at=None)
        return Response({f"{name}s": self._values(listed, name) for name in ("condition", "gender", "brand")})

    def _values(self, listed: QuerySet[Product], name: str) -> list[Any]:
        return sorted(listed.exclude(**{name: ""}).values_list(name, flat=True).distinct())


urlpatterns = [
    *ours,
    path("naive/list-products/", ProductList.as_view()),
    path("naive/product-detail/<path:id>/", ProductDetail.as_view()),
    path("naive/filter-options/", FilterOptions.as_view()),
]
