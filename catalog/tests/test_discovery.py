"""Where XML has its items: under any outermost element, where that is beyond doubt, or as the feed's settings say."""

import io
import re
from typing import Any

import pytest

from catalog.errors import FeedRefused
from catalog.feeds.cleaning.check import Rules, check_item
from catalog.feeds.reading.items import RawItem, read_items
from catalog.feeds.reading.settings import FileSettings
from catalog.imports.reading.stage import stage
from catalog.models import Feed, Reading, Status
from catalog.tests.factories import received
from catalog.tests.routes import read_as_it_can

G = 'xmlns:g="http://base.google.com/ns/1.0"'
REST = (
    "<price>1.00 AED</price><link>https://www.example.com/{0}</link><availability>in_stock</availability>"
    "<description>Woven.</description><image_link>https://www.example.com/{0}.jpg</image_link>"
)


def product(number: int, name: str = "product", id: str = "id", title: str = "title") -> str:
    return f"<{name}><{id}>{number}</{id}><{title}>Dress {number}</{title}>{REST.format(number)}</{name}>"


def two(name: str = "product", **names: str) -> str:
    return product(1, name, **names) + "\n" + product(2, name, **names)


def checked(raw: RawItem, **rules: Any) -> tuple[str, bool]:
    item = check_item(raw, Rules(**rules))
    return item.id, item.valid


def ids(content: str, settings: FileSettings = FileSettings()) -> list[str]:  # noqa: B008
    found = read_items(io.BytesIO(content.encode()), settings=settings)
    return [check_item(raw, Rules(aliases=settings.aliases)).id for raw in found]


def refusal(content: str, settings: FileSettings = FileSettings()) -> FeedRefused:  # noqa: B008
    with pytest.raises(FeedRefused) as refused:
        ids(content, settings)
    return refused.value


CERTAIN = {
    "products in capitals": f"<Products>{two('Product', id='Id', title='Title')}</Products>",
    "a root in capitals": f"<Products>{two()}</Products>",
    "all in capitals": f"<PRODUCTS>{two().upper().replace('HTTPS://WWW.EXAMPLE.COM', 'https://www.example.com')}</PRODUCTS>",
    "Heureka's elements with Google's names": f"<SHOP>{two('SHOPITEM')}</SHOP>",
    "products of a channel": f"<channel><title>Shop</title>{two()}</channel>",
    "products of a channel in RSS": f"<rss {G}><channel><title>Shop</title>{two()}</channel></rss>",
    "rows": f"<export>{two('row')}</export>",
    "articles behind another id": f"<data><shop><id>7</id></shop><articles>{two('article')}</articles></data>",
    "categories before": f'<shop><c id="1">A</c><c id="2">B</c><goods>{two("good")}</goods></shop>',
    "one level more": f"<catalog><products>{two()}</products></catalog>",
    "Google's names": f"<stock {G}>{two('ware', id='g:id', title='g:title')}</stock>",
    "items beside the channel": f"<rss {G}><channel><title>Shop</title></channel>{two('item')}</rss>",
    "items in and beside it": f"<rss {G}><channel>{product(1, 'item')}</channel>{product(2, 'item')}</rss>",
    "variants inside": f"<stock>{two('ware').replace('</ware>', '<v><id>9</id><title>x</title></v></ware>')}</stock>",
    "many bytes before": f"<stock><about>{'<p>x</p>' * 20_000}</about>{two('ware')}</stock>",
}


@pytest.mark.parametrize("content", CERTAIN.values(), ids=CERTAIN)
def test_what_is_repeated_with_an_id_is_an_item(content: str) -> None:
    found = [checked(raw) for raw in read_items(io.BytesIO(content.encode()))]
    assert found == [("1", True), ("2", True)]


@pytest.mark.parametrize("content", CERTAIN.values(), ids=CERTAIN)
@pytest.mark.parametrize("more", ["<x>R & B</x>", "<x>R</y>"], ids=["repaired", "salvaged"])
def test_it_is_one_too_where_the_file_is_broken(content: str, more: str) -> None:
    broken = re.sub(r"(?is).*</image_link>(<v>.*?</v>)?</\w+>", rf"\g<0>{more}", content)
    reading, raws, _repairs = read_as_it_can(broken.encode())
    assert reading == ("salvaged" if "/y" in more else "repaired")
    assert [checked(raw)[0] for raw in raws if not raw.lost] == ["1", "2"]


