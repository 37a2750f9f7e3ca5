"""How much one account may upload, whichever way."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from catalog.errors import QuotaReached
from catalog.imports import quotas
from catalog.imports.quotas import require_quota
from catalog.imports.receive import plan_again, receive
from catalog.models import Feed, ImportRun, Status
from catalog.tests import api, pages
from catalog.tests.factories import at_once, feed_of, item, person

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_folder(storage: Any) -> None:
    """What is uploaded goes away with the test."""


def content(number: int) -> bytes:
    return feed_of(item(f"{number:04}"))


SIZE = len(content(1))


def by_api(user: User, number: int, **more: Any) -> tuple[int, str]:
    """What an upload is answered: the status, and the sentence."""
    answer = api.upload(api.client(user), content(number), **more)
    return answer.status_code, answer.json().get("detail", "")


def by_form(user: User, number: int) -> tuple[int, str]:
    answer = pages.upload(pages.browser("ida"), content(number), feed=Feed.objects.get(slug="ounass").pk, mode="update")
    return answer.status_code, answer.content.decode()


@pytest.fixture
def ida(feed: Feed) -> User:
    return pages.staff("ida")


BOTH_WAYS = pytest.mark.parametrize(("upload", "accepted"), [(by_api, 202), (by_form, 302)])


@BOTH_WAYS
def test_an_account_has_so_many_open_imports(
    ida: User, settings: Any, upload: Callable[..., Any], accepted: int
) -> None:
    settings.UPLOAD_MAX_OPEN = 2
    assert [upload(ida, number)[0] for number in (1, 2)] == [accepted] * 2
    status, sentence = upload(ida, 3)
    assert status == 429
    assert "2 open imports" in sentence
    assert "raise UPLOAD_MAX_OPEN" in sentence
    ImportRun.objects.first().move(Status.RECEIVED, to=Status.DISCARDED)  # type: ignore[union-attr]
    assert upload(ida, 3)[0] == accepted


@BOTH_WAYS
def test_an_account_uploads_so_much_in_a_minute(
    ida: User, settings: Any, upload: Callable[..., Any], accepted: int
) -> None:
    settings.UPLOAD_MAX_PER_MINUTE = 2
    assert [upload(ida, number)[0] for number in (1, 2)] == [accepted] * 2
    status, sentence = upload(ida, 3)
    assert status == 429
    assert "raise UPLOAD_MAX_PER_MINUTE" in sentence
    ImportRun.objects.update(created_at=timezone.now() - timedelta(seconds=61))
    cache.clear()  # the API counts there, too, what it refuses
    assert upload(ida, 3)[0] == accepted


@BOTH_WAYS
def test_an_account_uploads_so_many_bytes_in_a_day(
    ida: User, settings: Any, upload: Callable[..., Any], accepted: int
) -> None:
    settings.UPLOAD_MAX_BYTES_PER_DAY = 2 * SIZE
    assert [upload(ida, number)[0] for number in (1, 2)] == [accepted] * 2
    status, sentence = upload(ida, 3)
    assert status == (429 if upload is by_api else 200), "the form says it beside the file, whose size it knows then"
    assert "raise UPLOAD_MAX_BYTES_PER_DAY" in sentence
    assert ImportRun.objects.count() == 2
    ImportRun.objects.update(created_at=timezone.now() - timedelta(days=1, seconds=1))
    assert upload(ida, 3)[0] == accepted


def test_a_file_larger_than_a_day_s_bytes_is_too_large(ida: User, settings: Any) -> None:
    settings.UPLOAD_MAX_BYTES_PER_DAY = SIZE - 1
    status, sentence = by_api(ida, 1)
    assert status == 413
    assert "raise UPLOAD_MAX_BYTES_PER_DAY" in sentence


def test_a_refusal_says_when_to_come_again(ida: User, settings: Any) -> None:
    settings.UPLOAD_MAX_PER_MINUTE = 1
    by_api(ida, 1)
    assert api.upload(api.client(ida), content(2))["Retry-After"] == "60"
    page = pages.upload(pages.browser("ida"), content(2), feed=Feed.objects.get(slug="ounass").pk, mode="add")
    assert page["Retry-After"] == "60"


def test_what_is_over_the_quota_is_not_read(ida: User, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.UPLOAD_MAX_OPEN = 1
    by_api(ida, 1)
    monkeypatch.setattr("rest_framework.parsers.DjangoMultiPartParser.parse", lambda _: pytest.fail("It was read."))
    assert by_api(ida, 2)[0] == 429
    settings.UPLOAD_MAX_OPEN, settings.UPLOAD_MAX_BYTES_PER_DAY = 9, 200_000
    assert APIClient().generic("POST", api.UPLOAD).status_code == 401
    client = api.client(ida)
    assert client.generic("POST", api.UPLOAD, CONTENT_LENGTH="300000").status_code == 413


def test_an_upload_that_was_taken_is_answered_again_whatever_the_quota(ida: User, settings: Any) -> None:
    settings.UPLOAD_MAX_OPEN = 1
    key = {"Idempotency-Key": "summer-1"}
    assert [by_api(ida, 1, headers=key)[0] for _ in range(2)] == [202, 202]
    assert by_api(ida, 2, headers={"Idempotency-Key": "summer-2"})[0] == 429


def test_each_account_has_a_quota_of_its_own_and_the_system_has_none(ida: User, feed: Feed, settings: Any) -> None:
    settings.UPLOAD_MAX_OPEN = 1
    assert by_api(ida, 1)[0] == by_api(person("dora"), 1)[0] == 202
    for number in (2, 3):
        receive(ContentFile(content(number), "feed.xml"), feed=feed)
    require_quota(None)


def test_planning_again_is_an_open_import_too_but_no_new_bytes(
    ida: User, alice: User, feed: Feed, settings: Any
) -> None:
    run = receive(ContentFile(content(1), "feed.xml"), feed=feed, by=alice)
    run.move(Status.RECEIVED, to=Status.DISCARDED)
    settings.UPLOAD_MAX_BYTES_PER_DAY, settings.UPLOAD_MAX_OPEN = SIZE, 1
    again = plan_again(run, by=alice)
    assert again.pk != run.pk
    other = receive(ContentFile(content(2), "feed.xml"), feed=feed, by=ida)
    other.move(Status.RECEIVED, to=Status.DISCARDED)
    with pytest.raises(QuotaReached, match="UPLOAD_MAX_OPEN"):
        plan_again(other, by=alice)


@pytest.mark.django_db(transaction=True)
def test_parallel_uploads_do_not_get_past_the_quota(ida: User, feed: Feed, settings: Any) -> None:
    settings.UPLOAD_MAX_OPEN = 2

    def send(number: int) -> Callable[[], int]:
        def upload() -> int:
            try:
                receive(ContentFile(content(number), "feed.xml"), feed=feed, by=ida)
            except QuotaReached:
                return 0
            return 1

        return upload

    assert sum(at_once(*map(send, range(6)))) == 2
    assert ImportRun.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_parallel_uploads_wait_for_one_another_during_one_statement_only(ida: User, feed: Feed) -> None:
    """Forty at once waited for more than the five seconds of a lock, and many were answered 503."""
    statements: list[str] = []

    def record(execute: Any, sql: str, *arguments: Any) -> Any:
        statements.append(sql)
        return execute(sql, *arguments)

    with connection.execute_wrapper(record):
        receive(ContentFile(content(1), "feed.xml"), feed=feed, by=ida)
    (locking,) = [number for number, sql in enumerate(statements) if sql.startswith(quotas.ONE_BY_ONE)]
    assert "INSERT" in "".join(statements[:locking])
    assert locking == len(statements) - 1, "the commit follows"
