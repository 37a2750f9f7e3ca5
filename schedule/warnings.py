"""Whether periodic tasks run as they should, in sentences for the people who look after them."""

from datetime import timedelta

from django.db.models import OuterRef, Subquery
from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django_celery_beat.models import PeriodicTask

from schedule.crontabs import jobs_not_loaded
from schedule.healing import jobs_in_future, missing_jobs
from schedule.models import JobRun, Outcome
from schedule.tasks import CANARY

BEAT_SILENT_AFTER = timedelta(minutes=10)  # beat enqueues the canary each minute


def schedule_warnings() -> list[str]:
    """What is wrong now; empty while beat runs with every required task, and the last run of each ended well."""
    warnings = []
    if missing := [f"“{job.name}”" for job in missing_jobs()]:
        text = ngettext(
            "%s is switched off or gone, or no worker can run it as it is set.",
            "These are switched off or gone, or no worker can run them as they are set: %s.",
            len(missing),
        )
        warnings.append(text % ", ".join(missing))

    silent_since = timezone.now() - BEAT_SILENT_AFTER
    canary = PeriodicTask.objects.filter(task=CANARY, enabled=True, last_run_at__lt=silent_since).first()
    if canary is not None:
        last = formats.date_format(timezone.localtime(canary.last_run_at), "j M, H:i")
        warnings.append(_("No task was started since %s. Check that beat runs.") % last)

    for job in jobs_in_future().filter(enabled=True).order_by("-last_run_at")[:1]:
        last = formats.date_format(timezone.localtime(job.last_run_at), "j M, H:i")
        text = _("“%(job)s” ran last at %(last)s, which is in the future: a clock is wrong. Beat puts it right.")
        warnings.append(text % {"job": job.name, "last": last})

    if unread := [f"“{job.name}” ({job.crontab})" for job in jobs_not_loaded()]:
        text = ngettext(
            "%s never runs: beat does not understand its crontab. Correct it.",
            "These never run, because beat does not understand their crontabs: %s. Correct them.",
            len(unread),
        )
        warnings.append(text % ", ".join(unread))

    ended = JobRun.objects.filter(job=OuterRef("pk")).exclude(outcome=Outcome.RUNNING).order_by("-started_at")
    jobs = PeriodicTask.objects.filter(enabled=True).annotate(ended=Subquery(ended.values("outcome")[:1]))
    failed = list(jobs.filter(ended=Outcome.FAILED).order_by("name").values_list("name", flat=True))
    if failed:
        text = ngettext("The last run of %s failed.", "The last runs of these failed: %s.", len(failed))
        warnings.append(text % ", ".join(f"“{name}”" for name in failed))
    return warnings
