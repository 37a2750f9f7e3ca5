"""Where a checkout's servers are: their folder, and the addresses of their sockets. Starts nothing, asks nothing."""

import hashlib
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import environ

BASE_DIR = Path(__file__).resolve().parents[1]
# The servers start before the settings are read, and both must see the same environment.
environ.Env.read_env(BASE_DIR / ".env")

# Relative to the checkout, not to where a process happens to stand: they must all find the same servers.
STATE = (BASE_DIR / Path(os.environ.get("EMBEDDED_DIR") or ".local").expanduser()).resolve()
KEY = hashlib.sha256(os.fsencode(STATE)).hexdigest()[:12]
DATABASE = ROLE = "app"
PORT = "5432"  # of a unix socket: part of the file's name, no TCP port
SOCKET_BYTES = 103  # sockaddr_un holds 104 on macOS and 108 on Linux, the final NUL included


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
