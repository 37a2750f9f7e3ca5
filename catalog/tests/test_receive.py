"""Receive: what is accepted is stored, once; what is refused leaves nothing."""

import hashlib
import io
import socket
import threading
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from django.core.files.base import ContentFile, File

from accounts.models import User
from catalog.errors import FeedRefused, NotAllowed, NotPossible
from catalog.imports.reading.stage import stage
from catalog.imports.receive import plan_again, receive, take_turn
from catalog.models import Feed, ImportRun, Mode, Product, Status
from catalog.tests.conftest import Worker
from catalog.tests.factories import (
    applied,
    at_once,
    discarded,
    edit,
    execute,
    feed_of,
    item,
    person,
    planned,
    received,
    uploaded,
)
from config import celery_app

CONTENT = feed_of(item("1"))


def stored(storage: Path) -> list[Path]:
    return [path for path in storage.rglob("*") if path.is_file()]


def test_an_upload_is_kept_as_it_was_under_a_name_of_ours(feed: Feed, storage: Path) -> None:
    run = receive(ContentFile(CONTENT, "../../etc/passwd.xml"), feed=feed)
    (path,) = stored(storage)
    assert path.relative_to(storage).as_posix() == run.file.name
    assert run.file.name.startswith("feeds/")
    assert "passwd" not in run.file.name
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("summer.xml", "summer.xml"),
        ("../../etc/passwd", "passwd"),
        (r"C:\feeds\summer.xml", "summer.xml"),
        ("sum\r\nmer\t\x00\x1b\u202e.xml", "summer.xml"),
        ("été 👗.xml", "été 👗.xml"),
        ("x" * 300, "x" * 200),
        ("\n", "feed.xml"),
        (None, "feed.xml"),
    ],
)
def test_the_uploaders_name_is_shown_in_one_line(feed: Feed, given: str | None, shown: str) -> None:
    run = receive(File(io.BytesIO(CONTENT), given), feed=feed)
    run.refresh_from_db()
    assert run.file_name == shown


def test_the_run_knows_what_was_uploaded_and_by_whom(feed: Feed, alice: User) -> None:
    run = received(feed, CONTENT, by=alice)
    run.refresh_from_db()
    assert (run.status, run.uploaded_by) == (Status.RECEIVED, alice)
    assert (run.file_size, run.sha256) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


def test_the_feeds_settings_hold_unless_others_are_given(feed: Feed) -> None:
    feed.mode, feed.auto_apply = Mode.SYNC, True
    own, given = received(feed, CONTENT), received(feed, CONTENT, mode="add", auto_apply=False)
    assert (own.mode, own.auto_apply) == (Mode.SYNC, True)
    assert (given.mode, given.auto_apply) == (Mode.ADD, False)


# --- once ---------------------------------------------------------------------------------------------
def test_the_same_bytes_while_open_are_the_same_import(feed: Feed, storage: Path) -> None:
    first, second = received(feed, CONTENT), received(feed, CONTENT)
    assert first == second
    assert len(stored(storage)) == ImportRun.objects.count() == 1


@pytest.mark.parametrize("options", [{"mode": "sync"}, {"auto_apply": True}])
def test_the_same_bytes_with_other_settings_are_another_import(feed: Feed, options: dict[str, Any]) -> None:
    assert received(feed, CONTENT) != received(feed, CONTENT, **options)


def test_the_same_bytes_for_another_feed_are_another_import(feed: Feed, other_feed: Feed) -> None:
    assert received(feed, CONTENT) != received(other_feed, CONTENT)


def test_the_same_bytes_after_the_end_are_another_import(feed: Feed) -> None:
    first = received(feed, CONTENT)
    discarded(first)
    assert received(feed, CONTENT) != first


@pytest.mark.django_db(transaction=True)
def test_two_uploads_in_one_instant_are_one_import(feed: Feed, storage: Path) -> None:
    first, second = at_once(*[lambda: received(feed, CONTENT)] * 2)
    assert isinstance(first, ImportRun)
    assert first == second
    assert len(stored(storage)) == ImportRun.objects.count() == 1


# --- refused ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"<!DOCTYPE html><html><body>Log in</body></html>", "feed.html_page"),
        (b"", "feed.empty"),
        (b'<?xml version="1.0"?><!DOCTYPE rss><rss/>', "feed.doctype"),
        (b"\x89PNG\r\n\x1a\n", "feed.image"),
    ],
)
def test_what_is_refused_at_the_door_leaves_nothing(feed: Feed, storage: Path, content: bytes, code: str) -> None:
    with pytest.raises(FeedRefused) as refused:
        received(feed, content)
    assert refused.value.code == code
    assert not stored(storage)
    assert not ImportRun.objects.exists()


def test_a_file_over_the_limit_leaves_nothing(feed: Feed, storage: Path, settings: Any) -> None:
    settings.FEED_MAX_BYTES = len(CONTENT) - 1
    with pytest.raises(FeedRefused, match=f"larger than {settings.FEED_MAX_BYTES:,} bytes") as refused:
        received(feed, CONTENT)
    assert refused.value.code == "feed.too_large"
    assert not stored(storage)
    assert not ImportRun.objects.exists()


def test_a_file_at_the_limit_is_taken(feed: Feed, settings: Any) -> None:
    settings.FEED_MAX_BYTES = len(CONTENT)
    assert received(feed, CONTENT).file_size == len(CONTENT)


