"""JSON is read as a table is: a list of objects, or an object in each line, in little memory."""

from __future__ import annotations

import io
import json
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest

from catalog.errors import FeedRefused
from catalog.feeds.cleaning.check import Rules, check_item
from catalog.feeds.limits import MIB, SAFE, Limits
from catalog.feeds.reading.items import CHUNK_BYTES, RawItem, Stream, read_items
from catalog.feeds.reading.json_values import MAX_DIGITS
from catalog.imports.local import stage_locally
from catalog.imports.reports.source import place_of_item, read_snippet
from catalog.models import Feed
from catalog.tests.factories import received
from catalog.tests.hostile import Endless, watched


def read(content: bytes | str, limits: Limits = SAFE) -> list[RawItem]:
    return list(read_items(io.BytesIO(content.encode() if isinstance(content, str) else content), limits))


def refusal(content: bytes | str, limits: Limits = SAFE) -> FeedRefused:
    with pytest.raises(FeedRefused) as refused:
        read(content, limits)
    return refused.value


def value_of(text: str, limits: Limits = SAFE) -> Any:
    """What one value is in an item."""
    (row,) = read(f'[{{"id": "1", "x": {text}}}]', limits)
    return row.faults[0] if row.faults else row.fields["x"]


# --- values -------------------------------------------------------------------------------------------
VALUES: list[tuple[str, Any]] = [
    ('" a "', " a "),
    ('"\\ud83d\\udc57 \\u0641"', "👗 ف"),
    ("12", "12"),
    ("1299.50", "1299.50"),
    ("0.10", "0.10"),
    ("-0", "0"),
    ("1e3", "1e3"),
    ("1e999", "1e999"),
    ("12345678901234567890123", "12345678901234567890123"),
    ("9" * (MAX_DIGITS + 5000), "9" * (MAX_DIGITS + 5000)),
    ("true", "true"),
    ("false", "false"),
    ("null", ""),
    ("NaN", "NaN"),
    ("[]", ""),
    ('["a"]', "a"),
    ('["a", null, 5]', ["a", "", "5"]),
    ('[["a"], [["b"]]]', ["a", "b"]),
    ('{"a": 1.50, "b": {"c": [true]}}', {"a": "1.50", "b": {"c": "true"}}),
    ('[{"a": "1"}, {"a": "2"}]', [{"a": "1"}, {"a": "2"}]),
    ('{"a": "1", "a": "2"}', {"a": ["1", "2"]}),
    ('"a\nb\tc"', "a\nb\tc"),
]


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_a_value_is_the_text_that_it_is_written_as(text: str, value: Any) -> None:
    assert value_of(text) == value


FAULTS: list[tuple[str, str, str]] = [
    ('"\\u0000"', "row.character", "x: U+0000"),
    ('"\\ud800"', "row.character", "x: U+D800"),
    ('{"a": ["\\uffff"]}', "row.character", "x: U+FFFF"),
    ('{"\\u0001": 1}', "row.character", "x: U+0001"),
    ("[" * 40 + "1" + "]" * 40, "item.too_deep", "x: 33 levels and more"),
    (str(list(range(5001))), "item.too_many_attributes", "x: 5,001 values"),
    (json.dumps("x" * 1_000_001), "item.value_too_long", "x: 1,000,001 characters"),
]


@pytest.mark.parametrize(("text", "code", "found"), FAULTS, ids=[fault[2] for fault in FAULTS])
def test_a_value_that_no_item_may_have_costs_its_item(text: str, code: str, found: str) -> None:
    first, second = read(f'[{{"id": "1", "x": {text}}}, {{"id": "2"}}]')
    assert (first.lost, first.faults, first.fields["id"]) == (True, ((code, found),), "1")
    assert (second.lost, second.fields) == (False, {"id": "2"})
    item = check_item(first, Rules())
    assert ([issue.code for issue in item.issues], item.id, item.valid) == ([code], "1", False)


