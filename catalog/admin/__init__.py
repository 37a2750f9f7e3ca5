"""The catalogue in the admin."""

from catalog.admin import feeds, imports, products

__all__ = ["feeds", "imports", "products"]
