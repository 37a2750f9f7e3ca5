from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CatalogConfig(AppConfig):
    """Products, the feeds they come from, and the imports that change them."""

    name = "catalog"
    verbose_name = _("Catalogue")

    def ready(self) -> None:
        from catalog.imports import messages
        from notifications import kinds

        kinds.register(*messages.KINDS)
