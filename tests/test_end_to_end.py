"""An import from upload to products, and a mail on its way, through a real broker and real worker processes."""

import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from django.db import connection

from accounts.models import User
from catalog.imports.discard import discard
from catalog.imports.review import confirm
from catalog.models import CatalogState, Feed, ImportRun, Product, Status
from catalog.tests.factories import catalogue, counts, feed_of, item, items, person, received, wait_until
from config import celery_app
from config.management.commands.dev import MAIL_WORKER
from config.settings import base
from notifications.models import Message
from notifications.outbox import ring
from notifications.tests.postoffice import PostOffice

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def queue(settings: Any, tmp_path: Path) -> Iterator[str]:
    """The name of a queue of our own at the real broker, which this process rings from now on."""
    settings.MEDIA_ROOT = tmp_path / "media"
    name = f"test-{uuid.uuid4()}-"
    bell = Celery("bell", broker=base.CELERY_BROKER_URL, set_as_current=False)
    bell.conf.task_routes = settings.CELERY_TASK_ROUTES
    bell.conf.broker_transport_options = {**settings.CELERY_BROKER_TRANSPORT_OPTIONS, "global_keyprefix": name}
    bell.set_current()
    yield name
    celery_app.set_current()
    bell.close()
    with redis.Redis.from_url(base.REDIS_URL) as server:
        for key in server.scan_iter(f"{name}*"):
            server.delete(key)


@pytest.fixture
def worker(queue: str, settings: Any, tmp_path: Path) -> Iterator[None]:
    with running(queue, settings, "-c", "2", "-n", queue, log=tmp_path / "worker.log"):
        yield


@pytest.fixture
def office() -> Iterator[PostOffice]:
    with PostOffice() as office:
        yield office


@pytest.fixture
def mail_worker(queue: str, office: PostOffice, settings: Any, tmp_path: Path) -> Iterator[None]:
    with running(queue, settings, *MAIL_WORKER, log=tmp_path / "mail.log", mail=f"smtp://127.0.0.1:{office.port}"):
        yield


@contextmanager
def running(queue: str, settings: Any, *arguments: str, log: Path, mail: str = "console:") -> Iterator[None]:
    """A worker process on the test's own database, files and queue."""
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.worker_settings",
        "TEST_DATABASE": str(connection.settings_dict["NAME"]),
        "TEST_MEDIA_ROOT": str(settings.MEDIA_ROOT),
        "TEST_BROKER": base.CELERY_BROKER_URL,
        "TEST_QUEUE": queue,
        "TEST_EMAIL_URL": mail,
    }
    command = "-m celery -A config worker -l INFO --pidfile= --without-gossip --without-mingle --without-heartbeat"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *command.split(), *arguments],
            cwd=base.BASE_DIR,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: b" ready." in log.read_bytes() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield
    finally:
        end(process)
        print(log.read_text())  # shown with a test that fails


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=10)


@pytest.fixture
def feed() -> Feed:
    return Feed.objects.create(name="Ounass", slug="ounass")


@pytest.fixture
def alice() -> User:
    return person("alice", "add_importrun", "apply_importrun", "discard_importrun")


@pytest.fixture
def early(queue: str, feed: Feed) -> ImportRun:
    """An import uploaded before the worker starts."""
    return received(feed, feed_of(item("early")), in_background=True)


def arrives(run: ImportRun, status: Status) -> ImportRun:
    """The run when the worker has brought it there."""
    wait_until(lambda: ImportRun.objects.filter(pk=run.pk, status__in=[status, Status.FAILED]).exists())
    run.refresh_from_db()
    assert run.status == status, run.error
    return run


def test_an_import_goes_all_the_way(early: ImportRun, worker: None, feed: Feed, alice: User) -> None:
    arrives(early, Status.REVIEW)  # nobody listened when it was rung for
    content = feed_of(*items(2500), item("free", price="free"))
    run = arrives(received(feed, content, by=alice, in_background=True), Status.REVIEW)
    assert counts(run) == {"items": 2501, "created": 2500, "invalid": 1}
    assert not Product.objects.exists()
    confirm(run, plan_hash=run.plan_hash, by=alice)
    arrives(run, Status.APPLIED)
    assert Product.objects.count() == 2500
    wait_until(lambda: run.staged.count() == 1)  # cleaned up, but for the invalid item
    assert [(step["status"], step["by"]) for step in run.history] == [
        ("staging", ""),
        ("review", ""),
        ("applying", "alice"),
        ("applied", ""),
    ]

    before, version = catalogue(), CatalogState.objects.get().version
    second = arrives(received(feed, content, by=alice, in_background=True), Status.APPLIED)
    assert second != run
    assert counts(second) == {"items": 2501, "unchanged": 2500, "invalid": 1}
    assert (catalogue(), CatalogState.objects.get().version) == (before, version)


def test_uploads_at_once_all_come_to_their_end(worker: None, feed: Feed, alice: User) -> None:
    valid = [received(feed, feed_of(item(f"{n}")), auto_apply=True, in_background=True) for n in range(6)]
    refused = [received(feed, feed_of(item(f"{n}"))[:-40], in_background=True) for n in range(2)]
    thrown_away = received(feed, feed_of(item("away")), in_background=True)
    for run in valid:
        arrives(run, Status.APPLIED)
    for run in refused:
        assert arrives(run, Status.FAILED).error_code == "feed.not_well_formed"
    discard(arrives(thrown_away, Status.REVIEW), by=alice)
    assert sorted(Product.objects.values_list("id", flat=True)) == ["0", "1", "2", "3", "4", "5"]
    wait_until(lambda: not thrown_away.staged.exists())


def test_a_silent_mail_server_keeps_no_import_waiting(
    worker: None, mail_worker: None, office: PostOffice, feed: Feed, alice: User
) -> None:
    speak = threading.Event()
    office.moods["CONNECT"] = lambda: None if speak.wait(40) else "421 Tired"
    message = Message.objects.create(recipient=alice, address=alice.email, subject="A", text="A", html="<p>A")
    ring()
    ring()  # both threads of the mail worker are busy now
    wait_until(lambda: office.heard("CONNECT") == 2)
    arrives(received(feed, feed_of(item("1")), in_background=True), Status.REVIEW)
    assert not speak.is_set()
    assert not office.ledger
    speak.set()
    wait_until(lambda: Message.objects.filter(pk=message.pk, status="sent").exists())
    assert office.taken() == [(alice.email, str(message.pk))]
