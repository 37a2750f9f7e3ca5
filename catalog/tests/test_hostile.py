"""Files that are meant to do harm change no product, open no file and no socket, and end soon and in words."""

import gzip
import io
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from catalog.errors import FeedRefused
from catalog.feeds.cleaning.check import Rules, check_item
from catalog.feeds.reading.items import CHUNK_BYTES, Stream, read_items
from catalog.imports.reading.stage import stage
from catalog.models import Feed, Status
from catalog.tests.factories import applied, catalogue, received
from catalog.tests.factories import item as flawless
from catalog.tests.hostile import MIB, Endless, bomb, listing_much, outcome, watched
from catalog.tests.routes import zipped

G = b'xmlns:g="http://base.google.com/ns/1.0"'
BEGIN, ITEM, END = b"<rss " + G + b"><channel>", b"<item><g:id>1</g:id></item>", b"</channel></rss>"
IN_ITEM = BEGIN + b"<item><g:id>1</g:id>"
TABLE = b"id,title\n1,Scarf\n"


def feed(*items: bytes, before: bytes = b"") -> bytes:
    return before + BEGIN + b"".join(items) + END


def of(title: bytes) -> bytes:
    return feed(b"<item><g:id>1</g:id><title>" + title + b"</title></item>")


# --- what reaches out, hides or deceives ----------------------------------------------------------------
DTD = b'<!DOCTYPE rss [<!ENTITY e SYSTEM "file:///etc/hostname"><!ENTITY % p SYSTEM "http://127.0.0.1:9/x">%p;]>'
LAUGHS = b"".join(b'<!ENTITY a%d "%s">' % (n + 1, b"&a%d;" % n * 10) for n in range(9))
SMALL: dict[str, tuple[bytes, Any]] = {
    "a DOCTYPE": (feed(ITEM, before=b"<!DOCTYPE rss>"), "feed.doctype"),
    "a DOCTYPE in UTF-16": (feed(ITEM, before=b"<!DOCTYPE rss>").decode().encode("utf-16"), "feed.doctype"),
    "a DOCTYPE in gzip": (gzip.compress(feed(ITEM, before=b"<!DOCTYPE rss>")), "feed.doctype"),
    "a DOCTYPE behind much": (feed(ITEM, before=b"<!--" + b"x" * 70_000 + b"--><!DOCTYPE rss>"), "feed.doctype"),
    "a DOCTYPE behind junk": (feed(ITEM, before=b"Warning\n<!DOCTYPE rss>"), "feed.doctype"),
    "a DOCTYPE of small letters": (feed(ITEM, before=b"<!doctype rss>"), "feed.doctype"),
    "external entities": (feed(ITEM, before=DTD), "feed.doctype"),
    "a billion laughs": (feed(ITEM, before=b'<!DOCTYPE rss [<!ENTITY a0 "ha">' + LAUGHS + b"]>"), "feed.doctype"),
    "a quadratic bomb": (
        b'<!DOCTYPE rss [<!ENTITY a "' + b"x" * 50_000 + b'">]>' + of(b"&a;" * 50_000),
        "feed.doctype",
    ),
    "attributes by a DOCTYPE": (feed(ITEM, before=b'<!DOCTYPE rss [<!ATTLIST item id CDATA "9">]>'), "feed.doctype"),
    "an entity that refers to itself": (
        feed(ITEM, before=b'<!DOCTYPE rss [<!ENTITY a "&b;"><!ENTITY b "&a;">]>'),
        "feed.doctype",
    ),
    "a DOCTYPE in an item": (feed(ITEM, ITEM.replace(b"<g", b"<!DOCTYPE a><g", 1)), ["1", "1 lost"]),
    "an entity that is not declared": (of(b"a&e;b"), ["1"]),
    "XInclude": (
        of(b'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/hostname" parse="text"/>'),
        ["1"],
    ),
    "a stylesheet": (feed(ITEM, before=b'<?xml-stylesheet href="http://127.0.0.1:9/a.xsl" type="text/xsl"?>'), ["1"]),
    "a schema": (
        feed(ITEM).replace(b"<rss", b'<rss xmlns:s="http://www.w3.org/2001/XMLSchema-instance" s:schemaLocation="a b"'),
        ["1"],
    ),
    "a second document": (feed(ITEM) + feed(ITEM.replace(b"1", b"2")), ["1", "2"]),
    "a second document behind an entity": (
        of(b"&nope;" + b"x" * CHUNK_BYTES) + feed(ITEM.replace(b"1", b"2")),
        ["1", "2"],
    ),
    "UTF-7": (b'<?xml version="1.0" encoding="UTF-7"?>' + feed(ITEM), "feed.encoding"),
    "UTF-7 by its mark": (b"+/v8-" + feed(ITEM), "feed.encoding"),
    "an encoding that hides markup": (b'<?xml version="1.0" encoding="ISO-2022-JP"?>' + feed(ITEM), "feed.encoding"),
    "UTF-32": (feed(ITEM).decode().encode("utf-32"), "feed.encoding"),
    "a page that holds items": (b"<html><body><rss><channel><item/></channel></rss></body></html>", "feed.no_items"),
    "items of another element": (b"<rss><x><channel><item/></channel></x></rss>", "feed.no_items"),
    "an item in an item": (feed(IN_ITEM[len(BEGIN) :] + b"<x><item><g:id>2</g:id></item></x></item>"), ["1"]),
    "a prefix that is not declared": (b"<rss><channel><item><g:id>1</g:id></item></channel></rss>", ["1"]),
    "a name of 40,000 letters": (feed(b"<" + b"x" * 40_000 + b">", ITEM), ["1"]),
    "a file that was cut off": (feed(ITEM, ITEM.replace(b"1", b"2"))[:-30], ["1", " lost"]),
    "a namespace in braces": (feed(ITEM).replace(b'"http', b'"{http'), ["1"]),
    "zeros in a feed": (of(b"a\x00b"), ["1"]),
    "half a character": (of(b"a\xed\xa0\x80b"), ["1"]),
    "an archive in an archive": (gzip.compress(gzip.compress(feed(ITEM))), "feed.archive_nested"),
    "two feeds in a zip": (zipped(("a", feed(ITEM)), ("b", feed(ITEM))), "feed.archive_several"),
    "a path in a zip": (zipped(("../../etc/passwd", feed(ITEM))), ["1"]),
    "a formula in a table": (b"id,title\n1,=cmd|' /C calc'!A0\n", ["1"]),
    "a script": (b"import os\nos.system('id')\n", "feed.script"),
    "an id with a path": (feed(ITEM.replace(b">1<", b">../../admin?x=%2F#y<")), ["../../admin?x=%2F#y"]),
    "markup in a value": (of(b"&lt;script&gt;alert(1)&lt;/script&gt;"), ["1"]),
}  # fmt: skip


