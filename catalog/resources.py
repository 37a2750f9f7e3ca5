"""What django-import-export's forms show of the formats, and of a product's columns."""

from typing import Any

from import_export import resources
from import_export.fields import Field
from import_export.formats.base_formats import Format

from catalog.exports.formats import FORMATS, ExportFormat
from catalog.exports.rows import HEADER
from catalog.models import Product


class StreamedFormat(Format):
    """A format of `catalog.exports`, by its name. import-export's own would hold the whole list in memory."""

    streamed: ExportFormat

    def get_title(self) -> str:
        return self.streamed.title

    def get_extension(self) -> str:
        return self.streamed.extension

    def get_content_type(self) -> str:
        return self.streamed.content_type

    def can_export(self) -> bool:
        return True


EXPORT_FORMATS: list[Any] = [type(name, (StreamedFormat,), {"streamed": each}) for name, each in FORMATS.items()]


class FeedXML(Format):
    """The only format to import. `catalog.imports` reads it; import-export only shows its name."""

    def get_title(self) -> str:
        return "Product feed (XML, CSV, TSV, Excel or JSON; gzip or zip)"

    def get_extension(self) -> str:
        return "xml"

    def can_import(self) -> bool:
        return True


class ProductResource(resources.ModelResource):
    """The columns of an export, which `catalog.exports.rows` fills."""

    archived = Field(attribute="archived_at", column_name="archived")
    feed = Field(attribute="feed__slug", column_name="feed")

    class Meta:
        model = Product
        import_id_fields = ["id"]
        fields = HEADER
        export_order = fields
