"""Web workers, and clients that ask them at a steady rate."""

from __future__ import annotations

import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

WEB_WORKERS = 2
CLIENTS = 8  # as many requests as production's two workers take at once
# A request is given up after so long, and a call when its time is over and this much beside.
TIMEOUT = 5.0


@dataclass(frozen=True)
class Call:
    """A call with what its p95 may be in ms. `address` makes one to ask for, another one each time."""

    name: str
    most: float
    address: Callable[[random.Random, int], str]
    known: bool = False  # the client has the answer already


# --- the servers --------------------------------------------------------------------------------------
def serve(port: int) -> None:
    """One web worker, a thread for each connection."""
    from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler

    from config.wsgi import application

    class Handler(WSGIRequestHandler):
        # As gunicorn sends: an answer in pieces would wait 40 ms for the client's word that the first one came.
        disable_nagle_algorithm = True
        wbufsize = 64 * 1024

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    server = ThreadedWSGIServer(("127.0.0.1", port), Handler)
    server.set_app(application)
    server.serve_forever()


@contextmanager
def web_workers(*command: str) -> Iterator[list[int]]:
    """The ports of the web workers, which end with this. `command` and a port is what each is started by."""
    ports = [_free_port() for _ in range(WEB_WORKERS)]
    environment = {**os.environ, "BENCH_DATABASE": str(settings.DATABASES["default"]["NAME"])}
    workers = [
        subprocess.Popen([sys.executable, "-W", "ignore", *command, str(port)], env=environment) for port in ports
    ]
    try:
        for port, worker in zip(ports, workers, strict=True):
            _wait_for(port, worker)
        yield ports
    finally:
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
        for worker in workers:
            worker.wait(timeout=10)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait_for(port: int, worker: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end and worker.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("A web worker did not start.")


# --- the clients --------------------------------------------------------------------------------------
@dataclass
class Figures:
    """How long the requests of one call took, in ms, and how many were no answer."""

    times: list[float] = field(default_factory=list)
    first: float = 0
    errors: int = 0
    late: int = 0

    def at(self, share: float) -> float:
        ordered = sorted(self.times)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


class Load:
    """Asks at a steady rate, from threads that keep their connections."""

    def __init__(self, ports: list[int], token: str, products: int, rate: float) -> None:
        self._ports = ports
        self._headers = {"Authorization": f"Bearer {token}"}
        self._products = products
        self._rate = rate

    def run(self, call: Call, seconds: float, prefix: str = "") -> Figures:
        """The figures of one call. `prefix` leads to another implementation of it.

        A request that starts late because the earlier ones were slow has waited, and the waiting counts.
        """
        count = max(int(self._rate * seconds), 1)
        dice = random.Random(call.name)  # noqa: S311 - the same addresses for both implementations
        addresses = [prefix + call.address(dice, self._products) for _ in range(count)]
        headers = {**self._headers, **self._known(addresses[0])} if call.known else self._headers
        figures, turn, lock = Figures(), iter(range(count)), threading.Lock()
        start = time.monotonic() + 0.2
        end = start + count / self._rate + TIMEOUT

        def client(number: int) -> None:
            connection = http.client.HTTPConnection(
                "127.0.0.1", self._ports[number % len(self._ports)], timeout=TIMEOUT
            )
            while (mine := _next(turn, lock)) is not None:
                due = start + mine / self._rate
                time.sleep(max(due - time.monotonic(), 0))
                if time.monotonic() > end:
                    figures.late += 1
                else:
                    figures.errors += not _good(connection, addresses[mine], headers, call)
                figures.times.append((time.monotonic() - due) * 1000)
                figures.first = figures.times[-1] if mine == 0 else figures.first
            connection.close()

        threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return figures

    def _known(self, address: str) -> dict[str, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._ports[0], timeout=TIMEOUT)
        connection.request("GET", address, headers={**self._headers, "Host": "localhost"})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return {"If-None-Match": answer.headers.get("ETag", "")}


def _next(turn: Iterator[int], lock: threading.Lock) -> int | None:
    with lock:
        return next(turn, None)


def _good(connection: http.client.HTTPConnection, address: str, headers: dict[str, str], call: Call) -> bool:
    try:
        # One name for all workers: the answers tell addresses, and what tells another address is another answer.
        connection.request("GET", address, headers={**headers, "Host": "localhost"})
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        connection.close()
        return False
    return answer.status == (304 if call.known else 200)
