"""What is entered as a feed's source, how it is tested, and what a fetch does when something fails on our side."""

from __future__ import annotations

from collections.abc import Callable
from datetime import time
from typing import Any

import asyncssh
import pytest
from kombu.exceptions import OperationalError as BrokerError

from catalog.errors import NotAllowed, NotPossible
from catalog.fetching.credentials import check_private_key, decrypt, encrypt, why_unreadable
from catalog.fetching.edit import remove_source, save_source
from catalog.fetching.failures import FetchFailed
from catalog.fetching.fetch import enqueue_fetch, fetch_here, open_fetch
from catalog.fetching.probe import probe
from catalog.fetching.schedule import Timing, timing_in_words, write_timing
from catalog.fetching.targets import Login
from catalog.models import Feed, FeedSource, Fetch, FetchReason, ImportRun
from catalog.tests.factories import feed_of, items
from catalog.tests.fetching.conftest import fetched_at_last
from catalog.tests.fetching.servers import serving
from catalog.tests.pages import staff

pytestmark = pytest.mark.django_db

FEED = feed_of(*items(40))
SHOP = "https://shop.example/feed.xml"
ORIGIN = "https://shop.example:443"


@pytest.mark.parametrize(
    ("entered", "code"),
    [
        ({"address": SHOP, "kind": "key"}, "no_such_login"),
        ({"address": SHOP, "pattern": "*.xml"}, "no_pattern"),
        ({"address": SHOP, "kind": "token"}, "credentials_missing"),
        ({"address": "s3://feeds/feed.xml", "endpoint": "ftp://shop.example"}, "endpoint"),
        ({"address": "s3://feeds/feed.xml", "endpoint": "http://169.254.169.254"}, "fetch.forbidden_address"),
    ],
)
def test_a_source_that_cannot_work_is_not_saved(entered: dict[str, Any], code: str, feed: Feed) -> None:
    with pytest.raises((NotPossible, FetchFailed)) as refused:
        save_source(feed, by=None, **entered)
    assert refused.value.code == code
    assert not FeedSource.objects.exists()


def test_only_people_who_may_change_feeds_change_sources(feed: Feed) -> None:
    with pytest.raises(NotAllowed):
        save_source(feed, by=staff("bob"), address=SHOP)
    with pytest.raises(NotAllowed):
        remove_source(feed, by=staff("bob"))


def test_a_login_in_the_address_is_taken_out_of_it(feed: Feed) -> None:
    source = save_source(feed, by=None, address="https://anna:secret@shop.example/feed.xml")
    assert (source.address, source.login) == (SHOP, "password")
    assert decrypt(source.credentials, "password", ORIGIN) == Login("password", "anna", "secret")


def test_a_bucket_is_at_amazon_s_endpoint_unless_another_is_named(feed: Feed) -> None:
    source = save_source(feed, by=None, address="s3://feeds/feed.xml", region="me-south-1")
    assert source.endpoint == ""
    source = save_source(feed, by=None, address="s3://feeds/feed.xml", endpoint="https://minio.example/")
    assert source.endpoint == "https://minio.example/"


def test_a_source_is_removed_with_its_schedule_and_its_open_fetches(feed: Feed) -> None:
    save_source(feed, by=None, address=SHOP, timing=Timing(minutes=5))
    open_fetch(feed, reason=FetchReason.PERSON)
    for _ in range(2):
        remove_source(feed, by=None)
    assert not FeedSource.objects.exists()
    assert not Fetch.objects.exists()


def test_credentials_whose_key_is_gone_say_so(settings: Any) -> None:
    kept = encrypt(Login("password", "anna", "secret"), ORIGIN)
    assert why_unreadable(kept) == why_unreadable("") == ""
    settings.FEED_CREDENTIAL_KEYS = ["another-key-abcdefghijklmnopqrstuvwxyz0123456789"]
    assert "encrypted with a key" in why_unreadable(kept)
    with pytest.raises(FetchFailed, match="Enter them anew"):
        decrypt(kept, "password", ORIGIN)
    settings.FEED_CREDENTIAL_KEYS = []
    assert "FEED_CREDENTIAL_KEYS is not set" in why_unreadable(kept)


