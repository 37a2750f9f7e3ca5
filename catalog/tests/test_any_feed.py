"""What holds of every feed, tried on feeds that Hypothesis makes up.

`make test` tries a few of each; `HYPOTHESIS_PROFILE=thorough make test ARGS=catalog/tests/test_any_feed.py` many.
"""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import FeedRefused
from catalog.feeds.broken.repair import Repairs
from catalog.feeds.cleaning.check import Rules, check_item
from catalog.feeds.issues import FOUND_MAX
from catalog.feeds.reading.items import RawItem
from catalog.feeds.write import feed_pieces, item_element
from catalog.tests.routes import PACKED, READINGS, ROUTES, WORKBOOKS, XML, Fields, as_item, raw_items, read_as_it_can

# --- feeds --------------------------------------------------------------------------------------------
# What XML may hold, but for the carriage return, which it reads as a line feed; with more of what delimits.
LETTERS = st.sampled_from("ab &<>\"',;|\t-]{}09éßعربى€–\n") | st.characters(
    exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff\ufeff"
)
# Not blank, since an element without text is one without a value.
TEXTS = st.builds(lambda text, last: text + last, st.text(LETTERS, max_size=40), st.sampled_from("abcزxyz9"))
NAMES = ["description", "color", "size", "material", "mpn", "shipping", "pattern", "product_type", "heel"]


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, str]]:
    """Items of which every attribute has a text."""
    names = ["id", "title", *draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=5))]
    return draw(st.lists(st.fixed_dictionaries(dict.fromkeys(names, TEXTS)), min_size=1, max_size=6))


GROUPS = st.dictionaries(st.sampled_from(["country", "service", "price"]), TEXTS, min_size=1)
VALUES = TEXTS | GROUPS | st.lists(TEXTS | GROUPS, min_size=2, max_size=3)


@st.composite
def feeds(draw: st.DrawFn) -> list[Fields]:
    """Items as XML may have them: any attribute on any of them, repeated, with elements inside."""
    several = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5)
    return draw(st.lists(st.builds(lambda id, more: {"id": id, **more}, TEXTS, several), min_size=1, max_size=6))


PACKINGS, PORTIONS = st.sampled_from(sorted(PACKED)), st.sampled_from([1, 2, 7, 100, 4096, 2**20])


def stripped(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: stripped(part) for name, part in value.items()}
    return [stripped(part) for part in value] if isinstance(value, list) else value.strip()


def local(raw: RawItem) -> Fields:
    return {tag.rpartition("}")[2]: stripped(value) for tag, value in raw.fields.items()}


# --- every route gives the same -----------------------------------------------------------------------
@pytest.mark.parametrize("route", ROUTES)
@given(items=tables(), packing=PACKINGS, most=PORTIONS)
def test_a_table_is_the_same_by_every_route(route: str, items: list[dict[str, str]], packing: str, most: int) -> None:
    content = PACKED[packing](ROUTES[route](items))
    reading, found, _repairs = read_as_it_can(content, most=most)
    assert reading == "strict"
    assert [local(raw) for raw in found] == stripped(items)
    cleaned = [check_item(raw, Rules()) for raw in found]
    assert [{**item.extra, **item.values} for item in cleaned] == stripped(items)


@pytest.mark.parametrize("route", WORKBOOKS)
@given(items=tables())
def test_a_table_is_the_same_in_a_workbook(route: str, items: list[dict[str, str]]) -> None:
    found = list(raw_items(WORKBOOKS[route](items), "strict", Repairs()))
    assert [local(raw) for raw in found] == stripped(items)
    assert [raw.line for raw in found] == list(range(2, len(items) + 2))


@given(items=feeds(), packing=PACKINGS, most=PORTIONS, in_lines=st.booleans())
def test_groups_and_repeats_are_the_same_in_json(
    items: list[Fields], packing: str, most: int, *, in_lines: bool
) -> None:
    text = "\n".join(map(json.dumps, items)) if in_lines else json.dumps(items)
    content = PACKED[packing](text.encode())
    assert [local(raw) for raw in raw_items(content, "strict", Repairs(), most=most)] == stripped(items)


