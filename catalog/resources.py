"""What django-import-export's forms show of the formats."""

from typing import Any

from import_export.formats.base_formats import Format

from catalog.exports.formats import CSV, FEED, FORMATS, JSON, JSON_LINES, XLSX, ExportFormat
from catalog.feeds.reading.formats import Kind


class StreamedFormat(Format):
    """A format of `catalog.exports`, by its name. What is exported in it can be imported.

    import-export's own would hold the whole list in memory. `kind` is what such a file is by its content.
    """

    streamed: ExportFormat
    kind: Kind

    def get_title(self) -> str:
        return self.streamed.title

    def get_extension(self) -> str:
        return self.streamed.extension

    def get_content_type(self) -> str:
        return self.streamed.content_type

    def can_export(self) -> bool:
        return True

    def can_import(self) -> bool:
        return True


_KINDS = {CSV: Kind.TABLE, XLSX: Kind.WORKBOOK, JSON: Kind.JSON, FEED: Kind.XML, JSON_LINES: Kind.JSON}
PRODUCT_FORMATS: list[Any] = [
    type(name, (StreamedFormat,), {"streamed": each, "kind": _KINDS[each]}) for name, each in FORMATS.items()
]
