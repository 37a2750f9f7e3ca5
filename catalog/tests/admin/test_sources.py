"""Where a feed comes from, in the admin: entered by managers, shown without its secrets, tried by a button."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from catalog.fetching.credentials import check_keys
from catalog.fetching.schedule import timing_in_words
from catalog.fetching.sources import target_of_source
from catalog.models import (
    Change,
    Feed,
    FeedSource,
    Fetch,
    FetchOutcome,
    FetchReason,
    ImportRun,
    Mode,
    RunIssue,
    StagedItem,
)
from catalog.tests.factories import applied, feed_of, item, items, planned
from catalog.tests.fetching.servers import serving
from catalog.tests.pages import text_of, tree

pytestmark = pytest.mark.django_db

ENTERED: dict[str, Any] = {
    "address": "https://shop.example/feed.xml",
    "kind": "none",
    "when": "time",
    "at": "05:30",
    "days": ["1", "2", "3", "4", "5", "6", "7"],
    "time_zone": "Asia/Dubai",
    "expected_hours": "48",
}


def send(client: Client, feed: Feed, name: str = "source", **changed: Any) -> str:
    """What the page says after it was sent."""
    data = {**ENTERED, **changed} if name == "source" else changed
    page = client.post(reverse(f"admin:catalog_feed_{name}", args=[feed.pk]), data, follow=True)
    assert page.status_code == 200
    return text_of(tree(page))


def source_of(feed: Feed) -> FeedSource:
    return FeedSource.objects.select_related("feed", "job").get(feed=feed)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, "every day at 05:30 Asia/Dubai"),
        ({"days": ["1", "2", "3", "4", "5"], "at": "23:05"}, "Monday to Friday at 23:05 Asia/Dubai"),
        ({"days": ["7", "3"], "time_zone": "Europe/Berlin"}, "Wednesday, Sunday at 05:30 Europe/Berlin"),
        ({"when": "minutes", "minutes": "15"}, "every 15 minutes"),
        ({"when": "minutes", "minutes": "1"}, "every minute"),
        ({"when": "never"}, ""),
    ],
)
def test_a_manager_enters_a_schedule_and_reads_it_in_words(
    changed: dict[str, Any], words: str, mona: Client, feed: Feed
) -> None:
    send(mona, feed)
    said = send(mona, feed, **changed)
    assert timing_in_words(source_of(feed)) == words
    assert (words or "only on demand") in said
    form = mona.get(reverse("admin:catalog_feed_source", args=[feed.pk])).context["form"]
    again = {name: form.initial.get(name, "") for name in form.fields}
    again = {name: value for name, value in again.items() if value not in (None, "")}
    send(mona, feed, **again)
    assert timing_in_words(source_of(feed)) == words


def test_credentials_are_kept_encrypted_and_never_shown(mona: Client, bob: Client, feed: Feed) -> None:
    send(mona, feed, kind="password", username="annalogin", secret="correct-horse")
    source = source_of(feed)
    assert "correct-horse" not in source.credentials
    assert target_of_source(source).login.secret == "correct-horse"
    assert "correct-horse" not in repr(target_of_source(source))
    for client in (mona, bob):
        for name in ("change", "source", "history"):
            page = client.get(reverse(f"admin:catalog_feed_{name}", args=[feed.pk])).content.decode()
            assert "correct-horse" not in page
            assert "annalogin" not in page
    send(mona, feed, kind="password", expected_hours="12")  # left empty: they stay
    assert target_of_source(source_of(feed)).login.secret == "correct-horse"


def test_a_login_in_the_address_is_moved_to_the_credentials(mona: Client, feed: Feed) -> None:
    said = send(mona, feed, address="https://anna:correct%2Dhorse@shop.example/feed.xml?token=abc123")
    source = source_of(feed)
    assert source.address == "https://shop.example/feed.xml?token=abc123"
    assert target_of_source(source).login.secret == "correct-horse"
    assert "token=••••" in said
    assert "abc123" not in said
    send(mona, feed, address="https://shop.example/feed.xml?token=••••", kind="password")
    assert source_of(feed).address == "https://shop.example/feed.xml?token=abc123"


@pytest.mark.parametrize("address", ["https://other.example/feed.xml", "http://shop.example/feed.xml"])
def test_another_address_needs_its_credentials_anew(address: str, mona: Client, feed: Feed) -> None:
    send(mona, feed, kind="password", username="anna", secret="correct-horse")
    said = send(mona, feed, kind="password", address=address)
    assert "Enter the credentials" in said
    assert source_of(feed).address == ENTERED["address"]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"address": "ldap://shop.example/"}, "forbidden"),
        ({"address": "http://10.0.0.1/feed.xml"}, "forbidden"),
        ({"address": "http://169.254.169.254/"}, "forbidden"),
        ({"address": "shop.example/feed.xml"}, "does not begin with"),
        ({"pattern": "*.xml"}, "leave the pattern and the marker empty"),
        ({"kind": "key", "username": "anna", "private_key": "x"}, "not a private key"),
        ({"kind": "token"}, "Enter the credentials"),
        ({"address": "sftp://shop.example/", "kind": "none"}, "no login of this kind"),
        ({"when": "minutes"}, "Say how many minutes"),
        ({"at": ""}, "Say at which time"),
        ({"days": []}, "at least one day"),
        ({"minutes": "0", "when": "minutes"}, "greater than or equal to 1"),
        ({"secret": "a\nb", "kind": "token"}, "in one line"),
        ({"address": "s3://bucket/x", "endpoint": "ftp://shop.example"}, "endpoint of a bucket is a web address"),
    ],
)
def test_what_cannot_be_is_said_at_its_field(
    changed: dict[str, Any], sentence: str, mona: Client, feed: Feed, settings: Any
) -> None:
    settings.FETCH_ALLOW = ""
    assert sentence in send(mona, feed, **changed)
    assert not FeedSource.objects.exists()


def test_without_a_key_no_credentials_are_kept(mona: Client, feed: Feed, settings: Any) -> None:
    settings.FEED_CREDENTIAL_KEYS = []
    assert "FEED_CREDENTIAL_KEYS" in send(mona, feed, kind="token", secret="x")
    assert not FeedSource.objects.exists()


def test_a_key_may_be_changed_without_a_gap(mona: Client, feed: Feed, settings: Any) -> None:
    old, new = (f"{number} abcdefghijklmnopqrstuvwxyz" * 2 for number in range(2))
    settings.FEED_CREDENTIAL_KEYS = [old]
    send(mona, feed, kind="token", secret="open-sesame")
    settings.FEED_CREDENTIAL_KEYS = [new, old]
    assert target_of_source(source_of(feed)).login.secret == "open-sesame"
    settings.FEED_CREDENTIAL_KEYS = [new]
    row = send(mona, feed, name="source_test")
    assert "Enter them anew" in row


def test_a_test_shows_what_answered_and_stores_nothing(mona: Client, feed: Feed, settings: Any) -> None:
    settings.FETCH_ALLOW = "127.0.0.0/8"
    with serving(lambda wire: wire.answer(feed_of(*items(7)))) as server:
        said = send(mona, feed, address=f"{server.url}/feed.xml", test="1")
    assert "It would arrive" in said
    assert "Silk dress" in said
    assert (ImportRun.objects.count(), Fetch.objects.count()) == (0, 0)
    said = send(mona, feed, name="source_test")  # the server is gone
    assert "It does not arrive yet" in said
    assert "connection refused" in said


def tried_out(mona: Client, feed: Feed, content: bytes, **entered: Any) -> Any:
    """What a test finds out when a server has this file, and what the page says."""
    with serving(lambda wire: wire.answer(content)) as server:
        send(mona, feed, address=f"{server.url}/feed.xml", **entered)
        page = mona.post(reverse("admin:catalog_feed_source_test", args=[feed.pk]))
    return page.context["report"], text_of(tree(page))


def test_a_test_says_what_an_import_would_do_and_every_guard_that_would_hold_it(
    mona: Client, feed: Feed, settings: Any
) -> None:
    settings.FETCH_ALLOW = "127.0.0.0/8"
    Feed.objects.filter(pk=feed.pk).update(mode=Mode.SYNC)
    feed.refresh_from_db()
    usual = [item(f"{number}") for number in range(1, 21)]
    before = applied(feed, *usual)
    dear = [item(f"{number}", price="990 USD") for number in range(1, 11)]
    report, said = tried_out(mona, feed, feed_of(*dear, item("x", price="free")))
    held = planned(feed, *dear, item("x", price="free"))
    assert report.guards == [hold["message"] for hold in held.holds]
    assert len(report.guards) > 2
    assert (report.counts["changed"], report.counts["archived"], report.counts["invalid"]) == (10, 10, 1)
    assert "change 10 and archive 10" in said
    assert all(sentence in said for sentence in report.guards)
    stored = (ImportRun, StagedItem, Change, RunIssue)
    known = [model.objects.count() for model in stored]
    tried_out(mona, feed, feed_of(*dear))
    assert [model.objects.count() for model in stored] == known
    assert before.changes.count() == 20
    report, said = tried_out(mona, feed, feed_of(*usual))
    assert (report.guards, report.counts["unchanged"]) == ([], 20)
    assert "None would hold it." in said


def test_a_part_of_a_large_file_tells_as_much_as_it_can(mona: Client, feed: Feed, settings: Any) -> None:
    settings.FETCH_ALLOW = "127.0.0.0/8"
    Feed.objects.filter(pk=feed.pk).update(mode=Mode.SYNC)
    feed.refresh_from_db()
    run = applied(feed, *items(50))
    ImportRun.objects.filter(pk=run.pk).update(items=90_050, unchanged=90_000)
    report, said = tried_out(mona, feed, feed_of(*[item(f"n{number}", price="free") for number in range(7000)]))
    assert report.counts == {}
    assert any("items are invalid" in sentence or "All items" in sentence for sentence in report.guards)
    assert any("fewer than before" in sentence for sentence in report.guards), report.guards
    assert "What a sync would archive is not known from them." in said


def test_what_cannot_be_planned_is_the_test_s_problem(mona: Client, feed: Feed, settings: Any) -> None:
    settings.FETCH_ALLOW = "127.0.0.0/8"
    report, said = tried_out(mona, feed, feed_of(item("1"))[:-30])
    assert report.problem
    assert "It does not arrive yet" in said


@pytest.mark.parametrize("keys", [[], ["another-" + "k" * 60]])
def test_credentials_that_cannot_be_read_are_said_on_the_first_page(
    mona: Client, feed: Feed, settings: Any, keys: list[str]
) -> None:
    send(mona, feed, kind="password", username="anna", secret="open-sesame")
    assert "FEED_CREDENTIAL_KEYS" not in text_of(tree(mona.get(reverse("admin:index"))))
    settings.FEED_CREDENTIAL_KEYS = keys
    assert "FEED_CREDENTIAL_KEYS" in text_of(tree(mona.get(reverse("admin:index"))))
    form = text_of(tree(mona.get(reverse("admin:catalog_feed_source", args=[feed.pk]))))
    assert ("Credentials cannot be kept here" in form) == (not keys)
    assert [message.id for message in check_keys()] == ([] if keys else ["catalog.I001"])


def test_a_large_feed_is_estimated_from_its_beginning(mona: Client, feed: Feed, settings: Any) -> None:
    settings.FETCH_ALLOW = "127.0.0.0/8"
    content = feed_of(*items(7000))
    assert len(content) > 2_000_000
    with serving(lambda wire: wire.answer(content)) as server:
        send(mona, feed, address=f"{server.url}/feed.xml")
        page = mona.post(reverse("admin:catalog_feed_source_test", args=[feed.pk]))
    report = page.context["report"]
    assert report.is_estimate
    assert 6500 < report.items < 7500
    assert len(server.requests) == 1


def test_the_page_tells_the_story_of_the_last_fetches(bob: Client, mona: Client, feed: Feed) -> None:
    send(mona, feed)
    for outcome, words in ((FetchOutcome.NEW, "A new file."), (FetchOutcome.FAILED, "There is no file.")):
        Fetch.objects.create(feed=feed, reason=FetchReason.SCHEDULE, outcome=outcome, sentence=words, bytes=5)
    said = text_of(tree(bob.get(reverse("admin:catalog_feed_change", args=[feed.pk]))))
    assert "A new file." in said
    assert "There is no file." in said
    assert "every day at 05:30 Asia/Dubai" in said
    assert "Fetch now" not in said  # Bob may look
    assert "Change the source" not in said


def test_a_button_fetches_now(ida: Client, mona: Client, feed: Feed) -> None:
    send(mona, feed)
    assert "is being fetched" in send(ida, feed, name="fetch")
    row = Fetch.objects.get()
    assert (row.reason, str(row.by)) == ("person", "ida")


def test_a_source_is_removed_with_its_schedule(mona: Client, feed: Feed) -> None:
    send(mona, feed)
    job = source_of(feed).job
    assert "uploads only" in send(mona, feed, name="source_remove")
    assert not FeedSource.objects.exists()
    assert job is not None
    assert not type(job).objects.filter(pk=job.pk).exists()


def test_a_schedule_that_paused_itself_is_started_again(mona: Client, feed: Feed) -> None:
    send(mona, feed)
    source = source_of(feed)
    assert source.job
    source.job.enabled = False
    source.job.save()
    FeedSource.objects.update(paused_at=source.created_at, failing_since=source.created_at)
    assert "The schedule goes on." in send(mona, feed, name="source_resume")
    source = source_of(feed)
    assert source.job
    assert (source.job.enabled, source.paused_at, source.failing_since) == (True, None, None)
