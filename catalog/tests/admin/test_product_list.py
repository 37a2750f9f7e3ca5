"""The list of products at work: its filters, its columns, and what is done to many products at once."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from catalog.admin.bulk import digest_of
from catalog.imports.discard import clean_up
from catalog.imports.edit import Edit, edit_products
from catalog.imports.reports.history import product_history
from catalog.models import Change, ChosenColumns, Feed, ImportRun, Market, Product
from catalog.models.product import KEY_CHARS
from catalog.tests.admin.test_products import listed, product
from catalog.tests.factories import applied, item, items, planned, rows_read, undone
from catalog.tests.pages import EXPORT, PRODUCTS, messages, staff, text_of, texts, tree

pytestmark = pytest.mark.django_db
QUERIES = ({"issues": "yes"}, {"edited": "yes"}, {"has_pins": "yes"})
COLUMNS = reverse("admin:catalog_product_columns")


def key_of(product_id: str) -> int:
    return Product.objects.values_list("key", flat=True).get(id=product_id)


# --- filters ------------------------------------------------------------------------------------------


def test_products_are_found_by_brand_category_and_price(bob: Client) -> None:
    product("1", brand="Noor", product_type="Women > Shoes", price="10")
    product("2", brand="Noor", product_type="Women > Shoes > Boots", price="20")
    product("3", brand="Zari", product_type="Women > Shoes&Co", price="30")
    product("4", brand="Zari", product_type="Women", price=None)
    assert listed(bob, brand="Noor") == ["1", "2"]
    assert listed(bob, brand="Nobody") == []
    assert listed(bob, category="Women > Shoes") == ["1", "2"]
    assert listed(bob, category="Women") == ["1", "2", "3", "4"]
    assert listed(bob, price_from="15", price_to="1,000") == ["2", "3"]
    assert listed(bob, price_to="20", brand="Noor", category="Women > Shoes > Boots") == ["2"]
    page = tree(bob.get(PRODUCTS))
    assert page.xpath("//select[@name='brand']/option/@value") == ["", "Noor", "Zari"]
    shown = page.xpath("//select[@name='category']/option/@value")
    assert shown == ["", "Women", "Women > Shoes", "Women > Shoes > Boots", "Women > Shoes&Co"]
    assert all(box.get("id") in page.xpath("//label/@for") for box in page.xpath("//*[starts-with(@name, 'price_')]"))


def test_a_category_longer_than_its_key_is_found_too(bob: Client) -> None:
    long = "Women > " + "x" * KEY_CHARS
    product("1", product_type=long)
    product("2", product_type=long + " > y")
    assert listed(bob, category=long) == ["1", "2"]
    assert Product.categories(1, 10) == ["Women"]
    assert [len(Product.categories(1, most)) for most in (0, 1)] == [0, 1]


@pytest.mark.parametrize("amount", ["x", "NaN", "1e999", "-", "9" * 50])
def test_what_is_no_amount_is_no_limit(amount: str, bob: Client) -> None:
    product("1", price="10")
    assert listed(bob, price_from=amount) == ["1"]


def ended(feed: Feed, *things: Any) -> ImportRun:
    """An import that is applied, after which a worker has cleaned up."""
    run = applied(feed, *things)
    clean_up(run)
    return run


def test_products_are_found_by_their_issues_in_the_last_import(bob: Client, feed: Feed) -> None:
    ended(feed, item("1", gtin="123"), item("2"), item("3", gtin="123"))
    assert listed(bob, issues="yes") == ["1", "3"]
    ended(feed, item("1"), item("2", price="many AED"))
    assert listed(bob, issues="yes") == ["2", "3"]  # 3 was not in the file
    assert listed(bob) == ["1", "2", "3"]


def test_the_issues_of_an_import_that_was_undone_are_no_products_issues(bob: Client, feed: Feed) -> None:
    ended(feed, item("1"))
    run = ended(feed, item("1", gtin="123", title="Other"))
    assert listed(bob, issues="yes") == ["1"]
    clean_up(undone(run))
    assert listed(bob, issues="yes") == []


def test_what_one_feed_finds_at_a_product_does_not_replace_what_another_found(
    bob: Client, feed: Feed, other_feed: Feed
) -> None:
    ended(feed, item("1", gtin="123"))
    other_feed.may_change_others = True
    other_feed.save()
    ended(other_feed, item("1"))
    assert listed(bob, issues="yes") == ["1"]
    ended(feed, item("1"))
    assert listed(bob, issues="yes") == []


def test_of_two_items_with_one_id_the_last_valid_ones_issues_count(bob: Client, feed: Feed) -> None:
    ended(feed, item("1", gtin="123"), item("1"), item("2"), item("2", gtin="123"))
    assert listed(bob, issues="yes") == ["2"]


def test_products_are_found_by_pins_edits_and_imports(bob: Client, feed: Feed) -> None:
    first = applied(feed, *items(3))
    second = applied(feed, item("00001", title="Other"))
    edit_products([key_of("00002")], Edit.PIN, by=None, market=1, fields=["title"])
    assert listed(bob, has_pins="yes") == listed(bob, edited="yes") == ["00002"]
    assert listed(bob, **{"import": str(first.pk)}) == ["00001", "00002", "00003"]
    assert listed(bob, **{"import": f" #{second.pk}"}) == ["00001"]
    assert listed(bob, **{"import": "nothing"}) == []
    undone(second)
    assert listed(bob, **{"import": str(second.pk)}) == []


def test_a_plan_has_changed_nothing_yet(bob: Client, feed: Feed) -> None:
    applied(feed, *items(2))
    run = planned(feed, item("00001", title="Other"))
    assert listed(bob, **{"import": str(run.pk)}) == []


def test_another_markets_products_are_not_found_by_what_happened_here(bob: Client, feed: Feed) -> None:
    other = Market.objects.create(code="sa", name="Saudi Arabia")
    product("1")
    there = Feed.objects.create(name="There", slug="there", market=other)
    ended(there, item("1", gtin="123"))
    edit_products(
        list(Product.objects.filter(market=other).values_list("key", flat=True)),
        Edit.PIN,
        by=None,
        market=other.pk,
        fields=["title"],
    )
    assert [listed(bob, market="sa", **query) for query in QUERIES] == [["1"]] * 3
    for query in QUERIES:
        assert listed(bob, market="default", **query) == []


# --- variants -----------------------------------------------------------------------------------------
def test_variants_stand_in_one_row_with_their_colours_and_sizes(bob: Client) -> None:
    for place, (color, size) in enumerate([("red", "S"), ("red", "M"), ("blue", "M")]):
        product(f"a{place}", item_group_id="G", color=color, size=size)
    product("b", item_group_id="")
    product("c", item_group_id="")
    product("d", item_group_id="H", archived_at="2026-01-01T00:00Z")
    assert listed(bob, grouped="yes") == ["a0", "b", "c"]
    page = bob.get(PRODUCTS, {"grouped": "yes"})
    assert texts(page, "//td[contains(@class, 'field-variants')]") == ["3 variants · red, blue · S, M", "–", "–"]
    (link,) = tree(page).xpath("//td[contains(@class, 'field-variants')]/a/@href")
    assert listed(bob, group=link.removeprefix("?group=")) == ["a0", "a1", "a2"]


@pytest.mark.parametrize("archive", ["active", "all"])
def test_a_page_of_groups_looks_at_no_other_groups(archive: str) -> None:
    Product.objects.bulk_create(
        Product(id=f"{number:03}", title="Dress", item_group_id=f"G{number:03}", market_id=1) for number in range(600)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE catalog_product")
    products = Product.objects.in_market(1) if archive == "all" else Product.objects.in_market(1).active()
    with CaptureQueriesContext(connection) as asked:
        assert len(products.one_per_group().order_by("-id")[:5]) == 5
    assert rows_read(asked.captured_queries[0]["sql"]) <= 10


def test_a_group_is_shown_by_the_first_variant_that_the_filters_leave(bob: Client) -> None:
    product("1", item_group_id="G", title="Silk dress red", brand="Noor")
    product("2", item_group_id="G", title="Silk dress blue", brand="Zari")
    assert listed(bob, grouped="yes", q="blue") == ["2"]
    assert listed(bob, grouped="yes", brand="Zari") == ["2"]


# --- columns ------------------------------------------------------------------------------------------
def heads(client: Client) -> list[str]:
    return [
        text_of(head)
        for head in tree(client.get(PRODUCTS)).xpath("//table[@id='result_list']//thead//th")
        if text_of(head)
    ]


def test_each_person_has_columns_of_their_own(bob: Client, mona: Client) -> None:
    product(gtin="04006381333931", color="red")
    first = heads(bob)
    answer = bob.post(COLUMNS, {"columns": ["gtin", "color", "nonsense", "search"], "back": "q=silk&o=3&p=0"})
    assert answer["Location"] == f"{PRODUCTS}?q=silk&p=0"
    assert heads(bob)[3:] == ["Colour", "GTIN"]
    assert heads(mona) == first
    assert texts(bob.get(PRODUCTS), "//td[contains(@class, 'field-gtin')]") == ["04006381333931"]
    bob.post(COLUMNS, {"reset": "1"})
    assert heads(bob) == first


def test_every_column_can_be_shown(bob: Client) -> None:
    product(item_group_id="G", pinned=["title"])
    names = tree(bob.get(PRODUCTS)).xpath("//input[@name='columns']/@value")
    bob.post(COLUMNS, {"columns": names})
    assert len(heads(bob)) == len(names) + 3


def test_the_list_is_sorted_by_what_an_index_has_in_order(bob: Client) -> None:
    product()
    bob.post(COLUMNS, {"columns": tree(bob.get(PRODUCTS)).xpath("//input[@name='columns']/@value")})
    columns = bob.get(PRODUCTS).context["cl"].list_display
    orders = {
        bob.get(PRODUCTS, {"o": f"{sign}{number}"}).context["cl"].queryset.query.order_by
        for number in range(len(columns))
        for sign in ("", "-")
    }
    indexed = {
        tuple(index.fields or (getattr(each, "name", "") for each in index.expressions))[1:]
        for index in Product._meta.indexes
    }
    assert len(orders) == 10
    for order in orders:
        assert len({name.startswith("-") for name in order}) == 1, "an index is read in one direction"
        assert tuple(name.removeprefix("-") for name in order) in indexed, order


def test_columns_are_chosen_by_people_who_may_see_the_list(client: Client) -> None:
    client.force_login(staff("charlie"))
    assert client.post(COLUMNS, {"columns": ["gtin"]}).status_code == 403
    assert not ChosenColumns.objects.exists()
    assert client.get(COLUMNS).status_code == 405


# --- many at once -------------------------------------------------------------------------------------
def act(client: Client, action: str, *ids: str, query: str = "", confirm: bool = False, **fields: Any) -> Any:
    chosen: dict[str, Any] = {"_selected_action": [key_of(each) for each in ids]}
    if confirm:
        chosen["confirmed"] = digest_of(map(key_of, ids))
    return client.post(f"{PRODUCTS}?{query}", {"action": action, **chosen, **fields}, follow=True)


def test_archiving_asks_first_and_is_restored(mona: Client) -> None:
    for product_id in "123":
        product(product_id)
    asked = act(mona, "archive_selected", "1", "2")
    assert "Archive these products?" in text_of(tree(asked))
    assert not Product.objects.exclude(archived_at=None).exists()
    done = act(mona, "archive_selected", "1", "2", confirm=True)
    assert messages(done)[0].startswith("2 products archived.")
    assert listed(mona) == ["3"]
    assert listed(mona, archive="all", only=f"{key_of('1')},{key_of('2')}") == ["1", "2"]
    done = act(mona, "restore_selected", "1", "2", "3", query="archive=all", confirm=True)
    assert messages(done)[0].startswith("2 products restored. 1 was so already.")
    assert listed(mona) == ["1", "2", "3"]


def test_fields_are_pinned_and_unpinned(mona: Client) -> None:
    product("1", pinned=["brand"])
    assert "Choose at least one field." in text_of(tree(act(mona, "pin_selected", "1", confirm=True)))
    act(mona, "pin_selected", "1", confirm=True, fields=["title", "price", "currency", "key"])
    assert Product.objects.get().pinned == ["brand", "price", "title"]
    act(mona, "unpin_selected", "1", confirm=True, fields=["brand"])
    assert Product.objects.get().pinned == ["price", "title"]


def test_all_of_a_list_are_archived_only_if_it_is_as_it_was_confirmed(mona: Client) -> None:
    product("1", brand="Noor")
    product("2", brand="Zari")
    everything = {"select_across": "1", "_selected_action": [key_of("1")], "action": "archive_selected"}
    address = f"{PRODUCTS}?brand=Noor"
    assert "1 product" in text_of(tree(mona.post(address, everything)))
    confirmed = {**everything, "confirmed": digest_of([key_of("1")])}
    product("3", brand="Noor")
    assert "The list has changed." in text_of(tree(mona.post(address, confirmed)))
    Product.objects.filter(id="1").update(brand="Zari")  # as many as were confirmed, and another one
    assert "The list has changed." in text_of(tree(mona.post(address, confirmed)))
    mona.post(address, {**everything, "confirmed": digest_of([key_of("3")])})
    assert listed(mona) == ["1", "2"]


def test_an_action_is_about_the_market_whose_list_was_shown(mona: Client) -> None:
    other = Market.objects.create(code="sa", name="Saudi Arabia")
    product("1")
    product("1", market=other)
    shown = tree(mona.get(PRODUCTS, {"market": "default"})).xpath("//input[@form='changelist-form']")
    assert [(each.get("name"), each.get("value")) for each in shown] == [("market", "1")]
    mona.get(PRODUCTS, {"market": "sa"})  # in another tab
    everything = {"select_across": "1", "_selected_action": ["1"], "action": "archive_selected", "market": "1"}
    asked = tree(mona.post(PRODUCTS, everything))
    (confirmed,) = asked.xpath("//input[@name='confirmed']/@value")
    assert asked.xpath("//input[@name='market']/@value") == ["1"]
    mona.get(PRODUCTS, {"market": "sa"})
    Market.objects.filter(pk=1).update(code="ae")  # renamed meanwhile
    mona.post(PRODUCTS, {**everything, "confirmed": confirmed}, follow=True)
    assert [*Product.objects.filter(archived_at=None).values_list("market__code", flat=True)] == ["sa"]
    gone = mona.post(PRODUCTS, {**everything, "market": "77"}, follow=True)
    assert messages(gone) == ["The market of that list is there no longer. Nothing was done."]
    exported = mona.post(PRODUCTS, {**everything, "action": "export_selected"})
    assert exported["Location"] == f"{EXPORT}?market=ae"


def test_too_many_at_once_are_refused(mona: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog.admin.bulk.MAX_EDITED_PRODUCTS", 1)
    product("1")
    product("2")
    assert messages(act(mona, "archive_selected", "1", "2", confirm=True))[0].startswith("At most 1 products at once.")
    assert listed(mona) == ["1", "2"]


def test_while_an_import_is_applied_nothing_is_done(mona: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    product("1")
    monkeypatch.setattr("catalog.imports.edit.fetch_row", lambda *_, **__: (False,))
    assert "An import is changing products" in messages(act(mona, "archive_selected", "1", confirm=True))[0]
    assert listed(mona) == ["1"]


def test_chosen_products_are_exported_in_the_format_of_ones_choice(bob: Client) -> None:
    for product_id in "123":
        product(product_id)
    chosen = [key_of("1"), key_of("3")]
    answer = bob.post(PRODUCTS, {"action": "export_selected", "_selected_action": chosen})
    assert answer["Location"].startswith(EXPORT)
    file = bob.post(answer["Location"], {"format": "0", "resource": ""})
    assert file.status_code == 200
    everything = bob.post(
        f"{PRODUCTS}?q=silk", {"action": "export_selected", "_selected_action": chosen, "select_across": "1"}
    )
    assert everything["Location"] == f"{EXPORT}?q=silk"


@pytest.mark.parametrize("action", ["archive_selected", "restore_selected", "pin_selected", "unpin_selected"])
@pytest.mark.parametrize("name", ["bob", "alice"])
def test_who_may_not_change_products_does_nothing_to_many(name: str, action: str, client: Client) -> None:
    product("1")
    client.force_login(staff(name))
    act(client, action, "1", confirm=True, fields=["title"])
    assert Product.objects.values_list("archived_at", "pinned", "version").get() == (None, [], 1)


# --- as single edits ----------------------------------------------------------------------------------
def test_each_of_many_edits_is_in_the_products_history_and_a_version(feed: Feed) -> None:
    applied(feed, *items(3))
    run = planned(feed, *items(3, title="From the feed"))
    mona = staff("mona")
    keys = [key_of("00001"), key_of("00002")]
    assert edit_products(keys, Edit.ARCHIVE, by=mona, market=1) == 2
    assert sorted(run.products_changed_since() or []) == ["00001", "00002"]
    (newest, *_) = product_history(Product.objects.get(id="00001")).events
    assert (newest.by, newest.change.operation, newest.run) == ("mona", "archive", None)
    edit_products(keys, Edit.RESTORE, by=mona, market=1)
    edit_products(keys, Edit.PIN, by=mona, market=1, fields=["title"])
    pinned = Change.objects.filter(product_id="00002", run=None).latest("pk")
    assert (pinned.operation, pinned.before, pinned.after) == ("update", {"pinned": []}, {"pinned": ["title"]})
    assert (pinned.base_version, Product.objects.get(id="00002").version) == (3, 4)
    assert edit_products(keys, Edit.PIN, by=mona, market=1, fields=["title"]) == 0


def test_another_markets_products_are_not_edited() -> None:
    other = Market.objects.create(code="sa", name="Saudi Arabia")
    product("1")
    assert edit_products([key_of("1")], Edit.ARCHIVE, by=None, market=other.pk) == 0
    assert Product.objects.get().archived_at is None


# --- how many -----------------------------------------------------------------------------------------
def test_what_filters_leave_is_counted_only_so_far(bob: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for product_id in "1234":
        product(product_id, brand="Noor")
    monkeypatch.setattr("catalog.admin.products.MAX_COUNTED", 3)
    assert "over 3 products" in text_of(tree(bob.get(PRODUCTS, {"brand": "Noor"})))
    assert "over 3" not in text_of(tree(bob.get(PRODUCTS)))
