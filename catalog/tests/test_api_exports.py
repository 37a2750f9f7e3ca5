"""All products in one answer of the API."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Generator
from datetime import UTC, datetime
from threading import BoundedSemaphore
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from catalog.api import exports
from catalog.api.serializers import STORED_FIELDS, render_product
from catalog.models import CatalogState, CatalogVersion, Market, Product
from catalog.tests.api import client, product
from catalog.tests.factories import add_product, person
from config.tests.problems import said

pytestmark = pytest.mark.django_db
EXPORT = "/products/export/"
HARD = {
    "title": 'Robe «été» 👗, "silk"\nline',
    "price": "1.25",
    "currency": "KWD",
    "adult": False,
    "quantity": 0,
    "additional_image_link": ["https://www.example.com/1.jpg"],
    "extra": {"c:heel": "عالٍ", "sizes": ["S", {"a": 1.5}]},
}


@pytest.fixture(autouse=True)
def free_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer of another test may wait to be thrown away."""
    monkeypatch.setattr(exports, "_STREAMS", BoundedSemaphore(exports.MAX_STREAMS))


@pytest.fixture
def api(db: None) -> APIClient:
    return client(person("bob", "view_product", "export_product"))


def lines(answer: Any) -> list[Any]:
    assert answer.status_code == 200, answer.content
    return [json.loads(line) for line in answer.getvalue().decode().splitlines()]


def test_each_line_is_a_product_as_the_list_has_it(api: APIClient) -> None:
    add_product(id="b", **HARD)
    product("a", sale_price="99")
    answer = api.get(EXPORT)
    assert answer["Content-Type"] == "application/x-ndjson"
    assert answer["Content-Disposition"] == 'attachment; filename="products-default.jsonl"'
    assert lines(answer) == api.get("/list-products/").json()["results"]


