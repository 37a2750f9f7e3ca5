"""What is refused before its body is read, and how many bodies are read at a time."""

import re
import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest
from django.test import Client
from django.test.client import MULTIPART_CONTENT
from rest_framework.test import APIClient

from accounts.models import User
from accounts.tests.conftest import make_person
from catalog.api.uploads import MAX_WAITING
from catalog.models import Feed
from catalog.tests import api
from catalog.tests.pages import UPLOAD as UPLOAD_FORM
from catalog.tests.pages import browser
from config.middleware import MAX_BODIES, MAX_SILENCE_SECONDS, limit_reading
from devservers import BASE_DIR

HUGE = 600 * 1024 * 1024


@pytest.fixture
def feed(db: None) -> Feed:
    return Feed.objects.create(name="Ounass", slug="ounass")


class Unread:
    """A body that nobody may read."""

    def read(self, *_: object) -> bytes:
        pytest.fail("The body was read.")

    readline = read


def post_unread(client: Client, path: str, size: int = HUGE, **more: Any) -> Any:
    """Say that so many bytes come, of which none may be read."""
    stream: dict[str, Any] = {"wsgi.input": Unread(), "CONTENT_LENGTH": str(size), **more}
    return client.generic("POST", path, cast(Any, b"x"), content_type=MULTIPART_CONTENT, **stream)


ANYWHERE = [
    "/",
    "/signup/",
    "/login/",
    "/password/reset/",
    "/schema/",
    "/nowhere/",
    "/admin/login/",
    "/mail/stop/x/",
    "/health-check/",
]


@pytest.mark.parametrize("path", ANYWHERE)
def test_nobody_sends_a_huge_body_where_none_belongs(db: None, path: str) -> None:
    answer = post_unread(Client(enforce_csrf_checks=True), path)
    assert answer.status_code in ({404} if path == "/nowhere/" else {413})
    if path != "/nowhere/":
        assert answer.json()["detail"] == "The body may have at most 2,621,440 bytes."


@pytest.mark.parametrize("path", [UPLOAD_FORM, "/admin/", "/admin/my-mail/", "/admin/catalog/feed/add/"])
@pytest.mark.parametrize("size", [1, HUGE])
def test_a_stranger_s_body_is_not_read_in_the_admin(db: None, path: str, size: int) -> None:
    answer = post_unread(Client(enforce_csrf_checks=True), path, size)
    assert (answer.status_code, answer["Location"].partition("?")[0]) == (302, "/admin/login/")


def test_a_stranger_s_upload_is_not_read(db: None) -> None:
    assert post_unread(APIClient(), api.UPLOAD).status_code == 401
    assert post_unread(APIClient(), api.UPLOAD, HTTP_AUTHORIZATION="Bearer x").status_code == 401


def test_who_may_not_upload_is_refused_before_the_form_is_read(feed: Feed) -> None:
    answer = post_unread(browser("bob", enforce_csrf_checks=True), UPLOAD_FORM, HTTP_ACCEPT="text/html")
    assert answer.status_code == 403
    assert "catalog.add_importrun" in answer.content.decode()


def test_a_form_over_the_limit_is_not_read(feed: Feed, settings: Any) -> None:
    settings.FEED_MAX_BYTES = 1000
    answer = post_unread(browser("ida", enforce_csrf_checks=True), UPLOAD_FORM, HTTP_ACCEPT="text/html")
    assert answer.status_code == 413
    assert "raise FEED_MAX_BYTES" in answer.content.decode()


def test_staff_send_no_huge_body_elsewhere(db: None) -> None:
    answer = post_unread(browser("ida"), "/admin/my-mail/", HTTP_ACCEPT="text/html")
    assert answer.status_code == 413
    assert "2,621,440 bytes" in answer.content.decode()


@pytest.mark.parametrize("length", ["", "x", "-1"])
def test_an_odd_length_is_that_of_no_body(db: None, length: str) -> None:
    carl: User = make_person("carl")
    client = api.client(carl)
    assert client.generic("POST", api.UPLOAD, "", MULTIPART_CONTENT, CONTENT_LENGTH=length).status_code == 400


# --- how many at a time -------------------------------------------------------------------------------
class Server:
    """An application that reads its body when it is let go on."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.begun = threading.Semaphore(0)
        self.serve = limit_reading(self._application)

    def _application(self, environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        self.begun.release()
        self.go_on.wait(10)
        environ["wsgi.input"].read()
        start_response("200 OK", [])
        return iter([b""])

    def send(self, size: int, **more: Any) -> str:
        answers: list[str] = []
        environ = {"CONTENT_LENGTH": str(size), "wsgi.input": Unhurried(size), **more}
        self.serve(environ, lambda status, _headers: answers.append(status))
        return answers[0]


class Unhurried:
    def __init__(self, size: int) -> None:
        self.size = size

    def read(self, _size: int = -1) -> bytes:
        return b"x" * self.size


def test_bodies_that_hardly_arrive_leave_threads_for_pages() -> None:
    server = Server()
    slow = [threading.Thread(target=server.send, args=[5]) for _ in range(MAX_BODIES)]
    for thread in slow:
        thread.start()
    for _ in slow:
        server.begun.acquire(timeout=10)
    assert server.send(5) == "503 Service Unavailable"
    server.go_on.set()
    assert server.send(0) == "200 OK", "what has no body is always served"
    for thread in slow:
        thread.join(10)
    assert [server.send(5) for _ in range(MAX_BODIES + 1)] == ["200 OK"] * (MAX_BODIES + 1)


def test_a_body_that_came_whole_makes_room_for_the_next_one() -> None:
    """An upload that waits for its import holds up no other body."""
    release, begun = threading.Event(), threading.Semaphore(0)

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        environ["wsgi.input"].read()
        begun.release()
        release.wait(10)
        start_response("200 OK", [])
        return []

    serve = limit_reading(application)
    answers: list[str] = []

    def send() -> None:
        environ = {"CONTENT_LENGTH": "5", "wsgi.input": Unhurried(5)}
        serve(environ, lambda status, _headers: answers.append(status))

    threads = [threading.Thread(target=send) for _ in range(MAX_BODIES + 3)]
    for thread in threads:
        thread.start()
        assert begun.acquire(timeout=10)
    release.set()
    for thread in threads:
        thread.join(10)
    assert answers == ["200 OK"] * len(threads)


def test_a_client_that_falls_silent_is_not_waited_for() -> None:
    class Connection:
        timeout: float | None = None

        def settimeout(self, seconds: float) -> None:
            self.timeout = seconds

    connection, server = Connection(), Server()
    server.go_on.set()
    server.send(5, **{"gunicorn.socket": connection})
    assert connection.timeout == MAX_SILENCE_SECONDS


def test_the_web_server_has_threads_beside_those_for_bodies_and_for_waiting() -> None:
    threads = re.search(r"--threads=(\d+)", (BASE_DIR / "Dockerfile").read_text())
    assert threads
    assert int(threads[1]) >= MAX_BODIES + MAX_WAITING + 8
