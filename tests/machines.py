"""Machines for workers: network namespaces that reach this machine's servers by a cable, and nothing else."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

PIECE_BYTES = 256 * 1024


class NotAllowed(Exception):
    """This machine lets nobody make namespaces."""


@dataclass
class Machine:
    """How a command is run there, and what its environment says about the servers."""

    run: list[str]
    environment: dict[str, str]


@contextmanager
def machines(count: int, *, database: dict[str, Any], broker: str, storage: str) -> Iterator[list[Machine]]:
    """So many of them, until the block ends. Raises `NotAllowed`."""
    postgres = f"{database['HOST']}/.s.PGSQL.{database['PORT']}"
    valkey, bucket = urlsplit(broker), urlsplit(storage)
    made = []
    with ExitStack() as stack:
        for _ in range(count):
            name, here = stack.enter_context(namespace())
            ports = [
                stack.enter_context(relay(here, place))
                for place in (postgres, valkey.path, (bucket.hostname, bucket.port))
            ]
            environment = {
                "DATABASE_URL": f"postgresql://{database['USER']}@{here}:{ports[0]}/{database['NAME']}",
                "REDIS_URL": f"redis://{here}:{ports[1]}/0",
                "TEST_BROKER": f"redis://{here}:{ports[1]}/0",
                "FILES_BUCKET": "files",
                "FILES_ENDPOINT": f"http://{here}:{ports[2]}",
                "FILES_ACCESS_KEY": "id",
                "FILES_SECRET_KEY": "key",
            }
            made.append(Machine(["ip", "netns", "exec", name], environment))
        yield made


@contextmanager
def namespace() -> Iterator[tuple[str, str]]:
    """Its name, and the address at which this machine is reached from it."""
    number = random.randrange(2**14)  # noqa: S311 - so that two of us do not meet
    net = f"10.{200 + (number >> 8 & 31)}.{number & 255}"
    name, here, there = f"opm{os.getpid()}-{number}", f"opm{number}a", f"opm{number}b"
    with ExitStack() as stack:
        for command, undo in (
            (f"netns add {name}", f"netns del {name}"),
            (f"link add {here} type veth peer name {there}", f"link del {here}"),
            (f"link set {there} netns {name}", ""),
            (f"addr add {net}.1/30 dev {here}", ""),
            (f"link set {here} up", ""),
            (f"-n {name} addr add {net}.2/30 dev {there}", ""),
            (f"-n {name} link set {there} up", ""),
            (f"-n {name} link set lo up", ""),
        ):
            _ip(command)
            if undo:
                stack.callback(subprocess.run, ["/usr/bin/env", "ip", *undo.split()], check=False, capture_output=True)
        yield name, f"{net}.1"


def _ip(command: str) -> None:
    if not shutil.which("ip"):
        raise NotAllowed("the program ip is not installed")
    run = subprocess.run(["/usr/bin/env", "ip", *command.split()], capture_output=True, text=True, check=False)
    if run.returncode:
        raise NotAllowed(f"`ip {command}` answers {run.stderr.strip()}")


@contextmanager
def relay(address: str, place: str | tuple[str | None, int | None]) -> Iterator[int]:
    """The port of the address that leads to a server of this machine: its socket's file, or host and port."""
    listener, lines = socket.create_server((address, 0)), list[Thread]()

    def accept() -> None:
        while True:
            try:
                client, _from = listener.accept()
            except OSError:
                return
            lines.append(Thread(target=_connect, args=(client, place), daemon=True))
            lines[-1].start()

    Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for line in lines:
            line.join(timeout=10)


def _connect(client: socket.socket, place: Any) -> None:
    """Pass on what both say, until both have ended."""
    with client, socket.socket(socket.AF_UNIX if isinstance(place, str) else socket.AF_INET) as server:
        server.connect(place)
        answers = Thread(target=_pass_on, args=(server, client), daemon=True)
        answers.start()
        _pass_on(client, server)
        answers.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(PIECE_BYTES):
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
