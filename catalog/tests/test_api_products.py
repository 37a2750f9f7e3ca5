"""The calls that read the catalogue: every filter alone and together, every page, every id, and no 500."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from redis.exceptions import ConnectionError as CacheAway
from rest_framework.test import APIClient

from accounts.models import User
from catalog.api.queries import ProductsQuery
from catalog.api.serializers import PRODUCT_FIELDS, ProductSerializer
from catalog.models import DEFAULT_MARKET, CatalogState, Product
from catalog.tests.api import LIST, client, ids, product
from catalog.tests.factories import edit
from catalog.version_cache import compute_once
from config.tests.problems import said

pytestmark = pytest.mark.django_db


@pytest.fixture
def api(charlie: User) -> APIClient:
    """Somebody with an account and no role."""
    return client(charlie)


@pytest.fixture
def shelf() -> None:
    """Five products that differ in everything that one can filter and sort by."""
    product("1", title="Silk dress", brand="Noor", price=300, gender="female", availability="in_stock")
    product("2", title="Linen shirt", brand="Zari", price=100, gender="male", availability="preorder")
    product("3", title="Leather bag", brand="Noor", price=200, gender="unisex", condition="used")
    product("4", title="Kaftan", brand="Éclat", price=200, gender="female", availability="out_of_stock")
    product("5", title="Wool coat", brand="", price=None, gender="", availability="in_stock")


def asked(api: APIClient, query: str) -> list[str]:
    return ids(api.get(f"{LIST}?{query}"))


# --- filters ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "1 2 3 4 5"),
        ("condition=used", "3"),
        ("condition=used&condition=new", "1 2 3 4 5"),
        ("gender=female", "1 4"),
        ("gender=female&gender=male", "1 2 4"),
        ("availability=in_stock&availability=preorder", "1 2 5"),
        ("brand=Noor", "1 3"),
        ("brand=Noor&brand=Zari", "1 2 3"),
        ("brand=noor", ""),
        ("min_price=200", "1 3 4"),
        ("max_price=200.00", "2 3 4"),
        ("min_price=200&max_price=299.999", "3 4"),
        ("min_price=300&max_price=100", ""),
        ("search=dress", "1"),
        ("brand=Noor&gender=female&search=sil&max_price=1000&condition=new&availability=in_stock", "1"),
        ("brand=Noor&gender=male", ""),
    ],
)
def test_filters_hold_alone_and_together(api: APIClient, shelf: None, query: str, found: str) -> None:
    response = api.get(f"{LIST}?{query}")
    assert ids(response) == found.split()
    assert response.json()["count"] == len(found.split())


@pytest.mark.parametrize("others", ["", "&gender=female", "&min_price=50", "&gender=female&max_price=500"])
def test_products_are_listed_since_a_time(api: APIClient, shelf: None, others: str) -> None:
    now = timezone.now().replace(microsecond=0)
    for days, id in enumerate("12345"):
        Product.objects.filter(id=id).update(updated_at=now - timedelta(days=days))
    everything = set(asked(api, others.removeprefix("&")))
    for days in range(5):
        since = f"{now - timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}"
        page = api.get(f"{LIST}?updated_since={since}{others}").json()
        assert {one["id"] for one in page["results"]} == everything & set("12345"[: days + 1])
        assert page["count"] == len(page["results"])


def test_a_time_may_have_an_offset(api: APIClient) -> None:
    product("1", updated_at=timezone.now())
    Product.objects.update(updated_at="2026-11-22T10:00:00Z")
    for moment, found in (
        ("14:00:00%2B04:00", ["1"]),
        ("10:00:00.000z", ["1"]),
        ("14:00:01%2B04:00", []),
        ("10:01:00Z", []),
    ):
        assert asked(api, f"updated_since=2026-11-22T{moment}") == found
    assert asked(api, "updated_since=0001-01-01T00:00:00%2B23:59") == ["1"]
    assert asked(api, "updated_since=9999-12-31T23:59:59-23:59") == []


def test_archived_products_are_not_there(api: APIClient) -> None:
    product("gone", archived_at=timezone.now())
    assert asked(api, "") == []
    assert api.get("/product-detail/gone/").status_code == 404
    assert api.get("/filter-options/").json()["brands"] == []


@pytest.mark.parametrize("longer", ["", "x", "y" * 500])
def test_a_brand_is_found_whole_however_long_it_is(api: APIClient, longer: str) -> None:
    brand = "é" * 120
    product("1", brand=brand + longer)
    product("2", brand=brand + "other")
    assert ids(api.get(LIST, {"brand": brand + longer})) == ["1"]
    assert api.get("/filter-options/").json()["brands"] == sorted([brand + longer, brand + "other"])


AMOUNTS = ["0.5", "1", "99.999", "100", "100.001", "133", "237", "1000000000"]


@pytest.mark.parametrize("others", ["", "&gender=female", "&gender=female&condition=used&availability=in_stock"])
@pytest.mark.parametrize("least", ["", *AMOUNTS[:-1], "999999999"])
def test_a_range_of_prices_is_counted_exactly(api: APIClient, least: str, others: str) -> None:
    """Whether it is a sum, lies between two steps, or both; and whatever else is asked for."""
    prices = [None, *(Decimal(n) / 2 for n in range(1, 500, 7)), *map(Decimal, AMOUNTS[1:-1])]
    Product.objects.bulk_create(
        Product(id=f"{n:03}", price=price, gender=("female", "")[n % 2], condition="used", availability="in_stock")
        for n, price in enumerate(prices)
    )
    for most in ["", *AMOUNTS[:-1], "999999999"]:
        query = f"page_size=100{others}" + (least and f"&min_price={least}") + (most and f"&max_price={most}")
        page = api.get(f"{LIST}?{query}").json()
        assert page["count"] == len(page["results"]), query


# --- search -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("silk", "1"),
        ("SIL dre", "1"),
        ("noor bag", "3"),
        ("kaftn", "4"),
        ("lether bag", "3"),
        ("noor drss", "1"),
        ("silk bag", ""),
        ("xylophone", ""),
        ("%", ""),
        ("'':*&|!<->", ""),
        ("  ", "1 2 3 4 5"),
        ("éclat", "4"),
    ],
)
@pytest.mark.parametrize("few", [0, 1000])
def test_search_finds_beginnings_of_words_and_forgives_small_typos(
    api: APIClient, shelf: None, words: str, found: str, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the index is asked for every word, or for the rarest only."""
    monkeypatch.setattr("catalog.models.product.MIN_INDEXED_PRODUCTS", few)
    assert ids(api.get(LIST, {"search": words})) == found.split()


