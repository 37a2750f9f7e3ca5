"""The storage of uploaded files is away for a while: imports wait for it, and go on when it is back."""

import errno
import gzip
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.db.models import F

from catalog.imports.discard import discard
from catalog.imports.reading import chunks
from catalog.imports.reading.stage import stage, stage_chunk
from catalog.imports.reports.source import Place, read_snippet
from catalog.imports.work.files import Verified
from catalog.imports.work.queue import fail
from catalog.models import Feed, ImportRun, Status
from catalog.tests.factories import feed_of, item, items, planned, received
from catalog.tests.pages import browser, messages, url

pytestmark = pytest.mark.django_db
MANY = feed_of(*items(80))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any) -> Iterator[list[Any]]:
    """What the broker is asked for by the end of the test."""
    calls: list[Any] = []
    monkeypatch.setattr(
        "celery.current_app.send_task", lambda name, args, countdown=0, **_: calls.append((name, *args, countdown))
    )
    with django_capture_on_commit_callbacks(execute=True):
        yield calls


def take_away(storage: Path) -> Path:
    return storage.rename(storage.with_name(f"{storage.name}-aside"))


@contextmanager
def unmounted(storage: Path) -> Iterator[None]:
    """Only the empty mount point is there."""
    aside = take_away(storage)
    storage.mkdir()
    yield
    storage.rmdir()
    aside.rename(storage)


def failing(number: int, method: str = "_open") -> Callable[[Path], AbstractContextManager[None]]:
    """The storage answers each call with this error."""

    @contextmanager
    def fail_all(_storage: Path) -> Iterator[None]:
        def refuse(*_: Any, **__: Any) -> Any:
            raise OSError(number, os.strerror(number))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(FileSystemStorage, method, refuse)
            yield

    return fail_all


NUMBERS = (errno.EIO, errno.ENOTCONN, errno.ESTALE, errno.ETIMEDOUT, errno.EACCES, errno.ENODEV)
OUTAGES = {"not mounted": unmounted} | {errno.errorcode[number]: failing(number) for number in NUMBERS}


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
@pytest.mark.parametrize("is_first", [True, False])
def test_an_import_waits_for_the_storage_and_goes_on(feed: Feed, storage: Path, outage: Any, is_first: bool) -> None:
    if not is_first:
        planned(feed, item("0"))
    run = received(feed, feed_of(item("1")))
    with outage(storage):
        for _ in range(3):
            stage(run)
    run.refresh_from_db()
    assert (run.status, run.error, run.history) == (Status.RECEIVED, "", [])
    assert run.next_try_at
    stage(run)
    assert run.status == Status.REVIEW
    assert run.next_try_at is None


def test_it_is_tried_again_in_some_seconds_and_once(
    feed: Feed, storage: Path, calls: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    run = received(feed, feed_of(item("1")))
    with django_capture_on_commit_callbacks(execute=True), unmounted(storage):
        for _ in range(3):
            stage(run)
    assert calls == [("catalog.stage", run.pk, 5)]


def test_a_file_that_breaks_off_while_it_is_read_is_read_again(feed: Feed) -> None:
    run = received(feed, feed_of(*items(3_000)))
    read = Verified.read

    def break_off(file: Verified, size: int = -1, /) -> bytes:
        if file.tell() > run.file_size // 2:
            raise OSError(errno.EIO, "Input/output error")
        return read(file, size)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Verified, "read", break_off)
        stage(run)
    run.refresh_from_db()
    assert (run.status, run.error) == (Status.STAGING, "")
    stage(run)
    assert (run.status, run.items, run.created) == (Status.REVIEW, 3_000, 3_000)


