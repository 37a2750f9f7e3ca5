"""A web server with every fault: each ends in the right row with a sentence, in time, and nothing is half stored."""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from catalog.models import Feed, FeedSource, ImportRun
from catalog.tests.factories import feed_of, items
from catalog.tests.fetching.conftest import fetched_at_last, fetched_once
from catalog.tests.fetching.servers import Script, Wire, serving

pytestmark = pytest.mark.django_db

FEED = feed_of(*items(40))
HTML = b"<!doctype html><html><head><title>Log in</title></head><body><form>...</form></body></html>"
OK = b"HTTP/1.1 200 OK\r\n"


def raw(data: bytes) -> Script:
    return lambda wire: wire.send(data)


def status(line: str, **headers: str) -> Script:
    return lambda wire: wire.answer(b"no", line, **headers)


def leading(to: str, line: str = "302 Found") -> Script:
    return lambda wire: wire.answer(status=line, Location=to.replace("BASE", wire.base))


def half(wire: Wire) -> None:
    wire.answer(FEED[: len(FEED) // 2], Content_Length=str(len(FEED)))


def drip_body(wire: Wire) -> None:
    wire.send(OK + b"Content-Length: %d\r\n\r\n" % len(FEED))
    for byte in FEED:
        wire.send(bytes([byte]))
        wire.wait(0.2)


def drip_headers(wire: Wire) -> None:
    for byte in OK + b"X-Slow: " + b"a" * 10_000:
        wire.send(bytes([byte]))
        wire.wait(0.2)


def silent(wire: Wire) -> None:
    wire.wait(30)


def silent_in_the_body(wire: Wire) -> None:
    wire.send(OK + b"Content-Length: 100000\r\n\r\n" + FEED[:500])
    wire.wait(30)


def endless(wire: Wire) -> None:
    wire.send(OK + b"Content-Type: application/xml\r\n\r\n<rss><channel>")
    while True:
        wire.send(b"<item><id>1</id></item>" * 3000)


def endless_chunks(wire: Wire) -> None:
    wire.send(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        wire.send(b"ffff\r\n" + b"a" * 0xFFFF + b"\r\n")


def endless_continue(wire: Wire) -> None:
    while True:
        wire.send(b"HTTP/1.1 100 Continue\r\nX-A: b\r\n\r\n")


def endless_headers(wire: Wire) -> None:
    wire.send(OK)
    number = 0
    while True:
        wire.send(b"X-%d: %s\r\n" % (number, b"a" * 1000))
        number += 1


def chunks_without_an_end(wire: Wire) -> None:
    wire.send(OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%s\r\n" % (len(FEED), FEED))


def wrong_chunks(wire: Wire) -> None:
    wire.send(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + FEED)


def bomb(wire: Wire) -> None:
    wire.answer(gzip.compress(b"<rss>" + b"a" * 30_000_000), Content_Encoding="gzip")


def cut_gzip(wire: Wire) -> None:
    wire.answer(gzip.compress(FEED)[:-20], Content_Encoding="gzip")


def garbage_behind_gzip(wire: Wire) -> None:
    wire.answer(gzip.compress(FEED) + b"garbage", Content_Encoding="gzip")


def loop(wire: Wire) -> None:
    wire.answer(status="302 Found", Location=f"{wire.base}/again")


def looped_between_two(wire: Wire) -> None:
    wire.answer(status="307 Temporary Redirect", Location="/b" if wire.request.path == "/a" else "/a")


# Each fault with the outcome, the code and whether another try is due.
FAULTS: dict[str, tuple[Script, str, str, bool]] = {
    "half of the body": (half, "failed", "cut_off", True),
    "a longer body": (
        lambda wire: wire.answer(FEED, Content_Length=str(len(FEED) - 50)),
        "failed",
        "longer",
        True,
    ),
    "a length that is none": (raw(OK + b"Content-Length: many\r\n\r\n" + FEED), "failed", "not_http", True),
    "a negative length": (raw(OK + b"Content-Length: -5\r\n\r\n" + FEED), "failed", "not_http", True),
    "two lengths": (raw(OK + b"Content-Length: 5\r\nContent-Length: 7\r\n\r\n" + FEED), "failed", "not_http", True),
    "no length and half a feed": (raw(OK + b"\r\n" + FEED[:900]), "failed", "cut_off", True),
    "no length and half a list": (raw(OK + b'\r\n[{"id": "1", "title": "a"},{"id": '), "failed", "cut_off", True),
    "chunks without an end": (chunks_without_an_end, "failed", "cut_off", True),
    "chunks that are none": (wrong_chunks, "failed", "cut_off", True),
    "nothing at all": (lambda wire: None, "failed", "not_http", True),
    "silence": (silent, "failed", "too_slow", True),
    "silence in the body": (silent_in_the_body, "failed", "too_slow", True),
    "a drip of a body": (drip_body, "failed", "too_slow", True),
    "a drip of headers": (drip_headers, "failed", "too_slow", True),
    "an endless body": (endless, "refused", "feed.too_large", False),
    "endless chunks": (endless_chunks, "refused", "feed.too_large", False),
    "endless headers": (endless_headers, "refused", "headers_too_large", False),
    "endless answers in between": (endless_continue, "refused", "headers_too_large", False),
    "a body announced as huge": (
        raw(OK + b"Content-Length: 99999999999999\r\n\r\n"),
        "refused",
        "feed.too_large",
        False,
    ),
    "one huge header": (raw(OK + b"X-A: " + b"a" * 100_000 + b"\r\n\r\n"), "refused", "headers_too_large", False),
    "no web server": (raw(b"220 ftp.example.com ready\r\n" * 3), "failed", "not_http", True),
    "binary rubbish": (raw(bytes(range(256)) * 40), "failed", "not_http", True),
    "HTTP of another time": (raw(b"HTTP/A.9 200 OK\r\n\r\n" + FEED), "failed", "not_http", True),
    "a gzip bomb on the way": (bomb, "refused", "feed.too_large", False),
    "a gzip file that unpacks to a bomb": (
        lambda wire: wire.answer(gzip.compress(b"a" * 30_000_000)),
        "refused",
        "feed.plain_text",
        False,
    ),
    "gzip that ends early": (cut_gzip, "failed", "cut_off", True),
    "gzip with garbage behind it": (garbage_behind_gzip, "failed", "encoding", False),
    "gzip that is none": (lambda wire: wire.answer(FEED, Content_Encoding="gzip"), "failed", "encoding", False),
    "brotli": (lambda wire: wire.answer(b"\x0b\x02\x80", Content_Encoding="br"), "failed", "encoding", False),
    "an empty body": (lambda wire: wire.answer(b""), "refused", "feed.empty", False),
    "an HTML page": (
        lambda wire: wire.answer(HTML, Content_Type="application/xml"),
        "refused",
        "feed.html_page",
        False,
    ),
    "a picture": (lambda wire: wire.answer(b"\x89PNG\r\n\x1a\n" + b"a" * 99), "refused", "feed.image", False),
    "no content": (raw(b"HTTP/1.1 204 No Content\r\n\r\n"), "failed", "http_204", True),
    "a part": (status("206 Partial Content", Content_Range="bytes 0-1/9"), "failed", "http_206", True),
    "304 that nobody asked for": (raw(b"HTTP/1.1 304 Not Modified\r\n\r\n"), "failed", "http_304", True),
    "400": (status("400 Bad Request"), "failed", "http_400", True),
    "401": (status("401 Unauthorized", WWW_Authenticate="Basic"), "failed", "login", False),
    "403": (status("403 Forbidden"), "failed", "http_403", False),
    "404": (status("404 Not Found"), "failed", "http_404", True),
    "407": (status("407 Proxy Authentication Required"), "failed", "login", False),
    "410": (status("410 Gone"), "failed", "http_410", False),
    "418": (status("418 I'm a teapot"), "failed", "http_418", True),
    "429": (status("429 Too Many Requests", Retry_After="120"), "failed", "http_429", True),
    "500": (status("500 Internal Server Error"), "failed", "http_500", True),
    "502": (status("502 Bad Gateway"), "failed", "http_502", True),
    "503": (status("503 Service Unavailable", Retry_After="soon"), "failed", "http_503", True),
    "a redirect to nowhere": (status("302 Found"), "failed", "redirects", False),
    "a loop": (loop, "failed", "redirects", False),
    "a loop between two": (looped_between_two, "failed", "redirects", False),
    "a redirect to metadata": (leading("http://169.254.169.254/latest/"), "refused", "forbidden_address", False),
    "a redirect to a private network": (leading("http://10.0.0.1/feed.xml"), "refused", "forbidden_address", False),
    "a redirect to IPv6 loopback": (leading("http://[::1]/feed.xml"), "refused", "forbidden_address", False),
    "a redirect to a mapped address": (
        leading("http://[::ffff:169.254.169.254]/"),
        "refused",
        "forbidden_address",
        False,
    ),
    "a redirect to a forbidden port": (leading("http://127.0.0.1:25/"), "refused", "forbidden_port", False),
    "a redirect to a file": (leading("file:///etc/passwd"), "refused", "forbidden_scheme", False),
    "a redirect to FTP": (leading("ftp://127.0.0.1/feed.xml"), "refused", "forbidden_scheme", False),
    "a redirect to another protocol": (leading("gopher://127.0.0.1:70/1"), "refused", "forbidden_scheme", False),
    "a redirect that is no address": (leading("http://[::1"), "refused", "address", False),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_ends_in_its_row_in_time_and_stores_nothing(
    name: str, feed: Feed, source_at: Callable[..., FeedSource], settings: Any, storage: Path
) -> None:
    settings.FEED_MAX_BYTES = 2_000_000
    script, outcome, code, is_tried_again = FAULTS[name]
    with serving(script) as server:
        source_at(f"{server.url}/feed.xml")
        begun = time.monotonic()
        row = fetched_once(feed)
        assert time.monotonic() - begun < 7
    code = code if "." in code else f"fetch.{code}"
    assert (row.outcome, row.code) == ("waiting" if is_tried_again else outcome, code)
    assert row.sentence.endswith((".", "?"))
    assert not ImportRun.objects.exists()
    assert [path for path in storage.rglob("*") if path.is_file()] == []


# --- what works -------------------------------------------------------------------------------------------


def later(wire: Wire) -> None:
    wire.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
    wire.answer(FEED)


def hops(wire: Wire) -> None:
    number = int(wire.request.path.rpartition("/")[2] or 0)
    if number < 5:
        wire.answer(status="308 Permanent Redirect", Location=f"/{number + 1}")
    else:
        wire.answer(FEED)


def in_chunks(wire: Wire) -> None:
    pieces = [FEED[:7], FEED[7:1000], FEED[1000:]]
    wire.send(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    wire.send(b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n")


WAYS: dict[str, Script] = {
    "a length": lambda wire: wire.answer(FEED),
    "chunks": in_chunks,
    "the end of the connection": raw(b"HTTP/1.0 200 OK\r\n\r\n" + FEED),
    "packed for the way": lambda wire: wire.answer(gzip.compress(FEED), Content_Encoding="gzip"),
    "packed for the way in two members": lambda wire: wire.answer(
        gzip.compress(FEED[:500]) + gzip.compress(FEED[500:]), Content_Encoding="x-gzip"
    ),
    "a packed file": lambda wire: wire.answer(gzip.compress(FEED), Content_Type="application/gzip"),
    "a packed file, packed again for the way": lambda wire: wire.answer(
        gzip.compress(gzip.compress(FEED)), Content_Encoding="gzip"
    ),
    "headers in between": later,
    "five redirects": hops,
}


@pytest.mark.parametrize("name", WAYS)
def test_a_feed_arrives_in_each_of_these_ways(name: str, feed: Feed, source_at: Callable[..., FeedSource]) -> None:
    with serving(WAYS[name]) as server:
        source_at(f"{server.url}/0")
        row = fetched_once(feed)
    assert (row.outcome, row.sentence) == ("new", row.sentence)
    run = ImportRun.objects.get()
    assert (row.run, run.feed, run.uploaded_by, run.auto_apply) == (run, feed, None, False)
    with run.file.open("rb") as stored:
        content = stored.read()
    assert (zlib.decompress(content, 31) if content.startswith(b"\x1f\x8b") else content) == FEED


def test_the_same_file_is_asked_for_by_its_validators_and_costs_no_import(
    feed: Feed, source_at: Callable[..., FeedSource]
) -> None:
    def script(wire: Wire) -> None:
        if wire.request.headers.get("if-none-match") == '"v1"':
            wire.answer(status="304 Not Modified", Content_Length="")
        else:
            wire.answer(FEED, ETag='"v1"', Last_Modified=formatdate(usegmt=True))

    with serving(script) as server:
        source_at(f"{server.url}/feed.xml")
        assert [fetched_once(feed).outcome for _ in range(3)] == ["new", "unchanged", "unchanged"]
        assert "if-modified-since" in server.requests[1].headers
    assert ImportRun.objects.count() == 1


def test_the_same_bytes_are_unchanged_whatever_the_headers_say(
    feed: Feed, source_at: Callable[..., FeedSource]
) -> None:
    with serving(lambda wire: wire.answer(FEED, ETag=f'"{time.monotonic()}"')) as server:
        source_at(f"{server.url}/feed.xml")
        rows = [fetched_once(feed) for _ in range(2)]
    assert [row.outcome for row in rows] == ["new", "unchanged"]
    assert "same bytes" in rows[1].sentence


def test_other_bytes_under_the_same_etag_are_a_new_file(feed: Feed, source_at: Callable[..., FeedSource]) -> None:
    bodies = iter([FEED, feed_of(*items(2))])
    with serving(lambda wire: wire.answer(next(bodies), ETag='"v1"')) as server:
        source_at(f"{server.url}/feed.xml")
        assert [fetched_once(feed).outcome for _ in range(2)] == ["new", "new"]


def test_a_server_that_asks_to_wait_gets_that(feed: Feed, source_at: Callable[..., FeedSource]) -> None:
    with serving(status("429 Too Many Requests", Retry_After="1200")) as server:
        source_at(f"{server.url}/feed.xml")
        row = fetched_once(feed)
    assert 1100 < (row.next_try_at - row.started_at).total_seconds() < 1210  # type: ignore[operator]


def test_a_server_that_is_not_there_is_named(feed: Feed, source_at: Callable[..., FeedSource]) -> None:
    with serving(half) as server:
        address = f"{server.url}/feed.xml"
    source_at(address)
    row = fetched_at_last(feed)
    assert (row.outcome, row.code) == ("failed", "fetch.no_connection")
    assert "connection refused" in row.sentence


def test_what_unpacks_to_far_more_than_any_feed_is_refused_by_its_ratio(
    feed: Feed, source_at: Callable[..., FeedSource]
) -> None:
    with serving(bomb) as server:
        source_at(f"{server.url}/feed.xml")
        row = fetched_once(feed)
    assert (row.outcome, row.code) == ("refused", "feed.ratio")
    assert "FEED_MAX_RATIO" in row.sentence
