"""The Celery application."""

import os
import subprocess
import sys

IN_A_THREAD = """
from threading import Thread
from celery import current_app
import config
thread = Thread(target=lambda: print(current_app.main))
thread.start()
thread.join()
"""


def test_every_thread_enqueues_at_our_broker() -> None:
    """A web server answers in threads of its own, and loads this package before it names its settings."""
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    run = subprocess.run(
        [sys.executable, "-c", IN_A_THREAD], env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "config"
