"""Lost, frozen and slow workers: each import ends, is worked on by one at a time, and says what is the matter."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Event, Thread
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    OperationalError,
    connection,
    transaction,
)
from django.db.models.functions import Now

from catalog import connections
from catalog.admin.run_page import reading_progress
from catalog.connections import is_lost
from catalog.imports.apply import apply
from catalog.imports.confirm import confirm
from catalog.imports.local import stage_locally
from catalog.imports.reading import chunks
from catalog.imports.reading.stage import stage
from catalog.imports.sweep import sweep
from catalog.imports.undo import request_undo, undo
from catalog.imports.work import attempts
from catalog.imports.work.attempts import MAX_ATTEMPTS, attempted, last_sign
from catalog.imports.work.queue import RUN_LOCK, claimed, fail, failing_in_words
from catalog.models import Attempt, Feed, ImportRun, Product, Status
from catalog.tasks import stage_run
from catalog.tests.factories import (
    add_product,
    applied,
    at_once,
    cutting_off,
    discarded,
    feed_of,
    item,
    items,
    planned,
    received,
    turned_away,
    wait_until,
)
from catalog.tests.pages import browser, texts, url, with_class

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def run(feed: Feed) -> ImportRun:
    return received(feed, feed_of(*items(3)))


def lose_a_worker(run: ImportRun) -> None:
    """A worker takes the run up and is killed: its connection ends, and nobody says that it is over."""

    def begin() -> None:
        run.move(Status.RECEIVED, Status.STAGING, to=Status.STAGING)
        assert attempts.begin_attempt(run, RUN_LOCK, run.pk)

    assert at_once(begin) == [None]
    wait_until(lambda: is_free(run))


def age_history(run: ImportRun, seconds: int) -> None:
    """Everything that happened to the run was so many seconds earlier."""
    run.refresh_from_db()
    for step in run.history:
        step["at"] = (datetime.fromisoformat(step["at"]) - timedelta(seconds=seconds)).isoformat()
    run.save(update_fields=["history"])


def is_free(run: ImportRun) -> bool:
    with connection.cursor() as cursor:
        own = "database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        of_run = f"locktype = 'advisory' AND classid = 1 AND objid = %s AND {own}"
        cursor.execute(f"SELECT FROM pg_locks WHERE {of_run}", [run.pk])
        return not cursor.rowcount


def confirmed(run: ImportRun) -> ImportRun:
    stage(run)
    confirm(run, plan_hash=run.plan_hash, by=None)
    return run


# --- lost ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("piece_bytes", [100, 10**6])
def test_what_reading_took_has_the_time_of_lost_workers_in_it(
    run: ImportRun, piece_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "PIECE_BYTES", piece_bytes)
    lose_a_worker(run)
    age_history(run, 100)
    lose_a_worker(run)
    stage_locally(run)
    figures = run.metrics["stage"]
    assert 100 < figures["seconds"] < 160
    assert figures["seconds"] == run.seconds["stage"]
    assert figures["items_per_second"] == 0
    assert run.metrics["plan"]["seconds"] < 60


def test_what_changing_the_catalogue_took_has_the_time_of_lost_workers_in_it(run: ImportRun) -> None:
    confirmed(run)
    lose_a_worker(run)
    Attempt.objects.filter(run=run).update(begun_at=Now() - timedelta(seconds=100))
    apply(run)
    request_undo(run, by=None)
    undo(run)
    assert run.status == Status.UNDONE
    assert 100 < run.metrics["apply"]["seconds"] < 160
    assert run.metrics["undo"]["seconds"] < 60


def test_the_progress_of_chunks_counts_from_the_first_attempt(run: ImportRun) -> None:
    lose_a_worker(run)
    age_history(run, 100)
    lose_a_worker(run)
    run.refresh_from_db()
    run.items = 1000
    run.in_chunks = True
    assert reading_progress(run)["per_second"] in (9, 10)
    run.in_chunks = False
    assert reading_progress(run)["per_second"] > 10


def test_what_a_lost_worker_left_is_rung_for_without_delay(run: ImportRun) -> None:
    lose_a_worker(run)
    assert sweep() == [run]


def test_the_next_attempt_ends_normally_and_is_forgotten(run: ImportRun) -> None:
    lose_a_worker(run)
    stage(run)
    assert (run.status, run.items) == (Status.REVIEW, 3)
    assert not Attempt.objects.exists()


@pytest.mark.parametrize("to", [Status.STAGING, Status.APPLYING])
def test_an_import_that_costs_three_workers_fails_in_words(run: ImportRun, to: Status) -> None:
    if to == Status.APPLYING:
        confirmed(run)
    for _ in range(MAX_ATTEMPTS):
        lose_a_worker(run)
    (stage if to == Status.STAGING else apply)(run)
    run.refresh_from_db()
    assert (run.status, run.error_code) == (Status.FAILED, "worker_lost")
    assert run.error.startswith("3 workers were lost over this import")
    assert "No product was changed." in run.error
    assert [table.exists() for table in (run.staged, run.changes, Product.objects, Attempt.objects)] == [False] * 4


def test_losses_of_reading_do_not_count_for_applying(run: ImportRun) -> None:
    for _ in range(MAX_ATTEMPTS - 1):
        lose_a_worker(run)
    confirmed(run)
    for _ in range(MAX_ATTEMPTS - 1):
        lose_a_worker(run)
    apply(run)
    assert run.status == Status.APPLIED


def test_what_is_over_a_limit_of_the_database_is_not_tried_for_ever(run: ImportRun) -> None:
    with pytest.raises(OperationalError), failing_in_words(run), connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join('1' * 1665)}")  # columns
    assert (run.status, run.error_code) == (Status.FAILED, "internal_error")


def test_what_the_database_broke_off_does_not_count(run: ImportRun, halfway: Any) -> None:
    for _ in range(MAX_ATTEMPTS + 1):
        halfway(cutting_off())
        with pytest.raises(Error) as broken:
            stage(run)
        assert is_lost(broken.value)
        assert Attempt.objects.get().count == 0
    stage(run)
    assert run.status == Status.REVIEW


def test_a_worker_that_the_database_has_no_connection_for_leaves_the_import_for_later(run: ImportRun) -> None:
    for _ in range(MAX_ATTEMPTS + 1):
        error = turned_away(lambda: stage_run(run.pk))
        assert "too many connections" in str(error)
        assert is_lost(error)
    assert not Attempt.objects.exists()
    stage_run(run.pk)
    run.refresh_from_db()
    assert run.status == Status.REVIEW


def test_what_a_restart_of_the_database_broke_off_does_not_count(run: ImportRun) -> None:
    for _ in range(MAX_ATTEMPTS + 1):
        lose_a_worker(run)
        Attempt.objects.update(server_started_at="2026-01-01T00:00Z")
    stage(run)
    assert run.status == Status.REVIEW


@pytest.mark.parametrize("end", [ValueError, SystemExit, KeyboardInterrupt])
def test_what_a_worker_gave_up_by_itself_is_no_loss(run: ImportRun, end: type[BaseException]) -> None:
    with pytest.raises(end), claimed(run):
        raise end
    assert not Attempt.objects.exists()
    assert is_free(run)


def test_what_is_left_of_a_discarded_import_is_forgotten(run: ImportRun) -> None:
    lose_a_worker(run)
    discarded(run)
    assert sweep() == []
    assert not Attempt.objects.exists()


@pytest.mark.parametrize("lost", [OperationalError, InterfaceError, DatabaseError])
def test_a_lost_connection_is_known_by_any_of_its_names(run: ImportRun, lost: type[Exception]) -> None:
    with pytest.raises(lost), claimed(run), failing_in_words(run):
        raise lost("server closed the connection unexpectedly")
    run.refresh_from_db()
    assert run.status == Status.RECEIVED
    assert Attempt.objects.get().count == 0


@pytest.mark.parametrize("wrong", [IntegrityError, DataError])
def test_what_the_database_refuses_is_not_a_lost_connection(run: ImportRun, wrong: type[Exception]) -> None:
    with pytest.raises(wrong), claimed(run), failing_in_words(run):
        raise wrong("no")
    run.refresh_from_db()
    assert (run.status, run.error_code) == (Status.FAILED, "internal_error")


# --- frozen -------------------------------------------------------------------------------------------
@contextmanager
def frozen(run: ImportRun, then: Callable[[], Any]) -> Iterator[list[Any]]:
    """A worker that holds the run and is frozen until the block ends; `then` is what it does when it wakes."""
    holding, woken, came_of_it = Event(), Event(), []

    def work() -> None:
        def hold() -> Any:
            with claimed(run) as free:
                assert free
                holding.set()
                woken.wait(10)
                return then()

        came_of_it.extend(at_once(hold))

    worker = Thread(target=work)
    worker.start()
    assert holding.wait(10)
    try:
        yield came_of_it
    finally:
        woken.set()
        worker.join()


def fall_silent(seconds: float) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE catalog_attempt SET alive_at = alive_at - %s * interval '1 second'", [seconds])


def test_a_frozen_worker_is_cut_off_and_writes_nothing_when_it_wakes(run: ImportRun) -> None:
    with frozen(run, lambda: run.move(Status.RECEIVED, Status.STAGING, to=Status.FAILED)) as came_of_it:
        fall_silent(attempts.MAX_SILENCE_SECONDS + 1)
        assert sweep() == [run]
        stage(ImportRun.objects.get(pk=run.pk))
    assert is_lost(came_of_it[0])
    run.refresh_from_db()
    assert (run.status, run.items) == (Status.REVIEW, 3)
    assert not Attempt.objects.exists()


def test_a_frozen_worker_does_not_call_its_successor_failed(run: ImportRun) -> None:
    copy = ImportRun.objects.get(pk=run.pk)
    with frozen(run, lambda: stage(copy)) as came_of_it:
        fall_silent(attempts.MAX_SILENCE_SECONDS + 1)
        sweep()
        with claimed(run) as free:
            assert free
            assert Attempt.objects.get().count == 2
    assert is_lost(came_of_it[0])
    run.refresh_from_db()
    assert run.status == Status.RECEIVED


def test_a_worker_that_froze_after_its_work_keeps_nobody_from_the_next(run: ImportRun) -> None:
    def is_held() -> Any:
        with claimed(run) as free:
            return not free

    with frozen(run, lambda: None):
        run.move(Status.RECEIVED, to=Status.REVIEW, plan_hash="0" * 64)
        sweep()
        assert at_once(is_held) == [True]
        fall_silent(attempts.MAX_SILENCE_SECONDS + 1)
        sweep()
        assert at_once(is_held) == [False]
    assert is_free(run)


def test_a_worker_that_was_heard_of_is_left_alone(run: ImportRun) -> None:
    with frozen(run, lambda: run.move(Status.RECEIVED, to=Status.STAGING)) as came_of_it:
        fall_silent(attempts.MAX_SILENCE_SECONDS - 5)
        assert sweep() == []
    assert came_of_it == [True]


def test_the_heart_beats_while_one_statement_takes_long(run: ImportRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "BEAT_SECONDS", 0.05)
    with claimed(run):
        fall_silent(60)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.4)")
        sign = last_sign(run)
    assert sign
    assert sign.silence < 5


def test_who_freezes_in_a_transaction_keeps_its_locks_from_nobody(
    run: ImportRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "IDLE", 0.1)

    def freeze() -> None:
        with transaction.atomic():
            ImportRun.objects.select_for_update().get(pk=run.pk)
            time.sleep(0.3)
            run.delete()

    assert is_lost(at_once(freeze)[0])
    assert ImportRun.objects.filter(pk=run.pk).update(items=1)


def test_a_connection_of_another_is_not_cut_off_for_an_old_row(run: ImportRun) -> None:
    lose_a_worker(run)
    fall_silent(attempts.MAX_SILENCE_SECONDS + 1)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE catalog_attempt SET backend = pg_backend_pid()")
    assert attempts.fence_the_silent() == []


# --- beside each other ----------------------------------------------------------------------------------
def test_a_deadlock_is_tried_again_and_nobody_notices(run: ImportRun) -> None:
    confirmed(run)
    with connection.cursor() as cursor:
        cursor.execute("""
            CREATE SEQUENCE tries;
            CREATE FUNCTION get_in_the_way() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF nextval('tries') < 3 THEN RAISE EXCEPTION 'in the way' USING ERRCODE = 'deadlock_detected'; END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER get_in_the_way BEFORE INSERT ON catalog_product
                FOR EACH STATEMENT EXECUTE FUNCTION get_in_the_way()
        """)
    try:
        apply(run)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION get_in_the_way CASCADE; DROP SEQUENCE tries")
    assert (run.status, Product.objects.count()) == (Status.APPLIED, 3)


# --- too long, too much ---------------------------------------------------------------------------------
def test_reading_that_takes_too_long_fails_with_its_numbers(
    run: ImportRun, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.IMPORT_MAX_SECONDS = 7200

    def too_slow(*_: Any) -> None:
        raise SoftTimeLimitExceeded

    monkeypatch.setattr("catalog.imports.reading.stage.make_plan", too_slow)
    stage(run)
    assert (run.status, run.error_code) == (Status.FAILED, "time_limit")
    assert "reading it, at 3 items, took longer than 7,200 seconds" in run.error


def test_applying_that_takes_too_long_is_rolled_back_and_fails_with_its_numbers(feed: Feed, settings: Any) -> None:
    settings.IMPORT_MAX_SECONDS = 1
    run = confirmed(received(feed, feed_of(item("1"), item("2"))))

    def meanwhile() -> None:
        apply(ImportRun.objects.get(pk=run.pk))

    with transaction.atomic():
        add_product(id="2", title="Somebody else's, not committed yet")
        assert at_once(meanwhile) == [None]
    run.refresh_from_db()
    assert (run.status, run.error_code) == (Status.FAILED, "time_limit")
    assert "applying it took longer than 1 seconds" in run.error
    assert [*Product.objects.values_list("id", flat=True)] == ["2"]


def test_a_full_disk_fails_in_words(feed: Feed) -> None:
    run = confirmed(received(feed, feed_of(item("1"))))
    with connection.cursor() as cursor:
        cursor.execute("""
            CREATE FUNCTION fill_up() RETURNS trigger LANGUAGE plpgsql
                AS $$ BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = 'disk_full'; END $$;
            CREATE TRIGGER fill_up BEFORE INSERT ON catalog_product EXECUTE FUNCTION fill_up()
        """)
    try:
        apply(run)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION fill_up CASCADE")
    assert (run.status, run.error_code) == (Status.FAILED, "storage")
    assert "disk is full" in run.error


def test_what_fails_while_it_is_applied_leaves_nothing_of_its_plan(feed: Feed) -> None:
    applied(feed, item("1"))
    run = confirmed(received(feed, feed_of(item("1", title="Coat"))))
    assert [*run.changed_fields.values_list("name", flat=True)] == ["title"]
    fail(run, "storage", "The database's disk is full.")
    assert (run.status, run.changes.exists(), run.changed_fields.exists()) == (Status.FAILED, False, False)


def test_a_connection_has_its_own_limits_again_after_the_work(run: ImportRun) -> None:
    def limits() -> list[str]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('statement_timeout'), current_setting('lock_timeout')")
            return list(cursor.fetchone())

    with connection.cursor() as cursor:
        before = limits()
        with claimed(run):
            cursor.execute("SELECT 1")
            assert limits() == ["3h", "0"]
    assert limits() == before


# --- on the page ------------------------------------------------------------------------------------------
def told(run: ImportRun) -> list[str]:
    return texts(browser("bob").get(url(run)), f"//p[{with_class('early')}]")


def test_the_page_says_how_long_the_worker_is_silent(run: ImportRun) -> None:
    lose_a_worker(run)
    fall_silent(75)
    assert told(run)[0].startswith("The worker has not responded for 1 min 1")
    assert told(run)[0].endswith("(attempt 1 of 3). Another worker takes over soon (attempt 2).")


def test_the_page_says_that_another_worker_took_over(run: ImportRun) -> None:
    lose_a_worker(run)
    lose_a_worker(run)
    assert told(run) == [
        "The previous worker stopped responding. Another one took over (attempt 2 of 3).",
    ]


def test_the_page_says_nothing_of_a_worker_that_is_well(run: ImportRun) -> None:
    with attempted(run, RUN_LOCK, run.pk, lambda: None):
        assert told(run) == []


def test_the_page_of_a_plan_asks_for_no_sign_of_life(feed: Feed) -> None:
    assert told(planned(feed, item("1"))) == []