def test_an_upload_that_breaks_off_leaves_nothing(feed: Feed, storage: Path) -> None:
    class BreaksOff(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 70_000:
                raise ConnectionError
            return super().read(70_000)

    with pytest.raises(ConnectionError):
        receive(File(BreaksOff(feed_of(item("1", description="x" * 100_000)))), feed=feed)
    assert not stored(storage)
    assert not ImportRun.objects.exists()


@pytest.mark.parametrize("name", ["bob", "charlie"])
def test_who_may_not_upload_leaves_nothing(
    feed: Feed, storage: Path, name: str, request: pytest.FixtureRequest
) -> None:
    with pytest.raises(NotAllowed, match=f"{name} .*catalog.add_importrun"):
        received(feed, CONTENT, by=request.getfixturevalue(name))
    assert not stored(storage)
    assert not ImportRun.objects.exists()


# --- the doorbell -------------------------------------------------------------------------------------
@pytest.fixture
def broker_away() -> Iterator[None]:
    Celery("away", broker="redis+socket:///nowhere/valkey.sock", set_as_current=False).set_current()
    yield
    celery_app.set_current()


@pytest.mark.django_db(transaction=True)
def test_an_upload_while_the_broker_is_away_is_not_lost(feed: Feed, broker_away: None) -> None:
    run = uploaded(feed, CONTENT)
    run.refresh_from_db()
    assert run.status == Status.RECEIVED
    assert Path(run.file.path).read_bytes() == CONTENT


@pytest.fixture
def silent_broker() -> Iterator[None]:
    """It takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silence:
        Celery("silent", broker=f"redis://127.0.0.1:{silence.getsockname()[1]}/0", set_as_current=False).set_current()
        yield
        celery_app.set_current()


@pytest.mark.django_db(transaction=True)
def test_a_silent_broker_holds_an_upload_up_for_two_seconds_at_most(feed: Feed, silent_broker: None) -> None:
    start = time.monotonic()
    run = uploaded(feed, CONTENT)
    assert time.monotonic() - start < 2
    run.refresh_from_db()
    assert run.status == Status.RECEIVED


@pytest.mark.django_db(transaction=True)
def test_a_second_upload_rings_again_for_what_waits(feed: Feed, worker: Worker) -> None:
    first = received(feed, CONTENT)
    assert worker.work() == []
    uploaded(feed, CONTENT)
    assert worker.work() == ["catalog.stage"]
    first.refresh_from_db()
    assert first.status == Status.REVIEW


def test_only_who_may_confirm_may_ask_to_apply_without_asking(feed: Feed, alice: User) -> None:
    ida = person("ida", "add_importrun")
    with pytest.raises(NotAllowed):
        receive(ContentFile(CONTENT, "feed.xml"), feed=feed, by=ida, auto_apply=True)
    assert receive(ContentFile(CONTENT, "feed.xml"), feed=feed, by=alice, auto_apply=True).auto_apply


# --- planned again ------------------------------------------------------------------------------------
def test_a_plan_is_made_again_of_the_stored_file(feed: Feed, alice: User) -> None:
    applied(feed, item("1"))
    run = planned(feed, item("1", color="Red"), mode="sync")
    edit("1", color="Blue")
    again = plan_again(run, by=alice)
    stage(again)
    execute(again)
    run.refresh_from_db()
    assert (run.status, again.mode, again.uploaded_by) == (Status.DISCARDED, "sync", alice)
    assert Product.objects.get().color == "Red"


@pytest.mark.parametrize("name", ["bob", "charlie"])
def test_who_may_not_upload_plans_nothing_again(feed: Feed, name: str, request: pytest.FixtureRequest) -> None:
    run = planned(feed, item("1"))
    with pytest.raises(NotAllowed):
        plan_again(run, by=request.getfixturevalue(name))
    assert ImportRun.objects.get() == run


def test_what_is_being_read_is_not_planned_again(feed: Feed) -> None:
    with pytest.raises(NotPossible, match="cannot be planned again: its status is “waiting”"):
        plan_again(received(feed, feed_of(item("1"))), by=None)


def test_without_its_file_an_import_is_not_planned_again(feed: Feed) -> None:
    run = applied(feed, item("1"))
    ImportRun.objects.update(file="")
    run.refresh_from_db()
    with pytest.raises(NotPossible, match="Upload it again"):
        plan_again(run, by=None)


@pytest.mark.django_db(transaction=True)
def test_two_who_plan_again_in_one_instant_get_one_plan(feed: Feed) -> None:
    run = applied(feed, item("1"))
    first, second = at_once(*[lambda: plan_again(run, by=None)] * 2)
    assert first == second != run


def take_turns(names: str, done: list[str], free: threading.Event) -> list[threading.Thread]:
    """So many threads, of which the first keeps its turn until `free`."""
    first_has_it = threading.Event()

    def work(name: str) -> None:
        with take_turn():
            done.append(f"{name} began")
            if name == names[0]:
                first_has_it.set()
                assert free.wait(30)
            done.append(f"{name} ended")

    threads = [threading.Thread(target=work, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
        assert first_has_it.wait(30)
    return threads


def test_one_upload_at_a_time_keeps_the_processor_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("catalog.imports.receive"), "LONGEST_TURN_SECONDS", 30)
    done: list[str] = []
    free = threading.Event()
    threads = take_turns("ab", done, free)
    free.set()
    for thread in threads:
        thread.join(30)
    assert done == ["a began", "a ended", "b began", "b ended"]


def test_an_upload_does_not_wait_long_for_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("catalog.imports.receive"), "LONGEST_TURN_SECONDS", 0.01)
    done: list[str] = []
    free = threading.Event()
    slow, impatient = take_turns("ab", done, free)
    impatient.join(30)
    assert done == ["a began", "b began", "b ended"]
    free.set()
    slow.join(30)
    with take_turn():  # is free again
        pass