# --- big files ----------------------------------------------------------------------------------------
@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of ten thousand bytes are big."""
    monkeypatch.setattr(chunks, "PIECE_BYTES", 4_000)
    monkeypatch.setattr(chunks, "TYPICAL_PACKING_RATIO", 1000)


def read_all_chunks(run: ImportRun) -> None:
    for chunk in run.chunks.filter(is_read=False):
        stage_chunk(chunk.pk)
    run.refresh_from_db()


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["as it is", "unpacked"])
@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
def test_chunks_wait_for_the_storage_and_are_read_then(
    small: None, feed: Feed, storage: Path, pack: Callable[[bytes], bytes], outage: Any
) -> None:
    run = received(feed, pack(MANY))
    stage(run)
    number = run.chunks.count()
    assert number > 5
    stage_chunk(run.chunks.order_by("-start")[0].pk)
    with outage(storage):
        read_all_chunks(run)
    assert (run.status, run.in_chunks, run.chunks.filter(is_read=False).count()) == (Status.STAGING, True, number - 1)
    assert run.next_try_at
    read_all_chunks(run)
    assert (run.status, run.items) == (Status.REVIEW, 80)


def test_an_unpacked_copy_that_cannot_be_written_is_written_again(small: None, feed: Feed, storage: Path) -> None:
    run = received(feed, gzip.compress(MANY))
    with failing(errno.EIO, "_save")(storage):
        stage(run)
    run.refresh_from_db()
    assert (run.status, run.in_chunks, run.error) == (Status.STAGING, None, "")
    stage(run)
    read_all_chunks(run)
    assert (run.status, run.items) == (Status.REVIEW, 80)


def test_an_unpacked_copy_that_is_gone_while_the_storage_is_there_is_done_without(small: None, feed: Feed) -> None:
    run = received(feed, gzip.compress(MANY))
    stage(run)
    Path(run.spool.path).unlink()
    read_all_chunks(run)
    assert run.in_chunks is False
    stage(run)
    assert (run.status, run.items) == (Status.REVIEW, 80)


# --- what ends all the same -----------------------------------------------------------------------------
def test_a_file_that_is_gone_while_others_are_there_fails(feed: Feed, storage: Path) -> None:
    planned(feed, item("0"))
    run = received(feed, feed_of(item("1")))
    Path(run.file.path).unlink()
    stage(run)
    assert (run.status, run.error_code) == (Status.FAILED, "feed.file_missing")


def test_what_is_uploaded_beneath_the_mount_point_says_nothing_of_earlier_files(feed: Feed, storage: Path) -> None:
    planned(feed, item("0"))
    run = received(feed, feed_of(item("1")))
    take_away(storage)
    later = received(feed, feed_of(item("2")))
    stage(run)
    run.refresh_from_db()
    assert run.status == Status.RECEIVED
    stage(later)
    assert later.status == Status.REVIEW


def test_a_file_that_opens_and_is_never_read_fails_after_its_time(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    run = received(feed, feed_of(item("1")))
    broken = OSError(errno.EIO, "Input/output error")
    monkeypatch.setattr(Verified, "read", lambda *_: (_ for _ in ()).throw(broken))
    stage(run)
    run.refresh_from_db()
    assert run.status == Status.STAGING
    ImportRun.objects.update(created_at=F("created_at") - timedelta(hours=4))
    stage(run)
    run.refresh_from_db()
    assert (run.status, run.error_code) == (Status.FAILED, "storage.failed")
    assert run.error.startswith("The stored file cannot be read: Input/output error.")


def test_in_the_shell_it_fails_with_a_sentence(feed: Feed, storage: Path) -> None:
    with failing(errno.EIO)(storage), pytest.raises(AssertionError, match="cannot be read: Input/output error"):
        planned(feed, item("1"))
    assert ImportRun.objects.get().error_code == "storage.failed"


def test_an_import_ends_though_its_copy_cannot_be_deleted(small: None, feed: Feed, storage: Path) -> None:
    run = received(feed, gzip.compress(MANY))
    stage(run)
    with failing(errno.EIO, "delete")(storage):
        fail(run, "worker_lost", "Lost.")
    run.refresh_from_db()
    assert (run.status, run.spool.name) == (Status.FAILED, "")


def test_while_it_waits_it_can_be_discarded(feed: Feed, storage: Path) -> None:
    run = received(feed, feed_of(item("1")))
    with unmounted(storage):
        stage(run)
        discard(run, by=None)
    assert run.status == Status.DISCARDED


# --- what people see ------------------------------------------------------------------------------------
def test_the_page_says_what_the_import_waits_for(feed: Feed, storage: Path) -> None:
    run = received(feed, feed_of(item("1")))
    ida = browser("ida")
    page = f"/admin/catalog/importrun/{run.pk}/change/"
    assert "does not answer" not in ida.get(page).content.decode()
    with unmounted(storage):
        stage(run)
    assert "The storage of uploaded files does not answer." in ida.get(page).content.decode()
    ImportRun.objects.filter(pk=run.pk).update(status=Status.APPLYING)
    assert "Another import changes the catalogue." in ida.get(page).content.decode()


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
def test_who_looks_into_the_file_is_asked_to_try_again(feed: Feed, storage: Path, outage: Any) -> None:
    run = planned(feed, item("1", price="free"))
    with outage(storage):
        assert read_snippet(run, Place(3)).problem.endswith("Try again in a moment.")
    assert read_snippet(run, Place(3)).lines


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
def test_a_file_that_is_to_be_saved_meanwhile_is_said_to_be_away(feed: Feed, storage: Path, outage: Any) -> None:
    run = received(feed, MANY)
    with outage(storage):
        answer = browser("bob").get(url(run, "file"), follow=True)
    assert messages(answer) == ["The storage of uploaded files does not answer. Try again in a moment."]
