"""What holds for every request."""

from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.test import Client

from catalog.tests import api
from catalog.tests.factories import at_once, cutting_off, turned_away
from catalog.tests.pages import RUNS, browser, staff
from config.middleware import in_utf8, limit_waiting


@pytest.mark.parametrize(
    "address", ["/accounts/login/?next=%00", "/admin/catalog/product/?availability__exact=%00", "/%00"]
)
def test_a_nul_in_the_address_is_refused_in_words(client: Client, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 400
    assert b"NUL" in answer.content


def test_a_body_of_no_known_length_is_not_taken_for_an_empty_one(client: Client) -> None:
    answer = client.generic("POST", "/upload-products/", headers={"Transfer-Encoding": "chunked"})
    assert answer.status_code == 411
    assert "Content-Length" in answer.json()["detail"]


def test_the_health_check_touches_nothing(client: Client) -> None:
    answer = client.get("/health-check/")
    assert answer.json() == {"status": "ok"}


def test_the_health_check_answers_no_other_methods(client: Client) -> None:
    assert {client.generic(method, "/health-check/").status_code for method in ("TRACE", "OPTIONS")} == {405}


@pytest.mark.django_db(transaction=True)
def test_while_the_database_is_away_people_are_told_when_to_come_back() -> None:
    alice = browser("alice")
    at_once(cutting_off())
    answer = alice.get(RUNS)
    connection.close()
    assert (answer.status_code, answer["Retry-After"]) == (503, "30")
    assert b"being restarted" in answer.content
    assert alice.get(RUNS).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_while_the_database_takes_no_more_connections_people_are_told_when_to_come_back() -> None:
    alice = browser("alice")
    program = api.client(staff("ida"))
    for answer in (turned_away(lambda: alice.get(RUNS)), turned_away(lambda: program.get("/imports/1/"))):
        assert (answer.status_code, answer["Retry-After"]) == (503, "30")
    assert alice.get(RUNS).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_request_does_not_wait_for_the_database_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    def limits() -> list[str]:
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0; SET lock_timeout = 0")
            cursor.execute("RESET statement_timeout; RESET lock_timeout")  # as after the work on an import
            cursor.execute("SELECT current_setting('statement_timeout'), current_setting('lock_timeout')")
            return list(cursor.fetchone())

    assert at_once(limits) == [["0", "0"]]
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", {"options": "-c work_mem=5MB"})
    limit_waiting()
    assert connection.settings_dict["OPTIONS"]["options"].startswith("-c work_mem=5MB -c ")
    assert at_once(limits) == [["1min", "5s"]]


@pytest.mark.django_db  # a connection that an earlier test left open is looked at when a request begins
@pytest.mark.parametrize("charset", ["zlib", '"zlib"', "punycode", "rot13", "utf-16", "no-such"])
def test_a_request_cannot_say_in_which_charset_it_is_read(charset: str) -> None:
    environ: dict[str, Any] = {"CONTENT_TYPE": f"text/plain; Charset={charset}", "QUERY_STRING": "q=%C3%A9"}
    setup_testing_defaults(environ)
    environ["PATH_INFO"] = "/health-check/"
    answers: list[str] = []
    body = in_utf8(get_wsgi_application())(environ, lambda status, _headers: answers.append(status))
    assert answers == ["200 OK"]
    assert b"".join(body) == b'{"status": "ok"}'
