"""The catalogue in the admin."""

from catalog.admin import exports, feeds, imports, markets, products, refused, webhooks

__all__ = ["exports", "feeds", "imports", "markets", "products", "refused", "webhooks"]
