from datetime import timedelta

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from schedule.jobs import Job


class NotificationsConfig(AppConfig):
    """E-mails to people. Knows no other app but `schedule`."""

    name = "notifications"
    verbose_name = _("Mail")
    jobs = (
        Job(
            "notifications.deliver",
            "Send waiting messages",
            "Sends what has to be tried again, and what no worker was asked to send.",
            every=timedelta(minutes=1),
        ),
        Job(
            "notifications.digest",
            "Send digests",
            "Sends each person what went wrong, at the hour that the person chose.",
            every=timedelta(minutes=5),
        ),
        Job(
            "notifications.forget_old",
            "Forget old messages",
            "Deletes old messages with their attachments.",
        ),
    )

    def ready(self) -> None:
        from notifications import digests

        digests.register_source(digests.undelivered_messages, digests.PERMISSION)
