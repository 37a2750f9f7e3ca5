from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ScheduleConfig(AppConfig):
    """The workers' queue, and periodic tasks: each runs once per period and leaves its result. Knows no other app."""

    name = "schedule"
    verbose_name = _("Schedule")
