"""Processes on a test's own database, files and queue."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db import connection

from catalog.models import ImportRun, Status
from catalog.tests.factories import wait_until
from config.settings import local

WORKER = "-m celery -A {} worker -l INFO --pidfile= --without-gossip --without-mingle --without-heartbeat"
ENCRYPTION_KEY = "only-for-the-tests-" + "abcdefghijklmnopqrstuvwxyz0123456789"
MOST_SECONDS = 120  # on a busy machine


@contextmanager
def started(
    command: list[str],
    ready: bytes,
    queue: str,
    settings: Any,
    log: Path,
    machine: Any = None,
    folder: Any = local.BASE_DIR,
    **more: str,
) -> Iterator["subprocess.Popen[bytes]"]:
    """A process of ours that runs until the block ends, from when it has said that it is ready."""
    environment = {
        "DJANGO_SETTINGS_MODULE": "tests.worker_settings",
        "TEST_DATABASE": str(connection.settings_dict["NAME"]),
        "TEST_MEDIA_ROOT": str(settings.MEDIA_ROOT),
        "TEST_BROKER": local.CELERY_BROKER_URL,
        "TEST_QUEUE": queue,
        "TEST_EMAIL_URL": "console:",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*(machine.run if machine else []), sys.executable, *command],
            cwd=folder,
            env={**os.environ, **environment, **(machine.environment if machine else {}), **more},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: ready in log.read_bytes() or process.poll() is not None, MOST_SECONDS)
        assert process.poll() is None, log.read_text()
        yield process
    finally:
        end(process)
        print(log.read_text())  # shown with a test that fails


@contextmanager
def running(
    queue: str,
    settings: Any,
    *arguments: str,
    log: Path,
    app: str = "config",
    machine: Any = None,
    folder: Any = local.BASE_DIR,
    **more: str,
) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker process: here and of this release, unless a `Machine` or another release's `folder` is given."""
    command = [*WORKER.format(app).split(), *arguments]
    with started(command, b" ready.", queue, settings, log, machine, folder, **more) as process:
        yield process


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def served_site(queue: str, settings: Any, folder: Path, **more: str) -> Iterator[str]:
    """The address of a web server, with a worker behind it that does everything but exports.

    Webhooks may lead to this machine, and their secrets are encrypted with `ENCRYPTION_KEY`.
    """
    host = f"127.0.0.1:{free_port()}"
    server = ["manage.py", "runserver", "--noreload", host]
    more |= {"PYTHONUNBUFFERED": "1", "SITE_URL": f"http://{host}"}
    more |= {"FETCH_ALLOW": "127.0.0.0/8", "FEED_CREDENTIAL_KEYS": ENCRYPTION_KEY}
    worker = ("-Q", "celery,mail", "--pool=threads", "-c", "2")
    with (
        running(queue, settings, *worker, log=folder / "worker.log", **more),
        started(server, b"CONTROL-C", queue, settings, folder / "web.log", **more),
    ):
        yield f"http://{host}"


def end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=10)


def arrives(run: ImportRun, status: Status) -> ImportRun:
    """The run when the worker has brought it there."""
    wait_until(lambda: ImportRun.objects.filter(pk=run.pk, status__in=[status, Status.FAILED]).exists(), MOST_SECONDS)
    run.refresh_from_db()
    assert run.status == status, run.error
    return run
