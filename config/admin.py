"""Pages of other packages: in the admin's look when staff need them, away when they do not."""

from typing import Any

from celery import current_app
from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django_celery_beat import admin as beat
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule
from unfold.admin import ModelAdmin, TabularInline
from unfold.widgets import UnfoldAdminSelectWidget

# Nothing here follows the sun, and what should happen once is started by hand with "Run selected tasks".
NOT_NEEDED = (SolarSchedule, ClockedSchedule)
# An address is kept on its user's page; a second place to edit it would let the two differ.
NOT_FOR_STAFF = ("account", "socialaccount")

admin.site.unregister((*NOT_NEEDED, CrontabSchedule, IntervalSchedule, PeriodicTask))
admin.site.unregister([model for model in list(admin.site._registry) if model._meta.app_label in NOT_FOR_STAFF])


def registered_tasks() -> list[tuple[str, str]]:
    """Choices of every task a worker knows."""
    current_app.loader.import_default_modules()
    names = sorted(name for name in current_app.tasks if not name.startswith("celery."))
    return [("", "---------"), *((name, name) for name in names)]


class PeriodicTaskForm(beat.PeriodicTaskForm):
    """One list of tasks, where the package has a list beside a free text: a task nobody registered never runs."""

    regtask = None
    task = forms.ChoiceField(label=_("Task"), choices=registered_tasks, widget=UnfoldAdminSelectWidget)

    def clean(self) -> dict[str, Any]:
        self.cleaned_data.setdefault("task", "")  # the package's clean() expects it even when it was refused
        return super().clean()


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(beat.PeriodicTaskAdmin, ModelAdmin):
    """Without the routing fields: there is one queue, and a task sent to any other waits for ever."""

    form = PeriodicTaskForm
    list_display = ("name", "enabled", "scheduler", "last_run_at", "one_off")
    list_filter = ("enabled", "task")
    date_hierarchy = None
    fieldsets = (
        (None, {"fields": ("name", "task", "enabled", "description")}),
        (
            _("Schedule"),
            {"fields": ("interval", "crontab", "crontab_translation", "start_time", "last_run_at", "one_off")},
        ),
        (_("Arguments"), {"fields": ("args", "kwargs"), "classes": ("collapse",)}),
        (_("Expiry"), {"fields": ("expires", "expire_seconds"), "classes": ("collapse",)}),
    )

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Switching and running ask for the permission to change, which the package itself does not."""
        return super().get_actions(request) if self.has_change_permission(request) else {}


class PeriodicTaskInline(beat.PeriodicTaskInline, TabularInline):
    pass


@admin.register(CrontabSchedule)
class CrontabScheduleAdmin(beat.CrontabScheduleAdmin, ModelAdmin):
    inlines = [PeriodicTaskInline]


@admin.register(IntervalSchedule)
class IntervalScheduleAdmin(beat.IntervalScheduleAdmin, ModelAdmin):
    inlines = [PeriodicTaskInline]
