"""The worker that things happen to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from django.conf import settings

import devservers
from catalog.tests.factories import wait_until

QUEUES = ("celery", "mail", "upkeep", "fetch", "export")


class Worker:
    """A worker process of two children, which is started again when it is gone, as a container is."""

    def __init__(self, name: str = "worker") -> None:
        self._name, self._log = name, devservers.STATE / f"{name}.log"
        self.environment = {"REMAP_SIGTERM": "SIGQUIT"}  # as the container's
        self._process: subprocess.Popen[bytes] | None = None

    def keep_up(self) -> None:
        if self._process and self._process.poll() is None:
            return
        command = (
            f"-m celery -A tests.torture.worker worker -c 2 -Q {','.join(QUEUES)} -l INFO --pidfile= --without-gossip"
            f" -n {self._name}@%h"
        )
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *command.split(), "--without-mingle", "--without-heartbeat"],
                cwd=settings.BASE_DIR,
                env={**os.environ, **self.environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def restart(self) -> None:
        """Stop it as a deployment does, and wait for the next one."""
        starts = self._starts()
        if self._process:
            self._process.terminate()
            self._process.wait(60)
        self.keep_up()
        wait_until(lambda: self._starts() > starts, 60)

    def wait_until_ready(self) -> None:
        wait_until(self._starts, 180)

    def _starts(self) -> int:
        return self._log.read_bytes().count(b" ready.")

    def children(self) -> list[int]:
        """Those that work, frozen or not."""
        pid = self._process.pid if self._process else 0
        with suppress(FileNotFoundError):
            return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return []

    def thaw(self) -> None:
        for pid in self.children():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def end(self) -> None:
        if self._process:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def last_words(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-40:])
