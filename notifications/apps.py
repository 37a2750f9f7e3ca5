from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    """E-mails to people. Knows no other app."""

    name = "notifications"

    def ready(self) -> None:
        from notifications import digests

        digests.register(digests.undelivered, digests.PERMISSION)
