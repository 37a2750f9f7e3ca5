"""The health checks: does the process answer, and does everything work that an import needs?"""

import logging
from concurrent.futures import Future
from datetime import timedelta
from threading import Thread
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import DatabaseError, InterfaceError
from django.db.models.functions import Now
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from django_celery_beat.models import PeriodicTask
from kombu import Connection
from kombu.exceptions import OperationalError as BrokerError

from catalog.imports.sweep import imports_stand_still
from notifications.models import Message, Outage
from notifications.models import Status as MailStatus
from schedule.healing import CLOCK_TOLERANCE, missing_jobs
from schedule.models import Outcome
from schedule.tasks import CANARY

log = logging.getLogger(__name__)

CANARY_MISSING_AFTER = timedelta(minutes=3)  # beat enqueues it each minute
ANSWER_SECONDS = 2  # for the broker and the storage

OK, MISSING, UNKNOWN = "ok", "missing", "unknown"
MAIL_MISSING_AFTER = timedelta(minutes=10)  # a restarted mail server is back by then
PROBLEMS = {
    "broker": "The broker does not answer, so workers start late. Check Valkey or Redis, and REDIS_URL.",
    "storage": "The storage takes no file, so uploads are refused and imports wait. Check the disk or the bucket.",
    "database": "The database does not answer, so nothing works. Check PostgreSQL, and DATABASE_URL.",
    "worker": "The worker of the queue upkeep has done nothing for three minutes. Check that it runs.",
    "beat": "Beat has enqueued no task for three minutes. Check that it runs.",
    "schedule": "Required periodic tasks are off or gone. The admin's first page restores them.",
    "imports": "An import has waited for three minutes, and no worker has any. Check the worker of imports.",
    "mail": "E-mails have not got out for ten minutes. Messages in the admin has the mail server's last words.",
}


@csrf_exempt  # so that a POST is told which methods there are
@require_safe
def health_check(_request: HttpRequest) -> JsonResponse:
    """The process answers. It uses nothing else, so it answers when everything else is down."""
    return JsonResponse({"status": OK})


@csrf_exempt
@never_cache
@require_safe
def ready(_request: HttpRequest) -> JsonResponse:
    """Whether everything works that imports and their people need: 200, or 503 with what is missing, in words.

    A worker works if it ran the canary's task in the last minutes; a process that answers may have stopped taking
    tasks. Without beat no canary is enqueued, so then the worker's state is unknown. The canary has a worker that
    imports cannot keep busy, so these are looked at themselves. So are mails: both its worker and its server may be
    away. A webhook's receiver is somebody else's, and makes nothing of this site unready.
    """
    states, missing = database_states()
    parts = {"broker": broker_state(), "storage": STORAGE.current_state(), **states}
    works = set(parts.values()) == {OK}
    answer: dict[str, Any] = {"status": OK if works else "unavailable", **parts}
    if problems := [sentence for part, sentence in PROBLEMS.items() if parts[part] == MISSING]:
        answer["problems"] = problems
    if missing:
        answer["missing_jobs"] = missing
    return JsonResponse(answer, status=200 if works else 503)


def broker_state() -> str:
    limits = {"socket_connect_timeout": ANSWER_SECONDS, "socket_timeout": ANSWER_SECONDS}
    try:
        with Connection(settings.CELERY_BROKER_URL, transport_options=limits) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=ANSWER_SECONDS)
    except (BrokerError, OSError):
        return MISSING
    return OK


class Storage:
    """Whether it takes a file, tried in a thread: storage on a network that is cut off holds its caller for hours."""

    def __init__(self) -> None:
        self._trial: Future[None] = Future()
        self._trial.set_result(None)

    def current_state(self) -> str:
        if self._trial.done():  # else an earlier trial still waits for an answer
            self._trial = Future()
            Thread(target=self._try_storage, args=[self._trial], name="storage", daemon=True).start()
        try:
            self._trial.result(timeout=ANSWER_SECONDS)
        except Exception as error:
            log.error("The storage takes no file", exc_info=error)
            return MISSING
        return OK

    def _try_storage(self, answer: Future[None]) -> None:
        try:
            default_storage.delete(default_storage.save(f"health/{uuid4()}", ContentFile(b"ok")))
            answer.set_result(None)
        except Exception as error:
            answer.set_exception(error)


STORAGE = Storage()


def database_states() -> tuple[dict[str, str], list[str]]:
    """What the database tells, of itself and of all that leaves traces there; and the jobs that are missing."""
    recent = Now() - CANARY_MISSING_AFTER
    canary = PeriodicTask.objects.filter(task=CANARY)
    try:
        was_run = canary.filter(runs__outcome=Outcome.DONE, runs__started_at__gt=recent).exists()
        # A time in the future says that a clock is wrong, and nothing about beat.
        was_enqueued = canary.filter(last_run_at__range=(recent, Now() + CLOCK_TOLERANCE)).exists()
        missing = [job.task for job in missing_jobs()]
        imports = MISSING if imports_stand_still() else OK
        mail = MISSING if mails_stand_still() else OK
    except (DatabaseError, InterfaceError):
        unknown = dict.fromkeys(("worker", "beat", "schedule", "imports", "mail"), UNKNOWN)
        return {"database": MISSING, **unknown}, []
    if CANARY in missing:
        beat = worker = UNKNOWN
    elif was_run or was_enqueued:
        beat, worker = OK, OK if was_run else MISSING
    else:
        beat, worker = MISSING, UNKNOWN
    schedule = MISSING if missing else OK
    states = {"worker": worker, "beat": beat, "schedule": schedule, "imports": imports, "mail": mail}
    return {"database": OK, **states}, missing


def mails_stand_still() -> bool:
    """Whether the mail server takes none, or nobody sends those that are due."""
    long_ago = Now() - MAIL_MISSING_AFTER
    late = Message.objects.filter(status=MailStatus.WAITING, next_try__lt=long_ago)
    return Outage.objects.filter(since__lt=long_ago).exists() or late.exists()
