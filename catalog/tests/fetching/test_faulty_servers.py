"""FTP, SFTP and S3 servers that do it wrong: each ends in a sentence, and nothing half is kept."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from catalog.fetching.targets import Login
from catalog.models import Feed, FeedSource, Fetch, ImportRun
from catalog.tests.factories import feed_of, items
from catalog.tests.fetching.conftest import fetched_at_last, fetched_once
from catalog.tests.fetching.servers import Answers, Wire, ftp_saying, serving
from catalog.tests.fetching.test_files import pinned, sftp_server, with_login, write

pytestmark = pytest.mark.django_db

FEED = feed_of(*items(40))


def test_an_ftp_server_that_says_what_it_has_to_sends_the_file(
    feed: Feed, source_at: Callable[..., FeedSource]
) -> None:
    with ftp_saying(FEED) as port:
        source_at(f"ftp://127.0.0.1:{port}/feed.xml")
        assert [fetched_once(feed).outcome for _ in range(2)] == ["new", "unchanged"]


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"MLSD": "500 never heard of it"}, id="no MLSD"),
        pytest.param({"MLSD": "500 never heard of it", "MDTM": "550 no clock"}, id="no clock"),
        pytest.param({"MLSD": "500 never heard of it", "MDTM": "213 yesterday"}, id="another clock"),
        pytest.param({"QUIT": None}, id="no goodbye"),
        pytest.param(
            {"MLSD": b"type=dir; out\r\nsize=1; a/feed.xml\r\nSIZE=%d;modify=20260101120000; feed.xml\r\n" % len(FEED)},
            id="odd lines",
        ),
    ],
)
def test_an_old_ftp_server_will_do(changed: Answers, feed: Feed, source_at: Callable[..., FeedSource]) -> None:
    with ftp_saying(FEED, **changed) as port:
        source_at(f"ftp://127.0.0.1:{port}/out/", pattern="feed*.xml")
        row = fetched_once(feed)
        if row.outcome == "waiting":  # without a clock a second look, a minute later, tells whether it is complete
            source = FeedSource.objects.get(feed=feed)
            assert source.seen is not None
            source.seen[3] -= 61
            source.save()
            Fetch.objects.all().delete()
            row = fetched_once(feed)
    assert (row.outcome, row.file_name) == ("new", "feed.xml"), row.sentence


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"welcome": "421 too many of you"}, "ftp"),
        ({"welcome": None}, "broke_off"),
        ({"PASS": "530 no"}, "login"),
        ({"SIZE": "550 none"}, "no_file"),
        ({"SIZE": None}, "broke_off"),
        ({"RETR": "550 not for you"}, "no_file"),
        ({"RETR": FEED[:-10]}, "changed_meanwhile"),
        ({"after": "451 the disk is broken"}, "ftp"),
        ({"PASV": "227 at (127,0,0,1,0,22)"}, "forbidden_port"),
        ({"PASV": "227 where?"}, "ftp"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_what_an_ftp_server_does_wrong_is_named(
    changed: Answers, code: str, feed: Feed, source_at: Callable[..., FeedSource]
) -> None:
    with ftp_saying(FEED, **changed) as port:
        source_at(f"ftp://127.0.0.1:{port}/feed.xml")
        row = fetched_at_last(feed)
    assert row.code == f"fetch.{code}", row.sentence
    assert not ImportRun.objects.exists()


def test_a_list_of_an_ftp_server_that_is_none_is_named(feed: Feed, source_at: Callable[..., FeedSource]) -> None:
    with ftp_saying(FEED, MLSD=b"type=file;size=many; feed.xml\r\n") as port:
        source_at(f"ftp://127.0.0.1:{port}/out/", pattern="*.xml")
        row = fetched_at_last(feed)
    assert row.code == "fetch.broke_off", row.sentence


def test_a_password_with_a_line_break_is_not_sent(feed: Feed, source_at: Callable[..., FeedSource]) -> None:
    with ftp_saying(FEED, USER=None) as port:
        with_login(source_at(f"ftp://127.0.0.1:{port}/feed.xml"), Login("password", "anna", "x\r\nDELE feed.xml"))
        assert fetched_at_last(feed).code == "fetch.login"


def test_ftp_without_tls_gets_no_password_where_tls_was_asked_for(
    feed: Feed, source_at: Callable[..., FeedSource]
) -> None:
    with ftp_saying(FEED, USER=None) as port:
        with_login(source_at(f"ftps://127.0.0.1:{port}/feed.xml"), Login("password", "anna", "secret"))
        row = fetched_at_last(feed)
    assert row.code == "fetch.tls"
    assert "offers no TLS. Nothing was sent." in row.sentence


# --- SFTP -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (asyncssh.SFTPPermissionDenied("no"), "no_right"),
        (asyncssh.SFTPFailure("the disk is broken"), "sftp"),
    ],
    ids=["no right", "failure"],
)
def test_what_an_sftp_server_does_wrong_is_named(
    error: Exception,
    code: str,
    feed: Feed,
    source_at: Callable[..., FeedSource],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise error

    key = asyncssh.generate_private_key("ssh-ed25519")
    write(tmp_path, "feed.xml")
    monkeypatch.setattr(asyncssh.SFTPServer, "open", refuse)
    with sftp_server(tmp_path, key) as port:
        source = source_at(f"sftp://127.0.0.1:{port}/feed.xml", host_key=pinned(key))
        with_login(source, Login("password", "anna", "correct horse"))
        row = fetched_at_last(feed)
    assert row.code == f"fetch.{code}", row.sentence


@pytest.mark.parametrize("first", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""], ids=["web server", "nothing"])
def test_what_does_not_speak_ssh_is_named(first: bytes, feed: Feed, source_at: Callable[..., FeedSource]) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        with contextlib.suppress(OSError):
            connection, _peer = listener.accept()
            with connection:
                connection.sendall(first)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    source = source_at(f"sftp://127.0.0.1:{listener.getsockname()[1]}/feed.xml", host_key=pinned(key))
    with_login(source, Login("password", "anna", "correct horse"))
    row = fetched_at_last(feed)
    listener.close()
    thread.join(5)
    assert row.code == "fetch.not_ssh", row.sentence


def test_a_server_that_says_nothing_is_not_waited_for(
    feed: Feed, source_at: Callable[..., FeedSource], settings: Any
) -> None:
    settings.FETCH_SLOW_SECONDS = 1
    with socket.create_server(("127.0.0.1", 0)) as silent:
        key = pinned(asyncssh.generate_private_key("ssh-ed25519"))
        source = source_at(f"sftp://127.0.0.1:{silent.getsockname()[1]}/feed.xml", host_key=key)
        with_login(source, Login("password", "anna", "correct horse"))
        assert fetched_at_last(feed).code == "fetch.too_slow"


# --- S3 ---------------------------------------------------------------------------------------------------

LISTED = """<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>{more}</IsTruncated>{token}
<Contents><Key>{key}</Key><LastModified>2026-01-01T12:00:00.000Z</LastModified><ETag>"1"</ETag><Size>{size}</Size>
</Contents></ListBucketResult>"""


def listed(key: str, size: object = len(FEED), token: str = "") -> bytes:
    given = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return LISTED.format(key=key, size=size, more=str(bool(token)).lower(), token=given).encode()


def test_a_list_of_many_pages_is_read_to_its_end(feed: Feed, source_at: Callable[..., FeedSource]) -> None:
    def script(wire: Wire) -> None:
        if "list-type" not in wire.request.path:
            wire.answer(FEED, ETag='"1"')
        elif "continuation-token=next" in wire.request.path:
            wire.answer(listed("feed.xml"))
        else:
            wire.answer(listed("", token="next"))

    with serving(script) as server:
        source = source_at("s3://feeds/", pattern="*.xml", endpoint=server.url)
        with_login(source, Login("password", "id", "key"))
        row = fetched_once(feed)
    assert (row.outcome, row.file_name) == ("new", "feed.xml"), row.sentence


@pytest.mark.parametrize(
    ("status", "headers", "body", "code", "said"),
    [
        ("200 OK", {}, b"<html>not a list", "not_s3", "does not answer as S3 does"),
        ("200 OK", {}, listed("feed.xml", size="many"), "not_s3", "does not answer as S3 does"),
        ("301 Moved", {"x_amz_bucket_region": "me-south-1"}, b"", "redirects", "Set the region me-south-1."),
        ("307 Moved", {}, b"", "redirects", "Enter the endpoint that the bucket is at."),
        ("400 Bad", {"x_amz_bucket_region": "me-south-1"}, b"", "redirects", "Set the region me-south-1."),
        ("403 No", {}, b"<Error><Code>SignatureDoesNotMatch</Code></Error>", "login", "(SignatureDoesNotMatch)"),
        ("403 No", {}, b"not xml", "login", ""),
        ("404 No", {}, b"<Error><Code>NoSuchBucket</Code></Error>", "no_bucket", "There is no bucket feeds"),
        ("503 Slow Down", {}, b"", "http_503", ""),
    ],
)
def test_what_a_bucket_does_wrong_is_named(
    status: str,
    headers: dict[str, str],
    body: bytes,
    code: str,
    said: str,
    feed: Feed,
    source_at: Callable[..., FeedSource],
) -> None:
    with serving(lambda wire: wire.answer(body, status, **headers)) as server:
        source = source_at("s3://feeds/", pattern="*.xml", endpoint=server.url)
        with_login(source, Login("password", "id", "key"))
        row = fetched_at_last(feed)
    assert row.code == f"fetch.{code}", row.sentence
    assert said in row.sentence


def test_a_list_without_an_end_is_refused(
    feed: Feed, source_at: Callable[..., FeedSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.fetching.s3.MAX_PAGES", 3)
    monkeypatch.setattr("catalog.fetching.s3.MAX_LIST_BYTES", 5000)
    with serving(lambda wire: wire.answer(listed("", token="again"))) as server:
        with_login(source_at("s3://feeds/", pattern="*.xml", endpoint=server.url), Login("password", "id", "key"))
        assert fetched_at_last(feed).code == "fetch.too_many_files"
        server.script = lambda wire: wire.answer(listed("x" * 6000))
        assert fetched_at_last(feed).code == "fetch.not_s3"
