"""Databases of the measurements' own."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings


@contextmanager
def own_database(keep: str = "") -> Iterator[None]:
    """A fresh database for this run, dropped afterwards; or one that is kept by its name, made if it is not there."""
    from django.test.utils import setup_databases, teardown_databases

    import devservers

    devservers.ensure()
    settings.DATABASES["default"]["TEST"]["NAME"] = keep or f"bench_{os.getpid()}"
    made = setup_databases(verbosity=0, interactive=False, keepdb=bool(keep), serialized_aliases=())
    try:
        yield
    finally:
        teardown_databases(made, verbosity=0, keepdb=bool(keep))


def stop_queries() -> None:
    """End what the server still works on in this database for clients that have given up."""
    from django.db import connection

    with connection.cursor() as cursor:
        for _ in range(100):
            cursor.execute("""
                SELECT pg_cancel_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND backend_type = 'client backend' AND state = 'active'
                    AND pid <> pg_backend_pid()
            """)
            if not cursor.rowcount:
                return
            time.sleep(0.1)
