"""The Changes tab by field and by text: every number is that of its list, and every list is whole."""

from __future__ import annotations

from collections import Counter
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from catalog.imports.planning import changed_fields
from catalog.imports.reports import pages
from catalog.imports.reports.changes import numbers_by_field
from catalog.models import Change, ChangedField, Feed, ImportRun, Word
from catalog.tests.admin.test_pages import walk
from catalog.tests.factories import applied, discarded, edit, execute, item, items, planned
from catalog.tests.pages import PRODUCTS, browser, changes, texts, tree, url, with_class

pytestmark = pytest.mark.django_db


def many_changes(feed: Feed) -> ImportRun:
    """Of 160 products 130 have another price, one another title, three another heel; one is pinned, ten are new."""
    applied(feed, *items(160))
    edit("00150", pinned=["price"])
    prices = [item(f"{n:05}", price="90.00 AED") for n in range(1, 131)]
    heels = [item(f"{n:05}", c__heel="high") for n in range(131, 134)]
    other = [item("00140", title="Linen dress"), item("00150", price="80.00 AED")]
    return planned(feed, *prices, *heels, *other, *[item(f"new-{n}") for n in range(10)])


@pytest.fixture
def plan(feed: Feed) -> ImportRun:
    return many_changes(feed)


def spoken_of(change: Change) -> set[str]:
    """The fields that the change speaks of, as a naive reader finds them."""
    pinned = change.pinned or {}
    names = {name for name in [*change.after, *pinned] if name != "extra"}
    kept = pinned.get("extra", {"kept": {}, "file": {}})
    for old, new in ((change.before.get("extra", {}), change.after.get("extra", {})), (kept["kept"], kept["file"])):
        names |= {f"extra.{name}" for name in {**old, **new} if old.get(name) != new.get(name)}
    return names


def test_the_numbers_of_the_fields_are_those_of_the_changes(plan: ImportRun) -> None:
    counted = Counter(name for change in plan.changes.all() for name in spoken_of(change))
    assert numbers_by_field(plan) == counted == {"price": 131, "title": 1, "extra.c:heel": 3}
    assert numbers_by_field(plan, "keep") == {"price": 1}


@pytest.mark.parametrize("few", [0, 5, 1000])
@pytest.mark.parametrize("field", ["price", "title", "extra.c:heel"])
def test_walking_the_changes_of_a_field_meets_each_once(
    alice: Client, feed: Feed, monkeypatch: pytest.MonkeyPatch, few: int, field: str
) -> None:
    monkeypatch.setattr(changed_fields, "MAX_LISTED_CHANGES", few)
    monkeypatch.setattr(changed_fields, "RARE_FIELD_RATIO", 10**9)
    run = many_changes(feed)
    expected = [change.product_id for change in run.changes.order_by("id") if field in spoken_of(change)]
    assert walk(alice, run, f"?tab=changes&field={field}", "Next") == expected
    assert walk(alice, run, f"?tab=changes&field={field}&before={2**62}", "Previous") == expected[::-1]


def test_filters_are_combined(alice: Client, plan: ImportRun) -> None:
    assert [*changes(alice.get(url(plan), {"field": "price", "operation": "keep"}))] == ["00150"]
    assert [*changes(alice.get(url(plan), {"field": "title", "operation": "keep"}))] == []
    assert len(changes(alice.get(url(plan), {"field": "price", "q": "0000"}))) == 9
    edit("00140", color="Red")
    execute(plan)
    assert [*changes(alice.get(url(plan), {"field": "title", "outcome": "conflict"}))] == ["00140"]


@pytest.mark.parametrize(
    ("text", "found"),
    [("00140", ["00140"]), ("0014", ["00140"]), ("new-", [f"new-{n}" for n in range(10)]), (" 00140 ", ["00140"])],
)
def test_a_product_is_found_by_its_id_or_the_beginning_of_it(
    alice: Client, plan: ImportRun, text: str, found: list[str]
) -> None:
    assert [*changes(alice.get(url(plan), {"q": text}))] == found


def test_a_product_is_found_by_its_words(alice: Client, feed: Feed) -> None:
    applied(feed, *items(3), item("9", title="Velvet cape"))
    run = planned(feed, *items(3, price="1.00 AED"), item("9", title="Velvet cape", price="1.00 AED"))
    assert [*changes(alice.get(url(run), {"q": "cape velv"}))] == ["9"]


