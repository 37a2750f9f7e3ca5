"""Salvage: of a file that nothing makes well-formed, every whole item is read exactly, and every other one is named."""

import io
import re
import time
from contextlib import suppress
from typing import Any

import pytest

from catalog.errors import FeedRefused
from catalog.feeds.broken.repair import Repairs
from catalog.feeds.broken.salvage import salvage_items
from catalog.feeds.reading.items import RawItem, read_items
from catalog.feeds.reading.layouts import PLAIN_ROOTS
from catalog.tests.routes import read_as_it_can
from catalog.tests.test_repair import NS, Dripping

HEAD = f'<?xml version="1.0"?>\n<rss {NS}>\n<channel><title>Shop</title>\n'
FOOT = "\n</channel>\n</rss>"


def an_item(number: int, text: str = "") -> str:
    return (
        f"<item><g:id>{number}</g:id>\n<title><![CDATA[Dress <b>{number}</b> & co]]></title>"
        f"<g:shipping><g:country>AE</g:country></g:shipping>{text}</item>"
    )


def feed_of(*items: str, foot: str = FOOT) -> bytes:
    return (HEAD + "\n".join(items) + foot).encode()


def items(count: int) -> list[str]:
    return [an_item(n) for n in range(1, count + 1)]


def salvaged(content: bytes) -> list[RawItem]:
    return list(salvage_items(io.BytesIO(content), Repairs()))


def saved(content: bytes) -> list[str]:
    return [str(item.fields[f"{{{G}}}id"]) for item in salvaged(content) if not item.lost]


def named(content: bytes) -> list[tuple[int, Any, str]]:
    return [(item.line, item.fields.get("id", ""), item.faults[0][1]) for item in salvaged(content) if item.lost]


G = "http://base.google.com/ns/1.0"

# Three items of which the second is spoilt, each as (what to replace in it, with what).
SPOILT = {
    "crossed tags": ("</title>", "</g:title>"),
    "a tag that is not closed": ("</g:country>", ""),
    "an end without a beginning": ("<title>", "</b><title>"),
    "a bare <": ("<g:id>2", "<g:id>2<3"),
    "CDATA left open before another end tag": ("]]></title>", "</g:title>"),
    "a comment left open": ("<title>", "<!-- <title>"),
    "a quote left open": ("<title>", '<title lang="en>'),
    "an unknown prefix": ("<title>", "<x:y>1</x:y><title>"),
    "a byte that is nothing": ("Dress", "\udc81"),
    "an end tag that is lost": ("</item>", ""),
    "another end tag": ("</item>", "</itm>"),
    "a tag cut short": ("</g:country></g:shipping></item>", "</g:cou"),
    "a DOCTYPE inside": ("<title>", "<!DOCTYPE title><title>"),
    "a control character in the id": ("<g:id>2", "<g:id>2\x1d"),
}


@pytest.mark.parametrize(("old", "new"), SPOILT.values(), ids=SPOILT)
def test_a_spoilt_item_costs_itself_and_is_named(old: str, new: str) -> None:
    first, second, third = items(3)
    assert old in second
    text = HEAD + "\n".join([first, second.replace(old, new, 1), third]) + FOOT
    content = text.encode("utf-8", "surrogateescape")
    assert saved(content) == ["1", "3"]
    ((line, product_id, found),) = named(content)
    assert line == 6
    assert product_id in ("2", "")
    assert re.match(r"Line [678]: .", found)


def test_what_is_named_cites_the_line_of_the_fault() -> None:
    content = feed_of(an_item(1), an_item(2, "\n<g:gtinc>000123</g:gtin>"))
    assert named(content) == [(6, "2", "Line 8: <g:gtinc>000123</g:gtin></item>")]


@pytest.mark.parametrize("open", ["<![CDATA[Red</color>", "<!--Red</g:color>"])
def test_of_a_section_left_open_its_beginning_is_cited(open: str) -> None:
    content = feed_of(an_item(1), an_item(2, f"\n<g:color>{open}\n"), an_item(3, "<!-- a -->"))
    assert named(content) == [(6, "2", f"Line 8: <g:color>{open}")]