# What a text may have that JSON, Python and PostgreSQL might write in different ways.
ODD = (
    "".join(map(chr, range(1, 0x30)))
    + "\x7f\x80\xad\u200b\u2028\u2029\ufeff\ufffe é 👗 عربي </p> %s %% {0} \\u0041 \\\\"
)
ALL_TEXTS = [name for name in STORED_FIELDS if Product._meta.get_field(name).get_internal_type() == "TextField"]
AWKWARD: list[dict[str, Any]] = [
    {**dict.fromkeys(ALL_TEXTS, ODD), "currency": "AED"},
    {"additional_image_link": ["", ODD, "a,b", '"', "NULL", "null", " "], "quantity": -(2**31), "adult": True},
    {"extra": {"": None, ODD: [ODD, {"a": [1.0, 1e300, True, []]}], "ß": {}}, "identifier_exists": False},
    {"created_at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "updated_at": datetime(1, 1, 1, tzinfo=UTC)},
    {
        "created_at": datetime(9999, 12, 31, 23, 59, 59, 999999, UTC),
        "updated_at": datetime(2026, 1, 1, 0, 0, 0, 10, UTC),
    },
    *(
        {"price": price, "sale_price": "0.010", "old_price": price, "final_price": None, "currency": currency}
        for price in ("0.001", "1.005", "1.5", "1.25", "155", "1299.99", "999999999999.999", "999999999999")
        for currency in ("", "AED", "KWD", "JPY", "CLF", "XAU", "no such")
    ),
]


def as_python_writes(row: dict[str, Any], market: str) -> str:
    """A stored row as the other calls render it, in the characters of Python's `json`; what is JSON stays as it is."""
    extra = row["extra"]
    sent = {
        name: json.dumps(value, ensure_ascii=False, default=_utc) for name, value in render_product(row, market).items()
    }
    return "{" + ", ".join(f'"{name}": {text}' for name, text in {**sent, "extra": extra}.items()) + "}"


def _utc(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def test_what_the_database_writes_is_what_python_would_write(api: APIClient) -> None:
    market = Market.objects.create(code="sa-ar", name="Saudi Arabia")
    number = CatalogVersion.new_number()
    products = [
        Product(market=market, change_number=number, **{"id": f"{n:03}", "currency": "AED", **odd})
        for n, odd in enumerate(AWKWARD)
    ]
    Product.objects.bulk_create(products)
    for one, odd in zip(products, AWKWARD, strict=True):  # the times are set by the model itself
        if moments := {name: value for name, value in odd.items() if name.endswith("_at")}:
            Product.objects.filter(pk=one.pk).update(**moments)
    CatalogState.bump(market.pk, change_number=number)
    with connection.cursor() as cursor:
        names = ", ".join(f'"{name}"' for name in STORED_FIELDS)
        cursor.execute(f"SELECT {names} FROM catalog_product WHERE market_id = %s ORDER BY id", [market.pk])
        rows = [dict(zip(STORED_FIELDS, row, strict=True)) for row in cursor.fetchall()]
    expected = [as_python_writes(row, "sa-ar") for row in rows]
    sent = api.get(f"{EXPORT}?market=sa-ar")
    assert sent.getvalue().decode().split("\n") == [*expected, ""]
    listed = api.get("/list-products/?market=sa-ar&page_size=100").json()["results"]
    assert [json.loads(line) for line in expected] == listed
    followed = api.get("/products/changes/?market=sa-ar&since=0&format=jsonl").getvalue().decode().split("\n")
    assert [line.partition('"product": ')[2] for line in followed] == [*(f"{line}}}" for line in expected), ""]


def test_it_is_filtered_like_the_list(api: APIClient) -> None:
    product("1", brand="Noor", condition="new")
    product("2", brand="Zari", condition="new")
    product("3", brand="Noor", condition="used")
    Market.objects.create(code="sa-ar", name="Saudi Arabia")
    asked = {query: [row["id"] for row in lines(api.get(f"{EXPORT}?{query}"))] for query in (
        "brand=Noor", "brand=Noor&condition=used", "search=zari", "market=sa-ar", "max_price=0", "brand=&gender=",
    )}  # fmt: skip
    assert list(asked.values()) == [["1", "3"], ["3"], ["2"], [], [], ["1", "2", "3"]]
    assert said(api.get(f"{EXPORT}?page=1")) == {
        "page": [
            "There is no such parameter. Use one of these: market, condition, gender, availability, brand, min_price, "
            "max_price, updated_since, search, format, after."
        ]
    }
    assert api.get(f"{EXPORT}?format=xlsx").status_code == 400


def test_it_goes_on_after_the_last_product(api: APIClient) -> None:
    for n in "abc":
        product(n)
    assert [row["id"] for row in lines(api.get(f"{EXPORT}?after=a"))] == ["b", "c"]
    assert lines(api.get(f"{EXPORT}?after=c")) == []


@pytest.mark.parametrize(("name", "begins"), [("csv", b"\xef\xbb\xbfid,"), ("feed", b"<?xml ")])
def test_the_other_formats_are_those_of_the_admin(api: APIClient, name: str, begins: bytes) -> None:
    product("a")
    answer = api.get(f"{EXPORT}?format={name}", headers={"Accept": "text/csv"})
    content = answer.getvalue()
    assert content.startswith(begins)
    if name == "csv":
        assert [row["id"] for row in csv.DictReader(io.StringIO(content.decode("utf-8-sig")))] == ["a"]


def test_it_is_packed_for_who_can_unpack_it(api: APIClient) -> None:
    product("a")
    packed = api.get(EXPORT, headers={"Accept-Encoding": "br, gzip"})
    assert (packed["Content-Encoding"], packed["Vary"]) == ("gzip", "Accept-Encoding, origin")
    assert gzip.decompress(packed.getvalue()) == api.get(EXPORT).getvalue()


def test_a_long_one_comes_in_pieces(api: APIClient) -> None:
    for n in range(3):
        product(f"{n}", description="x" * 60_000)
    assert len(list(api.get(EXPORT))) == 2


@pytest.mark.parametrize("permissions", [(), ("view_product",), ("export_product",)])
def test_who_may_not_export_is_refused(permissions: tuple[str, ...]) -> None:
    answer = client(person("eve", *permissions)).get(EXPORT)
    assert answer.status_code == 403
    assert "needs the permission catalog." in answer.json()["detail"]


def test_a_stranger_is_asked_to_log_in() -> None:
    assert APIClient().get(EXPORT).status_code == 401


def test_two_are_sent_at_once_and_a_place_is_free_again_when_one_is_over(api: APIClient) -> None:
    product("a")
    others = [exports.Stream(lambda: (piece for piece in [b"x"])) for _ in range(exports.MAX_STREAMS)]
    try:
        refused = api.get(EXPORT)
        assert (refused.status_code, refused["Retry-After"]) == (503, "30")
    finally:
        for other in others:
            other.close()
    for _ in range(exports.MAX_STREAMS + 1):
        assert lines(api.get(EXPORT))


def test_a_place_is_given_back_once_also_by_who_read_nothing() -> None:
    closed: list[str] = []

    def pieces() -> Generator[bytes, None, None]:
        try:
            yield b"x"
            yield b"y"
        finally:
            closed.append("transaction")

    unread, begun = exports.Stream(pieces), exports.Stream(pieces)
    reader = iter(begun)
    assert next(reader) == b"x"
    for stream in (unread, begun, unread, begun):
        stream.close()
    assert closed == ["transaction"]
    assert list(reader) == []


def test_a_place_is_free_again_when_all_is_read() -> None:
    for _ in range(exports.MAX_STREAMS + 1):
        assert list(exports.Stream(lambda: (piece for piece in [b"x"]))) == [b"x"]


def test_an_answer_that_nobody_closes_gives_its_place_back(api: APIClient) -> None:
    for _ in range(exports.MAX_STREAMS + 1):
        exports.Stream(lambda: (piece for piece in [b"x"]))
    product("1")
    assert [row["id"] for row in lines(api.get(EXPORT))] == ["1"]