def test_a_filter_never_makes_a_word_a_typo(api: APIClient, shelf: None) -> None:
    product("6", title="Silky scarf", brand="Zari")
    assert asked(api, "search=dress&brand=Zari") == []


# --- order and pages ----------------------------------------------------------------------------------
ORDERED = {
    "id": "1 2 3 4 5",
    "title": "4 3 2 1 5",
    "brand": "5 1 3 2 4",
    "price": "2 3 4 1 5",
    "created_at": "1 2 3 4 5",
    "updated_at": "1 2 3 4 5",
}


@pytest.mark.parametrize(("sort_by", "found"), ORDERED.items())
@pytest.mark.parametrize("page_size", [1, 2, 3, 100])
def test_every_order_is_stable_on_every_page(
    api: APIClient, shelf: None, sort_by: str, found: str, page_size: int
) -> None:
    for order, expected in (("asc", found.split()), ("desc", found.split()[::-1])):
        url, seen = f"{LIST}?sort_by={sort_by}&order={order}&page_size={page_size}", []
        while url:
            page = api.get(url)
            seen += ids(page)
            url = page.json()["next"]
        assert seen == expected


def test_titles_longer_than_any_index_are_sorted_too(api: APIClient) -> None:
    for n in "213":
        product(n * 500, title="👗" * 10_000, brand="👗" * 10_000)
    assert asked(api, "sort_by=title") == [n * 500 for n in "123"]


def test_a_page_tells_of_its_neighbours(api: APIClient, shelf: None) -> None:
    page = api.get(f"{LIST}?page=2&page_size=2&gender=female&gender=male&gender=unisex").json()
    assert (page["count"], page["total_pages"], page["next"]) == (4, 2, None)
    first = api.get(page["previous"]).json()
    assert [result["id"] for result in first["results"]] == ["1", "2"]
    assert first["previous"] is None
    assert api.get(first["next"]).json() == page


