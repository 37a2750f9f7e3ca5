"""Certificates are verified, by name too, on the web and in FTP."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from pyftpdlib.handlers import TLS_FTPHandler

from catalog.fetching import addresses
from catalog.fetching.targets import Login
from catalog.models import Feed, FeedSource
from catalog.tests.fetching.conftest import fetched_at_last
from catalog.tests.fetching.servers import Wire, serving
from catalog.tests.fetching.test_files import FEED, ftp_server, with_login, write

pytestmark = pytest.mark.django_db


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system trusts the authority, and the name shop.example is this machine."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    monkeypatch.setattr(addresses, "resolve", lambda *_asked: ["127.0.0.1"])


def secured(authority: trustme.CA, name: str) -> Callable[[Any], Any]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return lambda connection: context.wrap_socket(connection, server_side=True)


def serve_feed(wire: Wire) -> None:
    wire.answer(FEED)


@pytest.mark.usefixtures("trusted")
def test_a_feed_comes_over_https(feed: Feed, source_at: Callable[..., FeedSource], authority: trustme.CA) -> None:
    with serving(serve_feed, secured(authority, "shop.example")) as server:
        source_at(f"https://shop.example:{server.port}/feed.xml")
        row = fetched_at_last(feed)
    assert row.outcome == "new", row.sentence
    assert server.requests[0].headers["host"] == f"shop.example:{server.port}"


@pytest.mark.usefixtures("trusted")
def test_a_certificate_of_another_name_is_not_accepted(
    feed: Feed, source_at: Callable[..., FeedSource], authority: trustme.CA
) -> None:
    with serving(serve_feed, secured(authority, "other.example")) as server:
        source_at(f"https://shop.example:{server.port}/feed.xml")
        row = fetched_at_last(feed)
    assert (row.outcome, row.code, server.requests) == ("failed", "fetch.certificate", [])


def test_a_certificate_of_nobody_is_not_accepted(
    feed: Feed, source_at: Callable[..., FeedSource], authority: trustme.CA
) -> None:
    with serving(serve_feed, secured(authority, "127.0.0.1")) as server:
        source_at(f"{server.url}/feed.xml")
        row = fetched_at_last(feed)
    assert (row.outcome, row.code, server.requests) == ("failed", "fetch.certificate", [])


def test_a_server_without_tls_is_named(feed: Feed, source_at: Callable[..., FeedSource], tmp_path: Path) -> None:
    with ftp_server(tmp_path) as port:
        source_at(f"https://127.0.0.1:{port}/feed.xml")
        row = fetched_at_last(feed)
    assert (row.outcome, row.code) == ("failed", "fetch.tls")


@pytest.mark.usefixtures("trusted")
def test_nothing_leads_from_https_to_http(
    feed: Feed, source_at: Callable[..., FeedSource], authority: trustme.CA
) -> None:
    def lead(wire: Wire) -> None:
        wire.answer(status="302 Found", Location="http://127.0.0.1:9/feed.xml")

    with serving(lead, secured(authority, "shop.example")) as server:
        source_at(f"https://shop.example:{server.port}/feed.xml")
        row = fetched_at_last(feed)
    assert (row.outcome, row.code) == ("refused", "fetch.downgrade")


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("name", ["shop.example", "other.example"])
def test_ftp_in_tls_verifies_the_name_and_protects_the_data(
    name: str, feed: Feed, source_at: Callable[..., FeedSource], authority: trustme.CA, tmp_path: Path
) -> None:
    root = tmp_path / "ftp"
    root.mkdir()
    write(root, "feed.xml")
    pem = tmp_path / "server.pem"
    authority.issue_cert(name).private_key_and_cert_chain_pem.write_to_path(str(pem))
    strict = {"certfile": str(pem), "tls_control_required": True, "tls_data_required": True}
    with ftp_server(root, TLS_FTPHandler, **strict) as port:
        source = source_at(f"ftps://shop.example:{port}/feed.xml")
        with_login(source, Login("password", "anna", "correct horse"))
        row = fetched_at_last(feed)
    if name == "shop.example":
        assert row.outcome == "new", row.sentence
    else:
        assert (row.outcome, row.code) == ("failed", "fetch.certificate")


# --- credentials on the way -----------------------------------------------------------------------------


def test_credentials_go_to_their_own_host_only(feed: Feed, source_at: Callable[..., FeedSource]) -> None:
    with serving(serve_feed) as other:

        def lead(wire: Wire) -> None:
            wire.answer(status="302 Found", Location=f"{other.url}/feed.xml")

        with serving(lead) as server:
            source = source_at(f"{server.url}/feed.xml")
            with_login(source, Login("token", "", "open sesame"))
            assert fetched_at_last(feed).outcome == "new"
    assert server.requests[0].headers["authorization"] == "Bearer open sesame"
    assert "authorization" not in other.requests[0].headers


def test_credentials_of_another_address_are_not_used(feed: Feed, source_at: Callable[..., FeedSource]) -> None:
    with serving(serve_feed) as server:
        source = source_at("https://shop.example/feed.xml")
        with_login(source, Login("password", "anna", "correct horse"))
        source_at(f"{server.url}/feed.xml")
        row = fetched_at_last(feed)
    assert (row.outcome, row.code, server.requests) == ("failed", "fetch.credentials", [])


def test_nothing_of_the_machine_takes_part(
    feed: Feed, source_at: Callable[..., FeedSource], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login anna password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ambient")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "ambient")

    def serve(wire: Wire) -> None:
        wire.answer(FEED, Set_Cookie="a=b")

    with serving(serve) as server:
        source_at(f"{server.url}/feed.xml")
        assert fetched_at_last(feed).outcome == "new"
        assert fetched_at_last(feed).outcome == "unchanged"
        source_at("s3://bucket/feed.xml", endpoint=server.url)
        assert fetched_at_last(feed).outcome == "unchanged"
    asked = [request.headers for request in server.requests]
    assert len(asked) == 3
    assert not [headers for headers in asked if {"authorization", "cookie"} & headers.keys()]
