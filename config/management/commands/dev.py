"""`manage.py dev`: the whole product in one terminal. It is what `make run` ends in."""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError, call_command
from django.db import connections

import devservers

HOST = "127.0.0.1"
LOOK_SECONDS = 2.0  # between looks at the servers
STOP_SECONDS = 15.0  # a worker may go on with its task for this long after Ctrl-C
COLOURS = {"web": 36, "worker": 33, "mail": 34, "upkeep": 32, "fetch": 91, "export": 36, "beat": 35}
# Threads: these two wait for a mail server and for the database, and threads cost no processes.
MAIL_WORKER = ["--queues=mail", "--hostname=mail@%h", "--pool=threads", "--concurrency=4"]
FETCH_WORKER = ["--queues=fetch", "--hostname=fetch@%h", "--pool=threads", "--concurrency=8"]
UPKEEP_WORKER = ["--queues=upkeep", "--hostname=upkeep@%h", "--pool=threads", "--concurrency=4"]
EXPORT_WORKER = ["--queues=export", "--hostname=export@%h", "--concurrency=1"]  # a process, because it computes
GREEN, RED, BOLD = 32, 31, 1
RULE = "-" * 60


class Command(BaseCommand):
    """Prepares the database, runs web, workers and beat until Ctrl-C, then stops the servers it used."""

    help = "Run everything for development: PostgreSQL, Valkey, web, workers and beat. Ctrl-C stops it all."
    # The checks and the migrations need the servers, which are not up before handle().
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("port", nargs="?", default=os.environ.get("PORT") or "8000", help="default: $PORT, or 8000")
        parser.add_argument("--keep", action="store_true", help="leave PostgreSQL and Valkey up at the end")

    def handle(self, *, port: str, keep: bool, **_: Any) -> None:
        """Exit with the code of the first child that ended, or with 0 after Ctrl-C, SIGTERM or SIGHUP."""
        number = free_port(port)
        for request in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(request, signal.default_int_handler)  # one way to end, however it is asked for
        code = 0
        try:
            with contextlib.suppress(KeyboardInterrupt):
                login = self.prepare_database()
                lines = (f"Open http://localhost:{number}/admin/", login, where_mail_goes(), "Ctrl-C stops everything")
                banner = "\n".join((RULE, *lines, RULE))
                code = Processes(self.say).run_until_one_ends(number, banner)
        finally:
            if not keep and not devservers.stop(unless_used=True):
                self.say("dev", "another process uses PostgreSQL and Valkey: left up (`make stop` stops them)")
        self.say("dev", "stopped")
        if code:
            sys.exit(code)

    def prepare_database(self) -> str:
        """Have a database with its tables, an admin user and something to look at; return how to log in."""
        self.say("dev", "starting the servers and bringing the database up to date")
        devservers.ensure()
        call_command("migrate", interactive=False, verbosity=0)
        login = io.StringIO()
        call_command("ensure_admin", stdout=login)
        self.say("dev", login.getvalue().strip())
        call_command("demo_data", "--if-empty")
        connections.close_all()  # from here on this process only watches
        return login.getvalue().strip()

    def say(self, name: str, text: str, colour: int = GREEN) -> None:
        """Print the lines, each after the name of the process."""
        tag = f"{name:>6} |"
        if self.stdout.isatty() and not os.environ.get("NO_COLOR"):
            tag = f"\x1b[{colour}m{tag}\x1b[0m"
        with contextlib.suppress(OSError):  # the terminal may be gone already; stopping must go on
            self.stdout.write("".join(f"{tag} {line}\n" for line in text.splitlines()), ending="")
            self.stdout.flush()