@pytest.mark.parametrize("listed", [0, 3, 1000])
@pytest.mark.parametrize("searched", [0, 1000])
@pytest.mark.parametrize("text", ["dress", "Silk", "00", "new-"])
def test_walking_what_a_text_finds_meets_each_once_however_many_they_are(
    alice: Client, plan: ImportRun, monkeypatch: pytest.MonkeyPatch, text: str, listed: int, searched: int
) -> None:
    monkeypatch.setattr("catalog.imports.reports.changes.MAX_LISTED_CHANGES", listed)
    monkeypatch.setattr("catalog.imports.reports.changes.MAX_SEARCHED_CHANGES", searched)
    begun = [change.product_id for change in plan.changes.order_by("id") if change.product_id.startswith(text)]
    everything = [*plan.changes.order_by("id").values_list("product_id", flat=True)]  # new items have these words, too
    assert walk(alice, plan, f"?tab=changes&q={text}", "Next") == (begun or everything)
    assert walk(alice, plan, f"?tab=changes&q={text}&before={2**62}", "Previous") == (begun or everything)[::-1]
    of_price = [*changes(alice.get(url(plan), {"q": text, "field": "title"}))]
    assert of_price == [id for id in begun or everything if id == "00140"]


def test_a_search_says_what_it_corrected(alice: Client, feed: Feed) -> None:
    applied(feed, item("9", title="Velvet cape"))
    run = planned(feed, item("9", title="Velvet cape", price="1.00 AED"))
    Word.renew()
    note = f"//*[{with_class('corrected')}]"
    for address in (url(run), PRODUCTS):
        assert texts(alice.get(address, {"q": "velvt cape"}), note) == ["No product has “velvt”. These have “velvet”."]
        assert texts(alice.get(address, {"q": "velvet"}), note) == []
        assert texts(alice.get(address, {"q": "xyzzyq"}), note) == []


@pytest.mark.parametrize(
    "text", ["%", "'", '"', "\\", "' OR 1=1 --", "x" * 10_000, "{}", "extra.", "a:*|b", "\U0010ffff"]
)
@pytest.mark.parametrize("place", ["q", "field"])
def test_hostile_text_finds_nothing(alice: Client, plan: ImportRun, place: str, text: str) -> None:
    page = alice.get(url(plan), {place: text})
    assert page.status_code == 200
    assert changes(page) == {}
    assert tree(page).xpath(f"//*[{with_class('empty')}]/a[@href='?tab=changes']")


def test_every_link_keeps_the_filters_and_one_clears_them(alice: Client, plan: ImportRun) -> None:
    page = tree(alice.get(url(plan), {"field": "price", "operation": "update"}))
    links = page.xpath(f"//div[{with_class('chips')}]/a[not(.='Clear filters')]/@href|//nav[@class='pages']/a/@href")
    assert len(links) >= 4
    assert all("field=price" in link for link in links)
    assert page.xpath("//a[.='Clear filters']/@href") == ["?tab=changes"]
    assert page.xpath("//option[@selected]/text()") == ["Price (130)"]


def test_a_discarded_plan_has_no_fields(alice: Client, plan: ImportRun) -> None:
    discarded(plan)
    assert not ChangedField.objects.filter(run=plan).exists()
    assert alice.get(url(plan), {"field": "price"}).status_code == 200


def test_a_plan_of_before_has_its_list_without_fields(alice: Client, plan: ImportRun) -> None:
    plan.changed_fields.all().delete()
    page = alice.get(url(plan))
    assert len(changes(page)) == pages.PAGE_ROWS
    assert not tree(page).xpath("//select[@name='field']")


def test_who_may_not_see_imports_finds_no_change(feed: Feed, plan: ImportRun) -> None:
    assert browser("charlie").get(f"{url(plan)}?{urlencode({'field': 'price', 'q': '0'})}").status_code == 403


def test_filters_cost_a_few_questions_however_many_match(alice: Client, plan: ImportRun) -> None:
    def queries(**chosen: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            alice.get(url(plan), chosen)
        return len(captured)

    queries()
    assert queries(field="title") == queries(field="price") <= 21
    assert queries(q="00140") == queries(q="0000") <= 20
