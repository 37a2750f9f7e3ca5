"""The Celery application of a worker that may be killed at named points: `celery -A tests.torture.worker worker`.

Its clock may be wrong, as that of `tests.faulty`.
"""

from typing import Any

from celery import signals

from tests.faulty import app


@signals.worker_process_init.connect
def come_by_the_points(**_: Any) -> None:
    from tests.torture import points

    points.install()


__all__ = ["app"]
