"""What is wrong with a file, on its import's page: every number is a list, and every attribute has its share."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from catalog.imports.discard import clean_up
from catalog.imports.reading.stage import stage
from catalog.imports.reports.coverage import cover_run
from catalog.models import Feed, ImportRun
from catalog.tests.factories import FLAWLESS, applied, execute, item, items, planned, received
from catalog.tests.pages import UPLOAD, browser, text_of, texts, tree, url, with_class

pytestmark = pytest.mark.django_db

BLANK = dict.fromkeys(FLAWLESS)


def listed(page: Any) -> list[str]:
    return texts(page, "//ul[@class='issues']//summary//code")


# --- the items of an issue ----------------------------------------------------------------------------
def test_an_issue_leads_to_its_items(bob: Client, feed: Feed) -> None:
    run = planned(feed, item("1"), item("2", gtin="12"), item("3", price="x"), item("4", gtin="123", price="x"))
    links = tree(bob.get(url(run), {"tab": "issues"})).xpath("//p[@class='advice']/a/@href")
    assert "?tab=issues&code=gtin.length&attribute=gtin" in links
    page = bob.get(f"{url(run)}?tab=issues&code=gtin.length&attribute=gtin")
    assert listed(page) == ["2", "4"]
    states = texts(page, f"//ul[@class='issues']//summary/span[{with_class('severity')}]")
    assert states == ["valid", "invalid"]
    assert "Found 2 times. Check whether a spreadsheet" in text_of(tree(page))


def test_what_a_comparison_found_is_said_of_its_items(bob: Client, feed: Feed) -> None:
    run = planned(feed, item("1", gtin="4006381333931"), item("2"), item("2", gtin="4006381333931"))
    page = bob.get(f"{url(run)}?tab=issues&code=gtin.duplicate&attribute=gtin")
    assert listed(page) == ["1", "2"]
    assert "4006381333931, also of 2" in text_of(tree(page))
    page = bob.get(f"{url(run)}?tab=issues&code=id.duplicate&attribute=id")
    assert listed(page) == ["2"]
    assert "The id appears again later in the file" in text_of(tree(page).xpath("//ul[@class='issues']")[0])


def test_the_items_of_an_issue_are_paged_by_key(bob: Client, feed: Feed) -> None:
    run = planned(feed, *items(120, price="?"), item("x"))
    address = f"{url(run)}?tab=issues&code=price.format&attribute=price"
    with CaptureQueriesContext(connection) as captured:
        page = bob.get(address)
    assert len(listed(page)) == 50
    assert len(captured) < 20
    (last,) = tree(page).xpath("//nav[@class='pages']/a[.='Last']/@href")
    assert listed(bob.get(url(run) + last))[-1] == "00120"


def test_after_the_end_the_invalid_items_are_still_listed(bob: Client, feed: Feed) -> None:
    run = execute(planned(feed, item("1", gtin="12"), item("2", gtin="12", price="x"), item("3", mpn="x" * 71)))
    clean_up(run)
    page = bob.get(f"{url(run)}?tab=issues&code=gtin.length&attribute=gtin")
    assert listed(page) == ["2"]
    assert "Only its invalid items are kept" in page.content.decode()
    page = bob.get(f"{url(run)}?tab=issues&code=mpn.too_long&attribute=mpn")
    assert "were kept until the import ended" in page.content.decode()


@pytest.mark.parametrize("code", ["no.such", "<script>", "feed.supplemental", "x" * 5000])
def test_a_code_that_nothing_has_is_an_empty_list(bob: Client, feed: Feed, code: str) -> None:
    page = bob.get(url(planned(feed, item("1"))), {"tab": "issues", "code": code})
    assert page.status_code == 200
    assert "No item has this issue." in page.content.decode()


def test_what_is_wrong_with_the_file_has_no_items(bob: Client, feed: Feed) -> None:
    applied(feed, item("1"))
    page = bob.get(url(planned(feed, item("1", **BLANK | {"quantity": "1"}))), {"tab": "issues"})
    assert not tree(page).xpath("//p[@class='advice']/a[contains(@href, 'code=')]")


# --- attributes ---------------------------------------------------------------------------------------
def shares(page: Any) -> dict[str, list[str]]:
    rows = tree(page).xpath(f"//div[{with_class('covered')}]//tbody/tr")
    return {text_of(row[0]): [text_of(cell) for cell in row[1:]] for row in rows}


def test_each_attribute_has_its_share_of_the_items(bob: Client, feed: Feed) -> None:
    run = planned(
        feed, item("1", color="Red", quantity="0", heel="7"), item("2", adult="no", c__sole="red"), item("3", price="x")
    )
    found = shares(bob.get(url(run), {"tab": "attributes"}))
    assert found["color"] == ["1", "33.3 %"]
    assert found["quantity"] == found["adult"] == found["heel"] == found["c:sole"] == ["1", "33.3 %"]
    assert found["price required"] == ["2", "66.7 %"]
    assert found["title required"] == ["3", "100.0 %"]
    assert "gtin" not in found


def test_shares_are_compared_with_the_run_before(bob: Client, feed: Feed, other_feed: Feed) -> None:
    planned(other_feed, item("1", size="M"))
    first = applied(feed, *items(4, color="Red", mpn="1"))
    run = planned(feed, item("1"), item("2", color="Red"), item("3", color="Red"), item("4", color="Red", size="M"))
    page = bob.get(url(run), {"tab": "attributes"})
    found = {name: cells[-1] for name, cells in shares(page).items()}
    assert (found["color"], found["size"], found["mpn"], found["title required"]) == ("−25.0", "+25.0", "=", "=")
    assert f"{url(first)}?tab=attributes" in tree(page).xpath("//a/@href")
    assert cover_run(first).previous is None


def test_what_is_gone_altogether_is_shown_as_gone(bob: Client, feed: Feed) -> None:
    applied(feed, item("1", color="Red", heel="7"))
    found = shares(bob.get(url(planned(feed, item("1", brand=None))), {"tab": "attributes"}))
    assert found["color"] == found["heel"] == ["0", "0.0 %", "−100.0"]
    page = bob.get(url(ImportRun.objects.latest("pk")), {"tab": "attributes"})
    assert "which products should have: brand." in text_of(tree(page))


@pytest.mark.parametrize(("name", "offered"), [("mona", 1), ("bob", 0)])
def test_names_of_no_attribute_lead_to_the_settings(feed: Feed, name: str, offered: int) -> None:
    page = browser(name).get(url(planned(feed, item("1", Farbe="Rot"))), {"tab": "attributes"})
    assert "Unknown attributes" in page.content.decode()
    way = reverse("admin:catalog_feed_change", args=[feed.pk])
    assert len(tree(page).xpath(f"//div[@class='run']//a[@href='{way}']")) == offered


def test_a_value_that_was_set_aside_does_not_count(feed: Feed) -> None:
    run = planned(feed, item("1", gender="Herren", link="https://e.com/a b"), item("2", gender="male"))
    assert (run.coverage["gender"], run.coverage["link"]) == (1, 2)
    assert not {"link_orig_value"} & run.coverage.keys()


def test_a_run_that_was_not_measured_says_so(bob: Client, feed: Feed) -> None:
    run = planned(feed, item("1"))
    ImportRun.objects.filter(pk=run.pk).update(coverage={})
    assert "were not counted" in bob.get(url(run), {"tab": "attributes"}).content.decode()


# --- products that are missing -----------------------------------------------------------------------
def test_a_sync_lists_what_is_missing_and_what_becomes_of_it(bob: Client, feed: Feed) -> None:
    before = applied(feed, *items(4), mode="sync")
    run = planned(feed, *items(2), mode="sync")
    page = bob.get(url(run), {"tab": "missing"})
    assert texts(page, "//ul[@class='changes']//summary//code") == ["00003", "00004"]
    assert "2 products of this feed are not in the file. They are archived with all their data" in text_of(tree(page))
    assert f"{url(before)}?tab=missing" in tree(page).xpath("//a/@href")
    assert "Missing from the file 2" in texts(page, "//nav[@class='tabs']/a")
    page = bob.get(url(before), {"tab": "missing"})
    assert "Every product of this feed is in the file." in text_of(tree(page))


def test_only_a_sync_asks_what_is_missing(bob: Client, feed: Feed) -> None:
    applied(feed, *items(4))
    page = bob.get(url(planned(feed, *items(2))), {"tab": "missing"})
    assert "Missing" not in " ".join(texts(page, "//nav[@class='tabs']/a"))
    assert texts(page, "//nav[@class='tabs']/a[@aria-current]") == ["Changes"]


# --- supplemental feeds -------------------------------------------------------------------------------
def test_a_supplement_says_what_products_keep(bob: Client, feed: Feed) -> None:
    applied(feed, *items(3))
    stock = BLANK | {"availability": "out_of_stock", "quantity": "0"}
    run = planned(feed, *items(3, **stock), item("new", **stock))
    (said,) = texts(bob.get(url(run)), f"//p[{with_class('kept')}]")
    assert said == (
        "Supplemental feed: title, link and price are missing from the whole file. 3 items belong to existing "
        "products, which keep their own values. Items of new or archived products are invalid without them."
    )
    assert not texts(bob.get(url(planned(feed, *items(3)))), f"//p[{with_class('kept')}]")


# --- from the list of invalid items to the next upload ------------------------------------------------
@pytest.mark.parametrize(("name", "offered"), [("ida", 1), ("bob", 0)])
def test_the_way_to_upload_the_corrected_file_chooses_feed_and_mode(
    feed: Feed, other_feed: Feed, name: str, offered: int
) -> None:
    run = planned(feed, item("1"), item("2", price="x"), mode="sync")
    received(other_feed, b"<rss/>", mode="sync")
    client = browser(name)
    links = tree(client.get(url(run), {"tab": "invalid"})).xpath(
        f"//p[@class='downloads']/a[contains(@href, '{UPLOAD}')]"
    )
    assert len(links) == offered
    for link in links:
        form = client.get(link.get("href"))
        assert texts(form, "//select[@name='feed']/option[@selected]") == ["Ounass"]
        assert [radio.get("value") for radio in tree(form).xpath("//input[@name='mode'][@checked]")] == ["update"]


@pytest.mark.parametrize("query", [{"feed": "x", "mode": "wipe"}, {"feed": "999999"}, {"mode": "<script>"}])
def test_an_address_that_chooses_nothing_is_a_form_all_the_same(feed: Feed, query: dict[str, str]) -> None:
    assert browser("ida").get(UPLOAD, query).status_code == 200


def test_an_error_of_the_reading_leaves_no_lists(feed: Feed) -> None:
    run = received(feed, b"<rss><channel><item></channel></rss>")
    stage(run)
    assert not run.item_issues.exists()


def test_a_file_with_its_data_in_its_names_has_few_shares(feed: Feed) -> None:
    run = planned(feed, *(item(str(n), **{f"name-{n}-{m}": "x" for m in range(100)}) for n in range(9)))
    assert 400 < len(run.coverage) < 600


# --- issues and invalid items -------------------------------------------------------------------------
def test_issues_stand_with_count_advice_and_examples_the_worst_first(bob: Client, feed: Feed) -> None:
    run = planned(feed, *items(7, price="12,50 AED"), item("8", price="abc", brand=None))
    page = bob.get(url(run), {"tab": "issues"})
    found = [text_of(row) for row in tree(page).xpath("//ul[@class='issues']/li/details/summary")]
    assert found == [
        "error The value is not an amount of money price.format price 1 · 12.5 %",
        "warning The amount is written in an unusual way price.lenient price 7 · 87.5 %",
        "warning brand is missing brand.missing brand 1 · 12.5 %",
    ]
    worst, lenient, _ = tree(page).xpath("//ul[@class='issues']/li")
    assert "Write it as 155.00 AED: digits, a point, the currency." in text_of(worst)
    assert "Expected: An amount and an ISO 4217 currency, for example 155.00 AED." in text_of(worst)
    assert [text_of(cell) for cell in worst.xpath(".//tbody//td")][:3] == ["9", "8", "abc"]
    assert len(lenient.xpath(".//tbody/tr[not(.//details)]")) == 5


def test_a_flawless_feed_has_no_issues(bob: Client, feed: Feed) -> None:
    run = planned(feed, *items(2))
    for tab, sentence in (("issues", "No issues."), ("invalid", "No item is invalid.")):
        assert sentence in text_of(tree(bob.get(url(run), {"tab": tab})))


def test_an_invalid_item_says_where_what_and_how_to_fix_it(bob: Client, feed: Feed) -> None:
    run = planned(feed, *items(2, price="12,50 AED"), item("bad", price="1,234 AED", availability="soon", title=None))
    page = bob.get(url(run), {"tab": "invalid"})
    (row,) = tree(page).xpath("//ul[@class='issues']/li")
    assert text_of(row.xpath(".//summary")[0]) == "invalid – bad line 4"
    lines = {text_of(line[0]): [text_of(cell) for cell in line[1:]] for line in row.xpath(".//tbody/tr")}
    assert lines["price"][0].startswith("error The amount can be read in two ways")
    assert lines["price"][1:3] == ["4", "1,234 AED"]
    assert "1234.00 AED" in lines["price"][4]
    choices = "in_stock, out_of_stock, preorder, backorder."
    assert lines["availability"][1:] == ["4", "soon", f"One of: {choices}", f"Use one of: {choices}"]
    assert lines["title"][3] == "Text, up to 150 characters."
    assert "Add title to every item." in lines["title"][4]


def test_invalid_items_are_paged(bob: Client, feed: Feed) -> None:
    run = planned(feed, *items(120, price="?"))
    page = bob.get(url(run), {"tab": "invalid"})
    (last,) = tree(page).xpath("//nav[@class='pages']/a[.='Last']/@href")
    assert texts(bob.get(url(run) + last), "//ul[@class='issues']//code")[-1] == "00120"


def test_invalid_items_stay_to_be_read_after_the_end(bob: Client, feed: Feed) -> None:
    run = applied(feed, *items(2), item("bad", price="?"))
    clean_up(run)
    assert texts(bob.get(url(run), {"tab": "invalid"}), "//ul[@class='issues']//code") == ["bad"]
