"""What bodies the API takes."""

import io
import zlib

import pytest
from rest_framework.exceptions import ParseError

from config.parsers import BodyTooLarge, StrictJSONParser


@pytest.mark.parametrize(
    "body",
    [b"{", b"NaN", b"[1e400, Infinity]", b"\xff", b'"\\ud800"', b"[" * 100_000, b"1" * 5_000, zlib.compress(b"{}")],
)
def test_a_body_that_is_not_json_is_refused_in_words(body: bytes) -> None:
    with pytest.raises(ParseError, match="not JSON"):
        StrictJSONParser().parse(io.BytesIO(body), parser_context={"encoding": "zlib"})


@pytest.mark.parametrize("body", [b"null", b"[]", b'"text"', b"1", b'{"a": "\xd9\x84"}'])
def test_any_json_is_read(body: bytes) -> None:
    StrictJSONParser().parse(io.BytesIO(body))


def test_a_body_without_end_is_not_read_to_its_end() -> None:
    endless = io.BytesIO(b" " * 10_000_000)
    with pytest.raises(BodyTooLarge):
        StrictJSONParser().parse(endless)
    assert endless.tell() < 3_000_000
