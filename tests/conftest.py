"""What tests with worker processes start from."""

import fcntl
import shutil
import subprocess
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
from devservers import BASE_DIR


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


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The folder with what tests/clients/package.json names, installed the first time. Skips where that cannot be."""
    npm, folder = shutil.which("npm"), BASE_DIR / "tests" / "clients"
    if npm is None:
        pytest.skip("There is no Node.js, which this is tried with.")
    wanted, installed = folder / "package-lock.json", folder / "node_modules" / "installed.json"
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process of the suite may be at it
        if not installed.exists() or installed.read_bytes() != wanted.read_bytes():
            command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
            if done.returncode:
                pytest.skip(f"npm could not install what this is tried with: {done.stderr[-300:]}")
            shutil.copy(wanted, installed)
    return installed.parent


@pytest.fixture
def feed(db: None) -> Feed:
    return Feed.objects.create(name="Ounass", slug="ounass")