class Processes:
    """Web, the workers and beat.

    Each has a session of its own, so that Ctrl-C reaches only this process: a worker whose children get the signal too
    loses the task that it should finish.
    """

    def __init__(self, say: Callable[[str, str, int], None]) -> None:
        self.say = say
        self.running: dict[str, subprocess.Popen[str]] = {}
        self.relays: list[threading.Thread] = []

    def run_until_one_ends(self, port: int, banner: str) -> int:
        """Run them all until one ends, and return its exit code, never 0. An interrupt ends them and is passed on."""
        try:
            for name, command in process_commands(port).items():
                self.running[name] = start_process(command)
            self.relays = [
                threading.Thread(target=self.relay_output, args=[name], daemon=True) for name in self.running
            ]
            for thread in self.relays:
                thread.start()
            return self.watch_processes(port, banner)
        finally:
            self.stop_processes()

    def watch_processes(self, port: int, banner: str) -> int:
        greeted, next_look = False, 0.0
        while all(process.poll() is None for process in self.running.values()):
            if time.monotonic() > next_look:
                self.revive_servers()
                next_look = time.monotonic() + LOOK_SECONDS
            if not greeted and web_answers(port):
                self.say("dev", banner, BOLD)
                greeted = True
            time.sleep(0.2)
        name, process = next(item for item in self.running.items() if item[1].returncode is not None)
        code = shell_exit_code(process.returncode)
        self.say(name, f"ended with code {code}; stopping the others", RED)
        return code

    def revive_servers(self) -> None:
        """Start a server again that ended. The processes connect to it when they need it next."""
        names = " and ".join(devservers.ended())
        if not names:
            return
        self.say("dev", f"{names} ended; starting again", RED)
        try:
            devservers.ensure()
            self.say("dev", f"{names} answers again", GREEN)
        except devservers.EmbeddedError as error:
            self.say("dev", str(error), RED)

    def stop_processes(self) -> None:
        """Ask each main process to end, wait for the worker's tasks, then kill what is left.

        A second Ctrl-C skips the wait.
        """
        self.say("dev", "stopping; a worker finishes its task first", GREEN)
        try:
            for process in self.running.values():
                if process.poll() is None:
                    process.terminate()
            deadline = time.monotonic() + STOP_SECONDS
            for name, process in self.running.items():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, deadline - time.monotonic()))
                    continue
                self.say(name, f"still busy after {STOP_SECONDS:.0f} s: killed", RED)
        except KeyboardInterrupt:
            self.say("dev", "not waiting any longer", RED)
        for process in self.running.values():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)  # its own session: runserver's reloader has a child
            process.wait()
        for thread in self.relays:
            thread.join(1)  # the last words

    def relay_output(self, name: str) -> None:
        """Print what a process prints, as it comes."""
        with contextlib.closing(self.running[name].stdout or io.StringIO()) as output:
            for line in output:
                self.say(name, line, COLOURS[name])


def process_commands(port: int) -> dict[str, list[str]]:
    """The command lines. The empty pid file names keep Celery from leaving files that stop its next start."""
    celery = [sys.executable, "-m", "celery", "-A", "config"]
    return {
        "web": [sys.executable, "manage.py", "runserver", f"{HOST}:{port}"],
        "worker": [*celery, "worker", "--loglevel=INFO", "--concurrency=2", "--pidfile="],
        "mail": [*celery, "worker", *MAIL_WORKER, "--loglevel=INFO", "--pidfile="],
        "upkeep": [*celery, "worker", *UPKEEP_WORKER, "--loglevel=INFO", "--pidfile="],
        "fetch": [*celery, "worker", *FETCH_WORKER, "--loglevel=INFO", "--pidfile="],
        "export": [*celery, "worker", *EXPORT_WORKER, "--loglevel=INFO", "--pidfile="],
        "beat": [*celery, "beat", "--loglevel=INFO", "--pidfile="],
    }


def where_mail_goes() -> str:
    """One line, so that nobody waits for a mail that stays here, or is surprised by one that does not."""
    if settings.EMAIL_BACKEND.endswith(".smtp.EmailBackend"):
        return f"Mail is sent to {settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
    folder = getattr(settings, "EMAIL_FILE_PATH", "")
    place = f", as files in {folder}" if folder else ""
    return f"Mail stays on this machine: read it in the admin under Messages{place}"


def start_process(command: list[str]) -> subprocess.Popen[str]:
    quiet = "ignore:You're running the worker with superuser privileges"
    return subprocess.Popen(
        command,
        cwd=settings.BASE_DIR,
        env={"PYTHONWARNINGS": quiet, "DJANGO_RUNSERVER_HIDE_WARNING": "true", **os.environ, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        preexec_fn=end_with_parent(os.getpid()),
    )


def end_with_parent(parent: int) -> Callable[[], None] | None:
    """What a child does so that the kernel ends it when this process is killed. Linux only."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl  # found before the fork

    def bind() -> None:
        set_parent_death_signal = 1
        prctl(set_parent_death_signal, signal.SIGTERM)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)

    return bind


def web_answers(port: int) -> bool:
    """Whether the web process serves requests."""
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", "/health-check/")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def shell_exit_code(returncode: int) -> int:
    """The code that a shell gives: 128 plus the signal's number. A process that ended well should have gone on: 1."""
    return 128 - returncode if returncode < 0 else returncode or 1


def free_port(text: str) -> int:
    """The port that `text` names; CommandError unless it can be listened on now."""
    port = int(text) if text.isascii() and text.isdigit() else 0
    if not 0 < port < 65536:
        raise CommandError(f"PORT is {text!r}. Use a number from 1 to 65535, for example `PORT=8001 make run`.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as runserver does
        try:
            probe.bind((HOST, port))
        except OSError as error:
            other = port + 1 if 1024 <= port < 65535 else 8001
            raise CommandError(
                f"Port {port} cannot be used ({error.strerror}). Stop what listens there, or use another port: "
                f"`PORT={other} make run`."
            ) from error
    return port
