"""The periodic tasks that every installation needs: each app lists its own in its `AppConfig`."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from django.apps import apps


class Job(NamedTuple):
    """A task, what staff read about it, and how often it runs unless they change that; without `every`, at night."""

    task: str
    name: str
    description: str
    every: timedelta | None = None


def required_jobs() -> list[Job]:
    return [job for app in apps.get_app_configs() for job in getattr(app, "jobs", ())]
