"""One row per job and period: the task that has the row does the work."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection, models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django_celery_beat.models import PeriodicTask

RUNS_KEPT_FOR = timedelta(days=7)


class Outcome(models.TextChoices):
    RUNNING = "running", _("Running")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")


class JobRun(models.Model):
    """A periodic task's run for one period, which two beats may enqueue and one worker does."""

    job = models.ForeignKey(PeriodicTask, models.CASCADE, related_name="runs")
    period = models.DateTimeField(_("due"))
    # A worker that was lost leaves the row running; the broker gives its task, with the same id, to another one.
    task_id = models.TextField()
    started_at = models.DateTimeField(_("started"), db_default=Now())
    seconds = models.FloatField(_("took"), null=True)
    outcome = models.TextField(_("result"), choices=Outcome, default=Outcome.RUNNING)
    result = models.TextField(_("result in words"), blank=True, default="")

    class Meta:
        default_permissions = ()
        ordering = ["-period"]
        constraints = [
            models.UniqueConstraint("job", "period", name="jobrun_once_per_period"),
            models.CheckConstraint(condition=models.Q(outcome__in=Outcome.values), name="jobrun_outcome_known"),
        ]

    def __str__(self) -> str:
        return f"{self.job} at {self.period}"

    @classmethod
    def claim_period(cls, job: int, period: datetime, task_id: str) -> JobRun | None:
        """The row to work under; None when another task has this period, or the job is gone."""
        with connection.cursor() as cursor:
            cursor.execute(
                """
                INSERT INTO schedule_jobrun AS run (job_id, period, task_id, outcome, result)
                SELECT id, %(period)s, %(task)s, 'running', ''
                FROM django_celery_beat_periodictask WHERE id = %(job)s
                ON CONFLICT (job_id, period) DO UPDATE SET started_at = now()
                WHERE run.task_id = excluded.task_id AND run.outcome = 'running'
                RETURNING id
                """,
                {"job": job, "period": period, "task": task_id},
            )
            claimed = cursor.fetchone()
        return cls.objects.get(pk=claimed[0]) if claimed else None

    def finish(self, outcome: Outcome, seconds: float, result: str) -> None:
        """Record the result, and delete the job's runs of more than a week before."""
        JobRun.objects.filter(pk=self.pk).update(outcome=outcome, seconds=round(seconds, 3), result=result[:500])
        JobRun.objects.filter(job=self.job_id, period__lt=self.period - RUNS_KEPT_FOR).delete()
