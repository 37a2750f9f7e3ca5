"""The command palette: what it finds for whom."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import User
from catalog.models import Feed, Market
from catalog.tests.admin.test_products import page_of, product
from catalog.tests.factories import applied, item
from catalog.tests.pages import UPLOAD, staff, tree, url

pytestmark = pytest.mark.django_db


def found(client: Client, typed: str) -> dict[str, str]:
    """Title and address of what the palette finds."""
    page: Any = client.get(reverse("admin:search"), {"s": typed, "extended": "1"})
    assert page.status_code == 200
    links = tree(page).xpath("//ul[@id='command-results-list']//a")
    return {link.get("data-title"): link.get("href") for link in links}


def test_products_are_found_by_id_and_title(bob: Client) -> None:
    product("SKU-7", title="Silk dress")
    product("SKU-8", title="Linen shirt", archived_at="2026-01-01T00:00Z")
    assert found(bob, "SKU-") == {"Silk dress": page_of("SKU-7")}
    assert found(bob, "silk") == {"Silk dress": page_of("SKU-7")}
    assert found(bob, "nothing at all") == {}


def test_products_are_those_of_the_market_that_is_looked_at(bob: Client, feed: Feed) -> None:
    other = Market.objects.create(code="sa", name="Saudi Arabia")
    applied(Feed.objects.create(name="There", slug="there", market=other), item("SKU-9", title="Silk there"))
    product("SKU-9", title="Silk here")
    assert "Silk there" not in found(bob, "sku-9 silk") | found(bob, "SKU-9")
    bob.get(reverse("admin:catalog_product_changelist"), {"market": "sa"})
    assert found(bob, "SKU-9") == {"Silk there": f"{page_of('SKU-9')}?market=sa"}
    assert "Switch to the market Saudi Arabia" in found(bob, "switch")


def test_what_is_found_is_of_the_moment(bob: Client, feed: Feed) -> None:
    """Not of the market that was looked at before, and not for somebody who may no longer look."""
    other = Market.objects.create(code="sa", name="Saudi Arabia")
    applied(Feed.objects.create(name="There", slug="there", market=other), item("SKU-9", title="Silk there"))
    product("SKU-9", title="Silk here")
    assert found(bob, "silk").keys() == {"Silk here"}
    bob.get(reverse("admin:catalog_product_changelist"), {"market": "sa"})
    assert found(bob, "silk").keys() == {"Silk there"}
    User.objects.get(username="bob").groups.clear()
    assert found(bob, "silk") == {}


@pytest.mark.parametrize("page", ["0", "99", "x", ""])
def test_a_page_that_is_not_there_is_the_nearest(page: str, mona: Client) -> None:
    answer = mona.get(reverse("admin:search"), {"s": "import", "extended": "1", "page": page})
    assert "Import a feed" in answer.content.decode()


@pytest.mark.parametrize("typed", ["{}", "#{}", "Import {}", "import #{}"])
def test_an_import_is_found_by_its_number(typed: str, bob: Client, feed: Feed) -> None:
    run = applied(feed, item("1"))
    assert found(bob, typed.format(run.pk))[f"Import {run.pk}"] == url(run)


def test_imports_are_found_by_their_file_and_feeds_by_their_name(ida: Client, bob: Client, feed: Feed) -> None:
    run = applied(feed, item("1"))
    assert found(bob, run.file_name)[f"Import {run.pk}"] == url(run)
    page = reverse("admin:catalog_feed_change", args=[feed.pk])
    assert found(ida, feed.name) == {feed.name: page, f"Import into {feed}": f"{UPLOAD}?feed={feed.pk}"}
    assert found(bob, feed.slug)[feed.name] == page


@pytest.mark.parametrize(
    ("name", "can"),
    [
        ("charlie", set[str]()),
        ("bob", {"Export products"}),
        ("ida", {"Export products", "Import a feed"}),
        ("mona", {"Export products", "Import a feed", "Add a feed", "Invite somebody"}),
    ],
)
def test_an_action_is_found_by_who_may_do_it(name: str, can: set[str], client: Client) -> None:
    client.force_login(staff(name))
    product("SKU-7", title="Silk")
    titles = {"Export products", "Import a feed", "Add a feed", "Invite somebody"}
    shown = {*found(client, "feed"), *found(client, "export"), *found(client, "invite")}
    assert shown & titles == can
    assert bool(found(client, "SKU-7")) == (name != "charlie")


@pytest.mark.parametrize("typed", ["\x01", "%", "_", "'", "\\", "x" * 5000, "<script>", "9" * 40, "import"])
def test_nothing_typed_into_the_palette_is_an_error(typed: str, mona: Client) -> None:
    product("1")
    found(mona, typed)


def test_what_is_typed_costs_few_queries(mona: Client, feed: Feed) -> None:
    applied(feed, *(item(f"SKU-{place}") for place in range(20)))
    with CaptureQueriesContext(connection) as captured:
        assert len(found(mona, "SKU-1")) >= 1
    assert len(captured) <= 14
