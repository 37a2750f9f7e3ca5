"""The calls about feeds: where they come from, and a fetch now."""

from __future__ import annotations

import pytest

from accounts.models import User
from catalog.models import Feed, FeedSource, Fetch, FetchOutcome, FetchReason
from catalog.tests.api import client
from catalog.tests.factories import person

pytestmark = pytest.mark.django_db


@pytest.fixture
def vera(db: None) -> User:
    return person("vera", "view_feed", "view_importrun")


@pytest.fixture
def ida(db: None) -> User:
    return person("ida", "view_feed", "view_importrun", "add_importrun")


def test_feeds_are_listed_with_their_address_but_no_secret(feed: Feed, vera: User) -> None:
    FeedSource.objects.create(feed=feed, address="https://shop.example/feed.xml?token=abc123", credentials="sealed")
    answer = client(vera).get("/feeds/")
    assert answer.status_code == 200
    listed = answer.json()["results"][0]
    assert (listed["slug"], listed["address"]) == ("ounass", "https://shop.example/feed.xml?token=••••")
    assert "sealed" not in answer.content.decode()


def test_a_fetch_is_asked_for_and_looked_at(feed: Feed, ida: User) -> None:
    FeedSource.objects.create(feed=feed, address="https://shop.example/feed.xml")
    answer = client(ida).post("/feeds/ounass/fetch/")
    assert answer.status_code == 202
    again = client(ida).post("/feeds/ounass/fetch/")
    assert again["Location"] == answer["Location"]
    row = Fetch.objects.get()
    assert (row.reason, row.by) == (FetchReason.API, ida)
    assert client(ida).get(answer["Location"]).json()["outcome"] == FetchOutcome.WAITING
    listed = client(ida).get("/feeds/ounass/fetches/").json()
    assert [each["id"] for each in listed["results"]] == [row.pk]


def test_who_may_not_is_refused(feed: Feed, vera: User, charlie: User) -> None:
    FeedSource.objects.create(feed=feed, address="https://shop.example/feed.xml")
    assert client(vera).post("/feeds/ounass/fetch/").status_code == 403
    for address in ("/feeds/", "/feeds/ounass/fetches/"):
        assert client(charlie).get(address).status_code == 403
    assert not Fetch.objects.exists()


def test_what_is_not_there_is_not_found(feed: Feed, ida: User) -> None:
    assert client(ida).post("/feeds/nobody/fetch/").status_code == 404
    assert client(ida).get("/feeds/ounass/fetches/1/").status_code == 404
    refused = client(ida).post("/feeds/ounass/fetch/")
    assert refused.status_code == 409
    assert "no source" in refused.json()["detail"]
