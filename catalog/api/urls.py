"""Where the calls about the catalogue are found."""

from django.urls import path, register_converter

from catalog.api import imports, products, uploads


class AnyText:
    """Whatever is left of the address, slashes and line breaks included: the ids of products are the shops' own."""

    regex = "(?s:.+)"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class ImportNumber:
    """The key of an import, in plain digits: what is larger than any key is not found, and does no harm."""

    regex = "[0-9]{1,18}"

    def to_python(self, value: str) -> int:
        return int(value)

    def to_url(self, value: int) -> str:
        return str(value)


register_converter(AnyText, "anything")
register_converter(ImportNumber, "import_number")

urlpatterns = [
    path("list-products/", products.ProductListView.as_view(), name="list-products"),
    path("product-detail/", products.ProductByQueryView.as_view(), name="product-by-query"),
    path("product-detail/<anything:id>/", products.ProductDetailView.as_view(), name="product-detail"),
    path("filter-options/", products.FilterOptionsView.as_view(), name="filter-options"),
    path("upload-products/", uploads.UploadView.as_view(), name="upload-products"),
    path("imports/", imports.ImportListView.as_view(), name="imports"),
    path("imports/<import_number:pk>/", imports.ImportDetailView.as_view(), name="import"),
    path("imports/<import_number:pk>/issues/", imports.ImportIssuesView.as_view(), name="import-issues"),
    path("imports/<import_number:pk>/invalid.csv", imports.InvalidItemsView.as_view(), name="import-invalid-csv"),
    path("imports/<import_number:pk>/invalid.xml", imports.InvalidFeedView.as_view(), name="import-invalid-xml"),
    path("imports/<import_number:pk>/apply/", imports.ApplyView.as_view(), name="import-apply"),
    path("imports/<import_number:pk>/discard/", imports.DiscardView.as_view(), name="import-discard"),
    path("imports/<import_number:pk>/undo/", imports.UndoView.as_view(), name="import-undo"),
]