def test_an_empty_list_has_a_first_page(api: APIClient) -> None:
    expected: dict[str, Any] = {"count": 0, "total_pages": 0, "next": None, "previous": None, "results": []}
    assert api.get(LIST).json() == expected


@pytest.mark.parametrize("page", [2, 999_999_999])
def test_a_page_behind_the_last_is_not_found(api: APIClient, shelf: None, page: int) -> None:
    response = api.get(f"{LIST}?page={page}")
    assert response.status_code == 404
    assert "the last one is 1" in response.json()["detail"]


def test_pages_have_twenty_products_unless_said(api: APIClient) -> None:
    Product.objects.bulk_create([Product(id=f"{n:03}") for n in range(101)])
    assert len(asked(api, "")) == 20
    assert len(asked(api, "page_size=100")) == 100


# --- what is refused ----------------------------------------------------------------------------------
BAD = {
    "condition": ["NEW", "new,used", "0"],
    "gender": ["men"],
    "availability": ["in stock"],
    "brand": ["x" * 10_001],
    "min_price": ["-1", "1e3", "NaN", "1_000", "١٢", "1,5", "1.2345", "9" * 5000, " 1", "1\n"],
    "max_price": ["ten"],
    "search": ["x" * 201],
    "updated_since": [
        "yesterday",
        "2026-11-22",
        "2026-11-22T10:00:00",
        "2026-02-31T10:00:00Z",
        "2026-11-22T25:00:00Z",
        "1",
    ],
    "sort_by": ["feed", "-price", "title_key"],
    "order": ["down", "DESC"],
    "page": ["0", "-1", "1.0", "last", "1" * 5000, "１"],
    "page_size": ["0", "101"],
    "currency": ["AED"],
    "price__gt": ["1"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_a_bad_parameter_is_named(api: APIClient, name: str, value: str) -> None:
    response = api.get(LIST, {name: value})
    assert response.status_code == 400
    (told,) = said(response).items()
    assert told[0] == name
    assert isinstance(told[1][0], str)


def test_an_empty_parameter_is_not_given(api: APIClient) -> None:
    product("1", brand="Noor", condition="new")
    product("2", brand="Zari", condition="used")
    everything = api.get(LIST).json()
    for name in ProductsQuery().fields:
        assert api.get(f"{LIST}?{name}=").json()["results"] == everything["results"], name
    assert [row["id"] for row in api.get(f"{LIST}?condition=&gender=&brand=&brand=Noor&page=").json()["results"]] == [
        "1"
    ]
    assert api.get(f"{LIST}?colour=").status_code == 400  # there is none
    assert said(api.get("/product-detail/?id=")) == {"id": ["This parameter is required."]}
    assert api.get("/filter-options/?market=").status_code == 200


def test_every_bad_parameter_is_named_at_once(api: APIClient) -> None:
    assert set(said(api.get(f"{LIST}?page=0&order=up&colour=red&page_size=5"))) == {"page", "order", "colour"}


def test_what_can_be_said_once_is_not_said_twice(api: APIClient) -> None:
    assert said(api.get(f"{LIST}?page=1&page=1")) == {"page": ["Give it once."]}


@pytest.mark.parametrize("name", [*BAD, "no_such"])
@pytest.mark.parametrize("value", ["%00", "%ED%A0%80", "%FF", "%F0%9F%91%97", "'", "%25", "%5C", "..%2F"])
def test_no_parameter_brings_the_server_down(api: APIClient, name: str, value: str) -> None:
    for path in (LIST, "/filter-options/", "/product-detail/", "/product-detail/1/"):
        assert api.get(f"{path}?{name}={value}").status_code in (200, 400, 404)


@pytest.mark.parametrize("path", [LIST, "/filter-options/", "/product-detail/1/", "/product-detail/?id=1"])
def test_a_stranger_is_told_to_log_in(path: str) -> None:
    assert APIClient().get(path).status_code == 401


# --- one product --------------------------------------------------------------------------------------
ODD_IDS = [
    "a/b",
    "?",
    "#x",
    "add",
    "_2F",
    "a//",
    "/a",
    "👗 é",
    "a\nb",
    "100%",
    "%2F",
    "a;b=c",
    "&",
    "…",
    "...",
    "x" * 500,
]


@pytest.mark.parametrize("id", ODD_IDS)
def test_a_product_is_found_whatever_its_id(api: APIClient, id: str) -> None:
    product(id)
    response = api.get(f"/product-detail/{quote(id, safe='')}/")
    assert response.status_code == 200
    assert response.json()["id"] == id


@pytest.mark.parametrize("id", [*ODD_IDS, ".", "..", "a/../b"])
def test_what_no_path_can_hold_is_asked_for_by_parameter(api: APIClient, id: str) -> None:
    product(id)
    assert api.get("/product-detail/", {"id": id}).json()["id"] == id


def test_a_product_that_is_not_there_is_not_found(api: APIClient) -> None:
    assert said(api.get("/product-detail/1/")) == {"detail": "There is no product with this id."}
    assert api.get("/product-detail/?id=1").status_code == 404
    assert said(api.get("/product-detail/")) == {"id": ["This parameter is required."]}


@pytest.mark.parametrize(
    ("amount", "currency", "sent"),
    [
        ("1250", "AED", "1250.00"),
        ("1.25", "KWD", "1.250"),
        ("1299", "JPY", "1299"),
        ("0.5", "", "0.50"),
        ("1.234", "AED", "1.234"),
        (None, "AED", None),
    ],
)
def test_amounts_have_the_decimals_of_their_currency(
    api: APIClient, amount: str | None, currency: str, sent: str | None
) -> None:
    product("1", price=amount and Decimal(amount), sale_price=amount and Decimal(amount), currency=currency)
    told = api.get("/product-detail/1/").json()
    assert (told["price"], told["sale_price"], told["currency"]) == (sent, sent, currency)


def test_a_product_is_sent_as_the_schema_says(api: APIClient) -> None:
    product("1", extra={"shipping": [{"country": "AE"}]}, additional_image_link=["https://example.com/1.jpg"])
    told = api.get("/product-detail/1/").json()
    assert list(told) == list(PRODUCT_FIELDS) == list(ProductSerializer().fields)
    assert told["extra"] == {"shipping": [{"country": "AE"}]}
    assert told["additional_image_link"] == ["https://example.com/1.jpg"]
    assert api.get(LIST).json()["results"] == [told]


def test_filter_options_are_sorted_and_not_blank(api: APIClient, shelf: None) -> None:
    assert api.get("/filter-options/").json() == {
        "conditions": ["new", "used"],
        "genders": ["female", "male", "unisex"],
        "brands": ["Noor", "Zari", "Éclat"],
    }


# --- the catalogue's version --------------------------------------------------------------------------
PATHS = [LIST, f"{LIST}?search=silk&page_size=3", "/filter-options/", "/product-detail/1/", "/product-detail/?id=1"]


def queries(api: APIClient, path: str, **headers: str) -> tuple[Any, int]:
    with CaptureQueriesContext(
        connection,
    ) as seen:
        response = api.get(path, headers=headers)
    return response, len(seen)


@pytest.mark.parametrize("path", PATHS)
def test_who_has_the_answer_is_told_so_after_one_query(api: APIClient, shelf: None, path: str) -> None:
    tag = api.get(path)["ETag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}'):
        response, count = queries(api, path, **{"If-None-Match": known})
        assert (response.status_code, response.content, response["ETag"], count) == (304, b"", tag, 1)


@pytest.mark.parametrize("path", PATHS)
def test_no_proxy_keeps_an_answer_for_somebody_else(api: APIClient, shelf: None, path: str) -> None:
    answer = api.get(path)
    known = api.get(path, headers={"If-None-Match": answer["ETag"]})
    assert answer["Cache-Control"] == known["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize("tag", ["*", None])
def test_an_answer_that_is_still_current_is_of_the_same_media_type(api: APIClient, tag: str | None) -> None:
    product("1")
    for path in (LIST, "/product-detail/1/", "/filter-options/"):
        whole = api.get(path)
        current = api.get(path, headers={"If-None-Match": tag or whole["ETag"]})
        assert (current.status_code, current.content) == (304, b"")
        assert (current["ETag"], current["Content-Type"]) == (whole["ETag"], whole["Content-Type"])


def test_any_answer_is_one_only_where_there_is_something(api: APIClient) -> None:
    assert api.get("/product-detail/1/", headers={"If-None-Match": "*"}).status_code == 404
    assert api.get(f"{LIST}?page=2", headers={"If-None-Match": "*"}).status_code == 404


@pytest.mark.parametrize("path", PATHS)
def test_any_change_makes_a_new_answer(api: APIClient, shelf: None, path: str) -> None:
    tag = api.get(path)["ETag"]
    edit("5")
    response = api.get(path, headers={"If-None-Match": tag})
    assert response.status_code == 200
    assert response["ETag"] != tag


def test_one_answer_is_not_taken_for_another(api: APIClient, shelf: None) -> None:
    tags = {api.get(path)["ETag"] for path in [*PATHS, f"{LIST}?page_size=3"]}
    assert len(tags) == len(PATHS) + 1


def test_counts_and_options_are_those_of_the_version(api: APIClient, shelf: None) -> None:
    assert api.get(f"{LIST}?brand=Noor").json()["count"] == 2
    product("6", brand="Noor", title="New brand's coat")
    assert api.get(f"{LIST}?brand=Noor").json()["count"] == 3
    product("7", brand="Aziz")
    assert api.get("/filter-options/").json()["brands"][0] == "Aziz"


@pytest.mark.parametrize(("path", "most"), [(LIST, 3), (f"{LIST}?search=silk", 4), (f"{LIST}?min_price=1", 4)])
def test_what_is_counted_once_costs_no_query_again(api: APIClient, shelf: None, path: str, most: int) -> None:
    """Version, keys and rows; a search looks first whether its words are there."""
    api.get(path)
    sizes = [f"{path}{'&' if '?' in path else '?'}page_size={size}" for size in (1, 4)]
    counts = [queries(api, sized)[1] for sized in sizes]
    assert counts == [counts[0]] * 2
    assert counts[0] <= most


@pytest.mark.parametrize("path", PATHS)
def test_what_was_answered_is_answered_again_after_one_query(api: APIClient, shelf: None, path: str) -> None:
    first = api.get(path)
    again, count = queries(api, path)
    assert count == 1
    headers = [{**answer.headers, "X-Request-ID": ""} for answer in (first, again)]
    assert again.content == first.content
    assert headers[0] == headers[1]


def test_an_answer_is_not_given_in_another_form(api: APIClient, shelf: None) -> None:
    plain = api.get(LIST)
    indented = api.get(LIST, headers={"Accept": "application/json; indent=2"})
    assert indented.json() == plain.json()
    assert len(indented.content) > len(plain.content) == len(api.get(LIST).content)


def test_a_long_answer_is_not_kept(api: APIClient, shelf: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog.api.etag.KEPT_BYTES", 100)
    first = api.get(LIST)
    again, count = queries(api, LIST)
    assert again.content == first.content
    assert count > 1


def test_who_asks_meanwhile_waits_for_the_number_and_does_not_count_too() -> None:
    counted = []

    def count() -> int:
        counted.append(1)
        time.sleep(0.1)
        return 7

    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(compute_once, DEFAULT_MARKET, 1, "number", count) for _ in range(4)]
    assert [one.result() for one in asked] == [7] * 4
    assert len(counted) == 1


def test_without_a_cache_everything_is_still_there(
    api: APIClient, shelf: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise CacheAway

    monkeypatch.setattr("catalog.version_cache.cache.get", away)
    assert asked(api, "brand=Noor") == ["1", "3"]
    assert api.get("/filter-options/").status_code == 200


def test_the_version_is_nothing_before_the_first_change(api: APIClient) -> None:
    CatalogState.objects.all().delete()
    assert api.get(LIST)["ETag"].startswith('"0-')
    product("1", created_at=timezone.now() - timedelta(days=1))
    assert api.get(LIST)["ETag"].startswith('"1-')
