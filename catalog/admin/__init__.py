"""The catalogue in the admin."""

from catalog.admin import feeds, imports, products, refused

__all__ = ["feeds", "imports", "products", "refused"]
