"""The columns and the formats of every export."""

from collections.abc import Iterator
from typing import Any

from import_export import resources
from import_export.fields import Field
from import_export.formats.base_formats import CSV, JSON, XLSX, Format

from catalog.feeds import write
from catalog.feeds.attributes import COLUMNS
from catalog.models import Product
from catalog.models.fields import MONEY_NAMES
from catalog.models.product import ProductQuerySet
from catalog.spreadsheet import safe_cell


class _ForSpreadsheets:
    """For the formats that people open in a spreadsheet."""

    def export_data(self, dataset: Any, **options: Any) -> Any:
        for index, row in enumerate(dataset):
            dataset[index] = tuple(map(safe_cell, row))
        return super().export_data(dataset, **options)  # type: ignore[misc]


class SafeCSV(_ForSpreadsheets, CSV):
    """CSV whose cells cannot become formulas. The byte order mark tells Excel that it is UTF-8."""

    def export_data(self, dataset: Any, **options: Any) -> str:
        return f"\ufeff{super().export_data(dataset, **options)}"


class SafeXLSX(_ForSpreadsheets, XLSX):
    """XLSX whose cells cannot become formulas."""


class MerchantXML(Format):
    """A feed that Google Merchant Center can read, and that changes nothing when it is imported again."""

    def get_title(self) -> str:
        return "Google Merchant XML"

    def get_extension(self) -> str:
        return "xml"

    def get_content_type(self) -> str:
        return "application/xml"

    def can_export(self) -> bool:
        return True

    def export_data(self, dataset: Any, **_options: Any) -> bytes:
        rows = (dict(zip(dataset.headers, row, strict=True)) for row in dataset)
        return b"".join(write.feed_pieces(write.item_element(row, row["extra"]) for row in rows))


EXPORT_FORMATS = [SafeCSV, SafeXLSX, JSON, MerchantXML]
ROWS_AT_ONCE = 2000


def feed_xml(products: ProductQuerySet) -> Iterator[bytes]:
    """The products as a feed, in pieces and in constant memory, however many they are."""
    names = (*(a.name for a in COLUMNS), "currency", "extra")
    rows = products.order_by("id").values(*names).iterator(chunk_size=ROWS_AT_ONCE)
    yield from write.feed_pieces(write.item_element(row, row["extra"]) for row in rows)


class FeedXML(Format):
    """The only format to import. `catalog.imports` reads it; import-export only shows its name."""

    def get_title(self) -> str:
        return "Product feed (XML, CSV or TSV; gzip or zip)"

    def get_extension(self) -> str:
        return "xml"

    def can_import(self) -> bool:
        return True


class ProductResource(resources.ModelResource):
    """A product under the names of its feed attributes, in the order of the attribute table. Values are as stored."""

    archived = Field(attribute="archived_at", column_name="archived")
    feed = Field(attribute="feed__slug", column_name="feed")

    class Meta:
        model = Product
        import_id_fields = ["id"]
        fields = (*(a.name for a in COLUMNS), "currency", "extra", "feed", "archived")
        export_order = fields

    def export_field(self, field: Field, instance: Product, **options: Any) -> Any:
        value = field.get_value(instance)
        if field.column_name in MONEY_NAMES and value is not None:
            return write.with_decimals(value, instance.currency)
        return value
