"""A database for one measurement."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings


@contextmanager
def own_database() -> Iterator[None]:
    """A fresh database for this run, dropped afterwards."""
    from django.test.utils import setup_databases, teardown_databases

    from config import embedded

    embedded.ensure()
    settings.DATABASES["default"]["TEST"]["NAME"] = f"bench_{os.getpid()}"
    made = setup_databases(verbosity=0, interactive=False)
    try:
        yield
    finally:
        teardown_databases(made, verbosity=0)
