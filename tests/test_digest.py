"""The digest tells each person of every failure once, whatever happens to beat and to the clocks."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from catalog.imports.reading.stage import stage
from catalog.imports.reports.digest import find_failures
from catalog.imports.work.queue import fail
from catalog.models import Feed, ImportRun, RefusedFile, RunIssue, Status
from catalog.tests.factories import (
    applied,
    at_once,
    discarded,
    feed_of,
    item,
    items,
    person,
    planned,
    received,
    somebody_waits,
    wait_until,
)
from notifications import digests
from notifications.digests import last_due, send_due
from notifications.models import Digest, Message, Preference
from notifications.models import Status as MailStatus
from notifications.subscriptions import preference_of

pytestmark = pytest.mark.django_db
START = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.fixture
def feed(db: None, settings: Any, tmp_path: Any) -> Feed:
    settings.MEDIA_ROOT = tmp_path
    return Feed.objects.create(name="Ounass", slug="ounass")


@pytest.fixture
def root() -> User:
    """A superuser, whose digest comes every day at eight in Dubai and reaches back to last week."""
    root = User.objects.create_superuser("root", "root@example.com")
    User.objects.filter(pk=root.pk).update(date_joined=timezone.now() - timedelta(days=30))
    root.refresh_from_db()
    return root


def reader(name: str, **fields: Any) -> Preference:
    user = User.objects.create_superuser(name, f"{name}@example.com")
    defaults: dict[str, Any] = {"digest": Digest.DAILY, "hour": 8, "time_zone": "Asia/Dubai", "digested_until": START}
    return Preference.objects.create(person=user, **(defaults | fields))


# --- a year -------------------------------------------------------------------------------------------
def failures_of_a_year(feed: Feed, chance: random.Random) -> set[tuple[str, int]]:
    """Imports that failed, were refused, held or got stuck, at any second of the year; many at a full hour."""
    runs, kinds = [], []
    for _ in range(400):
        at = START + timedelta(seconds=chance.randrange(365 * 24 * 3600))
        if chance.random() < 0.3:
            at = at.replace(minute=0, second=0)
        kind = chance.choice(["failed", "refused", "held", "stuck"])
        fields: dict[str, Any] = {
            "failed": {"status": Status.FAILED, "error_code": "internal_error", "error": "x", "finished_at": at},
            "refused": {"status": Status.FAILED, "error_code": "feed.x", "error": "x", "finished_at": at},
            "held": {"status": Status.DISCARDED, "holds": [{"code": "x", "message": "x"}], "planned_at": at},
            "stuck": {"status": Status.APPLYING, "changed_at": at - timedelta(hours=1)},
        }[kind]
        runs.append(ImportRun(feed=feed, mode="update", file="x", file_name="x", file_size=1, **fields))
        kinds.append(kind)
    made = ImportRun.objects.bulk_create(runs)
    return {(kind, run.pk) for kind, run in zip(kinds, made, strict=True)}


def beats_of_a_year(chance: random.Random) -> list[datetime]:
    """When beat looks: at random, sometimes two of them at once, sometimes none for days; and at the end."""
    times, now = [], START
    while now < START + timedelta(days=366):
        times += [now] * chance.choice([1, 1, 1, 2])
        now += timedelta(minutes=chance.randrange(10, 1500))
        if chance.random() < 0.02:
            now += timedelta(days=chance.randrange(1, 9))
    return [*times, START + timedelta(days=400)]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, Counter[tuple[str, int]]]:
    """What each person was sent, and how often; instead of the texts."""
    told: dict[str, Counter[tuple[str, int]]] = {}

    def listen(people: list[User], name: str, about: str, context: dict[str, Any]) -> None:
        for kind in ("failed", "refused", "held", "stuck"):
            found = context[kind]
            numbers = [*(each["run"].pk for each in found.shown), *map(int, found.named)]
            told.setdefault(people[0].username, Counter()).update((kind, number) for number in numbers)

    monkeypatch.setattr(digests, "tell", listen)
    return told


def test_in_a_year_each_person_is_told_of_every_failure_once(feed: Feed, told: Any) -> None:
    chance = random.Random(2025)  # noqa: S311
    reader("dubai", digest=Digest.WEEKLY)
    reader(
        "berlin", time_zone="Europe/Berlin", hour=2
    )  # an hour that a day of March lacks, and one of October has twice
    reader("new york", time_zone="America/New_York", digest=Digest.WEEKLY, weekday=6, hour=1)
    happened = failures_of_a_year(feed, chance)
    with time_machine.travel(START, tick=False) as clock:
        for now in beats_of_a_year(chance):
            clock.move_to(now)
            send_due()
    assert told == {name: Counter(happened) for name in ("dubai", "berlin", "new york")}


# --- a person's hour ----------------------------------------------------------------------------------
def due(at: str, **fields: Any) -> str:
    defaults: dict[str, Any] = {"digest": Digest.DAILY, "hour": 8, "weekday": 0, "time_zone": "Europe/Berlin"}
    preference = Preference(**(defaults | fields))
    return last_due(preference, datetime.fromisoformat(at)).strftime("%a %Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-07-01T05:59:59+00:00", "Tue 2026-06-30 06:00"),
        ("2026-07-01T06:00:00+00:00", "Wed 2026-07-01 06:00"),
        ("2026-01-01T06:59:59+00:00", "Wed 2025-12-31 07:00"),
        ("2026-01-01T07:00:00+00:00", "Thu 2026-01-01 07:00"),
    ],
)
def test_a_daily_digest_is_due_at_the_persons_hour(now: str, expected: str) -> None:
    assert due(now) == expected


def test_a_weekly_digest_is_due_on_the_persons_day() -> None:
    assert due("2026-07-01T12:00+00:00", digest=Digest.WEEKLY, weekday=4) == "Fri 2026-06-26 06:00"
    assert due("2026-07-03T05:00+00:00", digest=Digest.WEEKLY, weekday=4) == "Fri 2026-06-26 06:00"
    assert due("2026-07-03T06:00+00:00", digest=Digest.WEEKLY, weekday=4) == "Fri 2026-07-03 06:00"


def test_an_hour_that_the_clock_leaves_out_or_has_twice_is_one_time() -> None:
    assert due("2026-03-29T12:00+00:00", hour=2) == "Sun 2026-03-29 01:00"
    for half_past in ("2026-10-25T00:30+00:00", "2026-10-25T01:30+00:00"):
        assert due(half_past, hour=2) == "Sun 2026-10-25 00:00"


# --- what it says --------------------------------------------------------------------------------------
def later(hours: int = 48) -> datetime:
    return timezone.now() + timedelta(hours=hours)


@pytest.fixture
def the_future_is_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that look from the day after tomorrow."""
    monkeypatch.setattr(digests, "settled_until", lambda: later(1000))


