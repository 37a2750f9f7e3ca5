"""What PostgreSQL and Valkey have in common: asked, started once, stopped whoever started them."""

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from devservers.addresses import run_dir
from devservers.errors import EmbeddedError, advice_for, reason_in_log
from devservers.locks import lock_file, open_lock
from devservers.processes import TIMEOUT_SECONDS, spawn_server
from devservers.site import Site, home_folder

UNREACHABLE = 10.0


class Server:
    """One server: how to ask it, start it and stop it. What is alive and what is ready: see the module's docstring."""

    name: ClassVar[str]
    folder_name: ClassVar[str]
    socket_name: ClassVar[str]

    @property
    def folder(self) -> Path:
        return home_folder() / self.folder_name

    @property
    def log(self) -> Path:
        return home_folder() / f"{self.folder_name}.log"

    def ready(self) -> bool:
        """Whether it does for a client what the application will want of it."""
        raise NotImplementedError

    def complete(self) -> None:
        """Make what a server that answers still lacks."""

    def command(self, site: Site, lock: int) -> list[str]:
        """Prepare the folder and return the command that runs the server in the foreground."""
        raise NotImplementedError

    def ask_to_stop(self) -> None:
        """Signal its processes. Called again every few seconds until they are gone."""
        raise NotImplementedError

    def start(self, site: Site) -> None:
        """Return when it is ready, starting it if no process of it is alive. The caller holds the starters' lock."""
        begin, launched = time.monotonic(), False
        while not self.ready():
            launched |= self._launch(site, again=launched)
            waited = time.monotonic() - begin
            if waited > TIMEOUT_SECONDS:
                raise EmbeddedError(
                    f"{self.name} does not answer after {TIMEOUT_SECONDS:.0f} s; its log is {self.log}."
                )
            if waited > UNREACHABLE and not launched and not self._listens():
                # Its socket was deleted, or it was killed and a query that it ran goes on.
                self.stop()
            time.sleep(0.02)
            self.complete()

    def _launch(self, site: Site, *, again: bool) -> bool:
        """Start it unless a process of it is alive, and say whether that was done: once, for an end has its reason."""
        with self._claim_start() as lock:
            if lock is None:
                return False
            if again:
                reason = reason_in_log(self.log)
                raise EmbeddedError(f"{self.name} does not start: {reason} ({self.log}).{advice_for(reason)}")
            spawn_server(self.command(site, lock), self.log, site.run_as, lock)
        return True

    def stop(self) -> None:
        """Return when no process of it is left."""
        begin, asked = time.monotonic(), 0.0
        while self.alive():
            now = time.monotonic()
            if now - begin > TIMEOUT_SECONDS:
                raise EmbeddedError(f"{self.name} does not stop after {TIMEOUT_SECONDS:.0f} s; its log is {self.log}.")
            if now - asked > 3:
                self.ask_to_stop()
                asked = now
            time.sleep(0.02)

    def alive(self) -> bool:
        """Whether a process of it exists, ready or not."""
        if not self._lock_file.exists():
            return False
        with self._claim_start() as lock:
            return lock is None

    @property
    def _lock_file(self) -> Path:
        return home_folder() / f"{self.folder_name}.lock"

    @contextlib.contextmanager
    def _claim_start(self) -> Iterator[int | None]:
        """The lock that a server inherits, or None while a process of the server holds it."""
        with open_lock(self._lock_file) as fd:
            yield fd if lock_file(fd, wait=False) else None

    def _listens(self) -> bool:
        try:
            with connect_to(self.socket_name):
                return True
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except OSError:
            return True  # overloaded is not gone


def connect_to(socket_name: str) -> socket.socket:
    """A connection to a server's socket; OSError when nobody answers."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(2)
        connection.connect(str(run_dir() / socket_name))
    except OSError:
        connection.close()
        raise
    return connection
