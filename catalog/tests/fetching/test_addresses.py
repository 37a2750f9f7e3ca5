"""What may be connected to. Nothing here needs a network: names are answered by the test."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Any

import pytest

from catalog.fetching.addresses import (
    check_place,
    checked_addresses,
    forbidden_because,
    hide_secrets,
    is_metadata,
    parse_place,
)
from catalog.fetching.failures import FetchFailed, FetchRefused

FORBIDDEN = """
    0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.254 100.100.100.200 127.0.0.1 127.255.255.254
    169.254.0.1 169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1
    192.168.0.1 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
    168.63.129.16
    :: ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0:127.0.0.1
    64:ff9b::7f00:1 64:ff9b::a00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 2002:7f00:1:: 2002:a9fe:a9fe:: 2001::1
    2001:db8::1 3fff::1 100::1 fc00::1 fd00:ec2::254 fd20:ce::254 fe80::1 fe80::1%eth0 fec0::1 ff02::1 5f00::1
    2600::5efe:7f00:1 2001:0:0:0:0:0:80ff:fffe
""".split()
OPEN = "1.1.1.1 8.8.8.8 93.184.216.34 172.32.0.1 100.128.0.1 2606:4700::1111 64:ff9b::808:808".split()


@pytest.mark.parametrize("address", FORBIDDEN)
def test_special_networks_are_forbidden_in_every_spelling(address: str, settings: Any) -> None:
    settings.FETCH_ALLOW = ""
    assert forbidden_because(address)


@pytest.mark.parametrize("address", OPEN)
def test_the_internet_is_open(address: str, settings: Any) -> None:
    settings.FETCH_ALLOW = ""
    assert forbidden_because(address) == ""


METADATA = [a for a in FORBIDDEN if a.startswith(("169.254", "fe80", "fd00:ec2", "fd20")) or "a9fe" in a]
METADATA += ["100.100.100.200", "168.63.129.16", "192.0.0.192", "::ffff:169.254.169.254"]


@pytest.mark.parametrize("address", METADATA)
def test_metadata_stays_shut_whatever_is_opened(address: str, settings: Any) -> None:
    settings.FETCH_ALLOW = "0.0.0.0/0,::/0,169.254.169.254/32"
    assert forbidden_because(address)


def test_networks_of_the_house_are_opened_by_name(settings: Any) -> None:
    settings.FETCH_ALLOW = "10.1.0.0/16, 127.0.0.0/8"
    assert [forbidden_because(each) for each in ("10.1.2.3", "127.0.0.1", "::ffff:10.1.2.3")] == ["", "", ""]
    assert all(forbidden_because(each) for each in ("10.2.0.1", "::1", "64:ff9b::a01:203", "2002:a01:203::"))


# --- names ----------------------------------------------------------------------------------------------


def answering(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    def answer(_host: str, port: int, **_options: Any) -> Iterable[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", answer)


@pytest.mark.parametrize("answers", [["10.0.0.1"], ["1.1.1.1", "10.0.0.1"], ["1.1.1.1", "::1"], ["169.254.169.254"]])
def test_a_name_is_refused_when_any_of_its_answers_is(
    answers: list[str], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.FETCH_ALLOW = ""
    answering(monkeypatch, *answers)
    with pytest.raises(FetchRefused) as refused:
        checked_addresses(parse_place("https://shop.example/feed.xml"), 1)
    assert refused.value.code == "fetch.forbidden_address"
    assert "shop.example" in refused.value.message


def test_beside_an_opened_address_the_others_are_left_out_and_metadata_refused(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.FETCH_ALLOW = "127.0.0.0/8"
    answering(monkeypatch, "::1", "127.0.0.1")
    assert checked_addresses(parse_place("http://localhost:8099/"), 1) == ["127.0.0.1"]
    answering(monkeypatch, "127.0.0.1", "169.254.169.254")
    with pytest.raises(FetchRefused):
        checked_addresses(parse_place("http://localhost:8099/"), 1)


@pytest.mark.parametrize(
    "host", ["127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "0", "localhost", "LOCALHOST.", "①②⑦.0.0.1"]
)
def test_every_spelling_of_this_machine_is_resolved_before_it_is_judged(host: str, settings: Any) -> None:
    settings.FETCH_ALLOW = ""
    with pytest.raises(FetchFailed) as refused:
        checked_addresses(parse_place(f"http://{host}/"), 2)
    assert refused.value.code in ("fetch.forbidden_address", "fetch.dns", "fetch.address")


def test_a_name_that_nobody_answers_for_does_not_hold_the_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: [time.sleep(5)][:0])  # type: ignore[func-returns-value]
    begun = time.monotonic()
    with pytest.raises(FetchFailed, match="in time"):
        checked_addresses(parse_place("https://shop.example/"), 0.1)
    assert time.monotonic() - begun < 2


def test_a_name_that_nobody_has_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(FetchFailed, match="There is no host"):
        checked_addresses(parse_place("https://shop.example/"), 1)


@pytest.mark.parametrize(
    ("text", "why"),
    [("shop", "not an address"), ("fe80::1%eth0", "link-local"), ("4000::1", "reserved"), ("2606:4700::1", "")],
)
def test_an_answer_of_a_resolver_is_judged_whatever_it_is(text: str, why: str) -> None:
    assert forbidden_because(text) == why
    assert is_metadata(text) == (why == "link-local")


# --- addresses as they are written ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("feed.xml", "address"),
        ("", "address"),
        ("https:", "address"),
        ("https://", "address"),
        ("https:///feed.xml", "address"),
        ("https://shop.example:99999/", "address"),
        ("https://shop.example:x/", "address"),
        ("https://shop example/", "address"),
        ("https://shop.example\\@10.0.0.1/", "address"),
        ("https://shop.example/\r\nHost: x", "address"),
        ("https://[::1/", "address"),
        ("https://[::1%25eth0]/", "forbidden_address"),
        ("https://-shop.example/", "address"),
        ("https://" + "a" * 3000, "address"),
        ("file:///etc/passwd", "forbidden_scheme"),
        ("gopher://shop.example/", "forbidden_scheme"),
        ("dict://shop.example/", "forbidden_scheme"),
        ("javascript:alert(1)", "forbidden_scheme"),
        ("sftp://shop.example/a%0Ab", "address"),
        ("https://ä..example/", "address"),
        ("https://[1::2::3]/", "address"),
    ],
)
def test_what_is_no_address_is_refused_with_what_would_do(address: str, code: str) -> None:
    with pytest.raises(FetchRefused) as refused:
        parse_place(address)
    assert refused.value.code == f"fetch.{code}"


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("http://10.0.0.1/", "forbidden_address"),
        ("http://user@10.0.0.1/", "forbidden_address"),
        ("http://8.8.8.8@10.0.0.1/", "forbidden_address"),
        ("http://1.1.1.1:25/", "forbidden_port"),
        ("http://1.1.1.1:6379/", "forbidden_port"),
        ("sftp://1.1.1.1:443/", "forbidden_port"),
    ],
)
def test_a_literal_address_is_judged_when_it_is_entered(address: str, code: str, settings: Any) -> None:
    settings.FETCH_ALLOW = ""
    with pytest.raises(FetchRefused) as refused:
        check_place(parse_place(address))
    assert refused.value.code == f"fetch.{code}"


def test_more_ports_are_named_in_the_settings(settings: Any) -> None:
    settings.FETCH_ALLOW, settings.FETCH_PORTS = "10.0.0.0/8", [8765]
    check_place(parse_place("http://1.1.1.1:8765/"))
    check_place(parse_place("http://10.0.0.1:50000/"))
    with pytest.raises(FetchRefused):
        check_place(parse_place("http://10.0.0.1:25/"))


def test_an_address_for_people_has_no_login_and_no_secret() -> None:
    place = parse_place("https://anna:pa%40ss@shop.example:8443/feed.xml?lang=en&access_token=abc&api-key=k&v=2")
    assert (place.username, place.password) == ("anna", "pa@ss")
    assert place.shown == "https://shop.example:8443/feed.xml?lang=en&access_token=••••&api-key=••••&v=2"
    assert hide_secrets("ftp://anna:secret@shop.example/x") == "ftp://shop.example/x"


def test_names_with_other_letters_are_looked_up_in_ascii() -> None:
    assert parse_place("https://bücher.example/").host == "xn--bcher-kva.example"
