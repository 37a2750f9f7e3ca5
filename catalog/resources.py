"""The columns of every export."""

from typing import Any

from import_export import resources
from import_export.fields import Field
from import_export.formats.base_formats import CSV, JSON, XLSX, Format

from catalog.feeds.attributes import COLUMNS
from catalog.models import Product

# A spreadsheet runs a cell that begins so as a formula; a leading apostrophe makes it text.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


def safe_cell(value: Any) -> Any:
    """The cell as a spreadsheet can show it without running it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value


class _ForSpreadsheets:
    """Mixed into the formats that people open in a spreadsheet."""

    def export_data(self, dataset: Any, **options: Any) -> Any:
        for index, row in enumerate(dataset):
            dataset[index] = tuple(map(safe_cell, row))
        return super().export_data(dataset, **{**options, "escape_formulae": False})  # type: ignore[misc]


class SafeCSV(_ForSpreadsheets, CSV):
    """CSV whose cells cannot become formulas."""


class SafeXLSX(_ForSpreadsheets, XLSX):
    """XLSX whose cells cannot become formulas."""


EXPORT_FORMATS = [SafeCSV, SafeXLSX, JSON]


class FeedXML(Format):
    """The one format that is imported. `catalog.imports` reads it; import-export only shows its name."""

    def get_title(self) -> str:
        return "XML feed (RSS 2.0 or Atom)"

    def get_extension(self) -> str:
        return "xml"

    def can_import(self) -> bool:
        return True


class ProductResource(resources.ModelResource):
    """A product by the names of its feed attributes, in the order of the attribute table."""

    archived = Field(attribute="archived_at", column_name="archived")
    feed = Field(attribute="feed__slug", column_name="feed")

    class Meta:
        model = Product
        import_id_fields = ["id"]
        fields = (*(a.name for a in COLUMNS), "currency", "extra", "feed", "archived")
        export_order = fields
