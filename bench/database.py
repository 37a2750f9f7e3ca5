"""Databases of the measurements' own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings


@contextmanager
def own_database(keep: str = "") -> Iterator[None]:
    """A fresh database for this run, dropped afterwards; or one that is kept by its name, made if it is not there."""
    from django.test.utils import setup_databases, teardown_databases

    from config import embedded

    embedded.ensure()
    settings.DATABASES["default"]["TEST"]["NAME"] = keep or f"bench_{os.getpid()}"
    made = setup_databases(verbosity=0, interactive=False, keepdb=bool(keep), serialized_aliases=())
    try:
        yield
    finally:
        teardown_databases(made, verbosity=0, keepdb=bool(keep))
