"""How a worker runs what beat asked for: once per period, timed, and with a note of what came of it."""

from __future__ import annotations

import json
import logging
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from celery import Task
from celery.exceptions import Retry
from django.utils import timezone

from schedule.queue import enqueue_now

if TYPE_CHECKING:
    from django_celery_beat.models import PeriodicTask

log = logging.getLogger(__name__)

# The headers of a call that came from the schedule: the periodic task's key, and the time it was due.
JOB, PERIOD = "schedule_job", "schedule_period"


class ScheduledTask(Task[Any, Any]):
    """The base of every task. One that the schedule did not ask for runs as ever."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        headers = self.request.headers or {}
        if JOB not in headers:
            return super().__call__(*args, **kwargs)
        return self._in_its_slot(headers[JOB], datetime.fromisoformat(headers[PERIOD]), args, kwargs)

    def _in_its_slot(self, job: int, period: datetime, args: Any, kwargs: Any) -> Any:
        from schedule.models import JobRun, Outcome

        run = JobRun.claim(job, period, self.request.id or "")
        if run is None:
            log.info("%s is done for %s already", self.name, period)
            return None
        start = time.monotonic()
        try:
            result = super().__call__(*args, **kwargs)
        except Retry:
            raise  # the same call comes again, and goes on under the same row
        except Exception as error:
            run.finish(Outcome.FAILED, time.monotonic() - start, f"{type(error).__name__}: {error}")
            raise
        run.finish(Outcome.DONE, time.monotonic() - start, "" if result is None else str(result))
        return result


def headers_for(job: PeriodicTask, period: datetime) -> dict[str, Any]:
    return {"periodic_task_name": job.name, JOB: job.pk, PERIOD: period.isoformat()}


def call_now(job: PeriodicTask) -> None:
    """Ask a worker to run the job at once; who presses the button twice in a second calls once.

    Raises the broker's `OperationalError` when it does not answer.
    """
    enqueue_now(
        job.task,
        args=json.loads(job.args or "[]"),
        kwargs=json.loads(job.kwargs or "{}"),
        headers=headers_for(job, timezone.now().replace(microsecond=0)),
    )
