"""The Celery application."""

import os
import subprocess
import sys

import devservers
from catalog.imports.work.queue import Task
from config import celery_app
from config.management.commands import dev

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


def test_neither_imports_nor_mail_keep_a_periodic_task_waiting() -> None:
    celery_app.loader.import_default_modules()
    others = {Task.SWEEP, Task.FORGET_OLD, Task.FETCH, Task.FETCH_DUE, Task.EXPORT}
    of_imports = {task.value for task in Task} - others
    ours = [name for name in celery_app.tasks if not name.startswith(("celery.", "tests.", "tidy."))]
    queues = {name: celery_app.amqp.router.route({}, name)["queue"].name for name in ours}
    assert {name for name, queue in queues.items() if queue == "celery"} == of_imports
    upkeep = {name for name, command in dev.process_commands(8000).items() if "--queues=upkeep" in command}
    assert upkeep == {"upkeep"}
    assert {name for name, queue in queues.items() if queue == "fetch"} == {Task.FETCH, Task.FETCH_DUE}
    assert "--queues=fetch" in dev.process_commands(8000)["fetch"]
    assert {name for name, queue in queues.items() if queue == "export"} == {Task.EXPORT}
    assert "--queues=export" in dev.process_commands(8000)["export"]
    composed = (devservers.BASE_DIR / "docker-compose.yml").read_text()
    for worker in (dev.UPKEEP_WORKER, dev.FETCH_WORKER, dev.EXPORT_WORKER):
        assert f"[celery, -A, config, --quiet, worker, {', '.join(worker)}, " in composed
