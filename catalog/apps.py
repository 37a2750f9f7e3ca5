from django.apps import AppConfig


class CatalogConfig(AppConfig):
    """Products, the feeds they come from, and the imports that change them."""

    name = "catalog"
