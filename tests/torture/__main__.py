"""Disturb imports, and see whether anybody could tell afterwards. Exit 0: nobody could; 1: some differ, and how."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import tempfile

from notifications.tests.postoffice import PostOffice
from tests.signals import end_in_order


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="how many imports to disturb (default: 200)")
    parser.add_argument("--restarts", type=int, default=20, help="of the worker, under load, after that (default: 20)")
    parser.add_argument("--items", type=int, default=1500, help="of each import (default: 1500)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="draw the same blows again")
    parser.add_argument("--point", default="", help="only at points whose name has this in it")
    parser.add_argument("--blow", default="", help="only blows whose name has this in it")
    options = parser.parse_args()
    end_in_order()
    with tempfile.TemporaryDirectory(prefix="torture-") as folder, PostOffice() as office:
        own_checkout(folder, office)
        import devservers

        try:
            devservers.ensure()
            import django

            django.setup()
            from tests.torture.driver import torture

            return torture(options, office)
        finally:
            devservers.reset()


def own_checkout(folder: str, office: PostOffice) -> None:
    """Servers and files of our own: these may be harmed."""
    for name in ("DATABASE_URL", "REDIS_URL", "MEDIA_ROOT"):
        os.environ.pop(name, None)
    # Not the quick settings: with them a crash of the server loses what was committed a moment before.
    os.environ |= {"EMBEDDED": "1", "EMBEDDED_DIR": folder, "EMBEDDED_FAST": "0"}
    os.environ["EMAIL_URL"] = f"smtp://127.0.0.1:{office.port}"
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.torture.settings"


if __name__ == "__main__":
    sys.exit(main())
