"""A container's health check: `python -m config.alive web`, or a worker's name for `web`.

Docker marks a container that is unhealthy, and leaves it running. So one that has answered no look for three minutes is
ended by the look, and its restart policy starts it again. It is asked to end first, as `docker stop` asks.
A broker that is away is not the worker's fault: such a look ends nothing.
"""

import os
import signal
import sys
import time
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from kombu.exceptions import OperationalError

from config import celery_app

SILENT_SINCE = Path("/dev/shm/silent-since")  # noqa: S108 - of the container, and gone when it is started again
WEB = "127.0.0.1:8000"
PING_SECONDS = 10
END_AFTER_SECONDS, KILL_AFTER_SECONDS = 180, 240
INITS = ("docker-init", "tini", "catatonit", "podman-init")  # process 1 of a container with `init: true`


def main(name: str) -> int:
    """The exit code: 0 for an answer."""
    try:
        is_alive = web_answers() if name == "web" else worker_answers(name)
    except OperationalError as error:
        SILENT_SINCE.unlink(missing_ok=True)  # else the time without a broker would count against the worker
        print(f"The broker does not answer: {error}")
        return 1
    if is_alive:
        SILENT_SINCE.unlink(missing_ok=True)
        return 0
    now = time.monotonic()
    try:
        silent = now - float(SILENT_SINCE.read_text())
    except (FileNotFoundError, ValueError):
        SILENT_SINCE.write_text(str(now))
        silent = 0.0
    print(f"{name} has not answered for {silent:.0f} s")
    if silent > END_AFTER_SECONDS and Path("/proc/1/comm").read_text().strip() in INITS:
        end_container(by_force=silent > KILL_AFTER_SECONDS)
    return 1


def web_answers() -> bool:
    """It is asked as by the proxy: for a host that is allowed, over TLS. The call looks at the process only: a database
    that is away for a while does not have every web container replaced."""
    hosts = os.environ["DJANGO_ALLOWED_HOSTS"]
    headers = {"Host": hosts.split(",")[0].lstrip("*.") or "localhost", "X-Forwarded-Proto": "https"}
    connection = HTTPConnection(WEB, timeout=4)
    try:
        connection.request("GET", "/health-check/", headers=headers)
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def worker_answers(name: str) -> bool:
    """Raises `OperationalError` when the broker does not answer."""
    return bool(celery_app.control.ping(destination=[f"{name}@{os.uname().nodename}"], timeout=PING_SECONDS))


def end_container(*, by_force: bool) -> None:
    """Ask process 1, which passes it on; or kill all others, at which it ends."""
    if by_force:
        os.kill(-1, signal.SIGKILL)
    else:
        os.kill(1, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
