"""The admin's first page: what needs a person, what goes on, what went wrong, and how the catalogue stands."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from catalog.admin import dashboard
from catalog.models import DEFAULT_MARKET, CatalogState, Feed, ImportRun, Market, Status
from catalog.tests.factories import add_product, applied, feed_of, item, items, person, planned, received, undone
from catalog.tests.pages import PRODUCTS, RUNS, UPLOAD, active_parts, browser, text_of, texts, tree, url

pytestmark = pytest.mark.django_db

INDEX = reverse("admin:index")
IMPORTS = ["Needs confirmation", "Running", "Failed in the last 7 days", "Latest imports", "The last 14 days"]
EVERYTHING = [*IMPORTS, "Catalogue", "Feeds"]


def parts(page: Any) -> dict[str, str]:
    """What each part of the page says, by its title."""
    found = tree(page).xpath("//section[@aria-label]")
    return {
        section.get("aria-label"): text_of(section).removeprefix(section.get("aria-label")).strip() for section in found
    }


def counted(client: Client) -> Any:
    """The page as it is a moment after it was opened: with the products counted."""
    (part,) = tree(client.get(INDEX)).xpath("//section[@hx-trigger='load']")
    page = client.get(part.get("hx-get"))
    assert tree(page).xpath(f"//section[@id='{part.get('hx-select')[1:]}']")
    return page


def links(page: Any, part: str) -> list[str]:
    return [str(link) for link in tree(page).xpath("//section[@aria-label=$part]//a/@href", part=part)]


def failed(feed: Feed) -> ImportRun:
    run = received(feed, feed_of(item("1")))
    run.move(Status.RECEIVED, to=Status.FAILED, error="The disk is full.")
    return run


# --- imports ------------------------------------------------------------------------------------------
def test_what_waits_says_what_confirming_does_the_longest_waiting_first(bob: Client, feed: Feed) -> None:
    first, second = planned(feed, *items(2)), planned(feed, *items(3))
    page = bob.get(INDEX)
    assert links(page, "Needs confirmation") == [url(first), url(second)]
    assert "Confirming will add 2 products." in parts(page)["Needs confirmation"]


def test_what_is_held_says_why(bob: Client, feed: Feed) -> None:
    run = planned(feed, *items(2))
    ImportRun.objects.filter(pk=run.pk).update(holds=[{"code": "archived", "message": "It would archive half of it."}])
    assert "held It would archive half of it." in parts(bob.get(INDEX))["Needs confirmation"]


def test_what_runs_says_how_far_it_is(bob: Client, feed: Feed) -> None:
    run = received(feed, feed_of(item("1")))
    run.move(Status.RECEIVED, to=Status.STAGING)
    begun = [{"status": "staging", "at": (timezone.now() - timedelta(seconds=10)).isoformat(), "by": ""}]
    ImportRun.objects.filter(pk=run.pk).update(items=12_000, bytes_read=run.file_size // 4, history=begun)
    assert "Reading · 12,000 items · 25 % · about 3" in parts(bob.get(INDEX))["Running"]


def test_the_page_looks_after_itself_only_while_something_runs(bob: Client, feed: Feed) -> None:
    assert not tree(bob.get(INDEX)).xpath("//*[@hx-trigger='every 5s']")
    received(feed, feed_of(item("1")))
    (moving,) = tree(bob.get(INDEX)).xpath("//*[@hx-trigger='every 5s']")
    assert (moving.get("hx-get"), moving.get("hx-select")) == (INDEX, f"#{moving.get('id')}")


def test_what_failed_lately_says_why_and_what_failed_long_ago_is_gone(bob: Client, feed: Feed) -> None:
    run = failed(feed)
    assert "The disk is full." in parts(bob.get(INDEX))["Failed in the last 7 days"]
    ImportRun.objects.filter(pk=run.pk).update(finished_at=timezone.now() - timedelta(days=8))
    assert parts(bob.get(INDEX))["Failed in the last 7 days"] == "No import failed."


def test_the_last_imports_say_what_they_did_the_latest_first(bob: Client, feed: Feed) -> None:
    first = applied(feed, *items(2))
    second = undone(applied(feed, *items(3)))
    page = bob.get(INDEX)
    assert links(page, "Latest imports") == [url(second), url(first)]
    said = parts(page)["Latest imports"]
    assert "Added 2 products." in said
    assert "Undone: 1 product is as before the import." in said


def test_a_long_list_leads_to_all_of_it(bob: Client, feed: Feed) -> None:
    for n in range(dashboard.SHOWN_RUNS + 2):
        failed(Feed.objects.create(name=f"Feed {n}", slug=f"feed-{n}"))
    page = bob.get(INDEX)
    assert len(links(page, "Failed in the last 7 days")) == dashboard.SHOWN_RUNS + 1
    assert links(page, "Failed in the last 7 days")[-1] == f"{RUNS}?status__exact=failed"
    assert "and 2 more" in parts(page)["Failed in the last 7 days"]


# --- the catalogue and its feeds ----------------------------------------------------------------------
def test_products_are_counted_by_availability_without_the_archive(bob: Client, feed: Feed) -> None:
    applied(feed, *items(3), item("8", availability="out_of_stock"), item("9"))
    applied(feed, *items(3), item("8", availability="out_of_stock"), mode="sync")
    page = counted(bob)
    assert parts(page)["Catalogue"].startswith("4 products")
    rows = texts(page, "//section[@aria-label='Catalogue']//tr")
    assert rows == ["In stock 3 75.0 %", "Out of stock 1 25.0 %"]
    assert links(page, "Catalogue") == [
        PRODUCTS,
        *(f"{PRODUCTS}?availability__exact={v}_stock" for v in ("in", "in", "out_of", "out_of")),
    ]


def test_the_page_waits_for_no_count_and_one_count_serves_all(bob: Client) -> None:
    add_product(id="1", availability="in_stock")
    with CaptureQueriesContext(connection) as captured:
        assert "1 product" not in parts(bob.get(INDEX))["Catalogue"]
    assert not [query for query in captured if "COUNT" in query["sql"] and '"catalog_product"' in query["sql"]]
    counted(bob)
    assert parts(browser("mona").get(INDEX))["Catalogue"].startswith("1 product")


def test_a_change_of_the_catalogue_is_counted(bob: Client) -> None:
    counted(bob)
    add_product(id="1")
    assert parts(counted(bob))["Catalogue"] == "1 product Products by availability Not given 1 100.0 %"


def test_a_feed_says_when_it_was_applied_last_and_how_much_was_invalid(
    bob: Client, feed: Feed, other_feed: Feed
) -> None:
    applied(feed, *items(3), item("8", price="?"))
    last = applied(feed, *items(4, title="Linen dress"))
    ImportRun.objects.update(finished_at=F("finished_at") - timedelta(days=1, hours=1))
    planned(feed, *items(2))
    page = bob.get(INDEX)
    assert texts(page, "//section[@aria-label='Feeds']//tbody/tr") == [
        f"Ounass #{last.pk}, 1 day, 1 hour ago 0.0 %",
        "Outlet never –",
    ]
    assert [bars.get("aria-label") for bars in tree(page).xpath("//*[@role='img']")] == [
        "Invalid items of the latest imports, oldest first: 25.0 %, 0.0 %, 0.0 %"
    ]


# --- for whom -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "shown"),
    [("bob", [*IMPORTS, "Catalogue", "Feeds"]), ("mona", [*IMPORTS, "Catalogue", "Feeds"]), ("charlie", [])],
)
def test_everybody_sees_what_they_may_look_at(feed: Feed, name: str, shown: list[str]) -> None:
    planned(feed, *items(2))
    page = browser(name).get(INDEX)
    assert list(parts(page)) == shown
    assert ("Your role has nothing to show on this page." in text_of(tree(page))) == (not shown)


def test_who_may_look_at_one_thing_only_sees_nothing_of_the_others(feed: Feed) -> None:
    planned(feed, *items(2))
    for permission, shown in (("view_product", ["Catalogue"]), ("view_importrun", IMPORTS), ("view_feed", [])):
        client = Client()
        staff = person(permission, permission)
        staff.is_staff = True
        staff.save()
        client.force_login(staff)
        assert list(parts(client.get(INDEX))) == shown


def test_an_empty_catalogue_says_where_products_come_from(bob: Client) -> None:
    said = "There are no products yet. They come with the first import."
    assert parts(counted(bob))["Catalogue"] == said


@pytest.mark.parametrize(("name", "offered"), [("ida", 1), ("bob", 0), ("charlie", 0)])
def test_who_may_import_can_begin_here(feed: Feed, name: str, offered: int) -> None:
    page = browser(name).get(INDEX)
    assert len(tree(page).xpath("//a[normalize-space()='Import a feed'][@href=$form]", form=UPLOAD)) == offered


@pytest.mark.parametrize(("name", "offered"), [("mona", True), ("ida", False)])
def test_without_a_feed_the_page_says_what_one_is(db: None, name: str, offered: bool) -> None:
    page = browser(name).get(INDEX)
    assert parts(page)["Feeds"].startswith("There are no feeds yet.")
    assert links(page, "Feeds") == ([reverse("admin:catalog_feed_add")] if offered else [])


# --- what it costs, and what it lets through ----------------------------------------------------------
def everything(name: str) -> None:
    own = Feed.objects.create(name=name, slug=f"feed-{Feed.objects.count()}")
    runs = [applied(own, *items(2), item("8", price="?")), planned(own, *items(3)), failed(own)]
    ImportRun.objects.filter(pk__in=[run.pk for run in runs]).update(file_name=name, error=name)
    received(own, feed_of(item(f"waits {own.pk}")))


def test_the_page_asks_as_often_for_much_as_for_little(bob: Client) -> None:
    def queries() -> int:
        CatalogState.bump(DEFAULT_MARKET)  # so that nothing was counted before
        with CaptureQueriesContext(connection) as captured:
            assert bob.get(INDEX, {"count": ""}).status_code == 200
        return len(captured)

    everything("One")
    queries()
    few = queries()
    for n in range(dashboard.SHOWN_FEEDS + 2):
        everything(f"Feed {n}")
    assert queries() == few <= 16


def test_nothing_from_a_feed_becomes_part_of_the_page(bob: Client) -> None:
    everything("word")
    harmless = active_parts(bob.get(INDEX))
    ImportRun.objects.all().delete()
    everything('"><img src=x onerror=alert(1)><script>alert(1)</script>{{7*7}}<svg/onload=alert(1)>')
    assert not active_parts(bob.get(INDEX)) - harmless


# --- trends -------------------------------------------------------------------------------------------
def trend_numbers(page: Any) -> dict[str, str]:
    """Each number of the part, by its words, with the address of the list behind it."""
    links = tree(page).xpath("//section[contains(@class, 'trends')]//p/a | //*[@class='legend']//a")
    return {text_of(link): link.get("href") for link in links}


def test_trends_say_what_became_of_the_last_days_imports(bob: Client, feed: Feed) -> None:
    applied(feed, item("1"), item("2", price="many AED"))
    undone(applied(feed, item("3")))
    failed(feed)
    planned(feed, item("4"))
    old = applied(feed, item("5"))
    ImportRun.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=20))
    page = bob.get(INDEX)
    numbers = trend_numbers(page)
    assert {*numbers} == {
        "4 imports",
        "applied 1",
        "under way 1",
        "undone 1",
        "discarded 0",
        "failed 1",
        "4 items read",
        "25.0 % of them invalid",
    }
    for words, listed in {"4 imports": 4, "applied 1": 1, "under way 1": 1, "failed 1": 1, "undone 1": 1}.items():
        assert len(bob.get(numbers[words]).context["cl"].result_list) == listed, words
    (today,) = tree(page).xpath("//section[contains(@class, 'trends')]//tbody/tr[1]")
    assert [text_of(cell) for cell in today][1:] == ["1", "1", "1", "–", "1", "4", "25.0 %"]
    for link in today.xpath(".//a/@href"):
        assert bob.get(link).status_code == 200


def test_without_imports_there_are_no_trends(bob: Client, feed: Feed) -> None:
    assert not tree(bob.get(INDEX)).xpath("//section[contains(@class, 'trends')]")


def test_trends_are_of_the_market_and_for_people_who_may_see_imports(bob: Client, feed: Feed) -> None:
    applied(feed, item("1"))
    other = Market.objects.create(code="sa", name="Saudi Arabia")
    assert "1 import" in trend_numbers(bob.get(INDEX))
    assert not trend_numbers(bob.get(INDEX, {"market": other.code}))
    assert not trend_numbers(browser("charlie").get(INDEX))