def digest_of(root: User, now: datetime) -> Message:
    assert send_due(now) == 1
    message = Message.objects.filter(name="failure_digest", recipient=root).latest("told_at", "pk")
    assert message.last_error == ""
    return message


@pytest.mark.usefixtures("the_future_is_settled")
def test_a_digest_says_what_failed_was_refused_is_held_and_did_not_get_out(feed: Feed, root: User) -> None:
    failed = received(feed, feed_of(item("1")))
    fail(failed, "internal_error", "Something unexpected happened [abcd].")
    refused = received(feed, feed_of(*items(3))[:-20], mode="sync")
    stage(refused)
    held = received(feed, feed_of(item("1", title="Silk & dress")).replace(b"&amp;", b"&"))
    stage(held)
    stuck = received(feed, feed_of(item("2")))
    Message.objects.update(status=MailStatus.FAILED, failed_at=timezone.now(), last_error="550 No such user here")
    message = digest_of(root, later())
    for part in (message.text, message.html):
        for run in (failed, refused, held, stuck):
            assert str(run) in part
        assert "Something unexpected happened [abcd]." in part
        assert "550 No such user here" in part
    assert message.subject.startswith("[Catalogue] 1 failed, 1 refused, 1 held, 1 stuck")


def issues_since(run: ImportRun) -> list[tuple[str, int, int]]:
    """What the digest says of the feed, from the run's plan on: how it goes on, how often, and how often before."""
    run.refresh_from_db()
    assert run.planned_at
    (feed,) = find_failures(run.planned_at, timezone.now())["feeds"]
    return [(issue["trend"], issue["count"], issue["before"]) for issue in feed["issues"]]


