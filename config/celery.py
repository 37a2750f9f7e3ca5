"""The Celery application. Settings live in `config.settings` under the `CELERY_` prefix."""

import os
import sys
from pathlib import Path

from celery import Celery, signals

# For `celery -A config …` in a checkout. Every other entry point names its settings before it imports this.
if "celery" in Path(sys.argv[0]).parts[-2:]:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")

app = Celery("config", task_cls="schedule.running:ScheduledTask")
app.set_default()  # else only this thread knows it, and the threads of a web server enqueue at a broker that nobody has
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.worker_ready.connect
def limit_stopping(**_: object) -> None:
    """A worker that is stopped does not wait for ever."""
    from config.stopping import limit_shutdown

    limit_shutdown()