@pytest.mark.parametrize(("content", "expected"), SMALL.values(), ids=SMALL)
def test_a_hostile_file_is_refused_or_read_as_text(content: bytes, expected: Any) -> None:
    with watched():
        found = outcome(lambda: io.BytesIO(content))
    assert found == expected


def test_no_hostile_file_changes_a_product_or_shows_a_traceback(feed: Feed) -> None:
    applied(feed, flawless("1"), flawless("2"))
    before = catalogue()
    for name, (content, _expected) in SMALL.items():
        told = told_of(feed, content)
        assert not any(word in told for word in ("Traceback", "Error", "lxml", "None")), name
        assert catalogue() == before, name


def told_of(feed: Feed, content: bytes) -> str:
    """What people are told of an import that would archive whatever is missing; "" when it waits for them."""
    try:
        run = received(feed, content, mode="sync")
    except FeedRefused as at_the_door:
        return at_the_door.message
    stage(run)
    assert (run.status == Status.FAILED) is bool(run.error)
    return run.error


# --- bombs ----------------------------------------------------------------------------------------------
MANY_ATTRIBUTES = b" ".join(b'a%d=""' % n for n in range(200_000))
MANY_NAMESPACES = b" ".join(b'xmlns:a%d="u"' % n for n in range(100_000))
BLANK, LETTER = b" " * MIB, b"x" * MIB
HUGE: dict[str, tuple[Callable[[], Stream], Any]] = {
    "gzip": (lambda: io.BytesIO(bomb(BEGIN, ITEM * 40_000, 9)), "feed.ratio"),
    "gzip of blanks": (lambda: io.BytesIO(bomb(feed(ITEM), BLANK, 60)), "feed.ratio"),
    "zip": (lambda: io.BytesIO(zipped(("a.csv", TABLE + b"2,Belt\n" * MIB))), "feed.ratio"),
    "a skipped file": (lambda: io.BytesIO(zipped(("__MACOSX/a", BLANK * 9), ("a", ITEM))), "feed.archive_damaged"),
    "a zip's directory": (lambda: io.BytesIO(listing_much(zipped(("a.csv", TABLE)), MIB)), "feed.archive_damaged"),
    "a comment": (lambda: Endless(IN_ITEM + b"<!--", LETTER, 300), "feed.item_too_large"),
    "an attribute": (lambda: Endless(IN_ITEM + b'<a b="', LETTER, 300), "feed.item_too_large"),
    "CDATA": (lambda: Endless(IN_ITEM + b"<![CDATA[", LETTER, 300), "feed.item_too_large"),
    "a text": (lambda: Endless(IN_ITEM, LETTER, 300), "feed.item_too_large"),
    "white space first": (lambda: Endless(b"<!-- -->", BLANK, 300), "feed.item_too_large"),
    "white space last": (lambda: Endless(feed(ITEM), BLANK, 300), "feed.item_too_large"),
    "attributes": (lambda: Endless(IN_ITEM + b"<x ", MANY_ATTRIBUTES, 100), "feed.item_too_large"),
    "attributes of one element": (
        lambda: io.BytesIO(feed(ITEM, b"<item><x " + MANY_ATTRIBUTES + b"/></item>", ITEM)), ["1", " lost", "1"]
    ),
    "namespaces of one element": (lambda: io.BytesIO(feed(b"<item><x " + MANY_NAMESPACES + b"/></item>")), [""]),
    "elements": (lambda: Endless(IN_ITEM, b"<x/>" * 250_000, 300), "feed.item_too_large"),
    "elements of an item": (lambda: io.BytesIO(IN_ITEM + b"<x/>" * 200_000 + b"</item>" + ITEM + END), ["1 lost", "1"]),
    "a long value": (lambda: io.BytesIO(of(b"x" * 3 * MIB)), ["1 lost"]),
    "depth": (lambda: Endless(IN_ITEM, b"<x>" * 1000, 1000), "feed.too_deep"),
    "items in items": (lambda: io.BytesIO(BEGIN + b"<item>" * 200_000), "feed.too_deep"),
    "items left open": (lambda: io.BytesIO(BEGIN + b"<item><g:id>1</g:id>" * 300_000), "feed.too_deep"),
    "sections left open": (lambda: io.BytesIO(BEGIN + b"<item><![CDATA[" * 300_000), "feed.item_too_large"),
    "comments left open": (lambda: io.BytesIO(BEGIN + b"<item><!--" * 300_000), "feed.not_well_formed"),
    "quotes left open": (lambda: io.BytesIO(of(b"&<a b='" * 200_000)), "feed.not_well_formed"),
    "bare less-than signs": (lambda: io.BytesIO(of(b"&" + b"<" * 3 * MIB)), "feed.not_well_formed"),
    "bare ampersands": (lambda: io.BytesIO(of(b"&" * MIB)), "feed.item_too_large"),
    "a line of a table": (lambda: Endless(TABLE, LETTER, 300), "feed.record_too_large"),
    "a cell of a table": (lambda: Endless(TABLE + b'2,"', b"x\n" * MIB, 300), "feed.record_too_large"),
    "a record of a table": (lambda: Endless(TABLE, b",x" * MIB, 300), "feed.record_too_large"),
    "a header": (lambda: Endless(b"id,title,", b"x," * MIB, 300), "feed.too_many_attributes"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "expected"), HUGE.values(), ids=HUGE)
