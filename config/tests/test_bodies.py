"""What is refused before its body is read, and how many bodies are read at a time."""

import re
import threading
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
from config.tests.problems import said
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
    "/accounts/login/",
    "/mail/stop/",
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
class Arriving:
    """A body of which the last byte comes when it is let go on."""

    def __init__(self, size: int, go_on: threading.Event) -> None:
        self.size, self.go_on = size, go_on
        self.is_awaited = threading.Event()

    def read(self, _size: int = -1) -> bytes:
        self.is_awaited.set()
        self.go_on.wait(10)
        return b"x" * self.size


def echo(request: dict[str, Any], start_response: Any) -> list[bytes]:
    """As Django does when a body cannot be read, it answers nevertheless."""
    try:
        request["wsgi.input"].read()
    except OSError:
        start_response("500 Internal Server Error", [])
        return []
    start_response("200 OK", [])
    return []


def send(serve: Any, body: Arriving, **more: Any) -> str:
    answers: list[str] = []
    request = {"CONTENT_LENGTH": str(body.size), "wsgi.input": body, **more}
    serve(request, lambda status, _headers: answers.append(status))
    return answers[0]


def whole(size: int = 5) -> Arriving:
    come = threading.Event()
    come.set()
    return Arriving(size, come)


def test_bodies_that_hardly_arrive_leave_threads_for_pages() -> None:
    serve, go_on = limit_reading(echo), threading.Event()
    bodies = [Arriving(5, go_on) for _ in range(MAX_BODIES)]
    slow = [threading.Thread(target=send, args=[serve, body]) for body in bodies]
    for thread, body in zip(slow, bodies, strict=True):
        thread.start()
        assert body.is_awaited.wait(10)
    assert send(serve, whole()) == "503 Service Unavailable"
    assert send(serve, whole(0)) == "200 OK", "what has no body is always served"
    go_on.set()
    for thread in slow:
        thread.join(10)
    assert [send(serve, whole()) for _ in range(MAX_BODIES + 1)] == ["200 OK"] * (MAX_BODIES + 1)


def test_a_body_that_came_whole_makes_room_for_the_next_one() -> None:
    """An upload that waits for its import holds up no other body."""
    release, begun = threading.Event(), threading.Semaphore(0)

    def application(request: dict[str, Any], start_response: Any) -> list[bytes]:
        answer = echo(request, start_response)
        begun.release()
        release.wait(10)
        return answer

    serve, answers = limit_reading(application), list[str]()
    threads = [threading.Thread(target=lambda: answers.append(send(serve, whole()))) for _ in range(MAX_BODIES + 3)]
    for thread in threads:
        thread.start()
        assert begun.acquire(timeout=10)
    release.set()
    for thread in threads:
        thread.join(10)
    assert answers == ["200 OK"] * len(threads)


def test_a_body_that_is_not_read_takes_no_room() -> None:
    def application(_request: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("401 Unauthorized", [])
        return []

    serve = limit_reading(application)
    assert {send(serve, whole()) for _ in range(MAX_BODIES + 1)} == {"401 Unauthorized"}


@pytest.mark.parametrize("path", ["/login/", api.UPLOAD])
def test_a_body_that_stops_arriving_is_refused_in_words(db: None, path: str) -> None:
    class Silent:
        def read(self, *_: object) -> bytes:
            raise TimeoutError("timed out")

        readline = read

    client = api.client(make_person("carl"))
    kind = MULTIPART_CONTENT if path == api.UPLOAD else "application/json"
    answer = client.generic("POST", path, cast(Any, "x"), content_type=kind, **cast(Any, {"wsgi.input": Silent()}))
    assert answer.status_code == 408
    assert said(answer) == {"detail": "The body did not arrive. Send it again."}


def test_a_client_that_falls_silent_is_not_waited_for() -> None:
    class Connection:
        timeout: float | None = None

        def settimeout(self, seconds: float) -> None:
            self.timeout = seconds

    connection = Connection()
    send(limit_reading(echo), whole(), **{"gunicorn.socket": connection})
    assert connection.timeout == MAX_SILENCE_SECONDS


def test_the_web_server_has_threads_beside_those_for_bodies_and_for_waiting() -> None:
    threads = re.search(r"--threads=(\d+)", (BASE_DIR / "Dockerfile").read_text())
    assert threads
    assert int(threads[1]) >= MAX_BODIES + MAX_WAITING + 8


def test_a_busy_process_leaves_connections_to_the_others() -> None:
    threads, connections = (
        int(re.findall(rf"--{name}=(\d+)", (BASE_DIR / "Dockerfile").read_text())[0])
        for name in ("threads", "worker-connections")
    )
    assert threads < connections <= 1.5 * threads
