"""A fetch as an operation: tries, problems told once, silence, pauses, lost workers, and what is new."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO, StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from accounts.models import User
from catalog.connections import is_lost
from catalog.errors import NotAllowed, NotPossible
from catalog.fetching.edit import forget_host_key, remove_source, resume_schedule, save_source
from catalog.fetching.fetch import (
    fetch,
    fetch_when_due,
    open_fetch,
    request_fetch,
    spread_seconds,
    sweep_fetches,
)
from catalog.fetching.notices import fetch_facts, fetch_warnings, find_fetch_failures
from catalog.fetching.schedule import Timing, write_timing
from catalog.imports.confirm import go_on
from catalog.imports.local import stage_locally
from catalog.imports.retention import forget_old
from catalog.imports.work import queue
from catalog.imports.work.attempts import fence_the_silent, forget_ended
from catalog.imports.work.queue import Task
from catalog.models import Attempt, Feed, FeedSource, Fetch, FetchOutcome, FetchReason, ImportRun, Status
from catalog.tests.factories import at_once, feed_of, item, items, uploaded
from catalog.tests.fetching.conftest import fetched_at_last, fetched_once
from catalog.tests.fetching.servers import Wire, serving
from events.log import EVENTS
from notifications.models import Message

pytestmark = pytest.mark.django_db

FEED = feed_of(*items(5))


@pytest.fixture
def boss(db: None) -> User:
    """A superuser gets every mail."""
    return User.objects.create_superuser("boss", "boss@example.com", "x")


def mails() -> list[str]:
    return list(Message.objects.filter(name__startswith="feed_").order_by("told_at").values_list("name", flat=True))


def answering(body: bytes | None) -> Callable[[Wire], None]:
    """A feed; without one there is no file."""
    return lambda wire: wire.answer(b"", "404 Not Found") if body is None else wire.answer(body)


def due_again(row: Fetch) -> Fetch:
    """As if its pause was over."""
    Fetch.objects.filter(pk=row.pk).update(next_try_at=timezone.now())
    done = fetch(row.pk)
    assert done is not None
    return done


# --- tries and problems ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("boss")
def test_a_failure_is_tried_three_times_and_told_once(feed: Feed, source_at: Callable[..., FeedSource]) -> None:
    with serving(answering(None)) as server:
        source_at(f"{server.url}/feed.xml")
        row = fetched_once(feed)
        assert (row.outcome, row.tries, mails()) == ("waiting", 1, [])
        first = row.next_try_at
        row = due_again(row)
        assert (row.outcome, row.tries) == ("waiting", 2)
        assert row.next_try_at - timezone.now() > first - timezone.now() + timedelta(minutes=2)
        row = due_again(row)
    assert (row.outcome, row.tries, mails(), len(server.requests)) == ("failed", 3, ["feed_failing"], 3)


@pytest.mark.usefixtures("boss")
def test_each_problem_is_told_once_and_its_end_too(feed: Feed, source_at: Callable[..., FeedSource]) -> None:
    with serving(answering(FEED)) as server:
        source_at(f"{server.url}/feed.xml")
        for body in (FEED, None, None, b"<html></html>", b"<html></html>", None, FEED, FEED, None):
            server.script = answering(body)
            fetched_at_last(feed)
    assert mails() == ["feed_failing", "feed_failing", "feed_recovered", "feed_failing"]
    first = Message.objects.filter(name="feed_failing").earliest("told_at")
    assert "404" in first.text
    assert "Ounass was not fetched" in first.subject


@pytest.mark.usefixtures("boss")
def test_after_days_of_failures_the_schedule_pauses_itself(feed: Feed, source_at: Callable[..., FeedSource]) -> None:
    with serving(answering(None)) as server:
        source = source_at(f"{server.url}/feed.xml")
        write_timing(source, Timing(minutes=10))
        fetched_at_last(feed)
        FeedSource.objects.update(failing_since=timezone.now() - timedelta(days=8))
        fetched_at_last(feed)
    source.refresh_from_db()
    assert source.paused_at
    assert not PeriodicTask.objects.get(pk=source.job_id).enabled
    assert "paused after 7 days" in warnings_of(feed)[0]
    found = find_fetch_failures(timezone.now() - timedelta(hours=1), timezone.now() + timedelta(hours=1))
    assert [(each["feed"], each["count"], each["paused"]) for each in found["unfetched"]] == [("Ounass", 2, True)]


def warnings_of(feed: Feed) -> list[str]:
    feeds = Feed.objects.filter(pk=feed.pk).select_related("source").annotate(**fetch_facts("pk"))
    return [each["sentence"] for each in fetch_warnings(feeds)]


def test_a_feed_that_brings_nothing_new_for_long_is_quiet(feed: Feed, source_at: Callable[..., FeedSource]) -> None:
    hour = timedelta(hours=1)
    now = timezone.now()
    source_at("https://shop.example/feed.xml", expected_hours=24, last_new_at=now - 23 * hour)
    assert warnings_of(feed) == []
    FeedSource.objects.update(last_new_at=now - 25 * hour)
    assert "It is quiet" in warnings_of(feed)[0]
    assert [each["feed"] for each in find_fetch_failures(now - 2 * hour, now)["quiet_feeds"]] == ["Ounass"]
    assert find_fetch_failures(now - 30 * hour, now - 2 * hour)["quiet_feeds"] == []
    FeedSource.objects.update(expected_hours=None)
    assert warnings_of(feed) == []


def test_a_fetch_that_no_worker_takes_is_said_on_the_first_page(
    feed: Feed, source_at: Callable[..., FeedSource]
) -> None:
    source_at("https://shop.example/feed.xml")
    row = open_fetch(feed, reason=FetchReason.SCHEDULE)
    assert warnings_of(feed) == []
    Fetch.objects.filter(pk=row.pk).update(next_try_at=timezone.now() - timedelta(minutes=11))
    assert "Check that the worker of the queue “fetch” runs" in warnings_of(feed)[0]


@pytest.mark.django_db(transaction=True)
def test_fetches_and_changes_of_a_source_are_events(
    feed: Feed, boss: User, caplog: pytest.LogCaptureFixture, settings: Any
) -> None:
    caplog.set_level(logging.INFO, EVENTS)
    settings.FETCH_PAUSE_DAYS = 1
    with serving(answering(FEED)) as server:
        source = save_source(feed, by=boss, address=f"{server.url}/feed.xml", timing=Timing(minutes=5))
        request_fetch(feed, by=boss, reason=FetchReason.PERSON)
        fetched_once(feed)
        server.script = answering(None)
        fetched_once(feed)
        FeedSource.objects.update(failing_since=timezone.now() - timedelta(days=2))
        fetched_at_last(feed)
    resume_schedule(feed, by=boss)
    forget_host_key(feed, by=boss)
    remove_source(feed, by=boss)
    assert source.pk
    lines = [(record.msg, record.__dict__["fields"]) for record in caplog.records if record.name == EVENTS]
    told = [(name, fields.get("what") or fields.get("outcome", "")) for name, fields in lines if name != "upload"]
    assert told == [
        ("source_changed", "saved"),
        ("fetch_requested", ""),
        ("fetch", "new"),
        ("fetch", "waiting"),
        ("fetch", "failed"),
        ("source_changed", "paused"),
        ("source_changed", "resumed"),
        ("source_changed", "key_forgotten"),
        ("source_changed", "removed"),
    ]
    (first, *_, last) = [fields for name, fields in lines if name == "fetch"]
    assert (first["run_id"], first["account"], first["bytes"]) == (ImportRun.objects.get().pk, "boss", len(FEED))
    assert (last["code"], last["tries"], "run_id" in last) == ("fetch.http_404", 2, False)


# --- one at a time, and none lost -----------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_fetch_that_two_workers_get_is_done_once(feed: Feed, source_at: Callable[..., FeedSource]) -> None:
    def slow(wire: Wire) -> None:
        wire.wait(0.5)
        wire.answer(FEED)

    with serving(slow) as server:
        source_at(f"{server.url}/feed.xml")
        row = open_fetch(feed, reason=FetchReason.SCHEDULE)
        done = at_once(lambda: fetch(row.pk), lambda: fetch(row.pk))
    assert sorted(each is None for each in done) == [False, True], done
    assert len(server.requests) == 1
    assert ImportRun.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_what_a_lost_worker_had_is_enqueued_again_and_brings_one_import(
    feed: Feed, source_at: Callable[..., FeedSource], worker: Any
) -> None:
    """It was lost between the import and the note of it."""
    with serving(answering(FEED)) as server:
        source_at(f"{server.url}/feed.xml")
        row = fetched_once(feed)
        assert row.outcome == "new"
        Fetch.objects.update(outcome=FetchOutcome.FETCHING, run=None, finished_at=None)
        FeedSource.objects.update(known={})
        ImportRun.objects.update(status=Status.APPLIED)  # it went on meanwhile, and is open no more
        assert sweep_fetches() == 1
        row = fetch(row.pk) or row
    assert (row.outcome, row.claims, row.run) == ("new", 2, ImportRun.objects.get())


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_freezes_is_cut_off_and_writes_nothing_when_it_wakes(
    feed: Feed, source_at: Callable[..., FeedSource], worker: Any
) -> None:
    asked, wakes = threading.Event(), threading.Event()

    def first_waits(wire: Wire) -> None:
        if not asked.is_set():
            asked.set()
            wakes.wait(20)
        wire.answer(FEED)

    def other_worker() -> Fetch | None:
        assert asked.wait(20)
        assert (sweep_fetches(), fetch(row.pk)) == (0, None), "the first one has it"
        Attempt.objects.update(alive_at=timezone.now() - timedelta(seconds=91))
        assert fence_the_silent() == [None]
        assert sweep_fetches() == 1
        done = fetch(row.pk)
        wakes.set()
        return done

    with serving(first_waits) as server:
        source_at(f"{server.url}/feed.xml")
        row = open_fetch(feed, reason=FetchReason.SCHEDULE)
        frozen, done = at_once(lambda: fetch(row.pk), other_worker)
    assert is_lost(frozen), frozen
    assert (done.outcome, done.run) == ("new", ImportRun.objects.get())
    row.refresh_from_db()
    assert (row.outcome, row.claims) == ("new", 2)
    forget_ended()
    assert not Attempt.objects.exists()


def test_a_fetch_that_costs_every_worker_its_life_ends(feed: Feed, source_at: Callable[..., FeedSource]) -> None:
    source_at("https://shop.example/feed.xml")
    row = open_fetch(feed, reason=FetchReason.SCHEDULE)
    Fetch.objects.update(outcome=FetchOutcome.FETCHING, claims=3)
    row = fetch(row.pk) or row
    assert (row.outcome, row.code) == ("failed", "fetch.worker_lost")


def test_what_nobody_took_up_is_swept(feed: Feed, source_at: Callable[..., FeedSource]) -> None:
    source_at("https://shop.example/feed.xml")
    row = open_fetch(feed, reason=FetchReason.SCHEDULE)
    assert sweep_fetches() == 0
    Fetch.objects.filter(pk=row.pk).update(next_try_at=timezone.now() - timedelta(minutes=2))
    assert sweep_fetches() == 1


def test_the_schedule_begins_no_second_fetch_while_one_goes_on(
    feed: Feed, source_at: Callable[..., FeedSource]
) -> None:
    source_at("https://shop.example/feed.xml")
    first = fetch_when_due(feed.pk, timezone.now())
    assert fetch_when_due(feed.pk, timezone.now()) == first
    assert Fetch.objects.count() == 1


def test_feeds_that_are_due_together_begin_apart(feed: Feed, settings: Any) -> None:
    settings.FETCH_SPREAD_SECONDS = 30
    feeds = [Feed(slug=uuid4().hex[:8]) for _ in range(40)]
    moments = [spread_seconds(FeedSource(feed=each)) for each in feeds]
    assert min(moments) >= 0
    assert max(moments) <= 30
    assert len({round(moment) for moment in moments}) > 15


def test_a_job_of_a_feed_that_is_gone_goes_too(feed: Feed, source_at: Callable[..., FeedSource]) -> None:
    source = source_at("https://shop.example/feed.xml")
    write_timing(source, Timing(minutes=5))
    number = feed.pk
    feed.delete()
    assert PeriodicTask.objects.filter(task=Task.FETCH_DUE).exists()
    assert fetch_when_due(number, timezone.now()) is None
    assert not PeriodicTask.objects.filter(task=Task.FETCH_DUE).exists()


# --- what it leads to -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("boss")
def test_a_fetched_plan_waits_and_whoever_confirms_is_told(feed: Feed, source_at: Callable[..., FeedSource]) -> None:
    with serving(answering(FEED)) as server:
        source_at(f"{server.url}/feed.xml")
        run = fetched_once(feed).run
    assert run
    stage_locally(run)
    for _ in range(2):
        go_on(run)
    run.refresh_from_db()
    assert run.status == Status.REVIEW
    assert Message.objects.filter(name="import_needs_review").count() == 1


def test_a_fetched_plan_is_applied_at_once_where_the_feed_says_so(
    feed: Feed, source_at: Callable[..., FeedSource]
) -> None:
    feed.auto_apply = True
    feed.save()
    with serving(answering(FEED)) as server:
        source_at(f"{server.url}/feed.xml")
        run = fetched_once(feed).run
    assert run
    stage_locally(run)
    go_on(run)
    run.refresh_from_db()
    assert run.status == Status.APPLYING


def test_a_file_whose_import_failed_through_no_fault_of_its_own_is_imported_again(
    feed: Feed, source_at: Callable[..., FeedSource]
) -> None:
    with serving(answering(FEED)) as server:
        source_at(f"{server.url}/feed.xml")
        fetched_once(feed)
        ImportRun.objects.update(status=Status.FAILED, error_code="worker_lost", error="Three workers were lost.")
        assert fetched_once(feed).outcome == "new"
        ImportRun.objects.update(status=Status.FAILED, error_code="feed.cut_off", error="The file is cut off.")
        row = fetched_once(feed)
    assert row.outcome == "unchanged"
    assert "The file is cut off." in row.sentence


def test_old_fetches_are_forgotten(feed: Feed, settings: Any) -> None:
    settings.RETENTION_FETCHES_DAYS = 90
    for days in (91, 89):
        Fetch.objects.create(
            feed=feed,
            reason=FetchReason.SCHEDULE,
            outcome=FetchOutcome.UNCHANGED,
            finished_at=timezone.now() - timedelta(days=days),
        )
    forget_old()
    assert Fetch.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_fetched_file_is_read_after_uploaded_ones(feed: Feed, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(queue, "enqueue_now", lambda _task, **options: sent.append(options))
    uploaded(feed, FEED)
    uploaded(feed, feed_of(item("9")), by=alice)
    assert [options.get("priority", 0) for options in sent] == [queue.AFTER_UPLOADS, 0]


# --- who may --------------------------------------------------------------------------------------------


def test_who_may_upload_may_fetch_and_others_are_refused(
    feed: Feed, source_at: Callable[..., FeedSource], alice: User, bob: User, charlie: User
) -> None:
    source_at("https://shop.example/feed.xml")
    for person in (bob, charlie):
        with pytest.raises(NotAllowed):
            request_fetch(feed, by=person, reason=FetchReason.PERSON)
    assert request_fetch(feed, by=alice, reason=FetchReason.PERSON).by == alice
    FeedSource.objects.all().delete()
    with pytest.raises(NotPossible):
        request_fetch(feed, by=alice, reason=FetchReason.PERSON)


def test_who_lost_the_right_meanwhile_gets_no_import(
    feed: Feed, source_at: Callable[..., FeedSource], alice: User
) -> None:
    with serving(answering(FEED)) as server:
        source_at(f"{server.url}/feed.xml")
        row = request_fetch(feed, by=alice, reason=FetchReason.PERSON)
        alice.user_permissions.clear()
        row = fetch(row.pk) or row
    assert (row.outcome, row.code, ImportRun.objects.count()) == ("failed", "not_allowed", 0)


# --- the shell ------------------------------------------------------------------------------------------


def test_the_shell_fetches_a_feed_by_its_short_name(feed: Feed, source_at: Callable[..., FeedSource]) -> None:
    out = StringIO()
    with serving(answering(FEED)) as server:
        source_at(f"{server.url}/feed.xml")
        call_command("fetch_feed", feed.slug, stdout=out)
        server.script = answering(None)
        with pytest.raises(CommandError, match="404") as failed:
            call_command("fetch_feed", feed.slug, stdout=out)
    assert failed.value.returncode == 1
    assert "New file. A new file of" in out.getvalue()
    FeedSource.objects.all().delete()
    with pytest.raises(CommandError, match="no source"):
        call_command("fetch_feed", feed.slug)
    with pytest.raises(CommandError) as unknown:
        call_command("fetch_feed", "nobody")
    assert unknown.value.returncode == 2


@pytest.mark.parametrize(
    "address", ["http://169.254.169.254/latest/", "http://10.0.0.1/x", "gopher://x/", "file:///etc"]
)
def test_the_shell_names_a_forbidden_address_without_a_connection(
    address: str, storage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.create_connection", lambda *_args, **_options: pytest.fail("it was connected to"))
    out = StringIO()
    with pytest.raises(CommandError, match="forbidden") as refused:
        call_command("import_feed", address, json=True, stdout=out)
    assert refused.value.returncode == 1
    assert '"error": "' in out.getvalue()
    assert "forbidden" in out.getvalue()


def test_the_shell_imports_from_an_address_and_from_a_pipe(storage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Pipe:
        buffer = BytesIO(feed_of(item("9")))

    with serving(answering(FEED)) as server:
        call_command("import_feed", f"{server.url}/feed.xml", stdout=StringIO())
    monkeypatch.setattr("sys.stdin", Pipe)
    call_command("import_feed", "-", stdout=StringIO())
    runs = ImportRun.objects.order_by("pk")
    assert [(run.file_name, run.items, run.status) for run in runs] == [
        ("feed.xml", 5, Status.APPLIED),
        ("stdin", 1, Status.APPLIED),
    ]
