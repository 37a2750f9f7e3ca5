"""The columns of a product in tables and JSON: exports write them, imports read them back, plans show what differs."""

from django.utils.text import capfirst
from import_export import resources
from import_export.fields import Field

from catalog.feeds.attributes import COLUMNS
from catalog.feeds.reading.own_table import ARCHIVED, EXTRA, FEED
from catalog.models import Product


class ProductResource(resources.ModelResource):
    """Which columns there are, and in which order. `catalog.exports.rows` fills them, a whole list in constant memory.

    `catalog.feeds` reads them back, and knows the same names: the attributes, and those of its own tables.
    """

    feed = Field(attribute="feed__slug", column_name=FEED)
    archived = Field(attribute="archived_at", column_name=ARCHIVED)

    class Meta:
        model = Product
        import_id_fields = ["id"]
        fields = (*(column.name for column in COLUMNS), "currency", EXTRA, "feed", "archived")
        export_order = fields


_RESOURCE = ProductResource()
HEADER: tuple[str, ...] = tuple(_RESOURCE.get_export_headers())
# Where the value of each column is, seen from a product.
VALUES: tuple[str, ...] = tuple(str(field.attribute) for field in _RESOURCE.get_export_fields())


def column_label(name: str) -> str:
    """A column as people know it, in the language of the moment."""
    return capfirst(str(Product._meta.get_field(name).verbose_name))  # type: ignore[union-attr]
