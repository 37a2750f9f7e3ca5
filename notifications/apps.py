from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class NotificationsConfig(AppConfig):
    """E-mails to people. Knows no other app."""

    name = "notifications"
    verbose_name = _("Mail")

    def ready(self) -> None:
        from notifications import digests

        digests.register(digests.undelivered, digests.PERMISSION)