# What any program can put into a table: the csv module, openpyxl and json write it, and it is read as it was.
ANY_TEXTS = st.text(
    st.sampled_from("=+-@'\"_x0041,;\t|[]{}\\\n #")
    | st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"),
    max_size=30,
)


@given(
    rows=st.lists(
        st.fixed_dictionaries({"id": ANY_TEXTS, "title": ANY_TEXTS, "own": ANY_TEXTS}), min_size=1, max_size=5
    )
)
def test_any_table_of_products_reads_back_equal(rows: list[dict[str, str]]) -> None:
    filled = [row for row in rows if any(text.strip() for text in row.values())]
    for write in (ROUTES["CSV"], ROUTES["TSV"], *WORKBOOKS.values(), ROUTES["JSON"], ROUTES["JSON lines"]):
        expected = rows if write in (ROUTES["JSON"], ROUTES["JSON lines"]) else filled
        if not expected:
            with pytest.raises(FeedRefused, match="no items"):
                list(raw_items(write(rows), "strict", Repairs()))
            continue
        found = [raw.fields for raw in raw_items(write(rows), "strict", Repairs())]
        assert list(map(stripped, found)) == list(map(stripped, expected))


@pytest.mark.parametrize("route", XML)
@given(items=feeds(), packing=PACKINGS, most=PORTIONS)
def test_groups_and_repeats_are_the_same_by_every_route(
    route: str, items: list[Fields], packing: str, most: int
) -> None:
    content = PACKED[packing](ROUTES[route](items))
    assert [local(raw) for raw in raw_items(content, "strict", Repairs(), most=most)] == stripped(items)


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("route", XML)
@given(items=feeds(), most=PORTIONS)
def test_what_is_well_formed_is_read_alike_in_all_three_ways(
    route: str, reading: str, items: list[Fields], most: int
) -> None:
    content = ROUTES[route](items)
    repairs = Repairs()
    found = list(raw_items(content, reading, repairs, most=most))
    assert found == list(raw_items(content, "strict", Repairs()))
    assert set(repairs.counts) <= {"feed.repaired.encoding"}


# --- k of n items broken ------------------------------------------------------------------------------
@st.composite
def spoilt(draw: st.DrawFn, item: str) -> str:
    """The item with something in it that cannot be repaired."""
    tags = [match.start() for match in re.finditer(r"<(?!/)", item)][1:]
    ends = [match.span() for match in re.finditer(r"</[^>]+>", item)]
    kind = draw(st.sampled_from(["without an end", "crossed", "a tag too much", "cut short", "a bare <"]))
    start, end = draw(st.sampled_from(ends))
    at = draw(st.sampled_from(tags))
    if kind == "without an end":
        return item[:start] + item[end:]
    if kind == "crossed":
        return f"{item[:start]}</crossed>{item[end:]}"
    if kind == "a tag too much":
        return f"{item[:at]}<{draw(st.sampled_from(['br', 'p', 'g:x']))}>{item[at:]}"
    if kind == "a bare <":
        return f"{item[:at]}< {item[at:]}"
    return item[: draw(st.integers(len("<product>"), len(item) - 1))]


