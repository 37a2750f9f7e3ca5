"""Markets: the same ids in several countries and languages, each with values of its own."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction

from accounts.models import User
from catalog.imports.local import import_locally
from catalog.imports.reports.history import product_history
from catalog.models import DEFAULT_MARKET, CatalogState, Feed, Market, Product
from catalog.models.search import AnyOf, Word
from catalog.tests.factories import (
    add_product,
    applied,
    catalogue,
    counts,
    discarded,
    edit,
    feed_of,
    item,
    items,
    planned,
    search,
    undone,
)

ARABIC = {"title": "فستان من الحرير", "description": "فستان سهرة أنيق من الحرير الطبيعي الخالص"}
EMIRATES = {"code": "ae-en", "name": "UAE, English", "country": "AE", "language": "en", "currency": "AED"}
SAUDI = {"code": "sa-ar", "name": "Saudi Arabia, Arabic", "country": "SA", "language": "ar", "currency": "SAR"}


@pytest.fixture
def saudi(db: None) -> Market:
    return Market.objects.create(**SAUDI)


@pytest.fixture
def emirates(db: None) -> Market:
    """The default market, once somebody has said what it is."""
    Market.objects.filter(pk=DEFAULT_MARKET).update(**EMIRATES)
    return Market.objects.get(pk=DEFAULT_MARKET)


@pytest.fixture
def arabic(feed: Feed, saudi: Market) -> Feed:
    return Feed.objects.create(name="Riyadh", slug="riyadh", market=saudi)


def arabic_items(number: int, **values: str) -> list[str]:
    return items(number, price="100.00 SAR", **ARABIC, **values)


def of_market(market: Any) -> list[Any]:
    return [product for product in catalogue() if product["market_id"] == market]


# --- apart --------------------------------------------------------------------------------------------
def test_an_import_changes_the_products_of_its_market_alone(feed: Feed, arabic: Feed) -> None:
    applied(feed, *items(10))
    before = of_market(DEFAULT_MARKET)
    version = CatalogState.current(DEFAULT_MARKET)
    run = applied(arabic, *arabic_items(8))
    assert counts(run) == {"items": 8, "created": 8}
    assert counts(applied(arabic, *arabic_items(5), mode="sync")) == {"items": 5, "unchanged": 5, "archived": 3}
    assert of_market(DEFAULT_MARKET) == before
    assert CatalogState.current(DEFAULT_MARKET) == version


def test_an_undo_leaves_the_other_market(feed: Feed, arabic: Feed) -> None:
    applied(feed, *items(4))
    edit("00001", title="By hand")
    before = of_market(DEFAULT_MARKET)
    assert counts(undone(applied(arabic, *arabic_items(4))))["undone"] == 4
    assert of_market(arabic.market_id) == []
    applied(arabic, *arabic_items(4))
    assert counts(undone(applied(arabic, *arabic_items(4, color="Red"))))["undone"] == 4
    assert of_market(DEFAULT_MARKET) == before


def test_an_edit_in_one_market_is_no_conflict_in_another(feed: Feed, arabic: Feed) -> None:
    applied(feed, *items(3))
    applied(arabic, *arabic_items(3))
    run = planned(arabic, *arabic_items(3, color="Red"))
    edit("00001", title="By hand", pinned=["color"])
    assert run.products_changed_since() == []
    edit("00002", arabic.market_id, title="باليد")
    assert run.products_changed_since() == ["00002"]


def test_a_history_is_of_one_market(feed: Feed, arabic: Feed) -> None:
    applied(feed, *items(1))
    applied(arabic, *arabic_items(1))
    edit("00001", title="By hand")
    english, other = Product.objects.order_by("market")
    assert [event.change.market_id for event in product_history(english).events] == [DEFAULT_MARKET] * 2
    assert [event.change.market_id for event in product_history(other).events] == [arabic.market_id]


def test_a_supplemental_file_finds_the_products_of_its_market(feed: Feed, arabic: Feed) -> None:
    applied(feed, *items(2))
    prices = [item(f"0000{n}", **{**dict.fromkeys(("title", "description", "link", "image_link")), "price": "9 SAR"})
              for n in (1, 2)]  # fmt: skip
    assert counts(discarded(planned(arabic, *prices)))["invalid"] == 2
    applied(arabic, *arabic_items(2))
    assert counts(applied(arabic, *prices))["changed"] == 2
    assert {product.price for product in Product.objects.filter(market=DEFAULT_MARKET)} == {100}


def test_a_search_corrects_to_words_of_its_market(feed: Feed, arabic: Feed) -> None:
    applied(feed, item("1", title="Kaftan"))
    applied(arabic, item("1", title="Caftan"))
    Word.renew()
    assert [product.market_id for product in search("kaftan")] == [DEFAULT_MARKET]
    found = search("kaftan", arabic.market_id)
    assert [(product.market_id, product.title) for product in found] == [(arabic.market_id, "Caftan")]


def test_the_index_of_words_looks_at_one_market(feed: Feed, arabic: Feed) -> None:
    applied(feed, item("1", title="Velvet kaftan"), *items(300))
    applied(arabic, item("1", title="Velvet kaftan", price="1.00 SAR"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT gin_clean_pending_list('product_words'); ANALYZE catalog_product")
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off")
        found = Product.objects.in_market(DEFAULT_MARKET).with_words(AnyOf(["kaftan"]))
        sql, values = found.order_by().values_list("key").query.sql_with_params()
        cursor.execute(f"EXPLAIN {sql}", values)
        plan = " ".join(line for (line,) in cursor.fetchall())
    assert "Bitmap Index Scan on product_words" in plan
    assert re.search(r"Index Cond: \(\(market_id = '1'::smallint\) AND \(search @@ ", plan), plan


def test_words_are_forgotten_market_by_market(feed: Feed, arabic: Feed) -> None:
    applied(feed, item("1", title="Kaftan"))
    run = applied(arabic, item("1", title="Kaftan"))
    Word.renew()
    undone(run)
    Word.renew()
    assert [*Word.objects.filter(word="kaftan").values_list("market", flat=True)] == [DEFAULT_MARKET]


# --- the rules ----------------------------------------------------------------------------------------
def refuse_commit(act: Callable[[], Any]) -> None:
    """The database refuses it, at the latest when the transaction ends."""
    with transaction.atomic():
        act()
        with pytest.raises(IntegrityError):
            connection.check_constraints()
        transaction.set_rollback(True)


def test_a_feed_with_imports_stays_in_its_market(feed: Feed, saudi: Market) -> None:
    feed.market = saudi
    feed.clean()
    feed.market_id = DEFAULT_MARKET
    applied(feed, *items(1))
    feed.market = saudi
    with pytest.raises(ValidationError, match="another market"):
        feed.clean()
    refuse_commit(feed.save)


def test_a_product_is_in_the_market_of_its_feed(feed: Feed, saudi: Market) -> None:
    refuse_commit(lambda: add_product(id="1", feed=feed, market=saudi))


def test_an_id_is_once_in_a_market(feed: Feed, saudi: Market) -> None:
    add_product(id="1")
    add_product(id="1", market=saudi)
    with pytest.raises(IntegrityError), transaction.atomic():
        add_product(id="1", market=saudi)


# --- prefixes -----------------------------------------------------------------------------------------
@pytest.fixture
def kering(feed: Feed) -> Feed:
    return Feed.objects.create(name="Kering", slug="kering", prefix="kering-")


def test_a_prefix_keeps_two_suppliers_apart(feed: Feed, kering: Feed) -> None:
    applied(feed, *items(2))
    assert counts(applied(kering, *items(2, title="Bag"))) == {"items": 2, "created": 2}
    assert [*Product.objects.order_by("id").values_list("id", flat=True)] == [
        "00001", "00002", "kering-00001", "kering-00002"
    ]  # fmt: skip
    assert counts(applied(kering, *items(1, title="Bag"), mode="sync")) == {"items": 1, "unchanged": 1, "archived": 1}


def test_the_feeds_own_export_is_without_the_prefix(
    feed: Feed, kering: Feed, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    applied(feed, *items(1))
    applied(kering, *items(1))
    call_command("export_feed", feed="kering", out="-")
    own = capfdbinary.readouterr().out
    assert b"<g:id>00001</g:id>" in own
    assert b"kering-" not in own
    call_command("export_feed", market="default", out="-")
    assert b"<g:id>kering-00001</g:id>" in capfdbinary.readouterr().out


# --- the file of another market -----------------------------------------------------------------------
def holds(feed: Feed, *file: str) -> dict[str, str]:
    run = planned(feed, *file)
    discarded(run)
    return {hold["code"]: hold["message"] for hold in run.holds}


def test_a_file_of_another_market_is_held_and_told_where_it_fits(feed: Feed, emirates: Market, arabic: Feed) -> None:
    found = holds(feed, *arabic_items(5))
    assert set(found) == {"guard.market_currency", "guard.market_language"}
    for sentence in found.values():
        assert sentence.startswith("This looks like the file of another market: ")
        assert "It would fit “Saudi Arabia, Arabic” (sa-ar)." in sentence
    assert "of 5 prices, 5 in SAR. The currency of “UAE, English” is AED. It" in found["guard.market_currency"]
    assert (
        "looked at, 5 in Arabic. The language of “UAE, English” is en, written in Latin."
        in found["guard.market_language"]
    )
    assert set(holds(arabic, *items(5))) == {"guard.market_currency", "guard.market_language"}


def test_a_markets_own_file_is_not_held(feed: Feed, emirates: Market, arabic: Feed) -> None:
    assert holds(feed, *items(5)) == {}
    mixed = {"title": "حقيبة Saint Laurent", "description": "حقيبة يد جلدية من سان لوران بحزام طويل"}
    assert holds(arabic, *items(5, price="90.00 SAR", **mixed)) == {}


def test_a_few_other_currencies_are_a_mistake_in_the_file(feed: Feed, emirates: Market) -> None:
    odd = [item(f"odd{n}", price="90.00 SAR") for n in range(4)]
    assert holds(feed, *items(20), *odd[:3]) == {}
    assert set(holds(feed, *items(20), *odd)) == {"guard.market_currency"}


def test_a_market_that_says_nothing_holds_nothing(feed: Feed) -> None:
    assert holds(feed, *arabic_items(5)) == {}


def test_a_file_that_no_market_fits_says_so(feed: Feed, emirates: Market) -> None:
    assert "No other market fits it" in holds(feed, *items(5, price="90.00 USD"))["guard.market_currency"]


def test_a_file_without_texts_and_prices_is_of_any_market(feed: Feed, emirates: Market, alice: User) -> None:
    applied(feed, *items(2))
    silent = dict.fromkeys(("title", "description", "price", "link", "image_link", "brand", "mpn"))
    assert holds(feed, *(item(f"0000{n}", **{**silent, "quantity": "3"}) for n in (1, 2))) == {}


def test_import_locally_is_held_too(feed: Feed, emirates: Market, arabic: Feed) -> None:
    from django.core.files.base import ContentFile

    run = import_locally(ContentFile(feed_of(*arabic_items(5)), "ar.xml"), feed=feed)
    assert (run.status, Product.objects.count()) == ("review", 0)


def test_products_are_also_found_by_the_name_that_changes_have_for_their_id(feed: Feed) -> None:
    applied(feed, item("A1"), item("B2"))
    assert [found.id for found in Product.objects.filter(product_id="B2")] == ["B2"]  # type: ignore[misc]
    assert [found.id for found in feed.products.order_by("product_id")] == ["A1", "B2"]  # type: ignore[misc]  # an alias
