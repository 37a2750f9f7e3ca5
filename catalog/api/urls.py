"""The addresses of the calls about the catalogue."""

from django.urls import path, register_converter

from catalog.api import exports, products
from catalog.api.changes import ProductChangesView
from catalog.api.feeds import FeedViewSet
from catalog.api.imports import ImportViewSet
from catalog.api.plans import PlanViewSet
from catalog.api.uploads import UploadView


class AnyText:
    """The rest of the address, with slashes and line breaks: shops choose the ids of their products freely."""

    regex = "(?s:.+)"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class ImportNumber:
    """The key of an import, in plain digits. A number larger than any key is not found."""

    regex = "[0-9]{1,18}"

    def to_python(self, value: str) -> int:
        return int(value)

    def to_url(self, value: int) -> str:
        return str(value)


register_converter(AnyText, "anything")
register_converter(ImportNumber, "import_number")

urlpatterns = [
    path("list-products/", products.ProductListView.as_view(), name="list-products"),
    path("products/export/", exports.ProductsExportView.as_view(), name="products-export"),
    path("products/changes/", ProductChangesView.as_view(), name="products-changes"),
    path("product-detail/", products.ProductByQueryView.as_view(), name="product-by-query"),
    path("product-detail/<anything:id>/", products.ProductDetailView.as_view(), name="product-detail"),
    path("filter-options/", products.FilterOptionsView.as_view(), name="filter-options"),
    path("markets/", products.MarketsView.as_view(), name="markets"),
    path("upload-products/", UploadView.as_view(), name="upload-products"),
    path("imports/", ImportViewSet.as_view({"get": "list_imports"}), name="imports"),
    path("imports/<import_number:pk>/", ImportViewSet.as_view({"get": "retrieve"}), name="import"),
    path("imports/<import_number:pk>/issues/", ImportViewSet.as_view({"get": "issues"}), name="import-issues"),
    path(
        "imports/<import_number:pk>/invalid.csv",
        ImportViewSet.as_view({"get": "invalid_csv"}),
        name="import-invalid-csv",
    ),
    path(
        "imports/<import_number:pk>/invalid.xml",
        ImportViewSet.as_view({"get": "invalid_xml"}),
        name="import-invalid-xml",
    ),
    path("imports/<import_number:pk>/apply/", ImportViewSet.as_view({"post": "confirm"}), name="import-apply"),
    path("imports/<import_number:pk>/discard/", ImportViewSet.as_view({"post": "discard"}), name="import-discard"),
    path(
        "imports/<import_number:pk>/undo/",
        PlanViewSet.as_view({"get": "preview_undo", "post": "undo"}),
        name="import-undo",
    ),
    path(
        "imports/<import_number:pk>/redo/",
        PlanViewSet.as_view({"get": "preview_redo", "post": "redo"}),
        name="import-redo",
    ),
    path("imports/<import_number:pk>/plan-again/", PlanViewSet.as_view({"post": "again"}), name="import-plan-again"),
    path("imports/<import_number:pk>/changes/", PlanViewSet.as_view({"get": "changes"}), name="import-changes"),
    path(
        "imports/<import_number:pk>/changes.csv",
        PlanViewSet.as_view({"get": "changes_csv"}),
        name="import-changes-csv",
    ),
    path(
        "imports/<import_number:pk>/issues/<str:code>/items/",
        PlanViewSet.as_view({"get": "issue_items"}),
        name="import-issue-items",
    ),
    path("imports/<import_number:pk>/invalid/", PlanViewSet.as_view({"get": "invalid"}), name="import-invalid"),
    path("imports/<import_number:pk>/coverage/", PlanViewSet.as_view({"get": "coverage"}), name="import-coverage"),
    path("imports/<import_number:pk>/file/", PlanViewSet.as_view({"get": "original"}), name="import-file"),
    path("feeds/", FeedViewSet.as_view({"get": "list_feeds"}), name="feeds"),
    path("feeds/<slug:slug>/fetch/", FeedViewSet.as_view({"post": "fetch"}), name="feed-fetch"),
    path("feeds/<slug:slug>/fetches/", FeedViewSet.as_view({"get": "fetches"}), name="feed-fetches"),
    path(
        "feeds/<slug:slug>/fetches/<import_number:pk>/",
        FeedViewSet.as_view({"get": "fetch_detail"}),
        name="feed-fetch-detail",
    ),
]
