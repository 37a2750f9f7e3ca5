"""What only a browser shows: pages that move, keys, and narrow screens."""

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from catalog.models import Feed, Mode, Product, Status
from catalog.tests.factories.files import feed_of, item
from catalog.tests.factories.imports import planned, received
from catalog.tests.pages import PRODUCTS, RUNS, UPLOAD, url
from tests.browser.conftest import DESKTOP, PHONE

PageOf = Callable[..., Page]


def test_the_end_of_an_import_reloads_its_page_once_however_slow_that_is(
    page_of: PageOf, feed: Feed, settings: Any
) -> None:
    run = received(feed, feed_of(item("A1")))
    page = page_of("alice")
    page.goto(url(run))
    expect(page.get_by_role("heading", name="Waiting for a worker")).to_be_visible()

    reloads = []

    def answer_slowly(route: Any) -> None:
        reloads.append(route.request.url)
        time.sleep(2)
        route.continue_()

    page.route(re.compile("/change/$"), answer_slowly)
    planned_run = planned(feed, item("B2"))
    type(run).objects.filter(pk=run.pk).update(
        status=Status.REVIEW, plan_hash=planned_run.plan_hash, items=1, created=1
    )
    expect(page.get_by_role("button", name="Confirm: add 1 product")).to_be_visible(timeout=10_000)
    assert len(reloads) == 1


def test_choosing_a_feed_sets_its_mode_and_says_what_may_be_archived(page_of: PageOf, feed: Feed) -> None:
    feed.mode = Mode.SYNC
    feed.save()
    Product.objects.bulk_create([Product(id=f"p{n}", feed=feed) for n in range(3)])
    other = Feed.objects.create(name="Other", slug="other", mode=Mode.UPDATE)
    page = page_of("alice")
    page.goto(f"{UPLOAD}?feed={feed.pk}")
    at_stake = page.get_by_text("This is the only choice that takes products out of the catalogue.")
    expect(at_stake).to_be_visible()
    expect(at_stake).to_contain_text("3 products")
    page.locator("[name=feed]").select_option(str(other.pk))
    expect(page.locator('[name="mode"][value="update"]')).to_be_checked()
    expect(at_stake).to_be_hidden()
    page.locator('[name="mode"][value="sync"]').check()
    expect(at_stake).to_contain_text("0 products")


def test_the_sidebar_and_ones_own_menu_open_by_keyboard(page_of: PageOf) -> None:
    page = page_of("mona")
    page.goto("/admin/")
    group = page.locator("#nav-sidebar-apps").get_by_role("button", name="People")
    expect(group).to_have_attribute("aria-expanded", "false")
    group.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Roles")).to_be_visible()
    expect(group).to_have_attribute("aria-expanded", "true")
    page.get_by_role("button", name="mona").focus()
    page.keyboard.press(" ")
    expect(page.get_by_role("link", name="Change password")).to_be_visible()


def test_no_page_is_wider_than_a_phone(page_of: PageOf, feed: Feed) -> None:
    run = planned(feed, item("A1"))
    Product.objects.bulk_create([Product(id="B2", feed=feed, title="A bag", link="https://example.com/" + "long" * 40)])
    page = page_of("alice", size=PHONE)
    for address in ("/admin/", PRODUCTS, f"{PRODUCTS}B2/change/", f"{PRODUCTS}B2/history/", RUNS, url(run), UPLOAD):
        page.goto(address)
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE[0], f"{address} is {width} wide"


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(page_of: PageOf, feed: Feed, scheme: str, size: tuple[int, int]) -> None:
    run = planned(feed, item("A1"), item("B2", price="free"))
    Product.objects.bulk_create([Product(id="C3", feed=feed, title="A bag", brand="Gucci", availability="in_stock")])
    page = page_of("mona", size=size, color_scheme=scheme)
    found = []
    addresses = ["/admin/", PRODUCTS, f"{PRODUCTS}C3/change/", f"{PRODUCTS}C3/history/", RUNS, UPLOAD]
    for address in [*addresses, url(run), f"{url(run)}?tab=issues", f"{url(run)}?tab=invalid"]:
        page.goto(address)
        for violation in Axe().run(page).response["violations"]:
            if violation["impact"] in ("serious", "critical"):
                found += [f"{address}: {violation['id']}: {node['html'][:200]}" for node in violation["nodes"]]
    assert not found, "\n".join(found)