def test_attributes_name_an_item_too() -> None:
    assert ids('<stock><row id="1" price="1.00 AED"/><row id="2" price="2.00 AED"/></stock>') == ["1", "2"]


@pytest.mark.parametrize(
    "content", [f"<Products>{product(1, 'Product')}</Products>", f"<SHOP>{product(1, 'SHOPITEM')}</SHOP>"]
)
def test_a_single_one_needs_a_usual_name(content: str) -> None:
    assert ids(content) == ["1"]
    refused = refusal(re.sub("Product>|SHOPITEM>", "ware>", re.sub("Products>|SHOP>", "stock>", content)))
    assert "item element, for example ware." in refused.message


UNCERTAIN = {
    "two kinds": (f"<shop><new>{two('a')}</new><old>{two('b')}</old></shop>", "for example a."),
    "no id": ("<list><user><name>x</name></user><user><name>y</name></user></list>", "In <list> there are 2 × <user>."),
    "nothing but an id": ("<list><user><id>1</id></user><user><id>2</id></user></list>", "for example user."),
    "texts": ("<note><to>x</to><from>y</from></note>", "In <note> there are 1 × <to>, 1 × <from>."),
    "nothing": ("<stock/>", "In <stock> there is nothing."),
}


@pytest.mark.parametrize(("content", "sentence"), UNCERTAIN.values(), ids=UNCERTAIN)
def test_where_there_is_a_doubt_the_file_is_refused_with_what_is_in_it(content: str, sentence: str) -> None:
    refused = refusal(content)
    assert refused.code == "feed.unknown_root"
    assert sentence in refused.message


def test_a_feed_without_items_says_what_it_has_instead() -> None:
    refused = refusal("<rss><channel><title>t</title><entry><a>1</a></entry><entry><a>2</a></entry></channel></rss>")
    assert refused.code == "feed.no_items"
    assert "In <rss><channel> there are 1 × <title>, 2 × <entry>." in refused.message
    assert "for example entry" in refused.message
    assert "If the shop really sells nothing" in refusal("<rss><channel><title>t</title></channel></rss>").message


# --- the setting --------------------------------------------------------------------------------------
YML = (
    '<yml_catalog><shop><categories><category id="1">A</category></categories><offers><offer id="1"><price>1</price>'
    '<name>x</name></offer><offer id="2"><price>2</price><name>y</name></offer></offers></shop></yml_catalog>'
)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (YML, "offer"),
        (UNCERTAIN["two kinds"][0], "b"),
        ('<offers><o id="1" price="1"/><o id="2" price="2"/></offers>', "o"),
        (f"<rss><channel>{two('item').replace('<title>', '<x><id>1</id></x><title>')}</channel></rss>", "item"),
    ],
)
def test_the_item_element_of_a_feed_settles_it(content: str, name: str) -> None:
    assert ids(content, FileSettings(item_element=name)) == ["1", "2"]


def test_an_item_element_that_is_not_there_does_no_harm() -> None:
    assert ids(f"<rss><channel>{two('item')}</channel></rss>", FileSettings(item_element="SHOPITEM")) == ["1", "2"]


def test_names_of_its_own_make_another_channels_feed_readable() -> None:
    content = "<SHOP><SHOPITEM><ITEM_ID>1</ITEM_ID><PRODUCTNAME>Dress</PRODUCTNAME></SHOPITEM></SHOP>"
    assert "<SHOP> (Heureka)" in refusal(content).message
    assert ids(content, FileSettings(aliases=(("ITEM_ID", "id"), ("PRODUCTNAME", "title")))) == ["1"]


