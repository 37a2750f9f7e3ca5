"""A feed with a source, and limits that a test can wait for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from catalog.fetching.fetch import fetch, open_fetch
from catalog.models import Feed, FeedSource, Fetch, FetchReason


@pytest.fixture(autouse=True)
def loopback_is_open(settings: Any) -> None:
    settings.FETCH_ALLOW = "127.0.0.0/8"
    settings.FETCH_SLOW_SECONDS = 3
    settings.FETCH_SLOW_BYTES = 1000
    settings.FETCH_MAX_SECONDS = 8
    settings.FEED_CREDENTIAL_KEYS = ["only-for-the-tests-" + "abcdefghijklmnopqrstuvwxyz0123456789"]


@pytest.fixture
def source_at(feed: Feed) -> Callable[..., FeedSource]:
    """The feed's source at this address."""

    def make(address: str, **fields: Any) -> FeedSource:
        source, _made = FeedSource.objects.update_or_create(feed=feed, defaults={"address": address, **fields})
        return source

    return make


def fetched_once(feed: Feed) -> Fetch:
    """One try, as a worker does it, and what came of it."""
    row = open_fetch(feed, reason=FetchReason.SCHEDULE)
    Fetch.objects.filter(pk=row.pk).update(next_try_at=row.due_at)
    done = fetch(row.pk)
    assert done is not None
    return done


def fetched_at_last(feed: Feed) -> Fetch:
    """As if it was the last of its tries."""
    row = open_fetch(feed, reason=FetchReason.SHELL)
    Fetch.objects.filter(pk=row.pk).update(next_try_at=row.due_at)
    done = fetch(row.pk, last_try=True)
    assert done is not None
    return done
