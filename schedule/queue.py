"""Putting tasks into the workers' queue, by name: an app that enqueues one need not import what runs it."""

from concurrent.futures import Future
from threading import Thread
from typing import Any

from celery import Celery, current_app
from kombu.exceptions import OperationalError

from events.log import request_header
from events.telemetry import trace_header

BROKER_TIMEOUT_SECONDS = 1.5
_RETRY_POLICY = {"max_retries": 1, "interval_start": 0, "interval_max": 0.5}


def enqueue_now(task: str, **options: Any) -> None:
    """Enqueue the task, in the middle of a transaction too; `options` are those of `send_task`.

    Raises the broker's `OperationalError` when it does not answer within `BROKER_TIMEOUT_SECONDS`: the client library
    has time-outs of its own, but tries again after each of them.
    """
    answer: Future[Any] = Future()
    options["headers"] = {**request_header(), **trace_header(), **options.get("headers", {})}
    app: Celery = current_app._get_current_object()  # type: ignore[attr-defined] # another thread has another one

    def send() -> None:
        try:
            answer.set_result(app.send_task(task, retry=True, retry_policy=_RETRY_POLICY, **options))
        except BaseException as error:
            answer.set_exception(error)

    Thread(target=send, name="enqueue", daemon=True).start()
    try:
        answer.result(timeout=BROKER_TIMEOUT_SECONDS)
    except TimeoutError as error:
        raise OperationalError(f"no answer within {BROKER_TIMEOUT_SECONDS} seconds") from error
