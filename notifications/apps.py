from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class NotificationsConfig(AppConfig):
    """E-mails to people. Knows no other app but `schedule`."""

    name = "notifications"
    verbose_name = _("Mail")

    def ready(self) -> None:
        from notifications import digests

        digests.register_source(digests.undelivered_messages, digests.PERMISSION)