def test_invalid_items_are_new_then_open_then_resolved(feed: Feed) -> None:
    good, bad = item("good"), item("bad", price="free")
    assert issues_since(applied(feed, good, bad)) == [("new", 1, 0)]
    assert issues_since(applied(feed, good, bad, item("worse", price="x"))) == [("open", 2, 1)]
    assert issues_since(applied(feed, good, item("bad"))) == [("resolved", 0, 2)]


def test_of_many_imports_of_a_feed_the_last_one_counts(feed: Feed) -> None:
    first = applied(feed, item("good"), item("bad", price="free"))
    applied(feed, item("good"), item("bad", link="none"))
    assert issues_since(first) == [("new", 1, 0)]
    (found,) = find_failures(START, timezone.now())["feeds"]
    assert [issue["attribute"] for issue in found["issues"]] == ["link"]


def test_a_bad_day_is_still_a_mail_that_no_program_cuts_off(feed: Feed, root: User, monkeypatch: Any) -> None:
    feeds = Feed.objects.bulk_create(Feed(name="F" * 200, slug=f"f{n}") for n in range(30))
    common = {"mode": "update", "file": "x", "file_name": "n" * 200, "file_size": 1}
    ends: list[dict[str, Any]] = [
        {"status": Status.FAILED, "error_code": "internal_error", "error": "e" * 900, "finished_at": START},
        {"status": Status.FAILED, "error_code": "feed.x", "error": "e" * 900, "finished_at": START},
        {"status": Status.DISCARDED, "holds": [{"code": "x", "message": "h" * 900}], "planned_at": START},
        {"status": Status.STAGING, "changed_at": START - timedelta(hours=1)},
    ]
    runs = ImportRun.objects.bulk_create(ImportRun(feed=each, **common, **end) for each in feeds for end in ends)
    RunIssue.objects.bulk_create(
        RunIssue(run=run, code=f"code.{n}" + "c" * 90, attribute="a" * 90, severity="error", count=10**6)
        for run in runs[2::4]
        for n in range(20)
    )
    names = {"file_name": "n" * 200, "file_size": 1, "sentence": "s" * 1000, "refused_at": START}
    RefusedFile.objects.bulk_create(RefusedFile(feed=feed, uploaded_by=root, **names) for feed in feeds * 10)
    Preference.objects.filter(pk=preference_of(root).pk).update(digested_until=START)
    message = digest_of(root, timezone.now())
    assert len(message.html.encode()) + len(message.text.encode()) < 100_000
    assert message.subject.startswith("[Catalogue] 30 failed, 330 refused, 30 held, 30 stuck, 30 feeds with issues")
    assert f"And 23 more: imports {runs[28].pk}, {runs[32].pk}" in message.text
    assert "And 22 more feeds with invalid items." in message.text


@pytest.mark.usefixtures("the_future_is_settled")
def test_no_news_are_no_mail(feed: Feed, root: User) -> None:
    applied(feed, item("1"))
    discarded(planned(feed, item("2")))
    Message.objects.all().delete()
    assert send_due(later()) == 0
    assert not Message.objects.exists()
    assert Preference.objects.get().digested_until > timezone.now()


@pytest.mark.usefixtures("the_future_is_settled")
def test_staff_get_a_digest_when_they_ask_and_of_what_they_may_look_at(feed: Feed) -> None:
    fail(received(feed, feed_of(item("1"))), "internal_error", "Something unexpected happened.")
    for name, rights in (("bob", ["view_importrun"]), ("charlie", [])):
        preference = preference_of(person(name, *rights))
        preference.digest = Digest.DAILY
        preference.digested_until = START
        preference.save()
    assert send_due(later()) == 1
    assert Message.objects.get().recipient == User.objects.get(username="bob")


