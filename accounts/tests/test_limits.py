"""What the answers of the API say about limits."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from rest_framework.test import APIClient

from accounts.keys import make_key
from accounts.limits import Limit, show_limits
from accounts.models import Scope, User
from catalog.tests.api import client, upload
from catalog.tests.factories import feed_of, item, person

pytestmark = pytest.mark.django_db


def key_of(owner: User, *scopes: str) -> APIClient:
    secret = make_key(owner, name="till", scopes=scopes, feeds=[], days=1, by=owner)
    return APIClient(headers={"Authorization": f"Api-Key {secret}"})


def limits(answer: Any) -> tuple[str, str]:
    return answer.headers.get("RateLimit-Policy", ""), answer.headers.get("RateLimit", "")


def test_a_key_sees_how_many_calls_are_left() -> None:
    api = key_of(person("bob"), Scope.READ)
    assert limits(api.get("/list-products/")) == ('"key-calls";q=600;w=60', '"key-calls";a=599;w=60;r=599;t=60')
    assert limits(api.get("/list-products/"))[1].startswith('"key-calls";a=598;w=')


def test_the_headers_are_lists_of_texts_with_numbers() -> None:
    """As Structured Fields (RFC 9651) say, which clients read them by."""
    item_of_list = r'"[a-z-]+"(;[a-z]=[0-9]+)+'
    api = key_of(person("bob"), Scope.UPLOAD)
    for header in limits(upload(api, feed_of(item("1")))):
        assert re.fullmatch(rf"{item_of_list}, {item_of_list}", header)


def test_a_redirect_says_nothing_of_limits() -> None:
    def counted(status: int) -> Any:
        def get_response(_request: HttpRequest) -> HttpResponse:
            Limit("calls", 5, 60).take("somebody")
            return HttpResponse(status=status)

        return limits(show_limits(get_response)(HttpRequest()))

    assert counted(302) == ("", "")
    assert counted(304) == ('"calls";q=5;w=60', '"calls";a=3;w=60;r=3;t=60')


def test_a_login_is_counted_against_nothing_when_it_reads() -> None:
    assert limits(client(person("bob")).get("/list-products/")) == ("", "")


def test_uploads_are_counted_for_each_key_and_each_person(settings: Any) -> None:
    settings.UPLOAD_MAX_PER_MINUTE = 30
    bob = person("bob")
    one, another = key_of(bob, Scope.UPLOAD), key_of(bob, Scope.UPLOAD)
    assert '"uploads";q=30;w=60' in limits(upload(one, feed_of(item("1"))))[0]
    assert '"uploads";a=28' in limits(upload(one, feed_of(item("2"))))[1]
    assert '"uploads";a=29' in limits(upload(another, feed_of(item("3"))))[1]
    assert limits(upload(client(bob), feed_of(item("4"))))[1].startswith('"uploads";a=29;w=')


def test_files_that_are_refused_are_counted_too_and_retry_after_agrees(settings: Any) -> None:
    settings.UPLOAD_MAX_PER_MINUTE = 1
    api = client(person("bob"))
    assert upload(api, b"no feed").status_code == 400
    refused = upload(api, feed_of(item("1")))
    assert (refused.status_code, refused.json()["code"]) == (429, "throttled")
    wait = refused["Retry-After"]
    assert limits(refused) == ('"uploads";q=1;w=60', f'"uploads";a=0;w={wait};r=0;t={wait}')


def test_what_strangers_tried_on_an_account_is_not_shown() -> None:
    person("bob")
    answer = APIClient().post("/login/", {"username": "bob", "password": "wrong"})
    assert answer.status_code == 401
    assert limits(answer)[1].startswith('"login-')
    assert "login-account" not in limits(answer)[1]
