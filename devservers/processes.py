"""The servers' processes and tools: how one is run, found and ended."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from devservers.errors import EmbeddedError, advice_for, line_with_reason

TIMEOUT_SECONDS = 300.0  # recovery after a crash replays up to max_wal_size
LOG_BYTES = 10_000_000  # a longer log is emptied at the next start

# Not the environment of whoever starts first: it holds the application's secrets, and PGPORT or PGDATA would be obeyed.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"} | {
    name: value for name, value in os.environ.items() if name == "LD_LIBRARY_PATH"
}


def run_command(command: list[str], run_as: dict[str, Any], **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end as the servers run: with nothing of this process's environment, folder or terminal."""
    fixed: dict[str, Any] = {"cwd": "/", "env": ENVIRONMENT, "stdin": subprocess.DEVNULL, "start_new_session": True}
    done: subprocess.CompletedProcess[bytes] = subprocess.run(command, check=False, **fixed, **run_as, **options)
    return done


def spawn_server(command: list[str], log: Path, run_as: dict[str, Any], lock: int) -> None:
    """Start a server that outlives this process and holds `lock` while it lives."""
    # Through a shell that ends at once: a server whose parent never asks for its exit status would stay a zombie.
    wrapper = ["/bin/sh", "-c", '"$@" &', "sh", *command]
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    try:
        if os.fstat(out).st_size > LOG_BYTES:
            os.truncate(out, 0)
        run_command(wrapper, run_as, stdout=out, stderr=out, pass_fds=(lock,))
    finally:
        os.close(out)


def output_of(command: list[str], run_as: dict[str, Any], **options: Any) -> str:
    """Run a tool of a server and return what it printed."""
    to_pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "timeout": TIMEOUT_SECONDS}
    try:
        done = run_command(command, run_as, **to_pipe, **options)
    except (OSError, subprocess.SubprocessError) as error:
        raise EmbeddedError(f"{command[0]} cannot be run here: {error}.") from error
    text = done.stdout.decode(errors="replace")
    if done.returncode:
        raise EmbeddedError(f"{Path(command[0]).name} failed: {line_with_reason(text)}.{advice_for(text)}")
    return text


def succeeds(command: list[str], run_as: dict[str, Any]) -> bool:
    try:
        done = run_command(command, run_as, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def _command_lines() -> Iterator[tuple[int, str]]:
    """Every process and its command line, or the title that it gave itself."""
    if Path("/proc/self/cmdline").exists():
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                yield int(entry.parent.name), os.fsdecode(entry.read_bytes()).replace("\0", " ")
        return
    listing = subprocess.run(["/bin/ps", "-axww", "-o", "pid=,command="], check=True, capture_output=True)
    for line in os.fsdecode(listing.stdout).splitlines():
        pid, _, text = line.strip().partition(" ")
        yield int(pid), text


def processes_of(mark: str) -> Iterator[int]:
    """The processes whose command line has `mark` in the place of the program (and its first options)."""
    for pid, text in _command_lines():
        before, found, _ = text.partition(mark)
        if found and (not before or before.startswith("/")):
            yield pid


def send_signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