def test_a_bomb_goes_off_soon_and_in_little_memory(make: Callable[[], Stream], expected: Any) -> None:
    made = [make(), make(), make()]
    with watched():
        found = outcome(made.pop)
    assert found == expected


def test_many_items_take_as_much_memory_as_one() -> None:
    items = read_items(Endless(BEGIN, ITEM * 1000, 60))
    with watched() as used, pytest.raises(FeedRefused, match="Premature end"):
        for _ in items:
            pass
    assert used.bytes < 10 * MIB


def test_blank_rows_of_a_table_are_read_in_little_memory() -> None:
    with watched() as used:
        assert sum(1 for _ in read_items(Endless(TABLE, b",\n" * 100_000, 10))) == 1
    assert used.bytes < 10 * MIB


# --- the parser -----------------------------------------------------------------------------------------
def test_the_parser_is_one_that_fetches_nothing() -> None:
    """Earlier ones resolved external entities, and then parameter entities."""
    assert etree.LXML_VERSION >= (6, 1, 3, 0)


def test_nobody_is_asked_over_the_network(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the secret")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        url = b"http://127.0.0.1:%d/" % server.getsockname()[1]
        for external in (url, secret.as_uri().encode()):
            for before in (
                b'<!DOCTYPE rss SYSTEM "%b">',
                b'<!DOCTYPE rss [<!ENTITY e SYSTEM "%b">]>',
                b'<!DOCTYPE rss [<!ENTITY %% p SYSTEM "%b">%%p;]>',
                b'<?xml-stylesheet href="%b"?>',
                b"\n<?xml-model href='%b'?>",
            ):
                content = feed(ITEM.replace(b"</item>", b"<title>&e;</title></item>"), before=before % external)
                told = outcome(lambda content=content: io.BytesIO(content))  # type: ignore[misc]
                assert told in ("feed.doctype", ["1"])
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_text_does_not_end_at_a_comment_an_instruction_or_an_element() -> None:
    (raw,) = read_items(io.BytesIO(of(b"Red<!-- c --> silk<?php x ?> shoe<b>s</b>!")))
    assert check_item(raw, Rules()).values["title"] == "Red silk shoes!"


def test_a_refusal_tells_nothing_of_an_earlier_file() -> None:
    with pytest.raises(FeedRefused, match="secret"):
        list(read_items(io.BytesIO(of(b"<secret></title>"))))
    with pytest.raises(FeedRefused) as refused:
        list(read_items(io.BytesIO(of(b"a & b"))))
    assert "secret" not in refused.value.message


# --- values ---------------------------------------------------------------------------------------------
NUMBERS = [
    "1e300000",
    "1e5000000",
    "1" * 4500,
    "NaN",
    "Infinity",
    "0x10",
    "1_000",
    "١٢٣",
    "１２",
    "-0",
    "1e3",
    " 1\u20092",
]


@pytest.mark.parametrize("name", ["price", "sale_price", "quantity", "gtin", "additional_images_count"])
@pytest.mark.parametrize("text", NUMBERS)
def test_no_text_is_made_a_number_that_it_is_not(name: str, text: str) -> None:
    with watched():
        (raw,) = read_items(io.BytesIO(feed(f"<item><g:{name}>{text}</g:{name}></item>".encode())))
        item = check_item(raw, Rules("AED"))
    assert not isinstance(item.values.get(name), int | float)
    assert name == "gtin" or name not in item.values


URLS = [
    "https://user:pass@example.com/",
    "https://evil\\@good.example/",
    "https://good.example\\.evil.example/",
    "javascript:alert(1)",
    "data:text/html,x",
    "https:///etc/passwd",
    "file:///etc/passwd",
    "https://exa mple.com/",
    "\u202e//example.com/",
    "//example.com/",
]


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("name", ["link", "mobile_link", "image_link", "additional_image_link"])
def test_an_address_that_deceives_is_none(name: str, url: str) -> None:
    content = feed(f"<item><g:id>1</g:id><g:{name}>{url}</g:{name}></item>".encode())
    (raw,) = read_items(io.BytesIO(content))
    assert name not in check_item(raw, Rules()).values


def test_what_stands_in_an_address_is_stored_without_markup_or_overrides() -> None:
    (raw,) = read_items(
        io.BytesIO(of(b"x").replace(b"<title>", "<link>https://e.com/\u202egpj.exe</link><title>".encode()))
    )
    assert check_item(raw, Rules()).values["link"] == "https://e.com/%E2%80%AEgpj.exe"


def test_two_items_with_one_id_are_both_told() -> None:
    assert outcome(lambda: io.BytesIO(feed(ITEM, ITEM))) == ["1", "1"]