# --- exactly once -------------------------------------------------------------------------------------
def failed_run(feed: Feed) -> ImportRun:
    run = received(feed, feed_of(item("1")))
    fail(run, "internal_error", "Something unexpected happened.")
    return run


@pytest.mark.usefixtures("the_future_is_settled")
def test_a_digest_that_could_not_be_written_is_due_still(
    feed: Feed, root: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed_run(feed)
    preference_of(root)
    with monkeypatch.context() as broken:
        broken.setattr(digests, "tell", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            send_due(later())
    assert digest_of(root, later())


@pytest.mark.django_db(transaction=True)
def test_two_beats_at_the_same_instant_send_one_digest(feed: Feed, root: User, the_future_is_settled: None) -> None:
    failed_run(feed)
    preference_of(root)
    now = later()
    assert sorted(at_once(*[lambda: send_due(now)] * 3)) == [0, 0, 1]


@pytest.mark.django_db(transaction=True)
def test_what_is_not_committed_yet_is_left_for_the_next_digest(feed: Feed) -> None:
    """Its time is when its transaction began: no digest goes beyond that while it is open."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT now()")
            (began,) = cursor.fetchone()
        (settled,) = at_once(digests.settled_until)
    assert settled < began
    (settled,) = at_once(digests.settled_until)
    assert settled > began - timedelta(seconds=2)


@pytest.mark.django_db(transaction=True)
def test_who_saves_while_a_digest_is_on_its_way_does_not_bring_it_again(root: User) -> None:
    preference = preference_of(root)
    moved = preference.digested_until + timedelta(days=1)
    client = Client()
    client.force_login(root)
    form = {"digest": "weekly", "weekday": 0, "hour": 8, "time_zone": "Asia/Dubai"}
    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        Preference.objects.select_for_update().get(pk=preference.pk)
        saving = pool.submit(at_once, lambda: client.post(reverse("my-mail"), form).status_code)
        wait_until(somebody_waits)
        Preference.objects.filter(pk=preference.pk).update(digested_until=moved)
        transaction.on_commit(lambda: saving.result(timeout=10))
    preference.refresh_from_db()
    assert (preference.digest, preference.digested_until) == (Digest.WEEKLY, moved)


# --- in the reader's zone -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("zone", "day", "hour"),
    [
        ("America/New_York", "2025-03-04", 8),
        ("Pacific/Kiritimati", "2025-03-04", 1),
        ("Asia/Kathmandu", "2025-03-04", 0),
    ],
)
def test_every_time_of_a_digest_is_the_readers(feed: Feed, zone: str, day: str, hour: int) -> None:
    at = datetime.fromisoformat(f"{day}T{hour:02}:00").replace(tzinfo=ZoneInfo(zone))
    reader("root", time_zone=zone, hour=hour, digested_until=at - timedelta(days=1))
    happened = (at - timedelta(minutes=90)).astimezone(UTC)
    failed = {"status": Status.FAILED, "error": "x", "finished_at": happened}
    run = ImportRun.objects.create(feed=feed, mode="update", file="x", file_name="x", file_size=1, **failed)
    ImportRun.objects.filter(pk=run.pk).update(created_at=happened)
    RefusedFile.objects.create(file_name="page.xml", file_size=1, refused_at=happened)
    Message.objects.create(name="x", about="x", address="x", subject="S", status=MailStatus.FAILED, failed_at=happened)
    with time_machine.travel(at + timedelta(minutes=1), tick=False):
        assert send_due(at + timedelta(seconds=1)) == 1
    mail = Message.objects.get(name="failure_digest")
    until, since = f"4 Mar, {hour:02}:00", f"3 Mar, {hour:02}:00"
    assert mail.subject.endswith(f"until {until}")
    assert f"From {since} to {until}" in mail.html
    for part in (mail.text, mail.html):
        assert f"March 2025, {hour:02}:00 until before" in part
        assert part.count(f"{at - timedelta(minutes=90):%-d %b, %H:%M}") == 3
