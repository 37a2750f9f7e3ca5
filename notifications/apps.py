from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    """E-mails to people. Knows no other app."""

    name = "notifications"
