"""What can happen to an import, each as a function of the process that it happens to."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import redis
from django.conf import settings
from django.db import connection

import devservers
from devservers.processes import processes_of


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def kill_with_parent(pid: int) -> None:
    """The whole worker: its main process, and the child. Its other children notice and end."""
    kill(_parent(pid))
    kill(pid)


def stop_the_worker(pid: int) -> None:
    """As a deployment does: it may finish what it does, and gives back what it does not begin."""
    os.kill(_parent(pid), signal.SIGTERM)


def freeze(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)


def cut_connections(_pid: int) -> None:
    """Every connection to the database ends, but for this one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND usename = current_user AND backend_type = 'client backend'"
        )


def crash_database(_pid: int) -> None:
    """As `pg_ctl stop -m immediate`: no goodbye and nothing written; the next start recovers."""
    _signal_all(f"/postgres -D {devservers.POSTGRES.folder} --cluster_name=", signal.SIGQUIT)


def empty_broker(_pid: int) -> None:
    with broker() as server:
        server.flushall()


def cut_off_broker(_pid: int) -> None:
    """Every connection to the broker ends, but for this one."""
    with broker() as server:
        for kind in ("normal", "pubsub"):
            server.client_kill_filter(_type=kind, skipme=True)


@contextmanager
def broker() -> Iterator[redis.Redis]:
    """One that another blow brought down a moment ago has nothing left to lose."""
    with suppress(redis.ConnectionError), redis.Redis.from_url(settings.REDIS_URL) as server:
        yield server


def crash_broker(_pid: int) -> None:
    _signal_all(f"/valkey-server --dir {devservers.VALKEY.folder} --port ", signal.SIGKILL)


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _signal_all(command: str, number: signal.Signals) -> None:
    for pid in processes_of(command):
        with suppress(ProcessLookupError):
            os.kill(pid, number)


BLOWS: dict[str, Callable[[int], None]] = {
    "kill the worker's child": kill,
    "kill the worker": kill_with_parent,
    "stop the worker": stop_the_worker,
    "freeze the worker's child": freeze,
    "cut the connections": cut_connections,
    "crash the database": crash_database,
    "empty the broker": empty_broker,
    "cut off the broker": cut_off_broker,
    "crash the broker": crash_broker,
}
