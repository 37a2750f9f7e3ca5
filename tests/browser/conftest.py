"""Pages in Chromium, as people meet them. `make test-browser` runs these tests; `make test` leaves them out."""

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from playwright.sync_api import Browser, Page, expect, sync_playwright

from catalog.models import Feed
from catalog.tests.pages import browser as logged_in_client

# Playwright runs an event loop in the thread of the tests, in which Django would refuse to talk to the database.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

DESKTOP, PHONE = (1280, 900), (390, 844)
expect.set_options(timeout=30_000)  # on a busy machine a page takes its time


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.fail("Chromium is not there. On Debian and Ubuntu: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def feed(transactional_db: None) -> Feed:
    return Feed.objects.create(name="Ounass", slug="ounass")


@pytest.fixture
def page_of(chromium: Browser, live_server: Any, feed: Feed) -> Iterator[Callable[..., Page]]:
    """A page of one of the cast, logged in. Only the live server can be reached."""
    contexts = []

    def open_page(name: str, *, size: tuple[int, int] = DESKTOP, **options: Any) -> Page:
        context = chromium.new_context(
            base_url=live_server.url, viewport={"width": size[0], "height": size[1]}, **options
        )
        contexts.append(context)
        session = logged_in_client(name).cookies[settings.SESSION_COOKIE_NAME].value
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}])
        context.route(lambda url: not url.startswith(live_server.url), lambda route: route.abort())
        return context.new_page()

    yield open_page
    for context in contexts:
        context.close()


def open_palette(page: Page) -> None:
    """On the first page, as people see it: nobody types before the cursor is there."""
    page.goto("/admin/")
    page.keyboard.press("Control+k")
    expect(page.get_by_placeholder("Type to search")).to_be_focused()