DIALECTS = {
    "Yandex YML": YML,
    "Yandex YML ": f'<?xml version="1.0"?><!DOCTYPE yml_catalog SYSTEM "shops.dtd">{YML}',
    "Heureka": "<SHOP><SHOPITEM><ITEM_ID>1</ITEM_ID><PRODUCTNAME>x</PRODUCTNAME></SHOPITEM></SHOP>",
    "Skroutz": "<mywebstore><products><product><id>1</id><link>l</link></product></products></mywebstore>",
    "Mall": "<ITEMS>" + "<ITEM><ID>1</ID><TITLE>x</TITLE><PRICE>1</PRICE></ITEM>" * 2 + "</ITEMS>",
    "Ceneo": '<offers><o id="1" url="https://a.b" price="1"><name>x</name></o></offers>',
    "Demandware": '<catalog xmlns="urn:demandware"><product product-id="1"/></catalog>',
    "a sitemap": "<urlset><url><loc>https://a.b</loc></url></urlset>",
}


@pytest.mark.parametrize(("name", "content"), DIALECTS.items(), ids=DIALECTS)
def test_a_feed_for_another_channel_is_called_by_its_name(name: str, content: str) -> None:
    refused = refusal(content)
    assert refused.code == "feed.unknown_root"
    assert f"({name.strip()})" in refused.message
    assert "DOCTYPE" not in refused.message


def test_another_doctype_is_refused_as_such() -> None:
    content = f"<!DOCTYPE yml_catalog>{YML}"
    assert refusal(content, FileSettings(item_element="offer")).code == "feed.doctype"


# --- without an outermost element ---------------------------------------------------------------------
OUTSIDE = {
    "items alone": (two("item"), "outside_root"),
    "items behind a declaration": (f'<?xml version="1.0"?>\n{two("item")}', "outside_root"),
    "with a prefix": (two("item", id="g:id", title="g:title"), "outside_root"),
    "entries": (two("entry"), "outside_root"),
    "with the head of a channel": (f"<title>Shop</title><link>x</link>{two('item')}", "outside_root"),
    "with its end": (f"{two('item')}</channel></rss>", "outside_root"),
    "one before the feed": (
        f"{product(1, 'item')}\n<rss><channel>{product(2, 'item')}</channel></rss>",
        "outside_root",
    ),
    "one before a declaration": (
        f'{product(1, "item")}<?xml version="1.0"?><rss><channel>{product(2, "item")}</channel></rss>',
        "outside_root",
    ),
    "a stray tag": (f'<item>\n<?xml version="1.0"?>\n<rss><channel>{two("item")}</channel></rss>', "junk_before"),
    "two stray tags": (f'<a>\n<b>\n<?xml version="1.0"?>\n<rss><channel>{two("item")}</channel></rss>', "junk_before"),
    "a stray end": (f'</item>\n<?xml version="1.0"?><rss><channel>{two("item")}</channel></rss>', "junk_before"),
}


@pytest.mark.parametrize(("content", "repair"), OUTSIDE.values(), ids=OUTSIDE)
def test_items_outside_of_the_outermost_element_are_read_and_named(content: str, repair: str) -> None:
    reading, raws, repairs = read_as_it_can(content.encode())
    assert reading != "strict"
    assert [checked(raw) for raw in raws] == [("1", True), ("2", True)]
    assert list(repairs.counts) == [f"feed.repaired.{repair}"]


# --- the whole way ------------------------------------------------------------------------------------
@pytest.mark.django_db
def test_such_an_import_waits(feed: Feed, storage: object) -> None:
    run = received(feed, two("item").encode())
    stage(run)
    assert (run.status, run.reading, run.items, run.invalid) == (Status.REVIEW, Reading.SALVAGED, 2, 0)
    assert "Items stand outside of the outermost element (line 1)" in run.holds[0]["message"]


@pytest.mark.django_db
def test_a_feeds_item_element_is_asked(feed: Feed, storage: object) -> None:
    content = f"<shop><new>{two('a')}</new><old>{two('b')}{product(3, 'b')}</old></shop>".encode()
    with pytest.raises(FeedRefused):
        received(feed, content)
    feed.item_element = "b"
    feed.save()
    run = received(feed, content)
    stage(run)
    assert (run.status, run.items, run.invalid) == (Status.REVIEW, 3, 0)
