"""A container that stays silent is ended, so that Docker starts it again."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from celery import Celery

from config import alive
from devservers import BASE_DIR

NOBODY = "127.0.0.1:1"


class Web(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        asked = (self.path, self.headers["Host"], self.headers["X-Forwarded-Proto"])
        self.send_response(200 if asked == ("/health-check/", "shop.example.com", "https") else 400)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("DJANGO_ALLOWED_HOSTS", ".shop.example.com,localhost")
    with ThreadingHTTPServer(("127.0.0.1", 0), Web) as server:
        Thread(target=server.serve_forever, args=(0.01,)).start()
        monkeypatch.setattr(alive, "WEB", f"127.0.0.1:{server.server_port}")
        yield
        server.shutdown()


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[int, int]]:
    """What was sent to whom, in a container."""
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(alive, "SILENT_SINCE", tmp_path / "since")
    monkeypatch.setattr(alive, "INITS", [Path("/proc/1/comm").read_text().strip()])
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    return sent


def silent_for(seconds: float) -> None:
    alive.SILENT_SINCE.write_text(str(time.monotonic() - seconds))


def test_who_answers_is_alive_whatever_was_before(web: None, killed: list[Any]) -> None:
    silent_for(500)
    assert alive.main("web") == 0
    assert not alive.SILENT_SINCE.exists()
    assert killed == []


def test_an_error_is_no_answer(web: None, killed: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_ALLOWED_HOSTS", "other.example.com")
    assert alive.main("web") == 1
    assert alive.SILENT_SINCE.exists()


def test_who_stays_silent_is_asked_to_end_and_then_killed(
    killed: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DJANGO_ALLOWED_HOSTS", "*")
    monkeypatch.setattr(alive, "WEB", NOBODY)
    assert alive.main("web") == 1
    assert capsys.readouterr().out == "web has not answered for 0 s\n"
    silent_for(170)
    assert alive.main("web") == 1
    assert killed == []
    silent_for(190)
    assert alive.main("web") == 1
    assert killed == [(1, signal.SIGTERM)]
    silent_for(250)
    assert alive.main("web") == 1
    assert killed[1:] == [(-1, signal.SIGKILL)]
    assert alive.SILENT_SINCE.exists()


def test_outside_of_a_container_nobody_is_ended(killed: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_ALLOWED_HOSTS", "*")
    monkeypatch.setattr(alive, "WEB", NOBODY)
    monkeypatch.setattr(alive, "INITS", ["docker-init"])
    silent_for(250)
    assert alive.main("web") == 1
    assert killed == []


def test_a_worker_that_does_not_answer_is_silent(killed: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alive, "PING_SECONDS", 0.1)
    assert alive.main("nobody") == 1
    assert alive.SILENT_SINCE.exists()


def test_a_broker_that_is_away_ends_no_worker(
    killed: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    away = Celery("away", broker="redis://127.0.0.1:1/0", set_as_current=False)
    away.conf.broker_transport_options = {"max_retries": 1, "interval_start": 0}  # ours waits for six seconds
    monkeypatch.setattr(alive, "celery_app", away)
    silent_for(500)  # began before the broker went away
    assert alive.main("celery") == 1
    assert not killed
    assert "The broker does not answer" in capsys.readouterr().out
    assert not alive.SILENT_SINCE.exists()


def test_every_worker_is_looked_at_by_its_name() -> None:
    composed = (BASE_DIR / "docker-compose.yml").read_text()
    names = re.findall(r"command: \[celery, -A, config, --quiet, worker,(?:.*--hostname=(\w+)@%h)?", composed)
    assert [name or "celery" for name in names] == re.findall(r"config\.alive, (\w+)\]", composed)
    assert '"config.alive", "web"' in (BASE_DIR / "Dockerfile").read_text()


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="Nobody may make a container here.")
def test_a_container_whose_process_is_frozen_comes_to_its_end(tmp_path: Path) -> None:
    """In namespaces of its own, with a process 1 that is called as Docker's, and ends with its child as that does."""
    init = shutil.copy(str(shutil.which("sh")), tmp_path / "docker-init")
    looks = f"import time; from config import alive; alive.WEB = '{NOBODY}'; alive.END_AFTER_SECONDS = -1;"
    looks += " alive.main('web'); time.sleep(0.2); alive.KILL_AFTER_SECONDS = -1; alive.main('web')"
    inside = f'sleep 60 & kill -STOP $!; "{sys.executable}" -c "{looks}"; wait; echo over'
    run = subprocess.run(
        [
            *"unshare --mount --pid --fork --kill-child --mount-proc sh -c".split(),
            'mount -t tmpfs shm /dev/shm && exec "$0" -c "$1"',
            str(init),
            inside,
        ],
        cwd=BASE_DIR,
        env={**os.environ, "DJANGO_ALLOWED_HOSTS": "*"},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert run.stdout.count("web has not answered") == 2, run.stderr
    assert run.stdout.endswith("over\n"), run.stderr
