"""A product belongs to the feed that brought it. Others leave it as it is, unless their settings say otherwise."""

from __future__ import annotations

import pytest
from django.utils import timezone

from catalog.models import Feed, ImportRun, Product
from catalog.tests.factories import FLAWLESS, allow_changes, applied, counts, edit, execute, item, items, planned
from catalog.tests.pages import browser, heading, url

pytestmark = pytest.mark.django_db

PRICES = dict.fromkeys(FLAWLESS) | {"price": "90.00 AED"}


def holds(run: ImportRun) -> list[str]:
    return [hold["code"] for hold in run.holds]


@pytest.fixture
def allowed(other_feed: Feed) -> Feed:
    return allow_changes(other_feed)


@pytest.mark.parametrize("mode", ["update", "sync"])
def test_a_full_file_leaves_the_products_of_another_feed(feed: Feed, other_feed: Feed, mode: str) -> None:
    applied(feed, *items(3))
    run = applied(other_feed, *items(3, title="\u0641\u0633\u062a\u0627\u0646"), item("own"), mode=mode)
    assert counts(run) == {"items": 4, "created": 1, "existing": 3}
    assert {*Product.objects.filter(feed=feed).values_list("title", flat=True)} == {"Silk dress"}
    issue = run.issues.get(code="id.other_feed")
    assert (issue.count, issue.examples[0]["found"]) == (3, feed.name)


def test_the_first_sentence_says_what_is_left_to_other_feeds(feed: Feed, other_feed: Feed) -> None:
    applied(feed, *items(3))
    run = planned(other_feed, *items(2, title="Other"), item("own"))
    bob = browser("bob")
    assert heading(bob.get(url(run))) == ("Confirming will add 1 product; 2 products of other feeds stay as they are.")
    assert (
        heading(bob.get(url(execute(run))))
        == "This import added 1 product; 2 products of other feeds stay as they are."
    )
    applied(other_feed, *items(1, title="Other"))
    last = ImportRun.objects.first()
    assert last
    assert heading(bob.get(url(last))) == "Nothing to confirm; one product of another feed stays as it is."


@pytest.mark.parametrize("mode", ["add", "update"])
def test_the_first_sentence_of_other_imports_says_nothing_of_other_feeds(
    feed: Feed, other_feed: Feed, mode: str
) -> None:
    applied(feed, *items(3))
    run = planned(feed, *items(4, title="Other"), mode=mode)
    assert "other feed" not in heading(browser("bob").get(url(run)))


def test_by_turns_nobody_rewrites_the_catalogue(feed: Feed, other_feed: Feed) -> None:
    applied(feed, *items(3), mode="sync")
    applied(other_feed, *items(3, title="Other"), mode="sync")
    assert counts(applied(feed, *items(3), mode="sync")) == {"items": 3, "unchanged": 3}


def test_a_feed_that_may_changes_them(feed: Feed, allowed: Feed) -> None:
    applied(feed, *items(3))
    run = applied(allowed, *items(3, title="Other"))
    assert (counts(run), holds(run)) == ({"items": 3, "changed": 3}, [])


def test_what_another_feed_archived_stays_archived(feed: Feed, allowed: Feed) -> None:
    applied(feed, *items(3))
    edit("00001", archived_at=timezone.now())
    run = applied(allowed, *items(3, title="Other"))
    assert counts(run) == {"items": 3, "changed": 2, "existing": 1}
    assert Product.objects.get(id="00001").archived_at


def test_a_product_without_a_feed_may_be_taken_over(feed: Feed, other_feed: Feed) -> None:
    applied(feed, *items(2))
    Product.objects.update(feed=None)
    assert counts(applied(other_feed, *items(2, title="Other"))) == {"items": 2, "changed": 2}


def test_a_supplement_of_another_feed_waits_and_names_the_owners(feed: Feed, other_feed: Feed) -> None:
    applied(feed, *items(2))
    run = planned(other_feed, *items(2, **PRICES))
    assert (counts(run), holds(run)) == ({"items": 2, "changed": 2}, ["guard.other_feeds"])
    assert run.holds[0]["message"].startswith(f"Products of other feeds would change: 2 of “{feed.name}”.")


def test_a_supplement_of_a_feed_that_may_passes(feed: Feed, allowed: Feed) -> None:
    applied(feed, *items(2))
    assert holds(planned(allowed, *items(2, **PRICES))) == []
