"""The API over several markets: each call is about one, and says which."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from accounts.models import User
from catalog.models import DEFAULT_MARKET, Market
from catalog.tests.api import LIST, client, ids, product
from catalog.tests.factories import edit

pytestmark = pytest.mark.django_db
SAUDI = {"code": "sa-ar", "name": "Saudi Arabia, Arabic", "country": "SA", "language": "ar", "currency": "SAR"}


@pytest.fixture
def api(charlie: User) -> APIClient:
    return client(charlie)


@pytest.fixture
def saudi(db: None) -> Market:
    return Market.objects.create(**SAUDI)


@pytest.fixture
def shelf(saudi: Market) -> None:
    product("1", brand="Noor")
    product("2", brand="Zari", price=50)
    product("1", market=saudi, title="فستان", brand="نور", price=200, currency="SAR", condition="used", gender="female")
    product("3", market=saudi, title="حقيبة", brand="Noor", price=300, currency="SAR")


@pytest.mark.parametrize(
    ("query", "found", "found_in_saudi"),
    [
        ("", ["1", "2"], ["1", "3"]),
        ("brand=Noor", ["1"], ["3"]),
        ("condition=used", [], ["1"]),
        ("min_price=100", ["1"], ["1", "3"]),
        ("max_price=250", ["1", "2"], ["1"]),
        ("search=noor", ["1"], ["3"]),
        ("sort_by=price&order=desc", ["1", "2"], ["3", "1"]),
    ],
)
def test_a_list_is_of_one_market(
    api: APIClient, shelf: None, query: str, found: list[str], found_in_saudi: list[str]
) -> None:
    for address, expected in ((f"{LIST}?{query}", found), (f"{LIST}?{query}&market=sa-ar", found_in_saudi)):
        page = api.get(address)
        assert (ids(page), page.json()["count"]) == (expected, len(expected))


def test_a_product_says_its_market(api: APIClient, shelf: None) -> None:
    for path in ("/product-detail/1/", "/product-detail/?id=1", LIST):
        for given, market in (("", "default"), ("market=sa-ar", "sa-ar"), ("market=default", "default")):
            sign = "&" if "?" in path else "?"
            answer = api.get(f"{path}{sign if given else ''}{given}").json()
            first = answer["results"][0] if path == LIST else answer
            assert (first["id"], first["market"]) == ("1", market)


def test_a_product_of_another_market_is_not_found(api: APIClient, shelf: None) -> None:
    assert api.get("/product-detail/3/").status_code == 404
    assert api.get("/product-detail/3/?market=sa-ar").status_code == 200
    assert api.get("/product-detail/2/?market=sa-ar").status_code == 404


def test_filter_options_are_those_of_the_market(api: APIClient, shelf: None) -> None:
    assert api.get("/filter-options/").json() == {"conditions": ["new"], "genders": [], "brands": ["Noor", "Zari"]}
    options = api.get("/filter-options/?market=sa-ar").json()
    assert options == {"conditions": ["new", "used"], "genders": ["female"], "brands": ["Noor", "نور"]}


@pytest.mark.parametrize("path", [LIST, "/filter-options/", "/product-detail/1/", "/product-detail/?id=1"])
def test_an_unknown_market_is_refused_with_the_codes(api: APIClient, shelf: None, path: str) -> None:
    for wrong in ("kw-ar", "1", "SA-AR"):
        answer = api.get(f"{path}{'&' if '?' in path else '?'}market={wrong}")
        assert answer.status_code == 400
        assert answer.json()["market"] == [f'There is no market "{wrong}". Use one of these: default, sa-ar.']
    twice = api.get(f"{path}{'&' if '?' in path else '?'}market=default&market=sa-ar")
    assert (twice.status_code, twice.json()["market"]) == (400, ["Give it once."])


def test_what_changes_in_a_market_makes_no_answer_of_another_out_of_date(
    api: APIClient, shelf: None, saudi: Market
) -> None:
    addresses = (LIST, f"{LIST}?market=default", f"{LIST}?market=sa-ar")
    tags = [api.get(address)["ETag"] for address in addresses]
    assert len({*tags}) == 3
    edit("1", saudi.pk, title="ثوب")
    again = [api.get(address, headers={"If-None-Match": tag}) for address, tag in zip(addresses, tags, strict=True)]
    assert [answer.status_code for answer in again] == [304, 304, 200]
    edit("1", DEFAULT_MARKET, title="Gown")
    assert api.get(LIST).json()["results"][0]["title"] == "Gown"


def test_a_new_code_is_in_answers_at_once(api: APIClient, shelf: None) -> None:
    before = api.get(LIST)
    Market.objects.filter(pk=DEFAULT_MARKET).update(code="ae-en")
    after = api.get(LIST, headers={"If-None-Match": before["ETag"]})
    assert after.json()["results"][0]["market"] == "ae-en"


def test_counts_of_two_markets_with_one_version_are_not_mixed_up(api: APIClient, saudi: Market) -> None:
    product("1", condition="used")
    product("1", market=saudi)
    for query in ("condition=used", "min_price=1", "brand=Noor"):
        counts = [api.get(f"{LIST}?{query}&market={code}").json()["count"] for code in ("default", "sa-ar")]
        assert counts == ([1, 0] if query == "condition=used" else [1, 1])


def test_the_markets_are_listed(api: APIClient, saudi: Market) -> None:
    default = {"code": "default", "name": "Default market", "country": "", "language": "", "currency": ""}
    assert api.get("/markets/").json() == [{**default, "is_default": True}, {**SAUDI, "is_default": False}]
    assert api.get("/markets/?page=1").status_code == 400
    assert APIClient().get("/markets/").status_code == 401


def test_an_old_call_answers_as_before_but_for_the_market(api: APIClient, shelf: None) -> None:
    one: dict[str, Any] = api.get("/product-detail/2/").json()
    assert one.pop("market") == "default"
    assert "key" not in one
    with CaptureQueriesContext(connection) as queries:
        api.get("/product-detail/2/?market=default")
    assert len(queries) == 2
