"""`python -m devservers start | stop | status | reset`."""

import shlex
import sys
from collections.abc import Callable

from devservers import SERVERS, database_url, redis_url, reset, start, stop
from devservers.errors import EmbeddedError
from devservers.site import home_folder


def print_status() -> bool:
    up = [server.ready() for server in SERVERS]
    for server, ready, address in zip(SERVERS, up, (database_url(), redis_url()), strict=True):
        print(f"{server.name:<10} {'up' if ready else 'down':<4} {shlex.quote(address)}")
    print(f"{'Data':<10} {home_folder()}")
    return all(up)


COMMANDS: dict[str, Callable[[], object]] = {"start": start, "stop": stop, "status": lambda: None, "reset": reset}


def main(arguments: list[str]) -> int:
    """`start`, `stop`, `status` (the default; exits with 1 unless both are up) or `reset` (stop, delete the data)."""
    command = arguments[0] if arguments else "status"
    if len(arguments) > 1 or command not in COMMANDS:
        print(f"usage: python -m devservers [{'|'.join(COMMANDS)}]", file=sys.stderr)
        return 2
    try:
        COMMANDS[command]()
        up = print_status()
    except EmbeddedError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0 if up or command != "status" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
