"""The Celery application. Settings live in `config.settings` under the `CELERY_` prefix."""

import os
import sys
from logging.config import dictConfig
from pathlib import Path
from typing import Any

from celery import Celery, signals
from structlog.contextvars import bind_contextvars, clear_contextvars

from events.log import REQUEST_ID
from events.telemetry import report_errors, send_spans

# For `celery -A config …` in a checkout. Every other entry point names its settings before it imports this.
if "celery" in Path(sys.argv[0]).parts[-2:]:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")

NICENESS = 5  # of 19

app = Celery("config", task_cls="schedule.running:ScheduledTask")
app.set_default()  # else only this thread knows it, and the threads of a web server enqueue at a broker that nobody has
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.setup_logging.connect
def set_up_logging(**_: object) -> None:
    """The program's own lines, instead of Celery's."""
    from django.conf import settings

    dictConfig(settings.LOGGING)


@signals.celeryd_init.connect
def give_way(**_: object) -> None:
    """People come first on a machine that serves pages too: they wait for a page, and for no worker."""
    os.nice(NICENESS)
    report_errors()


@signals.worker_process_shutdown.connect
def say_goodbye(**_: object) -> None:
    """A worker's process ends without what Python does at the end of others."""
    send_spans()


@signals.task_prerun.connect
def remember_request(task: Any, **_: object) -> None:
    """What the task logs has the id of the request that it comes from."""
    clear_contextvars()
    if request_id := (task.request.headers or {}).get(REQUEST_ID):
        bind_contextvars(request_id=request_id)


@signals.task_postrun.connect
def forget_request(**_: object) -> None:
    clear_contextvars()


@signals.worker_ready.connect
def limit_stopping(**_: object) -> None:
    """A worker that is stopped does not wait for ever."""
    from config.stopping import limit_shutdown

    limit_shutdown()