def test_a_byte_of_another_encoding_costs_its_item() -> None:
    for content in (b'[{"id": "1", "title": "\xe9"},\n{"id": "2"}]', b'{"id": "1", "title": "\xe9"}\n{"id": "2"}'):
        first, second = read(content)
        assert (first.lost, first.faults) == (True, (("row.character", "title: U+DCE9"),))
        assert (second.lost, second.line) == (False, 2)


def test_keys_are_named_like_columns() -> None:
    (row,) = read('[{"ID": "1", "Image Link": "a", "g:Title": "t", "my key": 1, "price": "5", "Price": "6", "": "e"}]')
    assert row.fields == {
        "id": "1", "image_link": "a", "title": "t", "my key": "1", "price": ["5", "6"], "column": "e"
    }  # fmt: skip


def test_a_group_is_the_same_as_in_xml() -> None:
    (row,) = read('[{"id": 1, "shipping": [{"country": "AE", "price": "10 AED"}, {"country": "SA"}]}]')
    item = check_item(row, Rules())
    assert item.extra["shipping"] == [{"country": "AE", "price": "10 AED"}, {"country": "SA"}]


# --- where an item begins and ends --------------------------------------------------------------------
LAYOUTS = {
    "a list": ('[{"id": 1}, {"id": 2}]', [1, 1]),
    "one line for each": ('[\n{"id": 1},\n{"id": 2}\n]\n', [2, 3]),
    "over several lines": ('[\n {\n  "id": 1\n },\n {"id": 2}\n]', [2, 5]),
    "a comma behind the last": ('[{"id": 1},\n{"id": 2},]', [1, 2]),
    "in lines": ('{"id": 1}\n{"id": 2}', [1, 2]),
    "in lines with blank ones": ('{"id": 1}\r\n\r\n{"id": 2}\r\n', [1, 3]),
    "blank lines before": ('\n \n[{"id": 1},\n{"id": 2}]', [3, 4]),
    "blank lines before lines": ('\n\n{"id": 1}\n{"id": 2}', [3, 4]),
    "with a mark": ('\ufeff[{"id": 1},\n{"id": 2}]', [1, 2]),
}


@pytest.mark.parametrize(("text", "lines"), LAYOUTS.values(), ids=LAYOUTS)
def test_the_line_of_an_item_is_where_it_begins(text: str, lines: list[int]) -> None:
    rows = read(text)
    assert [row.fields["id"] for row in rows] == ["1", "2"]
    assert [row.line for row in rows] == lines


