"""The columns and the formats of every export."""

import re
from collections.abc import Iterator
from decimal import Decimal
from io import BytesIO
from typing import Any

from import_export import resources
from import_export.fields import Field
from import_export.formats.base_formats import CSV, JSON, XLSX, Format
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

from catalog.feeds import write
from catalog.feeds.attributes import COLUMNS
from catalog.models import Feed, Product
from catalog.models.fields import MONEY_NAMES
from catalog.models.product import ProductQuerySet
from catalog.spreadsheet import safe_cell


class SafeCSV(CSV):
    """CSV whose cells cannot become formulas. The byte order mark tells Excel that it is UTF-8."""

    def export_data(self, dataset: Any, **options: Any) -> str:
        for index, row in enumerate(dataset):
            dataset[index] = tuple(map(safe_cell, row))
        return f"\ufeff{super().export_data(dataset, **options)}"


CELL_UNITS = 32_767
"""The most that a cell of Excel holds, in the units of UTF-16."""
_EXACT_DIGITS = 15  # of a number in Excel
_LOOKS_ENCODED = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")


class SafeXLSX(XLSX):
    """XLSX whose cells cannot become formulas, dates or errors."""

    def export_data(self, dataset: Any, **_options: Any) -> bytes:
        workbook = Workbook(write_only=True)
        sheet = workbook.create_sheet("Products")
        for row in [dataset.headers or [], *dataset]:
            sheet.append([_workbook_cell(sheet, safe_cell(value)) for value in row])
        content = BytesIO()
        workbook.save(content)
        return content.getvalue()


def _workbook_cell(sheet: Any, value: Any) -> Any:
    """A number, or a text that Excel takes for nothing else. openpyxl would cut a long one without a word."""
    if isinstance(value, Decimal) and len(value.as_tuple().digits) > _EXACT_DIGITS:
        value = str(value)
    if not isinstance(value, str):
        return value
    cell = WriteOnlyCell(sheet)
    # Excel reads _x0041_ as A, so the text of these seven characters begins with an underscore by its number.
    cell._value = ILLEGAL_CHARACTERS_RE.sub("\ufffd", _LOOKS_ENCODED.sub("_x005F_", value))
    cell.data_type = "s"
    return cell


def too_long_for_excel(dataset: Any) -> str:
    """A sentence about the texts that Excel would cut; "" when there is none."""
    number, example = 0, ""
    for row in dataset:
        for name, value in zip(dataset.headers, row, strict=True):
            text = safe_cell(value)
            if isinstance(text, str) and 2 * len(text) > CELL_UNITS:
                units = len(text.encode("utf-16-le", "surrogatepass")) // 2
                if units > CELL_UNITS:
                    number += 1
                    example = example or f"{name} of {row[0]} has {units:,}"
    if not number:
        return ""
    longer = "1 text is" if number == 1 else f"{number:,} texts are"
    return (
        f"A cell of Excel holds {CELL_UNITS:,} characters, and {longer} longer: {example}. "
        "Nothing was exported, so that nothing is cut. Choose CSV or JSON."
    )


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


def feed_xml(products: ProductQuerySet, feed: Feed | None = None) -> Iterator[bytes]:
    """The products of one market as a feed, in pieces and in constant memory, however many they are.

    The ids are the market's; for one feed they are those of its files, without its prefix.
    """
    names = (*(a.name for a in COLUMNS), "currency", "extra")
    rows = products.order_by("id").values(*names).iterator(chunk_size=ROWS_AT_ONCE)
    if feed:
        rows = ({**row, "id": feed.id_in_file(row["id"])} for row in rows)
    yield from write.feed_pieces(write.item_element(row, row["extra"]) for row in rows)


class FeedXML(Format):
    """The only format to import. `catalog.imports` reads it; import-export only shows its name."""

    def get_title(self) -> str:
        return "Product feed (XML, CSV, TSV, Excel or JSON; gzip or zip)"

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
