"""What `manage.py dev` (and so `make run`) promises."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError

import devservers
from config.management.commands import dev
from devservers.processes import processes_of

WAIT = "import time; time.sleep(60)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


class Trial(dev.Processes):
    """Three processes that run Python code instead of the real ones; what is said is kept."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **code: str) -> None:
        self.said: list[tuple[str, str]] = []
        super().__init__(lambda name, text, _colour: self.said.append((name, text.rstrip())))
        codes = {"web": WAIT, "worker": WAIT, "beat": WAIT} | code
        monkeypatch.setattr(
            dev, "process_commands", lambda _: {name: [sys.executable, "-c", text] for name, text in codes.items()}
        )
        monkeypatch.setattr(dev, "web_answers", lambda _: True)
        monkeypatch.setattr(dev, "STOP_SECONDS", 0.5)

    def codes(self) -> list[int | None]:
        return [process.returncode for process in self.running.values()]


def environment(state: Path) -> dict[str, str]:
    taken = {"DATABASE_URL", "REDIS_URL", "EMBEDDED", "DJANGO_SETTINGS_MODULE", "DJANGO_ADMIN_PASSWORD"}
    kept = {name: value for name, value in os.environ.items() if name not in taken}
    return kept | {"EMBEDDED_DIR": str(state), "EMBEDDED_FAST": "1", "MEDIA_ROOT": str(state / "media")}


def test_a_taken_port_is_a_sentence_before_anything_starts(taken_port: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "dev"],
        check=False,
        cwd=devservers.BASE_DIR,
        env=environment(tmp_path / "state") | {"PORT": str(taken_port)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 1
    assert f"Port {taken_port} cannot be used" in done.stderr
    assert f"PORT={taken_port + 1} make run" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1", "80 80", "٨٠٠٠"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(CommandError, match="Use a number from 1 to 65535"):
        dev.free_port(port)


def test_one_process_that_ends_stops_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Trial(monkeypatch, worker="import sys; sys.exit(7)")
    assert trial.run_until_one_ends(8000, "Open the page") == 7
    assert trial.codes() == [-signal.SIGTERM, 7, -signal.SIGTERM]


def test_a_process_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Trial(monkeypatch, worker=DEAF, web="import time; time.sleep(0.5)")
    assert trial.run_until_one_ends(8000, "Open the page") == 1  # ending in good order was not its task
    assert trial.codes() == [0, -signal.SIGKILL, -signal.SIGTERM]


def test_what_the_processes_print_is_shown_with_their_name(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Trial(monkeypatch, beat="import time; print('tick', flush=True); time.sleep(0.5)")
    trial.run_until_one_ends(8000, "Open the page")
    assert ("beat", "tick") in trial.said
    assert ("dev", "Open the page") in trial.said


def test_the_processes_do_not_outlive_a_killed_dev() -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux tells children")
    code = "import django, time; django.setup(); from config.management.commands import dev; "
    code += f"print(dev.start_process([{sys.executable!r}, '-c', {WAIT!r}]).pid, flush=True); time.sleep(60)"
    command = [sys.executable, "-c", code]
    parent = subprocess.Popen(command, cwd=devservers.BASE_DIR, stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    child = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    wait_until(lambda: not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text().split()[2])


def test_make_run_from_start_to_ctrl_c(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path / "log"
    with log.open("w") as output:
        running = subprocess.Popen(
            [sys.executable, "manage.py", "dev", str(port)],
            cwd=devservers.BASE_DIR,
            env=environment(tmp_path / "state"),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until(lambda: "Ctrl-C stops everything" in log.read_text() or running.poll() is not None, seconds=120)
        assert f"Open http://localhost:{port}/admin/" in log.read_text()
        assert "Log in as admin" in log.read_text()
        assert "Traceback" not in log.read_text()  # later Celery prints one about the connection that it loses
        for pid in processes_of(f"/valkey-server --dir {tmp_path / 'state' / 'valkey'} --port "):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: "Valkey answers again" in log.read_text(), seconds=60)
        assert "Valkey ended; starting again" in log.read_text()
        assert login(port, log) == 200
        wait_until(lambda: worked_since("Valkey answers again", log), seconds=120)
        running.send_signal(signal.SIGINT)
        assert running.wait(25) == 0, log.read_text()
    finally:
        running.kill()
        running.wait()
        status = [sys.executable, "-m", "devservers"]
        options: dict[str, Any] = {"cwd": devservers.BASE_DIR, "env": environment(tmp_path / "state")}
        down = subprocess.run([*status, "status"], check=False, capture_output=True, text=True, **options)
        subprocess.run([*status, "reset"], check=True, capture_output=True, **options)
    assert down.stdout.count(" down ") == 2
    assert "Traceback" not in log.read_text().partition("stopping; a worker finishes")[2]


def login(port: int, log: Path) -> int:
    password = re.search(r"Log in as admin / (\S+)", log.read_text())
    assert password, log.read_text()
    body = json.dumps({"username": "admin", "password": password[1]})
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("POST", "/login/", body, {"Content-Type": "application/json"})
        with connection.getresponse() as answer:
            return answer.status


def worked_since(moment: str, log: Path) -> bool:
    """Whether a worker completed a task after that was said."""
    return " succeeded in " in log.read_text().rpartition(moment)[2]


def wait_until(true: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
