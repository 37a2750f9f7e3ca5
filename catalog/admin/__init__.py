"""The catalogue in the admin."""

from catalog.admin import feeds, imports, markets, products, refused

__all__ = ["feeds", "imports", "markets", "products", "refused"]
