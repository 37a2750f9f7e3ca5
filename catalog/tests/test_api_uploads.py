"""Uploads through the API: what `receive` does, for everybody who has an account, and once however often it is sent."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from typing import Any, cast

import pytest
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from catalog.api.examples import UPLOAD as UPLOAD_EXAMPLE
from catalog.api.serializers import GOES_ON, NEEDS_CONFIRMATION
from catalog.api.uploads import MAX_WAITING, WAITING
from catalog.imports.quotas import TOO_LARGE
from catalog.models import Feed, ImportRun, Mode, Product, Status, UploadKey
from catalog.tests.api import UPLOAD, client, upload
from catalog.tests.conftest import Worker
from catalog.tests.factories import add_product, at_once, feed_of, item, items, person
from config.tests.problems import said

pytestmark = pytest.mark.django_db
CONTENT = feed_of(item("1"))


@pytest.fixture(autouse=True)
def _own_folder(storage: Any) -> None:
    """What is uploaded goes away with the test."""


@pytest.fixture
def api(charlie: User) -> APIClient:
    """Somebody with an account and no role."""
    return client(charlie)


# --- taken in -----------------------------------------------------------------------------------------
def test_an_upload_is_taken_in_and_told_of(api: APIClient, charlie: User) -> None:
    response = upload(api, CONTENT, "summer.xml")
    run = ImportRun.objects.get()
    url = f"http://testserver/imports/{run.pk}/"
    assert response.status_code == 202
    said = "The file was received. The address in `url` says what becomes of it."
    assert response.json() == {"id": run.pk, "status": "received", "url": url, "message": said}
    assert response["Location"] == url
    assert type(response["Location"]) is str, "a server takes no other header, not even a subclass"
    assert (run.uploaded_by, run.file_name, run.mode, run.feed.slug) == (charlie, "summer.xml", Mode.ADD, "api")
    assert api.get(url).json()["status"] == "received"


@pytest.mark.django_db(transaction=True)
def test_what_is_added_through_the_api_is_applied_by_itself(api: APIClient, worker: Worker) -> None:
    url = upload(api, feed_of(*items(3), item("free", price="free"))).json()["url"]
    worker.work()
    told = api.get(url).json()
    assert (told["status"], told["counts"]["created"], told["counts"]["invalid"]) == ("applied", 3, 1)
    assert Product.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_it_waits_for_staff_where_that_is_asked_for(api: APIClient, worker: Worker, settings: Any) -> None:
    settings.API_UPLOAD_REVIEW = True
    response = upload(api, CONTENT)
    assert response.status_code == 202
    assert "waits in review" in response.json()["message"]
    worker.work()
    assert api.get(response.json()["url"]).json()["status"] == "review"
    assert not Product.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_who_waited_for_a_file_that_is_held_reads_that_it_needs_a_person(
    api: APIClient, working: Callable[..., Any]
) -> None:
    repaired = CONTENT.replace(b"<channel>", b"<channel>\n<b>a & b</b>")
    response = working(lambda: upload(api, repaired, headers={"Prefer": "wait=20"}))
    assert (response.status_code, response.json()["status"]) == (202, "review")
    assert "waits in review" in response.json()["message"]


@pytest.mark.django_db(transaction=True)
def test_products_that_exist_are_left_as_they_are(api: APIClient, worker: Worker, feed: Feed) -> None:
    add_product(id="1", title="Mine", feed=feed)
    upload(api, CONTENT)
    worker.work()
    assert Product.objects.get().title == "Mine"


def test_the_upload_that_the_description_shows_is_taken(api: APIClient) -> None:
    assert upload(api, UPLOAD_EXAMPLE["file"].encode(), mode=UPLOAD_EXAMPLE["mode"]).status_code == 202


def test_a_plan_waits_where_the_upload_asks_for_review(api: APIClient) -> None:
    asked, not_asked = (upload(api, CONTENT, review=review).json() for review in ("true", "false"))
    assert asked["id"] != not_asked["id"]
    assert (asked["message"], not_asked["message"]) == (NEEDS_CONFIRMATION, GOES_ON)
    runs = dict(ImportRun.objects.values_list("pk", "auto_apply"))
    assert runs == {asked["id"]: False, not_asked["id"]: True}


@pytest.mark.parametrize("odd", ["", "perhaps", "2"])
def test_what_is_neither_yes_nor_no_is_refused(api: APIClient, odd: str) -> None:
    assert "review" in said(upload(api, CONTENT, review=odd))
    assert not ImportRun.objects.exists()


def test_the_same_bytes_while_open_are_the_same_import(api: APIClient) -> None:
    assert upload(api, CONTENT).json() == upload(api, CONTENT, "again.xml").json()
    assert ImportRun.objects.count() == 1


def test_the_same_bytes_of_somebody_else_are_another_import(api: APIClient, bob: User) -> None:
    own, other = upload(api, CONTENT).json(), upload(client(person("dora")), CONTENT).json()
    assert own["id"] != other["id"]
    assert upload(client(bob), CONTENT).json()["id"] in (own["id"], other["id"])  # who may look at all


# --- who may do what ----------------------------------------------------------------------------------
@pytest.mark.parametrize("mode", ["update", "sync"])
def test_only_an_approver_changes_products(api: APIClient, alice: User, mode: str) -> None:
    refused = upload(api, CONTENT, mode=mode)
    assert refused.status_code == 403
    assert "catalog.confirm_importrun" in refused.json()["detail"]
    assert upload(client(person("ida", "add_importrun")), CONTENT, mode=mode).status_code == 403
    assert upload(client(alice), CONTENT, mode=mode).status_code == 202


@pytest.mark.parametrize("slug", ["ounass", "no-such"])
def test_only_an_importer_names_a_feed(api: APIClient, feed: Feed, slug: str) -> None:
    assert upload(api, CONTENT, feed=slug).status_code == 403
    ida = client(person("ida", "add_importrun"))
    named = upload(ida, CONTENT, feed=slug)
    if slug == "ounass":
        assert ImportRun.objects.get().feed == feed
    else:
        assert said(named) == {"feed": ["There is no feed with this short name."]}


def test_a_stranger_uploads_nothing() -> None:
    assert upload(APIClient(), CONTENT).status_code == 401
    assert not ImportRun.objects.exists()


# --- refused ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"<!DOCTYPE html><html><body>Log in</body></html>", "HTML page"),
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n", "picture"),
        (b'<?xml version="1.0"?><!DOCTYPE rss><rss/>', "DOCTYPE"),
    ],
)
def test_a_file_that_is_no_feed_is_refused_in_words(api: APIClient, content: bytes, sentence: str) -> None:
    response = upload(api, content)
    assert response.status_code == 400
    assert sentence in response.json()["file"][0]
    assert not ImportRun.objects.exists()


def test_a_file_over_the_limit_is_too_large(api: APIClient, settings: Any, storage: Any) -> None:
    settings.FEED_MAX_BYTES = len(CONTENT) - 1
    response = upload(api, CONTENT)
    assert response.status_code == 413
    assert "FEED_MAX_BYTES" in response.json()["detail"]
    assert not [path for path in storage.rglob("*") if path.is_file()]


def test_a_file_over_the_limit_is_cut_off_on_its_way(
    api: APIClient, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.FEED_MAX_BYTES = len(CONTENT) - 1
    monkeypatch.setattr("catalog.api.uploads.receive", lambda *_, **__: pytest.fail("It was taken in whole."))
    assert upload(api, CONTENT).status_code == 413


def test_a_body_far_over_the_limit_is_not_read(api: APIClient, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.FEED_MAX_BYTES = 10
    monkeypatch.setattr("rest_framework.parsers.DjangoMultiPartParser.parse", lambda _: pytest.fail("It was read."))
    assert upload(api, b" " * 100_000).status_code == 413


def body(**form: Any) -> bytes:
    return encode_multipart(BOUNDARY, form)


def file(content: bytes = CONTENT, name: str = "feed.xml") -> BytesIO:
    stream = BytesIO(content)
    stream.name = name
    return stream


def send(api: APIClient, sent: bytes, content_type: str, arriving: bytes | None = None) -> Any:
    """Send these bytes, of which so much arrives."""
    stream: Any = {"wsgi.input": BytesIO(sent if arriving is None else arriving)}
    return api.generic("POST", UPLOAD, cast(Any, sent), content_type=content_type, **stream)


WHOLE = body(file=file())


@pytest.mark.parametrize(
    ("sent", "content_type", "status", "said"),
    [
        (body(), MULTIPART_CONTENT, 400, "No file was submitted"),
        (body(mode="add"), MULTIPART_CONTENT, 400, "No file was submitted"),
        (body(file="<rss/>"), MULTIPART_CONTENT, 400, "not a file"),
        (body(files=file()), MULTIPART_CONTENT, 400, "No file was submitted"),
        (body(file=[file(), file()]), MULTIPART_CONTENT, 400, "Send only one file"),
        (body(file=file(), more=file()), MULTIPART_CONTENT, 400, "Send only one file"),
        (body(file=file(), mode=["add", "sync"]), MULTIPART_CONTENT, 400, '"mode":["Give it once."]'),
        (body(file=file(), feed=["api", "api"]), MULTIPART_CONTENT, 400, '"feed":["Give it once."]'),
        (body(file=file(), mode="replace"), MULTIPART_CONTENT, 400, "mode"),
        (body(file=file(), feed="a b"), MULTIPART_CONTENT, 400, "feed"),
        (body(file=file(), mode=""), MULTIPART_CONTENT, 400, "mode"),
        (body(file=file(), feed=""), MULTIPART_CONTENT, 400, "feed"),
        (body(file=file(), feed="\x00"), MULTIPART_CONTENT, 400, "feed"),
        (body(file=[file() for _ in range(101)]), MULTIPART_CONTENT, 400, "cannot be read"),
        (body(file=file(), **{f"f{n}": "" for n in range(1001)}), MULTIPART_CONTENT, 400, "cannot be read"),
        (body(file=file(), much="x" * 3_000_000), MULTIPART_CONTENT, 400, "cannot be read"),
        (WHOLE, "multipart/form-data", 400, "boundary"),
        (WHOLE, "multipart/form-data; boundary=other", 400, "No file was submitted"),
        (CONTENT, "application/xml", 415, "application/xml"),
        (b"{}", "application/json", 415, "application/json"),
        (b"", "application/x-www-form-urlencoded", 400, "No file was submitted"),
    ],
)
def test_a_form_that_is_not_right_is_refused_in_words(
    api: APIClient, sent: bytes, content_type: str, status: int, said: str
) -> None:
    response = send(api, sent, content_type)
    assert (response.status_code, response["Content-Type"]) == (status, "application/json")
    assert said in response.content.decode()
    assert not ImportRun.objects.exists()


def test_a_media_type_may_be_in_capitals(api: APIClient) -> None:
    in_capitals = MULTIPART_CONTENT.replace("multipart/form-data", "Multipart/Form-Data")
    assert send(api, WHOLE, in_capitals).status_code == 202


def test_a_body_that_ends_early_is_no_upload(api: APIClient) -> None:
    rows = "".join(f"{n},Silk dress\n" for n in range(1000))
    sent = body(file=file(f"id,title\n{rows}".encode(), "feed.csv"))
    response = send(api, sent, MULTIPART_CONTENT, arriving=sent[:-200])
    assert response.status_code == 400
    assert f"of {len(sent):,} bytes" in response.json()["detail"]
    assert not ImportRun.objects.exists()


@pytest.mark.parametrize("name", ["../../etc/passwd", "x" * 300, "a\r\nb", "👗.xml", "été.xml", "\x00"])
def test_a_files_name_is_only_shown(api: APIClient, storage: Any, name: str) -> None:
    assert upload(api, CONTENT, name).status_code in (202, 400)
    assert all(path.relative_to(storage).parts[0] == "feeds" for path in storage.rglob("*.*"))


def test_the_largest_body_is_what_receive_takes(api: APIClient, settings: Any) -> None:
    settings.FEED_MAX_BYTES = len(CONTENT)
    assert upload(api, CONTENT).status_code == 202
    assert TOO_LARGE == "feed.too_large"  # clients are told 413 by it


# --- Prefer: wait -------------------------------------------------------------------------------------
@pytest.fixture
def working(worker: Worker) -> Callable[..., Any]:
    """Call it to have somebody work beside the request until it is answered."""

    def go(request: Callable[[], Any]) -> Any:
        done = threading.Event()

        def work() -> None:
            while not done.is_set():
                worker.work()
                time.sleep(0.02)

        def ask() -> Any:
            try:
                return request()
            finally:
                done.set()

        _, response = at_once(work, ask)
        return response

    return go


@pytest.mark.django_db(transaction=True)
def test_who_waits_is_told_when_it_is_applied(api: APIClient, working: Callable[..., Any]) -> None:
    response = working(lambda: upload(api, CONTENT, headers={"Prefer": "respond-async, wait=20"}))
    assert (response.status_code, response.json()["status"]) == (201, "applied")
    assert response["Preference-Applied"] == "wait=20"
    assert Product.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_who_waits_is_told_at_once_what_needs_a_person(api: APIClient, working: Callable[..., Any]) -> None:
    start = time.monotonic()
    response = working(lambda: upload(api, CONTENT[:-20], headers={"Prefer": "wait=20"}))
    assert (response.status_code, response.json()["status"]) == (202, "failed")
    assert time.monotonic() - start < 10


def test_nobody_waits_longer_than_asked(api: APIClient) -> None:
    start = time.monotonic()
    response = upload(api, CONTENT, headers={"Prefer": "wait=1"})
    assert (response.status_code, response.json()["status"]) == (202, "received")
    assert time.monotonic() - start < 5


def test_so_many_wait_and_the_others_are_answered_at_once(api: APIClient) -> None:
    """Else who waits takes every thread of the web server."""
    for _ in range(MAX_WAITING):
        WAITING.acquire()
    try:
        start = time.monotonic()
        response = upload(api, CONTENT, headers={"Prefer": "wait=20"})
        assert time.monotonic() - start < 5
    finally:
        WAITING.release(MAX_WAITING)
    assert response.status_code == 202
    assert "Preference-Applied" not in response


def test_who_has_waited_makes_room_for_the_next_one(api: APIClient) -> None:
    for number in range(MAX_WAITING + 1):
        response = upload(api, feed_of(item(f"{number}")), headers={"Prefer": "wait=1"})
        assert response["Preference-Applied"] == "wait=1"


@pytest.mark.parametrize("odd", ["wait", "wait=-1", "wait=soon", "waiting=5", "", "wait=1e9", "wait=٣"])
def test_a_preference_that_is_not_understood_is_none(api: APIClient, odd: str) -> None:
    start = time.monotonic()
    assert upload(api, CONTENT, headers={"Prefer": odd.encode().decode("latin-1")}).status_code == 202
    assert time.monotonic() - start < 2


# --- Idempotency-Key ----------------------------------------------------------------------------------
KEY = {"Idempotency-Key": "c0ffee-1"}


def test_sent_again_with_its_key_an_upload_is_answered_alike(api: APIClient) -> None:
    first = upload(api, CONTENT, headers=KEY)
    ImportRun.objects.get().move(Status.RECEIVED, to=Status.DISCARDED)  # else it would be the open one in any case
    again = upload(api, CONTENT, headers=KEY)
    assert (again.status_code, again.json(), again["Location"]) == (202, first.json(), first["Location"])
    assert ImportRun.objects.count() == 1


@pytest.mark.parametrize(
    "other", [{"content": feed_of(item("2"))}, {"mode": "update"}, {"review": "true"}, {"feed": "ounass"}]
)
def test_a_key_is_good_for_one_upload_only(feed: Feed, alice: User, other: dict[str, Any]) -> None:
    api = client(alice)
    upload(api, CONTENT, headers=KEY)
    refused = upload(api, **{"content": CONTENT, "headers": KEY, **other})
    assert refused.status_code == 422
    assert "Idempotency-Key" in refused.json()["detail"]


def test_everybody_has_keys_of_their_own(api: APIClient, bob: User) -> None:
    upload(api, CONTENT, headers=KEY)
    assert upload(client(bob), feed_of(item("2")), headers=KEY).status_code == 202


def test_an_upload_that_was_refused_does_not_use_up_its_key(api: APIClient) -> None:
    assert upload(api, b"nothing", headers=KEY).status_code == 400
    assert upload(api, CONTENT, headers=KEY).status_code == 202


def test_a_key_is_forgotten_after_a_day(api: APIClient) -> None:
    upload(api, CONTENT, headers=KEY)
    UploadKey.objects.update(created_at=timezone.now() - timedelta(hours=25))
    assert upload(api, feed_of(item("2")), headers=KEY).status_code == 202
    assert UploadKey.objects.count() == 1


@pytest.mark.parametrize("odd", ["", " ", "x" * 201, "é", "a\tb", "a b", "a\n"])
def test_an_odd_key_is_refused(api: APIClient, odd: str) -> None:
    assert upload(api, CONTENT, headers={"Idempotency-Key": odd}).status_code == 400


@pytest.mark.django_db(transaction=True)
def test_two_with_one_key_in_one_instant_are_one_upload(charlie: User, worker: Worker) -> None:
    def send() -> Any:
        return upload(client(charlie), CONTENT, headers={**KEY, "Prefer": "wait=1"})

    answers = sorted(at_once(send, send, send), key=lambda answer: answer.status_code)
    assert [answer.status_code for answer in answers] == [202, 409, 409]
    assert answers[-1]["Retry-After"]
    assert ImportRun.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_who_waited_with_a_key_is_answered_alike_later(api: APIClient, working: Callable[..., Any]) -> None:
    first = working(lambda: upload(api, CONTENT, headers={**KEY, "Prefer": "wait=20"}))
    again = upload(api, CONTENT, headers=KEY)
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert again.status_code == 201
