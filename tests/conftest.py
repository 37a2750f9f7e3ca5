"""What tests with worker processes start from."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery

from catalog.models import Feed
from config import celery_app
from config.settings import local


@pytest.fixture
def queue(settings: Any, tmp_path: Path) -> Iterator[str]:
    """The name of a queue of our own at the real broker, into which this process enqueues from now on."""
    settings.MEDIA_ROOT = tmp_path / "media"
    name = f"test-{uuid.uuid4()}-"
    app = Celery("test", broker=local.CELERY_BROKER_URL, set_as_current=False)
    app.conf.task_routes = settings.CELERY_TASK_ROUTES
    app.conf.broker_transport_options = {**settings.CELERY_BROKER_TRANSPORT_OPTIONS, "global_keyprefix": name}
    app.set_current()
    yield name
    celery_app.set_current()
    app.close()
    with redis.Redis.from_url(local.REDIS_URL) as server:
        for key in server.scan_iter(f"{name}*"):
            server.delete(key)


@pytest.fixture
def feed(db: None) -> Feed:
    return Feed.objects.create(name="Ounass", slug="ounass")
