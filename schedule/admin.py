"""Periodic tasks: when each runs, the result of its last run, and a button to run it now."""

from typing import Any

from celery import current_app
from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST
from django_celery_beat import admin as beat
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule
from kombu.exceptions import OperationalError as BrokerError
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget

from schedule.crontabs import is_understood, weekdays_of_celery
from schedule.healing import restore_jobs
from schedule.models import JobRun, Outcome
from schedule.running import run_now

# No task follows the sun, and one that should happen once is started with "Run now".
NOT_NEEDED = (SolarSchedule, ClockedSchedule)
MINUTES_OF_DAY = 24 * 60

admin.site.unregister((*NOT_NEEDED, CrontabSchedule, IntervalSchedule, PeriodicTask))


def registered_tasks() -> list[tuple[str, str]]:
    """Choices: every task that a worker knows."""
    current_app.loader.import_default_modules()
    names = sorted(name for name in current_app.tasks if not name.startswith("celery."))
    return [("", "---------"), *((name, name) for name in names)]


class PeriodicTaskForm(beat.PeriodicTaskForm):
    """One list of tasks. The package has a free text beside it, but a task that nobody registered never runs."""

    regtask = None
    task = forms.ChoiceField(label=_("Task"), choices=registered_tasks, widget=UnfoldAdminSelectWidget)

    def clean(self) -> dict[str, Any]:
        # The package's clean() needs the task, also when it was refused or this person may not change it.
        self.cleaned_data.setdefault("task", self.instance.task)
        return dict(super().clean())


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(beat.PeriodicTaskAdmin, ModelAdmin):
    """Without the routing fields: CELERY_TASK_ROUTES has them, and a task sent to any other queue waits for ever.

    Only superusers change what a task does. Anyone who may change tasks says when it runs, and runs it.
    """

    form = PeriodicTaskForm
    change_form_template = None  # the package's adds a script to the page, which no page may have here
    list_display = (
        "name",
        "enabled",
        "when",
        "last_started",
        "last_took",
        "last_outcome",
        "last_result",
        "run_button",
    )
    list_filter = ("enabled",)
    date_hierarchy = None
    actions = ("enable_tasks", "disable_tasks")
    fieldsets = (
        (None, {"fields": ("name", "task", "enabled", "description")}),
        (
            _("Schedule"),
            {"fields": ("interval", "crontab", "crontab_translation", "start_time", "last_run_at", "one_off")},
        ),
        (_("Arguments"), {"fields": ("args", "kwargs"), "classes": ("collapse",)}),
        (_("Expiry"), {"fields": ("expires", "expire_seconds"), "classes": ("collapse",)}),
    )
    only_superusers_change = ("name", "task", "args", "kwargs")

    def get_urls(self) -> list[URLPattern]:
        run = self.admin_site.admin_view(require_POST(self.run_view))
        restore = self.admin_site.admin_view(require_POST(self.restore_view))
        return [
            path("<int:pk>/run/", run, name="schedule_run_now"),
            path("restore/", restore, name="schedule_restore"),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[PeriodicTask]:
        last = JobRun.objects.filter(job=OuterRef("pk")).order_by("-started_at")
        facts = ("started_at", "seconds", "outcome", "result")
        last_run = {f"last_{name}_": Subquery(last.values(name)[:1]) for name in facts}
        jobs: QuerySet[PeriodicTask] = super().get_queryset(request).annotate(**last_run)
        return jobs

    def get_readonly_fields(self, request: HttpRequest, obj: PeriodicTask | None = None) -> tuple[str, ...]:
        for_everyone = tuple(super().get_readonly_fields(request, obj))
        return for_everyone if request.user.is_superuser else (*for_everyone, *self.only_superusers_change)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Nobody switches tasks on or off without the permission to change them; the package does not ask for it."""
        return super().get_actions(request) if self.has_change_permission(request) else {}

    @admin.display(description=_("when"))
    def when(self, job: PeriodicTask) -> str:
        """In words; the package shows a crontab's fields, and 1440 minutes."""
        interval = job.interval
        if interval is None:
            return str(job.crontab.human_readable if job.crontab else job.schedule)
        if interval.period == IntervalSchedule.MINUTES and interval.every % MINUTES_OF_DAY == 0:
            interval = IntervalSchedule(every=interval.every // MINUTES_OF_DAY, period=IntervalSchedule.DAYS)
        return str(interval)

    # --- the last run -----------------------------------------------------------------------------

    @admin.display(description=_("last run"))
    def last_started(self, job: Any) -> Any:
        return job.last_started_at_

    @admin.display(description=_("took"))
    def last_took(self, job: Any) -> str:
        return "–" if job.last_seconds_ is None else f"{job.last_seconds_:,.2f}\xa0s"

    @display(
        description=_("result"),
        label={Outcome.RUNNING.label: "info", Outcome.DONE.label: "success", Outcome.FAILED.label: "danger"},
    )
    def last_outcome(self, job: Any) -> Any:
        return Outcome(job.last_outcome_).label if job.last_outcome_ else None

    @admin.display(description="")
    def last_result(self, job: Any) -> str:
        return Truncator(job.last_result_ or "").chars(120)

    # --- run now ----------------------------------------------------------------------------------

    @admin.display(description="")
    def run_button(self, job: PeriodicTask) -> SafeString:
        return format_html(
            '<button type="submit" class="run-now" formaction="{}" aria-label="{}">{}</button>',
            reverse("admin:schedule_run_now", args=[job.pk]),
            _("Run “%(job)s” now") % {"job": job.name},
            _("Run now"),
        )

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        shown = tuple(super().get_list_display(request))
        return shown if self.has_change_permission(request) else tuple(name for name in shown if name != "run_button")

    def run_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        if not self.has_change_permission(request):
            raise PermissionDenied
        job = get_object_or_404(PeriodicTask, pk=pk)
        try:
            run_now(job)
        except BrokerError:
            text = _("“%(job)s” was not started, because the broker does not answer. Try again.")
            self.message_user(request, text % {"job": job.name}, messages.ERROR)
        else:
            text = _("“%(job)s” was started. Its result will be here in a moment.")
            self.message_user(request, text % {"job": job.name})
        return redirect("admin:django_celery_beat_periodictask_changelist")

    # --- required jobs ----------------------------------------------------------------------------

    def restore_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_change_permission(request):
            raise PermissionDenied
        for job in restore_jobs():
            self.message_user(request, _("“%(job)s” runs again.") % {"job": job.name})
        return redirect("admin:django_celery_beat_periodictask_changelist")


class PeriodicTaskInline(beat.PeriodicTaskInline, TabularInline):
    pass


class CrontabForm(forms.ModelForm):  # type: ignore[type-arg]
    """Refuses what the package accepts and Celery does not. Sunday may be 7."""

    def clean(self) -> dict[str, Any]:
        values = dict(super().clean() or {})
        if not self.errors:
            values["day_of_week"] = weekdays_of_celery(values["day_of_week"])
            if not is_understood(CrontabSchedule(**values)):
                raise forms.ValidationError(_("Beat does not understand this. Write for example 0,5 or 1-5 or */2."))
        return values


@admin.register(CrontabSchedule)
class CrontabScheduleAdmin(beat.CrontabScheduleAdmin, ModelAdmin):
    form = CrontabForm
    inlines = [PeriodicTaskInline]


@admin.register(IntervalSchedule)
class IntervalScheduleAdmin(beat.IntervalScheduleAdmin, ModelAdmin):
    inlines = [PeriodicTaskInline]
