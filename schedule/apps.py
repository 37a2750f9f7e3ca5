from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ScheduleConfig(AppConfig):
    """Periodic work: what beat calls for, once per period, and what came of it. Knows no other app."""

    name = "schedule"
    verbose_name = _("Schedule")