LAYOUTS = {
    "RSS": ('<rss xmlns:g="http://base.google.com/ns/1.0"><channel>', "item", "</channel></rss>"),
    "Atom": ('<feed xmlns:g="http://base.google.com/ns/1.0">', "entry", "</feed>"),
    "plain": ('<products xmlns:g="http://base.google.com/ns/1.0">', "product", "</products>"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@given(data=st.data(), most=PORTIONS)
def test_breaking_k_of_n_items_leaves_the_others_exactly_as_they_were(
    layout: str, data: st.DataObject, most: int
) -> None:
    begin, name, end = LAYOUTS[layout]
    fields = data.draw(st.lists(st.dictionaries(st.sampled_from(NAMES), TEXTS, max_size=3), min_size=2, max_size=8))
    whole = [as_item({"id": f"id{n}", **more}, name) for n, more in enumerate(fields)]
    broken = data.draw(st.sets(st.integers(0, len(whole) - 1), max_size=len(whole) - 1))
    items = [data.draw(spoilt(item)) if n in broken else item for n, item in enumerate(whole)]
    expected = raw_items(f"{begin}{''.join(whole)}{end}".encode(), "strict", Repairs())
    _reading, found, _repairs = read_as_it_can(f"{begin}{''.join(items)}{end}".encode(), most=most)
    assert [raw.fields for raw in found if not raw.lost] == [
        raw.fields for n, raw in enumerate(expected) if n not in broken
    ]


# --- anything at all ----------------------------------------------------------------------------------
PIECES = (
    '<?xml version="1.0"?>|<?xml version="1.0" encoding="UTF-16"?>|<rss>|<rss |<channel>|<item>|</item>|<item/>|'
    "<products>|</products>|<product |<feed>|<entry>|</entry>|<g:id>|</g:id>|<title>|</title>|1|a|&|&amp;|&nbsp;|&#0;|"
    "&#x110000;|<![CDATA[|]]>|<!--|-->|<!DOCTYPE a>|<!DOCTYPE a [<!ENTITY b 'c'>]>|&b;|id='1'| |\n|\r|>|<|/>|'|=|</|]|"
    '"|xmlns:g="http://base.google.com/ns/1.0"|\x00|\x1d|\x7f|\ufeff|é|id,title\n|id\ttitle\n|1,a\n|;|{{|}}|{|null|'
    '12,50 AED|-1 AED|</channel></rss>|[|{"id": "1"}|,|:|[{"id":"|"title": "|\\ud800|\\u0000|1e999|-0|true|NaN|{"a":'
).split("|")
BYTES = st.lists(
    st.sampled_from([piece.encode() for piece in PIECES])
    | st.binary(max_size=8)
    | st.sampled_from([b"\xef\xbb\xbf", b"\xff\xfe", b"\x1f\x8b\x08", b"PK\x03\x04", b"\xe9"]),
    max_size=60,
).map(b"".join)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A feed that was fine, by any route, with a few bytes of it changed, lost or doubled."""
    route = draw(st.sampled_from(sorted({**ROUTES, **WORKBOOKS})))
    items = draw(tables())
    content = bytearray(WORKBOOKS[route](items) if route in WORKBOOKS else PACKED[draw(PACKINGS)](ROUTES[route](items)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content) - 1))
        piece = draw(st.binary(max_size=3) | st.sampled_from([b"<", b"&", b"]]>", b"</item>", b'"', b"\x00", b"\xe9"]))
        content[at : at + draw(st.integers(0, 20))] = piece
        content = content or bytearray(b" ")
    return bytes(content)


@settings(max_examples=20 * settings().max_examples)
@given(content=BYTES | damaged(), most=PORTIONS)
def test_of_any_bytes_nothing_escapes_but_a_refusal(content: bytes, most: int) -> None:
    for reading in READINGS:
        message = ""
        try:
            for raw in raw_items(content, reading, Repairs(), most=most):
                check_what_follows(raw)
        except FeedRefused as refused:
            message = refused.message
        assert "\n" not in message
        assert len(message) < 1000


def check_what_follows(raw: RawItem) -> None:
    """An item can be cleaned, stored and written again, whatever it holds."""
    item = check_item(raw, Rules("AED", "https://shop.example/", "shop.example", today="2026-11-22"))
    stored = json.dumps([{n: str(value) for n, value in item.values.items()}, item.extra], ensure_ascii=False)
    assert "\\u0000" not in stored
    stored.encode()
    for issue in item.issues:
        assert len(issue.found) <= FOUND_MAX
        assert issue.line >= 0
        assert issue.severity
    again = b"".join(feed_pieces([item_element(item.values, item.extra)]))
    assert len(list(raw_items(again, "strict", Repairs()))) == 1
