"""Facets of a plan: every number is that of its list, whatever else is chosen, and the lists can be sorted."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from catalog.imports.leave_out import leave_out, take_again
from catalog.imports.reports import changes as reports
from catalog.imports.reports import pages
from catalog.models import Feed, ImportRun, Market, Word
from catalog.tests.admin.test_pages import walk
from catalog.tests.factories import add_product, applied, change, discarded, edit, execute, item, items, planned
from catalog.tests.pages import browser, changes, heading, staff, text_of, texts, tree, url

pytestmark = pytest.mark.django_db


@pytest.fixture
def plan(feed: Feed) -> ImportRun:
    """Twelve products of three brands get other prices, a thirteenth another title; three are new, one goes."""
    kinds = [{"brand": brand, "product_type": kind} for brand in ("Acme", "Bolt", "Cone") for kind in ("Shoes", "Bags")]
    applied(feed, *[item(f"{n:02}", gender="female", **kinds[n % 6]) for n in range(14)])
    edit("01", title="Edited dress")
    edit("02", price="95.000")
    edit("03", extra={"c:note": "by hand"})
    prices = [item(f"{n:02}", price=f"{88 + 2 * n}.00 AED", gender="female", **kinds[n % 6]) for n in range(12)]
    return planned(
        feed,
        *prices,
        item("12", title="Linen dress", gender="male", gtin="12", **kinds[0]),
        item("n1", title="Velvet gown", gender="male", **kinds[0]),
        item("n2", title="Velvet gown", brand="Dune", product_type="Bags"),
        item("n3", title="Cotton shirt", brand="Dune", product_type="Bags", c__note="by the shop"),
        mode="sync",
    )


@pytest.fixture
def alice(db: None) -> Client:
    return browser("alice")


def choices(response: Any) -> dict[str, dict[str, int | None]]:
    """What each facet offers, with its number."""
    found: dict[str, dict[str, int | None]] = {}
    for select in tree(response).xpath("//form[@method='get']/select[@name!='sort' and @name!='field']"):
        values = found.setdefault(select.get("name"), {})
        for option in select.xpath("option[@value!='']"):
            number = re.search(r"\(([\d,]+)\)$", option.text_content().strip())
            values[option.get("value")] = int(number[1].replace(",", "")) if number else None
    return found


def test_the_number_of_each_choice_is_that_of_its_list(alice: Client, plan: ImportRun) -> None:
    offered = choices(alice.get(url(plan)))
    assert offered.keys() == {"brand", "product_type", "gender", "move", "issue", "edit"}
    assert offered["brand"] == {"Acme": 6, "Bolt": 4, "Cone": 4, "Dune": 2}
    for name, values in offered.items():
        for value, number in values.items():
            assert len(changes(alice.get(url(plan), {name: value}))) == number, (name, value)


@pytest.mark.parametrize(
    "chosen",
    [
        {"brand": "Acme"},
        {"operation": "update"},
        {"brand": "Acme", "operation": "create"},
        {"field": "price", "gender": "female"},
        {"q": "velvet"},
        {"edit": "replaced", "product_type": "Shoes"},
        {"move": "2"},
        {"issue": "gtin.length", "q": "12"},
        {"gain": "brand:Dune"},
    ],
)
def test_with_other_choices_each_number_is_that_of_its_list_too(
    alice: Client, plan: ImportRun, chosen: dict[str, str]
) -> None:
    page = alice.get(url(plan), chosen)
    (said,) = texts(page, "//*[@role='status']")
    found = len(changes(page))
    assert found
    assert said == ("One change matches." if found == 1 else f"{found} changes match.")
    for name, values in choices(page).items():
        for value, number in values.items():
            if number is not None:
                assert len(changes(alice.get(url(plan), {**chosen, name: value}))) == number, (name, value)


def test_kinds_have_the_numbers_of_what_is_found(alice: Client, plan: ImportRun) -> None:
    page = alice.get(url(plan), {"brand": "Dune"})
    assert texts(page, "//div[@aria-label='Kinds of change']/a") == ["All", "New 2", "Clear filters"]


def test_more_than_can_be_counted_is_said_to_be_more(
    alice: Client, plan: ImportRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "MAX_COUNTED_CHANGES", 5)
    page = alice.get(url(plan), {"gender": "female"})
    assert texts(page, "//*[@role='status']") == ["Over 10,000 changes match."]
    assert set(choices(page)["brand"].values()) == {None}
    monkeypatch.setattr(reports, "MAX_COUNTED_CHANGES", len(changes(page)))
    assert "Over" not in texts(alice.get(url(plan), {"gender": "female"}), "//*[@role='status']")[0]


@pytest.mark.parametrize(("sort", "first"), [("falls", "00"), ("rises", "11")])
def test_changes_are_sorted_by_how_far_the_price_moves(
    alice: Client, plan: ImportRun, monkeypatch: pytest.MonkeyPatch, sort: str, first: str
) -> None:
    monkeypatch.setattr(pages, "PAGE_ROWS", 3)
    moved = sorted((c for c in plan.changes.all() if "price" in c.after), key=lambda c: c.after["price"])
    # that of 06 is what it was, and that of 02 a person's
    expected = [c.product_id for c in sorted(moved, key=lambda c: c.after["price"] / c.before["price"])]
    expected = expected if sort == "falls" else expected[::-1]
    there = walk(alice, plan, f"?tab=changes&sort={sort}", "Next")
    assert there[0] == first
    assert there == expected
    (last,) = tree(alice.get(url(plan), {"sort": sort})).xpath("//nav[@class='pages']/a[.='Last']/@href")
    assert walk(alice, plan, last, "Previous") == there[::-1]
    only = [*changes(alice.get(url(plan), {"sort": sort, "brand": "Bolt"}))]
    assert only == [pk for pk in there if pk in only]


def test_a_sorted_page_after_a_row_that_left_the_plan_is_the_first(alice: Client, plan: ImportRun) -> None:
    gone = change(plan, "00").pk
    leave_out(plan, plan_hash=plan.plan_hash, by=None, change=gone)
    page = alice.get(url(plan), {"sort": "falls", "after": f"{gone}"})
    assert [*changes(page)] == [*changes(alice.get(url(plan), {"sort": "falls"}))]


@pytest.mark.parametrize(
    "hostile", [{"brand": "' OR 1=1"}, {"move": "9"}, {"issue": "\\"}, {"sort": "id;"}, {"currency": "%"}]
)
def test_what_is_no_choice_finds_nothing_and_harms_nothing(
    alice: Client, plan: ImportRun, hostile: dict[str, str]
) -> None:
    page = alice.get(url(plan), hostile)
    assert page.status_code == 200
    assert ("sort" in hostile) == bool(changes(page))


# --- words of new items -------------------------------------------------------------------------------------
def test_words_find_new_items_beside_products(alice: Client, plan: ImportRun) -> None:
    assert [*changes(alice.get(url(plan), {"q": "velvet gown"}))] == ["n1", "n2"]
    assert [*changes(alice.get(url(plan), {"q": "GOWN dune"}))] == ["n2"]
    assert [*changes(alice.get(url(plan), {"q": "shirt", "operation": "create"}))] == ["n3"]
    assert changes(alice.get(url(plan), {"q": "shirt", "operation": "update"})) == {}
    assert changes(alice.get(url(plan), {"q": "%", "operation": "create"})) == {}
    both = changes(alice.get(url(plan), {"q": "acme"}))
    assert {"00", "n1"} <= both.keys()
    assert len(both) == 6


@pytest.mark.parametrize("typed", ["velv_t", "velv%t", "velvet\\", "'velvet"])
def test_words_are_looked_for_as_they_are_typed(alice: Client, plan: ImportRun, typed: str) -> None:
    page = alice.get(url(plan), {"q": typed, "operation": "create"})
    assert page.status_code == 200
    assert changes(page) == {}


def test_words_find_what_an_outcome_has(alice: Client, plan: ImportRun) -> None:
    for outcome, found in (("conflict", []), ("", ["n1", "n2"])):
        for brand in ({}, {"gain": "brand:Dune"}, {"brand": "Dune"}):
            expected = [each for each in found if not brand or each == "n2"]
            page = alice.get(url(plan), {"q": "velvet", "outcome": outcome, **brand})
            assert [*changes(page)] == expected, (outcome, brand)


def test_new_items_are_paged_through(alice: Client, plan: ImportRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGE_ROWS", 2)
    for most in (1, 10_000):  # where more match than are counted, and where all are
        monkeypatch.setattr(reports, "MAX_COUNTED_CHANGES", most)
        there = walk(alice, plan, "?tab=changes&q=acme", "Next")
        assert len(there) == 6
        (last,) = tree(alice.get(url(plan), {"q": "acme"})).xpath("//nav[@class='pages']/a[.='Last']/@href")
        assert walk(alice, plan, last, "Previous") == there[::-1]


@pytest.mark.parametrize("few", [0, 5000])
def test_many_new_items_are_all_found(
    alice: Client, plan: ImportRun, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(reports, "MAX_LISTED_CHANGES", few)
    assert {"n1", "n2"} == changes(alice.get(url(plan), {"q": "velvet"})).keys()


def test_words_of_products_that_no_change_concerns_find_nothing_beside_other_choices(
    alice: Client, plan: ImportRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "MAX_SEARCHED_CHANGES", 0)
    add_product(id="elsewhere", title="Sombrero")
    page = alice.get(url(plan), {"q": "sombrero", "brand": "Acme"})
    assert page.status_code == 200
    assert changes(page) == {}


def test_a_word_of_a_new_item_is_no_misspelling(alice: Client, feed: Feed) -> None:
    applied(feed, *items(2, title="Velvets"))
    Word.renew()
    run = planned(feed, *items(2, title="Velvets", price="9.00 AED"), item("n", title="Velvetz"))
    page = alice.get(url(run), {"q": "velvetz"})
    assert [*changes(page)] == ["n"]
    assert page.context["corrected"] == {}
    page = alice.get(url(run), {"q": "velwets"})
    assert len(changes(page)) == 2
    assert page.context["corrected"] == {"velwets": "velvets"}


# --- what replaces a person's edit --------------------------------------------------------------------------
def test_a_change_says_whose_edit_it_replaces(alice: Client, plan: ImportRun) -> None:
    page = alice.get(url(plan), {"edit": "replaced"})
    assert [*changes(page)] == ["01", "02", "03"]
    chips = texts(page, "//span[contains(@class, 'replaces')]")
    assert len(chips) == 3
    assert re.fullmatch(r"Replaces .+’s edit of \d+ \w{3} \d\d:\d\d", chips[0])
    assert "; 3 replace a person’s edit" in heading(alice.get(url(plan)))


def test_what_is_left_out_replaces_no_edit(alice: Client, plan: ImportRun) -> None:
    pk = change(plan, "01").pk
    leave_out(plan, plan_hash=plan.plan_hash, by=None, change=pk, field="title")
    assert [*changes(alice.get(url(plan), {"edit": "replaced"}))] == ["02", "03"]
    take_again(plan, plan_hash=plan.plan_hash, by=None, change=pk)
    assert [*changes(alice.get(url(plan), {"edit": "replaced"}))] == ["01", "02", "03"]
    leave_out(plan, plan_hash=plan.plan_hash, by=None, field="price")
    assert [*changes(alice.get(url(plan), {"edit": "replaced"}))] == ["01", "03"]
    leave_out(plan, plan_hash=plan.plan_hash, by=None, field="extra.c:note")
    assert "; 1 replaces a person’s edit" in heading(alice.get(url(plan)))


def replacing(run: ImportRun) -> list[str]:
    return [*changes(browser("alice").get(url(run), {"edit": "replaced"}))]


def test_the_way_to_what_is_left_out_drops_filters_that_it_cannot_have(alice: Client, plan: ImportRun) -> None:
    leave_out(plan, plan_hash=plan.plan_hash, by=staff("alice"), change=change(plan, "01").pk)
    page = tree(alice.get(url(plan), {"tab": "changes", "brand": "Acme", "sort": "falls"}))
    (chip,) = [each for each in page.xpath("//div[@class='chips']/a") if "Left out" in each.text_content()]
    assert text_of(chip) == "Left out 1"
    assert [*changes(alice.get(url(plan) + chip.get("href")))] == ["01"]


def test_only_a_value_that_is_still_the_persons_is_replaced(feed: Feed) -> None:
    applied(feed, *items(5))
    edit("00001", price="50.000")  # and the next import sets its own
    edit("00002", title="By hand")  # and the plan changes another field
    edit("00003", pinned=["price"])  # which is no value
    edit("00004", price="50.000")
    edit("00004", price="100.000")  # as the file has it; a person set it all the same
    execute(planned(feed, *items(5)))
    run = planned(feed, item("00001", price="9.00 AED"), *[item(f"{n:05}", price="9.00 AED") for n in range(2, 6)])
    assert replacing(run) == ["00004"]


def test_a_product_that_a_person_archived_comes_back(feed: Feed) -> None:
    applied(feed, *items(2))
    edit("00001", archived_at=timezone.now())
    run = planned(feed, *items(2))
    assert replacing(run) == ["00001"]


def test_an_edit_in_another_market_is_no_matter(feed: Feed) -> None:
    applied(feed, *items(1))
    other = Market.objects.create(code="other", name="Other")
    elsewhere = Feed.objects.create(slug="elsewhere", name="Elsewhere", market=other)
    applied(elsewhere, *items(1))
    edit("00001", other.pk, price="50.000")
    assert replacing(planned(feed, item("00001", price="9.00 AED"))) == []
    assert replacing(planned(elsewhere, item("00001", price="9.00 AED"))) == ["00001"]


# --- their life ---------------------------------------------------------------------------------------------
def test_facets_stay_with_an_applied_plan_and_go_with_a_discarded_one(alice: Client, feed: Feed) -> None:
    run = execute(planned(feed, *items(2)))
    assert [*changes(alice.get(url(run), {"brand": "Noor"}))] == ["00001", "00002"]
    run = planned(feed, *items(3, price="9.00 AED"))
    discarded(run)
    assert not run.facets.exists()


def test_a_plan_from_before_offers_what_it_has(alice: Client, plan: ImportRun) -> None:
    plan.facets.all().delete()
    ImportRun.objects.filter(pk=plan.pk).update(meaning={"prices": [], "availability": []})
    page = alice.get(url(plan))
    assert choices(page) == {}
    assert len(changes(page)) == 16
    assert "velvet" not in str(changes(alice.get(url(plan), {"q": "velvet"})))


# --- issues and invalid items -------------------------------------------------------------------------------
@pytest.fixture
def faulty(feed: Feed) -> ImportRun:
    applied(feed, item("1", gtin="12"), item("2", mpn="x" * 71))
    return planned(
        feed, item("1", gtin="12"), item("2", price="x"), item("3", price="y", title="Odd one"), item("4", title=None)
    )


def findings(response: Any) -> list[str]:
    return texts(response, "//ul[@class='issues']/li//summary/span[@class='product']/code")


def test_issues_are_filtered_by_severity_and_trend(alice: Client, faulty: ImportRun) -> None:
    page = alice.get(url(faulty), {"tab": "issues"})
    links = tree(page).xpath("//div[@aria-label='Kinds of issue']/a[b]")
    assert {"New", "Still open", "Resolved", "Error"} <= {link.text.strip() for link in links}
    for link in links:
        assert len(findings(alice.get(url(faulty) + link.get("href")))) == int(link.xpath("b/text()")[0])
    assert "mpn.too_long" in findings(alice.get(url(faulty), {"tab": "issues", "trend": "resolved"}))
    assert findings(alice.get(url(faulty), {"tab": "issues", "trend": "no such"})) == []
    counted = alice.get(url(faulty), {"tab": "issues", "sort": "count"}).context["findings"]
    assert [each.count for each in counted] == sorted((each.count for each in counted), reverse=True)


def test_invalid_items_are_filtered_by_issue_and_text(alice: Client, faulty: ImportRun) -> None:
    def listed(**filters: str) -> list[str]:
        return findings(alice.get(url(faulty), {"tab": "invalid", **filters}))

    page = alice.get(url(faulty), {"tab": "invalid"})
    offered = choices(page)["code"]
    assert offered
    for code, number in offered.items():
        assert len(listed(code=code)) == number
    assert listed() == ["2", "3", "4"]
    assert listed(q="odd") == ["3"]
    assert listed(q="4") == ["4"]
    assert listed(q="%") == listed(code="' OR 1") == []
    assert texts(alice.get(url(faulty), {"tab": "invalid", "q": "odd"}), "//*[@role='status']") == ["One item matches."]


def test_no_number_is_said_of_a_list_with_what_is_left_out(alice: Client, plan: ImportRun) -> None:
    leave_out(plan, plan_hash=plan.plan_hash, by=None, change=change(plan, "00").pk)
    for filters in ({"q": "0"}, {"outcome": "left_out"}):
        page = alice.get(url(plan), filters)
        assert changes(page)
        assert texts(page, "//*[@role='status']") == []
    page = alice.get(url(plan), {"q": "0", "brand": "Acme"})
    assert texts(page, "//*[@role='status']") == [f"{len(changes(page))} changes match."]
