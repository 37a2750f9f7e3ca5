"""Is it alive, and can it work?"""

import logging
from concurrent.futures import Future
from datetime import timedelta
from threading import Thread
from uuid import uuid4

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import DatabaseError, InterfaceError
from django.db.models.functions import Now
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_celery_beat.models import PeriodicTask
from kombu import Connection
from kombu.exceptions import OperationalError as BrokerError

from schedule.models import Outcome
from schedule.tasks import CANARY

log = logging.getLogger(__name__)

LATELY = timedelta(minutes=3)  # the canary is sent each minute
SECONDS = 2  # that the broker and the storage have to answer in

OK, MISSING, UNKNOWN = "ok", "missing", "unknown"


@require_safe
def health_check(_request: HttpRequest) -> JsonResponse:
    """The process answers. It touches nothing else, so that it stays true when everything else is down."""
    return JsonResponse({"status": OK})


@never_cache
@require_safe
def ready(_request: HttpRequest) -> JsonResponse:
    """Whether everything that an import needs works: 200, or 503 with what is missing by name.

    A worker is taken to work when it did the canary's task lately, not when its process answers: one that stopped
    taking tasks answers all the same. Nobody asks it while beat is missing, so then it is unknown.
    """
    parts = {"broker": broker(), "storage": STORAGE.state(), **database_and_workers()}
    works = set(parts.values()) == {OK}
    return JsonResponse({"status": OK if works else "unavailable", **parts}, status=200 if works else 503)


def broker() -> str:
    patience = {"socket_connect_timeout": SECONDS, "socket_timeout": SECONDS}
    try:
        with Connection(settings.CELERY_BROKER_URL, transport_options=patience) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=SECONDS)
    except (BrokerError, OSError):
        return MISSING
    return OK


class Storage:
    """Whether it takes a file, asked in a thread: one on a network that is cut off holds whoever asks, for hours."""

    def __init__(self) -> None:
        self._asking: Future[None] = Future()
        self._asking.set_result(None)

    def state(self) -> str:
        if self._asking.done():  # else it does not answer the one who asked before
            self._asking = Future()
            Thread(target=self._ask, args=[self._asking], name="storage", daemon=True).start()
        try:
            self._asking.result(timeout=SECONDS)
        except Exception as error:
            log.error("The storage takes no file", exc_info=error)
            return MISSING
        return OK

    def _ask(self, answer: Future[None]) -> None:
        try:
            default_storage.delete(default_storage.save(f"health/{uuid4()}", ContentFile(b"ok")))
            answer.set_result(None)
        except Exception as error:
            answer.set_exception(error)


STORAGE = Storage()


def database_and_workers() -> dict[str, str]:
    canary = PeriodicTask.objects.filter(task=CANARY, enabled=True)
    lately = Now() - LATELY
    try:
        sung = canary.filter(runs__outcome=Outcome.DONE, runs__started_at__gt=lately).exists()
        sent = canary.filter(last_run_at__gt=lately).exists()
    except (DatabaseError, InterfaceError):
        return {"database": MISSING, "worker": UNKNOWN, "beat": UNKNOWN}
    if sung or sent:
        return {"database": OK, "worker": OK if sung else MISSING, "beat": OK}
    return {"database": OK, "worker": UNKNOWN, "beat": MISSING}
