"""How a worker runs a periodic task: once per period, timed, with a record of its result."""

from __future__ import annotations

import json
import logging
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from celery import Task
from celery.exceptions import Retry
from django.utils import timezone

from events.telemetry import span
from schedule.queue import enqueue_now

if TYPE_CHECKING:
    from django_celery_beat.models import PeriodicTask

log = logging.getLogger(__name__)

# Headers of a task that the schedule enqueued: the periodic task's key, and the time it was due.
JOB, PERIOD = "schedule_job", "schedule_period"


class ScheduledTask(Task[Any, Any]):
    """The base class of every task. A task without the schedule's headers runs as usual."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        headers = self.request.headers or {}
        with span(self.name, parent=headers.get("traceparent", "")):
            return self._run_once(headers, *args, **kwargs)

    def _run_once(self, headers: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        from schedule.models import JobRun, Outcome

        if JOB not in headers:
            return super().__call__(*args, **kwargs)
        run = JobRun.claim_period(headers[JOB], datetime.fromisoformat(headers[PERIOD]), self.request.id or "")
        if run is None:
            log.info("%s is done for %s already", self.name, headers[PERIOD])
            return None
        start = time.monotonic()
        try:
            result = super().__call__(*args, **kwargs)
        except Retry:
            raise  # the same task is delivered again, and goes on with the same row
        except Exception as error:
            run.finish(Outcome.FAILED, time.monotonic() - start, f"{type(error).__name__}: {error}")
            raise
        run.finish(Outcome.DONE, time.monotonic() - start, "" if result is None else str(result))
        return result


def headers_for(job: PeriodicTask, period: datetime) -> dict[str, Any]:
    return {"periodic_task_name": job.name, JOB: job.pk, PERIOD: period.isoformat()}


def run_now(job: PeriodicTask) -> None:
    """Enqueue the job at once. Called twice in the same second, it runs once.

    Raises the broker's `OperationalError` when it does not answer.
    """
    enqueue_now(
        job.task,
        args=json.loads(job.args or "[]"),
        kwargs=json.loads(job.kwargs or "{}"),
        headers=headers_for(job, timezone.now().replace(microsecond=0)),
    )