def test_a_private_key_is_checked_when_it_is_entered() -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    check_private_key(key.export_private_key("openssh").decode(), "")
    with pytest.raises(ValueError, match="not a private key"):
        check_private_key("rubbish", "")
    with pytest.raises(ValueError, match="does not open"):
        check_private_key(key.export_private_key("openssh", passphrase="open sesame").decode(), "wrong")


@pytest.mark.parametrize(
    ("timing", "words"),
    [
        (None, ""),
        (Timing(minutes=1), "every minute"),
        (Timing(minutes=5), "every 5 minutes"),
        (Timing(at=time(5, 30), time_zone="Asia/Dubai"), "every day at 05:30 Asia/Dubai"),
        (
            Timing(at=time(5, 30), days=(1, 2, 3, 4, 5), time_zone="Asia/Dubai"),
            "Monday to Friday at 05:30 Asia/Dubai",
        ),
        (Timing(at=time(5, 30), days=(1, 7), time_zone="Asia/Dubai"), "Monday, Sunday at 05:30 Asia/Dubai"),
    ],
)
def test_a_schedule_is_said_in_words(
    timing: Timing | None, words: str, feed: Feed, source_at: Callable[..., FeedSource]
) -> None:
    source = source_at(SHOP)
    write_timing(source, timing)
    assert timing_in_words(source) == words
    write_timing(source, None)
    assert timing_in_words(source) == ""


def test_a_crontab_that_somebody_wrote_is_shown_as_it_is(feed: Feed, source_at: Callable[..., FeedSource]) -> None:
    source = source_at(SHOP)
    write_timing(source, Timing(at=time(5, 30), time_zone="Asia/Dubai"))
    assert source.job is not None
    assert source.job.crontab is not None
    source.job.crontab.day_of_month = "1"
    assert timing_in_words(source).startswith("30 5 1 * *")
    source.job.crontab.day_of_month, source.job.crontab.hour = "*", "*/2"
    assert "*/2" in timing_in_words(source)


def test_a_test_of_a_long_file_reads_its_beginning(
    feed: Feed, source_at: Callable[..., FeedSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.fetching.probe.SAMPLE_BYTES", len(FEED) // 2)
    with serving(lambda wire: wire.answer(FEED)) as server:
        source = source_at(f"{server.url}/feed.xml")
        report = probe(source, by=None)
        assert (report.problem, report.is_estimate) == ("", True)
        assert report.items == pytest.approx(40, rel=0.2)
        source.feed.mode = "sync"
        server.script = lambda wire: wire.answer(FEED, Content_Length="")
        again = probe(source, by=None)
    notes = " ".join(again.notes)
    assert "What a sync would archive is not known" in notes
    assert "does not say how long the file is" in notes
    assert not Fetch.objects.exists()
    assert not ImportRun.objects.exists()


def test_a_test_of_another_file_says_what_it_is_not(feed: Feed, source_at: Callable[..., FeedSource]) -> None:
    with serving(lambda wire: wire.answer(b"<html><body>Please log in.</body></html>")) as server:
        report = probe(source_at(f"{server.url}/feed.xml"), by=None)
    assert report.problem
    assert report.items is None


def test_a_fetch_waits_for_the_sweep_while_the_broker_is_away(
    feed: Feed,
    source_at: Callable[..., FeedSource],
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise BrokerError("away")

    source_at(SHOP)
    row = open_fetch(feed, reason=FetchReason.PERSON)
    monkeypatch.setattr("catalog.fetching.fetch.enqueue_now", fail)
    with django_capture_on_commit_callbacks(execute=True):
        enqueue_fetch(row)
    row.refresh_from_db()
    assert row.is_open


def test_the_shell_does_not_wait_for_another_worker(
    feed: Feed, source_at: Callable[..., FeedSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    source_at(SHOP)
    monkeypatch.setattr("catalog.fetching.fetch.fetch", lambda *_args, **_options: None)
    with pytest.raises(NotPossible, match="is being fetched by a worker"):
        fetch_here(feed)


@pytest.mark.parametrize(("error", "code"), [(ZeroDivisionError, "internal_error"), (MemoryError, "memory")])
def test_what_fails_on_our_side_ends_in_a_sentence(
    error: type[BaseException],
    code: str,
    feed: Feed,
    source_at: Callable[..., FeedSource],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any) -> None:
        raise error

    source_at(SHOP)
    monkeypatch.setattr("catalog.fetching.download.fetch_from", fail)
    assert fetched_at_last(feed).code == f"fetch.{code}"
