"""What a plan means for prices and availability: each number is that of its list."""

from __future__ import annotations

import pytest

from catalog.imports.leave_out import leave_out, take_again
from catalog.imports.planning.facets import rewrite_facets
from catalog.models import ChangeFacets, Feed, ImportRun
from catalog.tests.api import client
from catalog.tests.factories import applied, execute, item, items, planned
from catalog.tests.pages import browser, changes, staff, texts, tree, url

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
    links = page.xpath("//section[@aria-labelledby='meaning']//a[b]")
    assert len(links) > 8
    for link in links:
        (count,) = link.xpath("b/text()")
        assert len(changes(alice.get(url(plan) + link.get("href")))) == int(count)
    assert [*changes(alice.get(url(plan), {"move": "0"}))] == ["00001"]
    assert [*changes(alice.get(url(plan), {"to": "out_of_stock"}))] == ["00014", "00015"]
    assert [*changes(alice.get(url(plan), {"move": "4", "q": "00015"}))] == ["00015"]
    assert texts(alice.get(url(plan)), "//section[@aria-labelledby='meaning']//h3[2]/following-sibling::p[1]/a") == [
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
    assert not any(run.meaning[name] for name in ("prices", "availability", "shifts", "appearing", "vanishing"))
    assert not tree(alice.get(url(run))).xpath("//section[@aria-labelledby='meaning']")


# --- what gets and loses products ---------------------------------------------------------------------------
@pytest.fixture
def shifting(feed: Feed) -> ImportRun:
    """Acme keeps one product, gets a new one and loses one; Old and Gone lose their only one; New is new."""
    shoes, bags = {"product_type": "Shoes"}, {"product_type": "Bags"}
    applied(
        feed,
        item("1", brand="Acme", gender="female", **shoes),
        item("2", brand="Acme", gender="male", **shoes),
        item("3", brand="Old", gender="female", **shoes),
        item("4", brand="Gone", gender="female", **bags),
    )
    return planned(
        feed,
        item("1", brand="Acme", gender="female", price="90.00 AED", **shoes),
        item("2", brand="New", gender="female", **shoes),
        item("3", brand="New", gender="female", **shoes),
        item("5", brand="Acme", gender="unisex", **shoes),
        mode="sync",
    )


def test_what_brands_and_the_like_get_and_lose(shifting: ImportRun) -> None:
    meaning = shifting.meaning
    assert meaning["shifts"]["brand"] == [[["Acme", 1, 1], ["New", 2, 0], ["Gone", 0, 1], ["Old", 0, 1]], 4]
    assert meaning["shifts"]["product_type"] == [[["Bags", 0, 1], ["Shoes", 1, 0]], 2]
    assert meaning["shifts"]["gender"] == [[["female", 1, 1], ["male", 0, 1], ["unisex", 1, 0]], 3]


def test_the_filter_values_that_appear_and_vanish_are_those_of_the_api(shifting: ImportRun) -> None:
    def options() -> dict[str, set[str]]:
        answer = client(staff("alice")).get("/filter-options/").json()
        return {"brand": {*answer["brands"]}, "gender": {*answer["genders"]}, "condition": {*answer["conditions"]}}

    def told(kind: str) -> dict[str, set[str]]:
        found = shifting.meaning[kind]
        return {name: {row[0] for row in found.get(name, [[], 0])[0]} for name in ("brand", "gender", "condition")}

    before = options()
    execute(shifting)
    after = options()
    assert told("appearing") == {name: after[name] - before[name] for name in after}
    assert told("vanishing") == {name: before[name] - after[name] for name in after}
    assert told("vanishing")["brand"] == {"Old", "Gone"}
    assert told("vanishing")["gender"] == {"male"}


def test_a_field_left_out_moves_no_product(shifting: ImportRun) -> None:
    leave_out(shifting, plan_hash=shifting.plan_hash, by=None, field="brand")
    assert shifting.meaning["shifts"]["brand"] == [[["Gone", 0, 1]], 1]  # the new product comes without its brand
    assert [row[0] for row in shifting.meaning["vanishing"]["brand"][0]] == ["Gone"]
    archived = shifting.changes.get(product_id="4")
    leave_out(shifting, plan_hash=shifting.plan_hash, by=None, change=archived.pk)
    assert "brand" not in shifting.meaning["shifts"]
    take_again(shifting, plan_hash=shifting.plan_hash, by=None, change=archived.pk)
    assert shifting.meaning["shifts"]["brand"] == [[["Gone", 0, 1]], 1]


def test_every_bar_of_the_shifts_filters_the_list(shifting: ImportRun) -> None:
    alice = browser("alice")
    links = tree(alice.get(url(shifting))).xpath("//table[@class='shift']//a")
    assert len(links) == 11
    for link in links:
        (count,) = link.xpath("b/text()")
        assert len(changes(alice.get(url(shifting) + link.get("href")))) == int(count.strip("+−"))
    assert [*changes(alice.get(url(shifting), {"gain": "brand:New"}))] == ["2", "3"]
    assert [*changes(alice.get(url(shifting), {"loss": "brand:Acme"}))] == ["2"]
    for bad in ("brand", "price:9", ":", "brand:", "lost_brand:x", "' OR 1=1"):
        assert changes(alice.get(url(shifting), {"gain": bad})) == {}
        assert changes(alice.get(url(shifting), {"loss": bad})) == {}


def test_the_market_and_its_currencies_are_said(shifting: ImportRun) -> None:
    (told,) = texts(browser("alice").get(url(shifting)), "//section[@aria-labelledby='meaning']/p[1]")
    assert told.startswith(f"Market: {shifting.feed.market}.")
    assert "AED" in told


def test_products_that_change_their_currency_are_listed(plan: ImportRun) -> None:
    assert plan.meaning["currency"] == [["SAR", 1]]
    assert [*changes(browser("alice").get(url(plan), {"field": "currency", "currency": "SAR"}))] == ["00013"]


def test_a_plan_says_the_same_however_it_is_counted(shifting: ImportRun) -> None:
    """What one change's row says when it is written alone is what it said with all others."""
    names = [field.attname for field in ChangeFacets._meta.concrete_fields]
    before = [*shifting.facets.order_by("change_id").values(*names)]
    for change in shifting.changes.all():
        rewrite_facets(shifting, change.pk)
    assert [*shifting.facets.order_by("change_id").values(*names)] == before
