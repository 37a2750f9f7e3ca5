from datetime import timedelta

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _

from schedule.jobs import Job
from schedule.tasks import CANARY


class ScheduleConfig(AppConfig):
    """The workers' queue, and periodic tasks: each runs once per period and leaves its result. Knows no other app."""

    name = "schedule"
    verbose_name = _("Schedule")
    jobs = (
        Job(
            CANARY,
            "Show that a worker works",
            "Does nothing. The readiness check fails when no worker has done it for three minutes.",
            every=timedelta(minutes=1),
        ),
    )

    def ready(self) -> None:
        from schedule import crontabs
        from schedule.healing import restore_after_migrating

        post_migrate.connect(restore_after_migrating, sender=self, dispatch_uid="schedule.jobs")
        crontabs.connect()
