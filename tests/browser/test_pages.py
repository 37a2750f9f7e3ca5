"""What only a browser shows: pages that move, and keys."""

import re
import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from catalog.models import Feed, Mode, Product, Status
from catalog.tests.factories.files import feed_of, item
from catalog.tests.factories.imports import planned, received
from catalog.tests.pages import UPLOAD, url

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
    expect(page.get_by_role("button", name="Confirm: add 1 product")).to_be_visible()
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
