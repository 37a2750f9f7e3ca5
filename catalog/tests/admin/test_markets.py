"""Markets in the admin: one is chosen and stays chosen, and a product is seen beside itself in the others."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.test import Client
from django.urls import reverse

from catalog.models import DEFAULT_MARKET, Feed, Market, Product
from catalog.tests.admin.test_products import page_of
from catalog.tests.factories import add_product, applied, edit, items, planned
from catalog.tests.pages import EXPORT, PRODUCTS, RUNS, UPLOAD, browser, messages, text_of, texts, tree, url
from catalog.tests.test_resources import export

pytestmark = pytest.mark.django_db
INDEX, FEEDS, MARKETS = (
    reverse(f"admin:{page}") for page in ("index", "catalog_feed_changelist", "catalog_market_changelist")
)
ARABIC = {"title": "فستان", "description": "فستان سهرة أنيق من الحرير", "price": "100.00 SAR"}


@pytest.fixture
def saudi(feed: Feed) -> Market:
    Market.objects.filter(pk=DEFAULT_MARKET).update(code="ae-en", name="UAE, English", language="en", currency="AED")
    return Market.objects.create(code="sa-ar", name="Saudi Arabia, Arabic", language="ar", currency="SAR")


@pytest.fixture
def shelf(feed: Feed, saudi: Market) -> Feed:
    """The ids 1 to 6 in English, 3 to 8 in Arabic; returns the Arabic feed."""
    riyadh = Feed.objects.create(name="Riyadh", slug="riyadh", market=saudi)
    applied(feed, *items(6))
    applied(riyadh, *items(8, **ARABIC))
    Product.objects.filter(market=saudi, id__in=["00001", "00002"]).delete()
    return riyadh


def listed(client: Client, address: str = PRODUCTS) -> list[str]:
    page = client.get(address)
    assert page.status_code == 200
    return [product.id for product in page.context["cl"].result_list]


def ids(first: int, last: int) -> list[str]:
    return [f"{n:05}" for n in range(first, last + 1)]


# --- while there is one -------------------------------------------------------------------------------
def test_nobody_sees_the_word_while_there_is_one_market(mona: Client, feed: Feed) -> None:
    run = applied(feed, *items(2))
    feed_page = reverse("admin:catalog_feed_change", args=[feed.pk])
    history = page_of("00001").replace("change", "history")
    for address in (INDEX, PRODUCTS, page_of("00001"), history, EXPORT, UPLOAD, RUNS, url(run), FEEDS, feed_page):
        page = mona.get(address)
        assert page.status_code == 200
        assert not re.search(r"\bmarkets?\b", text_of(tree(page).body), re.IGNORECASE), address
    assert "market" not in mona.session


def test_the_second_market_is_added_at_an_address_that_the_how_to_names(mona: Client) -> None:
    form = {"name": "Kuwait", "code": "kw-ar", "country": "KW", "language": "ar", "currency": "KWD"}
    assert mona.post(f"{MARKETS}add/", form).status_code == 302
    assert Market.objects.get(code="kw-ar").script == "Arabic"
    assert 'href="/admin/catalog/market/"' in mona.get(INDEX).content.decode()
    for name, wrong in (("country", "Kuwait"), ("language", "arabic!"), ("currency", "dinar"), ("code", "kw ar")):
        assert mona.post(f"{MARKETS}add/", {**form, "code": "x", name: wrong}).context["adminform"].form.errors


def test_the_default_market_cannot_be_deleted(saudi: Market) -> None:
    from accounts.models import User

    root = Client()
    root.force_login(User.objects.create_superuser("root", "root@example.com"))
    addresses = [reverse("admin:catalog_market_delete", args=[key]) for key in (DEFAULT_MARKET, saudi.pk)]
    assert [root.post(address, {"post": "yes"}).status_code for address in addresses] == [403, 302]
    assert [*Market.objects.values_list("pk", flat=True)] == [DEFAULT_MARKET]


def test_a_market_with_a_feed_is_not_deleted(shelf: Feed, saudi: Market) -> None:
    from accounts.models import User

    root = Client()
    root.force_login(User.objects.create_superuser("root", "root@example.com"))
    root.post(reverse("admin:catalog_market_delete", args=[saudi.pk]), {"post": "yes"})
    assert Market.objects.count() == 2


# --- the choice ---------------------------------------------------------------------------------------
def test_a_choice_stays_and_everything_follows_it(bob: Client, feed: Feed, shelf: Feed) -> None:
    assert listed(bob) == ids(1, 6)
    assert listed(bob, f"{PRODUCTS}?market=sa-ar") == ids(3, 8)
    assert listed(bob) == ids(3, 8)
    assert listed(bob, f"{PRODUCTS}?q=silk") == []
    assert sorted(row["id"] for row in export(bob, "csv")) == ids(3, 8)
    assert [run.feed for run in bob.get(RUNS).context["cl"].result_list] == [shelf]
    assert [*bob.get(FEEDS).context["cl"].result_list] == [shelf]
    assert "6 products" in text_of(tree(bob.get(f"{INDEX}?count")).body)
    assert bob.get(INDEX).context["feeds"][0]["feed"] == shelf
    assert len(bob.get(INDEX).context["feeds"]) == 1
    assert listed(bob, f"{PRODUCTS}?market=ae-en") == ids(1, 6)
    assert listed(bob) == ids(1, 6)
    assert listed(browser("alice")) == ids(1, 6)


def test_an_export_is_of_the_market_whose_form_was_shown(bob: Client, shelf: Feed) -> None:
    shown = bob.get(f"{EXPORT}?q=0000", follow=True)
    assert shown.redirect_chain == [(f"{EXPORT}?q=0000&market=ae-en", 302)]
    listed(bob, f"{PRODUCTS}?market=sa-ar")  # in another tab
    assert sorted(row["id"] for row in export(bob, "csv", "?q=0000&market=ae-en")) == ids(1, 6)
    assert tree(shown).xpath("//form[@method='POST']/@action") == [""]


@pytest.mark.parametrize("address", [PRODUCTS, INDEX, RUNS, FEEDS, reverse("admin:catalog_refusedfile_changelist")])
def test_the_choice_leads_to_the_same_page(mona: Client, shelf: Feed, address: str) -> None:
    links = tree(mona.get(f"{address}?market=sa-ar")).xpath("//details[contains(@class, 'markets')]//a/@href")
    assert links == [f"{address}?market=ae-en", f"{address}?market=sa-ar"]
    assert [mona.get(link).status_code for link in links] == [200, 200]


def test_a_choice_that_is_none_is_no_choice(bob: Client, shelf: Feed) -> None:
    assert listed(bob, f"{PRODUCTS}?market=xx") == ids(1, 6)
    listed(bob, f"{PRODUCTS}?market=sa-ar")
    assert listed(bob, f"{PRODUCTS}?market=xx") == ids(3, 8)


def test_who_may_not_see_products_is_offered_no_market(shelf: Feed) -> None:
    assert "markets" not in browser("charlie").get(INDEX).content.decode()


def test_the_filter_has_the_feeds_of_the_market(bob: Client, feed: Feed, shelf: Feed) -> None:
    for code, name in (("ae-en", feed.name), ("sa-ar", shelf.name)):
        filters = bob.get(f"{PRODUCTS}?market={code}").context["cl"].filter_specs
        feeds = next(each for each in filters if getattr(each, "field_path", "") == "feed")
        assert [label for _, label in feeds.lookup_choices] == [name]


# --- one product --------------------------------------------------------------------------------------
def test_an_address_without_a_market_is_of_the_default_one(mona: Client, shelf: Feed) -> None:
    listed(mona, f"{PRODUCTS}?market=sa-ar")
    assert mona.get(page_of("00003")).context["original"].market_id == DEFAULT_MARKET
    assert listed(mona) == ids(1, 6)


def test_links_of_a_list_lead_to_its_market(mona: Client, shelf: Feed, saudi: Market) -> None:
    page = tree(mona.get(f"{PRODUCTS}?market=sa-ar"))
    (link,) = {href for href in page.xpath("//table//a/@href") if "00003" in href}
    assert mona.get(link).context["original"].market == saudi
    history = tree(mona.get(link)).xpath("//a[contains(@href, 'history')]/@href")[0]
    assert mona.get(history).context["product"].market == saudi
    assert "market=sa-ar" in mona.get(history).content.decode()


def test_an_edit_changes_the_product_of_its_market(mona: Client, shelf: Feed, saudi: Market) -> None:
    address = f"{page_of('00003')}?market=sa-ar"
    form = mona.get(address).context["adminform"].form
    sent = {name: "" if value is None else value for name, value in form.initial.items() if name in form.fields}
    sent = {**sent, "additional_image_link": "", "extra": "{}", "title": "ثوب", "color": "", "_continue": "1"}
    answer = mona.post(address, sent)
    assert answer.status_code == 302
    assert "market=sa-ar" in answer["Location"]
    titles = dict(Product.objects.filter(id="00003").values_list("market", "title"))
    assert titles == {DEFAULT_MARKET: "Silk dress", saudi.pk: "ثوب"}
    page = mona.get(answer["Location"])
    assert len(messages(page)) == 2  # one of them offers to pin what was edited
    assert f"{page_of('00003')}?market=sa-ar" in tree(page).xpath("//a[contains(., 'ثوب')]/@href")


def test_an_open_plan_leads_to_the_product_of_its_market(alice: Client, shelf: Feed) -> None:
    run = planned(shelf, *items(3, **{**ARABIC, "color": "Red"}))
    page = alice.get(f"{url(run)}?tab=changes&operation=update")
    assert f"{page_of('00003')}?market=sa-ar" in tree(page).xpath("//ul[@class='changes']//a/@href")
    assert "Saudi Arabia, Arabic" in text_of(tree(page).body)


# --- side by side -------------------------------------------------------------------------------------
def beside(client: Client, address: str) -> list[list[str]]:
    """The rows of the table of other markets."""
    rows = tree(client.get(address)).xpath("//section[contains(@class, 'beside')]//tbody/tr")
    return [[text_of(cell) for cell in row] for row in rows]


def test_a_product_is_seen_beside_itself_in_other_markets(bob: Client, shelf: Feed, saudi: Market) -> None:
    (row,) = beside(bob, page_of("00003"))
    assert row[:5] == ["Saudi Arabia, Arabic", "100.00 SAR", "In stock", "فستان", "Open in the shop"]
    assert row[6] == "–"
    links = tree(bob.get(page_of("00003"))).xpath("//section[contains(@class, 'beside')]//tbody//a/@href")
    assert {f"{page_of('00003')}?market=sa-ar", f"{page_of('00003').replace('change', 'history')}?market=sa-ar"} < {
        *links
    }
    assert [row[0] for row in beside(bob, f"{page_of('00003')}?market=sa-ar")] == ["UAE, English"]


@pytest.mark.parametrize(
    ("change", "mark"),
    [
        ({"archived_at": "2026-11-30T00:00Z"}, "Archived"),
        ({"title": "Silk dress"}, "Title in another language"),
        ({"price": None}, "No price"),
        ({"price": 130}, "Price +30 % beside other products"),
        ({"price": 70}, "Price −30 % beside other products"),
        ({"price": 124}, "–"),
    ],
)
def test_what_differs_is_marked(
    bob: Client, feed: Feed, shelf: Feed, saudi: Market, change: dict[str, Any], mark: str
) -> None:
    applied(feed, *items(20))
    applied(shelf, *items(20, **ARABIC))
    edit("00003", saudi.pk, **change)
    (row,) = beside(bob, page_of("00003"))
    assert row[6] == mark


def test_prices_are_compared_by_their_medians_and_by_no_rate(bob: Client, feed: Feed, shelf: Feed) -> None:
    dinars = {**ARABIC, "price": "8.500 SAR"}
    applied(feed, *items(9))
    applied(shelf, *items(8, **dinars), *items(9, **{**ARABIC, "price": "100.00 SAR"})[8:])
    assert [beside(bob, page_of(id))[0][6] for id in ("00003", "00009")] == ["–", "Price +1076 % beside other products"]


def test_what_is_not_there_is_marked(bob: Client, shelf: Feed) -> None:
    assert beside(bob, page_of("00001")) == [["Saudi Arabia, Arabic", "–", "–", "–", "–", "–", "Not there"]]


def test_too_few_prices_are_not_compared(bob: Client, shelf: Feed, saudi: Market) -> None:
    Product.objects.filter(market=saudi).exclude(id="00003").delete()
    edit("00003", saudi.pk, price=5000)
    assert beside(bob, page_of("00003"))[0][6] == "–"


# --- what is missing ----------------------------------------------------------------------------------
def test_the_first_page_counts_what_each_market_lacks(bob: Client, shelf: Feed) -> None:
    edit("00004", archived_at="2026-11-30T00:00Z")
    page = tree(bob.get(f"{INDEX}?count"))
    rows = [[text_of(cell) for cell in row] for row in page.xpath("//section[@id='missing']//tbody/tr")]
    assert rows == [["UAE, English", "–", "2"], ["Saudi Arabia, Arabic", "3", "–"]]
    links = page.xpath("//section[@id='missing']//tbody//a/@href")
    assert [listed(bob, link) for link in links] == [ids(1, 2), ["00004", "00007", "00008"]]


def test_the_first_page_does_not_wait_for_the_numbers(bob: Client, shelf: Feed) -> None:
    section = tree(bob.get(INDEX)).xpath("//section[@id='missing']")[0]
    assert section.get("hx-trigger") == "load"
    bob.get(f"{INDEX}?count")
    assert tree(bob.get(INDEX)).xpath("//section[@id='missing']//tbody/tr")


def test_what_is_missing_can_be_exported(bob: Client, shelf: Feed) -> None:
    rows = export(bob, "csv", "?market=sa-ar&missing_in=ae-en")
    assert sorted(row["id"] for row in rows) == ids(7, 8)


# --- right to left ------------------------------------------------------------------------------------
def test_texts_run_in_the_direction_of_their_script(mona: Client, shelf: Feed) -> None:
    for address, xpath in (
        (f"{PRODUCTS}?market=sa-ar", "//table//bdi[@dir='auto'][text()='فستان']"),
        (f"{page_of('00003')}?market=sa-ar", "//input[@name='title'][@dir='auto']"),
        (f"{page_of('00003')}?market=sa-ar", "//textarea[@name='description'][@dir='auto']"),
    ):
        assert texts(mona.get(address), xpath) or tree(mona.get(address)).xpath(xpath)
    run = planned(shelf, *items(3, **{**ARABIC, "title": "ثوب"}))
    page = tree(mona.get(f"{url(run)}?tab=changes&operation=update"))
    assert page.xpath("//td[@class='new'][@dir='auto'][contains(., 'ثوب')]")


def test_an_id_that_a_browser_would_shorten_has_an_address_in_each_market(mona: Client, saudi: Market) -> None:
    add_product(id="..", title="Dots", market=saudi)
    link = tree(mona.get(f"{PRODUCTS}?market=sa-ar")).xpath("//table//a[contains(@href, '_2E_2E')]/@href")[0]
    assert mona.get(link).context["original"].title == "Dots"


def test_an_id_that_is_not_there_is_shown_as_text_in_every_market(mona: Client, saudi: Market) -> None:
    script = "<img src=x>"
    page = mona.get(f"{PRODUCTS}{quote(script)}/change/?market={saudi.code}", follow=True)
    assert script not in page.content.decode()
    assert "&lt;img src=x&gt;" in page.content.decode()


def test_an_upload_starts_from_a_feed_of_the_chosen_market(mona: Client, feed: Feed, shelf: Feed) -> None:
    assert mona.get(UPLOAD).context["form"]["feed"].value() == feed.pk
    assert mona.get(UPLOAD, {"market": "sa-ar"}).context["form"]["feed"].value() == shelf.pk