def test_an_item_may_lie_across_any_chunk_border() -> None:
    items = [{"id": str(n), "title": "é" * (CHUNK_BYTES // 7), "x": {"y": [n, -n / 7]}} for n in range(40)]
    for content in (json.dumps(items, ensure_ascii=False), "\n".join(json.dumps(item) for item in items)):
        assert [row.fields["id"] for row in read(content)] == [item["id"] for item in items]


def test_a_line_that_is_no_object_costs_itself() -> None:
    rows = read('{"id": 1}\n{"id": 2,}\n["id", 3]\n{"id": 4}{"id": 5}\n"\x01"\n{"id": 6}\n' + "[" * 100_000)
    assert [(row.line, row.lost) for row in rows] == [
        (1, False), (2, True), (3, True), (4, True), (5, True), (6, False), (7, True)
    ]  # fmt: skip
    assert [row.faults[0][0] for row in rows if row.lost] == ["row.json"] * 4 + ["item.too_deep"]


def test_an_entry_that_is_no_object_costs_itself() -> None:
    rows = read('[{"id": 1}, 5, "a\x00", null, [1], {"id": 2}]')
    assert [row.lost for row in rows] == [False, True, True, True, True, False]
    assert [row.faults for row in rows[1:3]] == [(("row.json", "5"),), (("row.json", "a\ufffd"),)]


BROKEN = {
    "a comma is missing": ('[{"id": 1}\n{"id": 2}]', "Line 2: the JSON is not in order: a comma is missing."),
    "a quotation mark is missing": (
        '[{"id": 1},\n{"id": 2, title": 1}, {"id": 3}]',
        "Line 2: the JSON is not in order",
    ),
    "cut off in an item": ('[{"id": 1},\n{"id": 2', "Line 2: the JSON is not in order"),
    "cut off in a text": ('[{"id": 1},\n{"id": "2', "Line 2: the JSON is not in order: unterminated string"),
    "cut off between items": ('[{"id": 1},\n{"id": 2}', "Line 2: the JSON is not in order: it ends within the list."),
    "cut off behind a comma": ('[{"id": 1},\n', "Line 2: the JSON is not in order"),
    "something behind the list": ('[{"id": 1}]\n[{"id": 2}]', "Line 2: the JSON is not in order: something follows"),
}


@pytest.mark.parametrize(("text", "sentence"), BROKEN.values(), ids=BROKEN)
def test_a_list_that_is_not_in_order_is_refused_with_its_line(text: str, sentence: str) -> None:
    refused = refusal(text)
    assert refused.code == "feed.json_broken"
    assert refused.message.startswith(sentence)
    assert refused.message.endswith(".")


# --- bounded ------------------------------------------------------------------------------------------
HOSTILE: dict[str, tuple[Stream, str]] = {
    "a text without end": (Endless(b'[{"id": "', b"x" * CHUNK_BYTES, 1000), "feed.record_too_large"),
    "a line without end": (Endless(b'{"id": "', b"x" * CHUNK_BYTES, 1000), "feed.record_too_large"),
    "an object without end": (Endless(b'[{"id": "1"', b',"a":{}' * 9000, 1000), "feed.record_too_large"),
    "brackets without end": (Endless(b"[{" + b'"a":{' * 10, b'"a":{' * 9000, 1000), "feed.json_too_deep"),
    "lists without end": (Endless(b'[{"a":', b"[" * CHUNK_BYTES, 1000), "feed.json_too_deep"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_never_ends_an_item_is_refused_soon(name: str) -> None:
    stream, code = HOSTILE[name]
    with watched(), pytest.raises(FeedRefused) as refused:
        list(read_items(stream, Limits(item_bytes=MIB)))
    assert refused.value.code == code


@pytest.mark.parametrize("begin", [b'[{"id": "0"}', b'{"id": "0"}\n'])
def test_a_long_file_takes_little_memory(begin: bytes) -> None:
    between = b"," if begin.startswith(b"[") else b"\n"
    again = between + between.join(b'{"id": "1", "title": "%s"}' % (b"x" * 500) for _ in range(1000))
    items = read_items(Endless(begin, again, 40))
    with watched() as used:
        found = []
        with pytest.raises(FeedRefused) if between == b"," else nullcontext():  # nothing ends the list
            for item in items:
                found.append(item.line)
    assert len(found) == 40_001
    assert used.bytes < 20 * MIB


def test_limits_count_in_json_too() -> None:
    assert refusal('[{"id": 1},\n{"id": 2}]', replace(SAFE, items=1)).message.startswith("Line 2: the feed has more")
    (row,) = read('[{"id": 1, "a": 2, "b": 3}]', replace(SAFE, attributes=2))
    assert row.faults == (("item.too_many_attributes", "item: 3 keys"),)
    long = json.dumps([{"id": "1", "title": "x" * 3 * CHUNK_BYTES}])
    assert refusal(long, replace(SAFE, item_bytes=CHUNK_BYTES // 2)).code == "feed.record_too_large"


# --- imported -----------------------------------------------------------------------------------------
@pytest.mark.django_db
@pytest.mark.parametrize(
    "text", ['[\n{"id": "7", "price": "12,5O"},\n{"id": "8"}]', '[{"id": "6"},{"id": "7", "price": 1}]']
)
def test_an_item_in_json_is_shown_as_it_stands(feed: Feed, text: str) -> None:
    run = received(feed, text.encode())
    stage_locally(run)
    assert run.items == 2, run.error
    snippet = read_snippet(run, place_of_item(run.staged.get(product_id="7")))
    assert not snippet.problem
    assert '"7"' in "".join("".join(line.parts) for line in snippet.lines)