@pytest.mark.parametrize(
    "content",
    [
        feed_of(*items(3))[: -len(FOOT)],
        feed_of(*items(3)) + b"\n</xml>",
        feed_of(*items(3), foot="</channel></rss>") + b"<rss><channel/></rss>",
        feed_of(*items(3)).replace(b"<title>Shop", b"<titel>Shop"),
        feed_of(*items(3), "<!-- <item><g:id>4</g:id></item> -->", foot=""),
        feed_of(*items(3), foot="") + b"</item></channel>",
    ],
    ids=[
        "cut off between items",
        "an end too much",
        "several roots",
        "a broken head",
        "a comment",
        "an end of nothing",
    ],
)
def test_whole_items_of_a_broken_file_are_all_saved(content: bytes) -> None:
    assert saved(content) == ["1", "2", "3"]
    assert not named(content)


def test_an_item_cut_off_is_named() -> None:
    content = feed_of(*items(3))[: -len(FOOT) - 20]
    assert saved(content) == ["1", "2"]
    assert [(line, product_id) for line, product_id, _found in named(content)] == [(8, "3")]


def test_of_several_roots_all_items_are_saved() -> None:
    assert saved(feed_of(*items(2)) + feed_of(an_item(7))) == ["1", "2", "7"]


def test_an_item_in_an_item_is_part_of_it() -> None:
    inner = "<g:bundle><item><g:id>9</g:id></item><item/></g:bundle>"
    whole = feed_of(an_item(1), an_item(2, inner), an_item(3))
    assert salvaged(whole + b"</x>") == list(read_items(io.BytesIO(whole)))


def test_atom_entries_are_saved() -> None:
    content = (
        f'<feed xmlns="http://www.w3.org/2005/Atom" {NS}><entry><g:id>1</g:id></entry><entry><a></entry>'
        "<entry><g:id>3</g:id></entry>"
    ).encode()
    assert saved(content) == ["1", "3"]


@pytest.mark.parametrize("root", PLAIN_ROOTS)
@pytest.mark.parametrize("name", ["product", "item", "offer"])
def test_plain_lists_are_saved(root: str, name: str) -> None:
    whole = [f"<{name} id='{n}' title='a > b'><offers><offer/><item>x</item></offers></{name}>" for n in range(1, 4)]
    begin, end = f"<{root} {NS}>", f"</{root}>"
    well_formed = f"{begin}{whole[0]}<{name} id='2'/>{whole[2]}{end}".encode()
    assert salvaged(well_formed) == list(read_items(io.BytesIO(well_formed)))
    broken = f"{begin}{whole[0]}{whole[1].replace('</offers>', '')}{whole[2]}".encode()
    assert [(item.lost, item.fields.get("id")) for item in salvaged(broken)] == [
        (False, "1"),
        (True, None),
        (False, "3"),
    ]


def test_the_element_around_the_items_may_lie_in_one_of_them() -> None:
    inner = "<related><products><product id='9'/></products></related>"
    content = f"<products><product id='1'>{inner}</product><product id='2'></x></product></products>".encode()
    assert [item.lost for item in salvaged(content)] == [False, True]


# A CDATA section that is left open, and closed by the end of the next one: well-formed, and wrong.
RUNS_ON = {
    "into the next item": feed_of(*items(3)).replace(b"<b>1</b> & co]]>", b"<b>1</b> & co"),
    "within the item": feed_of(
        an_item(1, "<x><![CDATA[a</x><g:color>Red</g:color><x><![CDATA[b]]></x>"), an_item(2), an_item(3)
    ),
    "in an element with an attribute": feed_of(
        an_item(1, '<x y="1"><![CDATA[a</x><x><![CDATA[b]]></x>'), an_item(2), an_item(3)
    ),
    "in a group": feed_of(an_item(1, "<x><y><![CDATA[a</y></x><x><y><![CDATA[b]]></y></x>"), an_item(2), an_item(3)),
}


