"""Calling for a worker. The broker is only a doorbell, and nobody waits at the door."""

from concurrent.futures import Future
from threading import Thread
from typing import Any

from celery import Celery, current_app
from kombu.exceptions import OperationalError

PATIENCE = 1.5  # seconds
_QUICKLY = {"max_retries": 1, "interval_start": 0, "interval_max": 0.5}


def call(task: str, **options: Any) -> None:
    """Ask a worker to run the task; `options` are those of `send_task`.

    Raises the broker's `OperationalError` when it did not answer within `PATIENCE` seconds: the client library has
    time-outs, and repeats what ran into them.
    """
    answer: Future[Any] = Future()
    app: Celery = current_app._get_current_object()  # type: ignore[attr-defined] # another thread has another one

    def send() -> None:
        try:
            answer.set_result(app.send_task(task, retry=True, retry_policy=_QUICKLY, **options))
        except BaseException as error:
            answer.set_exception(error)

    Thread(target=send, name="bell", daemon=True).start()
    try:
        answer.result(timeout=PATIENCE)
    except TimeoutError as error:
        raise OperationalError(f"no answer within {PATIENCE} seconds") from error
