"""An import from upload to products, and a mail on its way, through a real broker and real worker processes."""

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.contextvars import bound_contextvars

from accounts.models import User
from catalog.imports.confirm import confirm
from catalog.imports.discard import discard
from catalog.models import CatalogState, Feed, ImportRun, Product, Status
from catalog.tests.factories import catalogue, counts, feed_of, item, items, person, uploaded, wait_until
from config.celery import NICENESS
from config.management.commands.dev import MAIL_WORKER
from notifications.models import Message
from notifications.outbox import enqueue_delivery
from notifications.tests.postoffice import PostOffice
from tests.workers import arrives, running

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def worker(queue: str, settings: Any, tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with running(queue, settings, "-c", "2", "-n", queue, log=tmp_path / "worker.log") as process:
        yield process


@pytest.fixture
def office() -> Iterator[PostOffice]:
    with PostOffice() as office:
        yield office


@pytest.fixture
def mail_worker(queue: str, office: PostOffice, settings: Any, tmp_path: Path) -> Iterator[None]:
    smtp = f"smtp://127.0.0.1:{office.port}"
    with running(queue, settings, *MAIL_WORKER, log=tmp_path / "mail.log", TEST_EMAIL_URL=smtp):
        yield


@pytest.fixture
def alice() -> User:
    return person("alice", "add_importrun", "confirm_importrun", "discard_importrun")


@pytest.fixture
def early(queue: str, feed: Feed) -> ImportRun:
    """An import uploaded before the worker starts."""
    return uploaded(feed, feed_of(item("early")))


def test_an_import_goes_all_the_way(
    early: ImportRun, worker: "subprocess.Popen[bytes]", feed: Feed, alice: User, tmp_path: Path
) -> None:
    arrives(early, Status.REVIEW)  # no worker ran when it was enqueued
    assert os.getpriority(os.PRIO_PROCESS, worker.pid) == os.getpriority(os.PRIO_PROCESS, 0) + NICENESS
    content = feed_of(*items(2500), item("free", price="free"))
    with bound_contextvars(request_id="of-the-upload"):
        uploaded_now = uploaded(feed, content, by=alice)
    run = arrives(uploaded_now, Status.REVIEW)
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
    second = arrives(uploaded(feed, content, by=alice), Status.APPLIED)
    assert second != run
    assert counts(second) == {"items": 2501, "unchanged": 2500, "invalid": 1}
    assert (catalogue(), CatalogState.objects.get().version) == (before, version)
    lines = [line for line in (tmp_path / "worker.log").read_text().splitlines() if "of-the-upload" in line]
    assert any("plan [events]" in line and "created=2500" in line and f"run_id={run.pk}" in line for line in lines)
    assert any("catalog.stage" in line for line in lines)  # Celery's own


def test_uploads_at_once_all_come_to_their_end(worker: None, feed: Feed, alice: User) -> None:
    valid = [uploaded(feed, feed_of(item(f"{n}")), auto_apply=True) for n in range(6)]
    refused = [uploaded(feed, feed_of(item(f"{n}"))[:-40]) for n in range(2)]
    thrown_away = uploaded(feed, feed_of(item("away")))
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
    enqueue_delivery()
    enqueue_delivery()  # both threads of the mail worker are busy now
    wait_until(lambda: office.heard("CONNECT") == 2)
    arrives(uploaded(feed, feed_of(item("1"))), Status.REVIEW)
    assert not speak.is_set()
    assert not office.ledger
    speak.set()
    wait_until(lambda: Message.objects.filter(pk=message.pk, status="sent").exists())
    assert office.taken() == [(alice.email, str(message.pk))]