@pytest.mark.parametrize("content", RUNS_ON.values(), ids=RUNS_ON)
def test_a_section_that_runs_on_into_another_one_swallows_nothing_in_silence(content: bytes) -> None:
    with pytest.raises(FeedRefused, match="a CDATA section in <.> is left open" if b"<x" in content else "in <title>"):
        list(read_items(io.BytesIO(content)))
    reading, raws, repairs = read_as_it_can(content)
    assert reading == "repaired"
    assert repairs.counts == {"feed.repaired.section_open": 1}
    for found in (raws, salvaged(content)):
        assert [raw.fields[f"{{{G}}}id"] for raw in found if not raw.lost] == ["1", "2", "3"]


@pytest.mark.parametrize(
    "text",
    ["//&lt;![CDATA[ x //]]&gt; &lt;/title&gt;", "<![CDATA[</b> &lt;![CDATA[]]>", "&lt;/b&gt; &lt;![CDATA[ cut"],
)
def test_a_text_about_sections_is_a_text(text: str) -> None:
    content = feed_of(an_item(1, f"<g:color>{text}</g:color>"))
    assert salvaged(content) == list(read_items(io.BytesIO(content)))


def test_namespaces_are_those_of_the_file() -> None:
    content = (
        b'<rss xmlns:x="http://base.google.com/ns/1.0"><channel xmlns:y="urn:y"><item><x:id>1</x:id><y:z>2</y:z>'
        b"<g:title>3</g:title></item>"
    )
    (item,) = salvaged(content)
    assert not item.lost
    assert list(item.fields) == [f"{{{G}}}id", "{urn:y}z", f"{{{G}}}title"]


def test_items_are_repaired_on_the_way() -> None:
    repairs = Repairs()
    content = feed_of(an_item(1, "\n<g:color>R & B&eacute;</g:color>"), an_item(2, "</x>"))
    first, second = salvage_items(io.BytesIO(content), repairs)
    assert not first.lost
    assert first.fields[f"{{{G}}}color"] == "R & Bé"
    assert second.lost
    assert repairs.examples["feed.repaired.bare_ampersand"] == [(6, "& B&eacute;")]


@pytest.mark.parametrize(
    "content",
    [
        feed_of(),
        feed_of("<item><a></item>"),
        b"<rss><channel><item>",
        b"<rss ",
        b"<html><item/></html>",
        b"",
    ],
)
def test_where_nothing_can_be_saved_it_is_refused(content: bytes) -> None:
    with pytest.raises(FeedRefused) as refused:
        salvaged(content)
    assert refused.value.code == "feed.no_items"


def test_a_well_formed_file_is_salvaged_as_it_is_read() -> None:
    content = feed_of(*items(2000))
    assert salvaged(content) == list(read_items(io.BytesIO(content)))


@pytest.mark.parametrize("size", [1, 2, 5, 64, 1000])
@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_any_chunks_give_the_same(spoil: tuple[str, str], size: int) -> None:
    text = HEAD + "\n".join([an_item(1), an_item(2).replace(*spoil, 1), an_item(3), an_item(4)]) + FOOT
    content = text.encode("utf-8", "surrogateescape")
    assert list(salvage_items(Dripping(content, size), Repairs())) == salvaged(content)


# --- hostile ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "text",
    [
        "<item>" * 200_000,
        "<item><item></item>" * 5_000,
        "<item><![CDATA[" * 70_000,
        "<item><!-- </item>" * 60_000,
        "<item>" + "<![CDATA[" * 100_000,
        "<item><title>" + "x" * 1_500_000,
        "<item " * 150_000,
        "<![CDATA[</item>" * 60_000,
    ],
    ids=["starts", "nested", "CDATA in items", "comments", "CDATA", "no end", "no tag", "CDATA between"],
)
def test_a_megabyte_of_nonsense_takes_no_time(text: str) -> None:
    start = time.process_time()
    with suppress(FeedRefused):
        salvaged(feed_of(text))
    assert time.process_time() - start < 5
