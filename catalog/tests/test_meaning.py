"""What a plan means for prices and availability: each number is that of its list."""

from __future__ import annotations

import pytest

from catalog.imports.leave_out import leave_out
from catalog.models import Feed, ImportRun
from catalog.tests.factories import applied, execute, item, items, planned
from catalog.tests.pages import browser, changes, texts, tree, url

pytestmark = pytest.mark.django_db

# The new price of a product that costs 100 AED, and the bar that it is in; the ends belong to the bar above.
BARS = {"40": 0, "50": 1, "75": 1, "80": 2, "94": 2, "95": 3, "99": 3, "101": 4, "105": 5, "119": 5, "120": 6, "150": 7}


@pytest.fixture
def plan(feed: Feed) -> ImportRun:
    applied(feed, *items(20))
    return planned(
        feed,
        *[item(f"{n:05}", price=f"{price}.00 AED") for n, price in enumerate(BARS, start=1)],
        item("00013", price="100.00 SAR"),
        item("00014", availability="out_of_stock"),
        item("00015", availability="out_of_stock", price="101.00 AED"),
        item("00016", availability="preorder", availability_date="2099-01-01"),
        item("new"),
    )


def test_prices_are_counted_by_how_far_they_move(plan: ImportRun) -> None:
    assert plan.meaning["prices"] == [1, 2, 2, 2, 2, 2, 1, 1]
    assert plan.meaning["falls"] == [["00001", -0.6], ["00002", -0.5], ["00003", -0.25]]
    assert plan.meaning["rises"] == [["00012", 0.5], ["00011", 0.2], ["00010", 0.19]]
    assert plan.meaning["availability"] == [["out_of_stock", 2], ["preorder", 1]]


def test_each_bar_leads_to_its_changes(plan: ImportRun) -> None:
    alice = browser("alice")
    page = tree(alice.get(url(plan)))
    links = page.xpath("//section[@aria-labelledby='meaning']//ul//a")
    assert len(links) == 8
    for link in links:
        (count,) = link.xpath("b/text()")
        assert len(changes(alice.get(url(plan) + link.get("href")))) == int(count)
    assert [*changes(alice.get(url(plan), {"move": "0"}))] == ["00001"]
    assert [*changes(alice.get(url(plan), {"to": "out_of_stock"}))] == ["00014", "00015"]
    assert [*changes(alice.get(url(plan), {"move": "4", "q": "00015"}))] == ["00015"]
    assert texts(alice.get(url(plan)), "//section[@aria-labelledby='meaning']//p[2]/a") == [
        "out of stock 2",
        "preorder 1",
    ]


@pytest.mark.parametrize("filters", [{"move": "x"}, {"move": "99"}, {"move": "-1"}, {"move": "²"}, {"to": "'; DROP"}])
def test_what_is_no_bar_finds_nothing(plan: ImportRun, filters: dict[str, str]) -> None:
    page = browser("alice").get(url(plan), filters)
    assert page.status_code == 200
    assert changes(page) == {}


def test_what_is_left_out_means_nothing_any_more(plan: ImportRun) -> None:
    leave_out(plan, plan_hash=plan.plan_hash, by=None, change=plan.changes.get(product_id="00001").pk)
    assert plan.meaning["prices"][0] == 0
    leave_out(plan, plan_hash=plan.plan_hash, by=None, field="price")
    assert plan.meaning["prices"] == []
    assert plan.meaning["availability"] == [["out_of_stock", 2], ["preorder", 1]]


def test_a_plan_without_prices_and_one_that_waits_no_longer_say_nothing_of_them(feed: Feed, plan: ImportRun) -> None:
    alice = browser("alice")
    execute(plan)
    assert not tree(alice.get(url(plan))).xpath("//section[@aria-labelledby='meaning']")
    run = planned(feed, item("00020", title="Other"))
    assert run.meaning == {"prices": [], "availability": []}
    assert not tree(alice.get(url(run))).xpath("//section[@aria-labelledby='meaning']")
