"""What every test of imports starts from. Alice may approve, Bob may look, Charlie may not."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection

from accounts.models import User
from catalog.models import Feed
from catalog.tests.factories import at_once, person
from config import celery_app


@pytest.fixture
def storage(settings: Any, tmp_path: Path) -> Path:
    """The folder of stored files, empty."""
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


@pytest.fixture
def halfway(settings: Any, storage: Path) -> Callable[[Callable[[], Any]], list[Any]]:
    """Call it with what another process does, once, while the second half of a file is read.

    What came of it is in the list that is returned.
    """

    def arrange(then: Callable[[], Any]) -> list[Any]:
        seen: list[Any] = []
        options = {"then": lambda: seen.extend(at_once(then))}
        eventful = {"BACKEND": "catalog.tests.factories.EventfulStorage", "OPTIONS": options}
        settings.STORAGES = {**settings.STORAGES, "default": eventful}
        return seen

    return arrange


@pytest.fixture
def feed(db: None, storage: Path) -> Feed:
    return Feed.objects.create(name="Ounass", slug="ounass")


@pytest.fixture
def other_feed(feed: Feed) -> Feed:
    return Feed.objects.create(name="Outlet", slug="outlet")


@pytest.fixture
def alice(db: None) -> User:
    may = ("view_importrun", "add_importrun", "confirm_importrun", "discard_importrun", "undo_importrun")
    return person("alice", *may)


@pytest.fixture
def bob(db: None) -> User:
    return person("bob", "view_importrun")


@pytest.fixture
def charlie(db: None) -> User:
    return person("charlie")


class Worker:
    """Runs, when asked, the tasks that wait at the broker, as a worker would."""

    def __init__(self, broker: Connection) -> None:
        self._queue = broker.SimpleQueue("celery")
        self._queue.clear()

    def work(self) -> list[str]:
        """Run every task that waits, and those they enqueue. Returns their names."""
        done: list[str] = []
        while True:
            try:
                message = self._queue.get_nowait()
            except self._queue.Empty:
                return done
            message.ack()
            arguments, _, _ = message.payload
            done.append(message.headers["task"])
            celery_app.tasks[done[-1]](*arguments)


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    # On a busy machine a message may take longer than people wait for. It would come after `work` has found none.
    monkeypatch.setattr("schedule.queue.BROKER_TIMEOUT_SECONDS", 60)
    celery_app.loader.import_default_modules()
    with celery_app.connection_for_read() as broker:
        yield Worker(broker)
