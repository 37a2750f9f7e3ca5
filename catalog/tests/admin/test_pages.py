"""The lists of an import's page, page by page: every row is met once, and no address is an error."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from catalog.models import Feed, ImportRun
from catalog.tests.factories import applied, item, items, planned
from catalog.tests.pages import changes, tree, url, with_class

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(feed: Feed) -> ImportRun:
    """Waiting to be confirmed: two new products."""
    return planned(feed, *items(2))


def walk(client: Client, run: ImportRun, start: str, link: str) -> list[str]:
    """Product ids of every page from `start` on, following the link of that name."""
    found: list[str] = []
    address = start
    while address:
        page = client.get(url(run) + address)
        found += changes(page) if link == "Next" else list(changes(page))[::-1]
        address = "".join(tree(page).xpath("//nav[@class='pages']/a[normalize-space()=$link]/@href", link=link))
    return found


@pytest.mark.parametrize(("query", "count"), [("?tab=changes", 127), ("?tab=changes&operation=update", 100)])
def test_walking_the_pages_meets_every_change_once(alice: Client, feed: Feed, query: str, count: int) -> None:
    applied(feed, *items(100))
    run = planned(feed, *items(127, title="Linen dress"))
    there = walk(alice, run, query, "Next")
    (last,) = tree(alice.get(url(run) + query)).xpath("//nav[@class='pages']/a[.='Last']/@href")
    back = walk(alice, run, last, "Previous")
    assert there == back[::-1]
    assert sorted(there) == [f"{n:05}" for n in range(1, count + 1)]


def test_the_links_to_the_ends_lead_there(alice: Client, feed: Feed) -> None:
    run = planned(feed, *items(127))
    first = alice.get(url(run))
    (to_last,) = tree(first).xpath("//nav[@class='pages']/a[.='Last']/@href")
    last = alice.get(url(run) + to_last)
    (to_first,) = tree(last).xpath("//nav[@class='pages']/a[.='First']/@href")
    assert list(changes(last))[-1] == "00127"
    assert changes(alice.get(url(run) + to_first)) == changes(first)


def test_a_single_page_needs_no_links(alice: Client, feed: Feed) -> None:
    assert not tree(alice.get(url(planned(feed, *items(50))))).xpath("//nav[@class='pages']")


GARBAGE = ["0", "-1", "²", "9" * 19, "9" * 30, "1\x00", "'", "\ud800"]


@pytest.mark.parametrize("tab", ["changes", "invalid"])
@pytest.mark.parametrize("place", ["after", "before", "operation", "outcome", "product_id", "tab", "q"])
def test_no_address_is_an_error(alice: Client, feed: Feed, tab: str, place: str) -> None:
    run = planned(feed, *items(2), item("3", price="?"))
    for text in GARBAGE if place in ("after", "before") else GARBAGE[-3:]:
        query = urlencode({"tab": tab, place: text.encode("utf-8", "surrogatepass")})
        wanted = 400 if "\x00" in text else 200
        assert alice.get(f"{url(run)}?{query}").status_code == wanted, query


@pytest.mark.parametrize("query", [{"after": "999999999"}, {"before": "0"}, {"before": "1"}])
def test_an_address_beyond_the_list_leads_back(alice: Client, run: ImportRun, query: dict[str, str]) -> None:
    page = alice.get(url(run), query)
    assert all(tree(page).xpath("//nav[@class='pages']/a/@href"))
    assert changes(page) or tree(page).xpath(f"//*[{with_class('empty')}]/a[@href='?tab=changes']")


@pytest.mark.parametrize("tab", ["changes", "issues", "invalid"])
def test_a_page_asks_as_often_for_fifty_rows_as_for_one(alice: Client, feed: Feed, tab: str) -> None:
    def queries(run: ImportRun) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert alice.get(url(run), {"tab": tab}).status_code == 200
        return len(captured)

    applied(feed, *items(30))
    one = planned(feed, item("00001", title="x"), item("8"), item("9", price="?"))
    many = planned(feed, *items(60, title="x"), *[item(f"x{n}", price="?", gtin="1") for n in range(60)])
    queries(one)
    assert queries(many) == queries(one) <= 18
