"""Whether periodic tasks run as they should, in sentences for whoever looks after them."""

from datetime import timedelta

from django.db.models import OuterRef, Subquery
from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django_celery_beat.models import PeriodicTask

from schedule.models import JobRun, Outcome
from schedule.tasks import CANARY

SILENCE = timedelta(minutes=10)  # beat calls for the canary each minute


def sentences() -> list[str]:
    """What is wrong now; nothing while beat calls and every task ended well the last time."""
    return [sentence for sentence in (_silence(), _failures()) if sentence]


def _silence() -> str:
    canary = PeriodicTask.objects.filter(task=CANARY, enabled=True, last_run_at__lt=timezone.now() - SILENCE).first()
    if canary is None:
        return ""
    last = formats.date_format(timezone.localtime(canary.last_run_at), "j M, H:i")
    return _("No task was called for since %s. See that beat runs.") % last


def _failures() -> str:
    ended = JobRun.objects.filter(job=OuterRef("pk")).exclude(outcome=Outcome.RUNNING).order_by("-started_at")
    jobs = PeriodicTask.objects.filter(enabled=True).annotate(ended=Subquery(ended.values("outcome")[:1]))
    failed = list(jobs.filter(ended=Outcome.FAILED).order_by("name").values_list("name", flat=True))
    if not failed:
        return ""
    said = ngettext("The last run of %s failed.", "The last runs of these failed: %s.", len(failed))
    return said % ", ".join(f"“{name}”" for name in failed)
