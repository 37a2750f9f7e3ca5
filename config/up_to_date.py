"""Have the tables as this version needs them before a command works with them."""

from __future__ import annotations

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

_LOCK = 20_260_001  # one command at a time migrates


def bring_up_to_date() -> None:
    """Migrate the database of a checkout, and say so on standard error.

    Raises `ImproperlyConfigured` when another database is not up to date: its owner decides when it is migrated.
    """
    if not _needs_migrating():
        return
    if os.environ.get("DATABASE_URL"):
        raise ImproperlyConfigured("The database is not up to date. Run `manage.py migrate`, then this command again.")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
    try:
        if _needs_migrating():
            print("The database is brought up to date first.", file=sys.stderr)
            call_command("migrate", verbosity=0, interactive=False)
    finally:
        connection.close()  # and with it the lock


def _needs_migrating() -> bool:
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))
