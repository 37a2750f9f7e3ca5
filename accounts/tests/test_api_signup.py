"""Making an account, and confirming its address."""

import json
import re
import shlex
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.limits import SIGNUP
from accounts.models import User
from accounts.tests.conftest import PASSWORD, bearer, log_in, post
from accounts.tests.test_api_login import CountedHasher
from config.tests.problems import said

NEW = {"username": "nina", "email": "Nina@Example.com", "password": PASSWORD, "first_name": "Nina", "last_name": "Ash"}
Worker = Callable[[], list[str]]


def sign_up(**changed: Any) -> Any:
    return post("/signup/", {**NEW, **changed})


def test_who_signs_up_can_log_in(db: None) -> None:
    answer = sign_up()
    assert answer.status_code == 201
    assert answer.json() == {
        "username": "nina",
        "email": "nina@example.com",
        "first_name": "Nina",
        "last_name": "Ash",
        "detail": "You may log in.",
        "message": "You may log in.",
    }
    assert log_in("nina@example.com")["user"]["first_name"] == "Nina"


def test_names_may_be_left_out(db: None) -> None:
    assert post("/signup/", {name: NEW[name] for name in ("username", "email", "password")}).status_code == 201


RIGHTS = {
    "is_staff": True,
    "is_superuser": True,
    "is_active": False,
    "groups": [1],
    "user_permissions": [1],
    "pk": "00000000-0000-0000-0000-000000000001",
    "id": "00000000-0000-0000-0000-000000000001",
    "date_joined": "2001-01-01",
    "last_login": "2001-01-01",
    "user": {"is_superuser": True},
}


def assert_has_no_rights(username: str) -> None:
    user = User.objects.get(username=username)
    assert (user.is_staff, user.is_superuser, user.is_active) == (False, False, True)
    assert not user.groups.exists()
    assert not user.user_permissions.exists()
    assert user.date_joined.year > 2001
    assert not str(user.pk).startswith("00000000")


def test_nobody_signs_up_with_rights(db: None) -> None:
    assert sign_up(**RIGHTS).status_code == 201
    assert_has_no_rights("nina")


def test_nobody_writes_rights_into_their_own_account(carl: User) -> None:
    client = bearer(log_in()["access"])
    assert client.patch("/user/", {**RIGHTS, "email": "x@example.com", "password": "x"}).status_code == 200
    assert_has_no_rights("carl")
    carl.refresh_from_db()
    assert carl.email == "carl@example.com"
    assert carl.check_password(PASSWORD)


def test_the_last_of_two_keys_of_one_name_is_no_way_round_the_checks(db: None) -> None:
    body = '{"username": "nina", "username": "a b", "email": "n@example.com", "password": "correct horse battery"}'
    assert APIClient().generic("POST", "/signup/", body, content_type="application/json").status_code == 400


@pytest.mark.parametrize("content_type", ["multipart/form-data; boundary=x", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("path", ["/signup/", "/token/refresh/", "/password/reset/"])
def test_forms_are_taken_by_no_call_but_the_login(db: None, path: str, content_type: str) -> None:
    assert Client().generic("POST", path, "username=nina&is_staff=1", content_type).status_code == 415


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"username": "CARL"}, "username"),
    ({"email": "CARL@example.com"}, "email"),
    ({"username": "other@example.com"}, "username"),
    ({"username": "a b"}, "username"),
    ({"username": ""}, "username"),
    ({"username": "x" * 151}, "username"),
    ({"email": "no address"}, "email"),
    ({"email": ""}, "email"),
    ({"email": None}, "email"),
    ({"email": "x" * 250 + "@example.com"}, "email"),
    ({"password": "short"}, "password"),
    ({"password": "12345678901"}, "password"),
    ({"password": "password"}, "password"),
    ({"password": "nina-nina", "username": "nina-nina"}, "password"),
    ({"password": "x" * 129}, "password"),
    ({"first_name": "x" * 151}, "first_name"),
    ({"first_name": {"a": 1}}, "first_name"),
    ({"username": "nina\x00"}, "username"),
    ({"username": 7}, "username"),
    ({"last_name": 7}, "last_name"),
    ({"password": 7_123_456_789_012}, "password"),
]


@pytest.mark.parametrize(("changed", "field"), MISTAKES)
def test_a_mistake_is_told_at_its_field(carl: User, changed: dict[str, Any], field: str) -> None:
    answer = sign_up(**changed)
    assert answer.status_code == 400
    assert list(said(answer)) == [field]
    assert User.objects.count() == 1


def test_of_two_who_take_one_name_at_once_the_second_is_told(carl: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have been checked before either was saved."""
    monkeypatch.setattr(User, "validate_constraints", lambda self, exclude=None: None)
    answer = sign_up(email="carl@example.com")
    assert answer.status_code == 400
    assert "just taken" in answer.json()["detail"]


def test_sign_up_can_be_closed(db: None, settings: Any) -> None:
    settings.ACCOUNT_SIGNUP_OPEN = False
    answer = sign_up()
    assert answer.status_code == 403
    assert "Ask" in answer.json()["detail"]
    assert not User.objects.exists()


def test_one_address_does_not_make_accounts_without_end(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(SIGNUP.times):
        assert post("/signup/", {}).status_code == 400
    answer = sign_up()
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) > 3_000


# --- confirming the address ---------------------------------------------------------------------------
def the_key() -> str:
    """The key that the newest mail holds."""
    found = re.search(r'"key": "([^"]+)"', str(mail.outbox[-1].body))
    assert found, mail.outbox[-1].body
    return found[1]


def test_without_verification_no_mail_is_sent(db: None, worker: Worker) -> None:
    sign_up()
    assert worker() == []


def test_optional_verification_sends_a_mail_and_waits_for_nothing(db: None, settings: Any, worker: Worker) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "optional"
    sign_up()
    worker()
    assert mail.outbox[0].to == ["nina@example.com"]
    log_in("nina")
    assert post("/signup/verify-email/", {"key": the_key()}).status_code == 200
    assert EmailAddress.objects.get().verified


def test_mandatory_verification_comes_before_the_first_login(mandatory: None, worker: Worker) -> None:
    assert "Confirm" in sign_up().json()["detail"]
    worker()
    assert post("/login/", {"username": "nina", "password": PASSWORD}).status_code == 401
    assert post("/signup/verify-email/", {"key": the_key()}).status_code == 200
    log_in("nina")


def test_a_key_is_good_once_and_for_three_days(mandatory: None, worker: Worker) -> None:
    sign_up()
    worker()
    with time_machine.travel(timezone.localtime() + timedelta(days=4)):
        assert post("/signup/verify-email/", {"key": the_key()}).status_code == 400
    assert post("/signup/verify-email/", {"key": the_key()}).status_code == 200
    assert post("/signup/verify-email/", {"key": the_key()}).status_code == 400


def test_looking_at_the_address_of_a_key_confirms_nothing(mandatory: None) -> None:
    """Mail programs open what looks like a link."""
    assert APIClient().get("/signup/verify-email/").status_code == 405


def test_a_lost_mail_is_sent_again(mandatory: None, worker: Worker) -> None:
    sign_up()
    worker()
    assert post("/signup/resend-email/", {"email": "NINA@example.com"}).status_code == 200
    worker()
    assert len(mail.outbox) == 2


def test_who_set_a_password_by_mail_has_confirmed_the_address(mandatory: None, worker: Worker) -> None:
    """So nobody keeps an address from its owner by signing up with it first."""
    sign_up()
    post("/password/reset/", {"email": "nina@example.com"})
    worker()
    (reset,) = (str(each.body) for each in mail.outbox if "password/reset" in each.body)
    body = shlex.split(reset.partition("-d ")[2])[0]
    post("/password/reset/confirm/", json.loads(body))
    log_in("nina", "your new password")


def test_whom_staff_entered_need_not_confirm(mandatory: None, carl: User) -> None:
    log_in("carl")


@pytest.mark.parametrize("email", ["nina@example.com", "carl@example.com"], ids=["new", "known"])
def test_with_mandatory_verification_nobody_learns_which_addresses_are_known(
    mandatory: None, carl: User, email: str
) -> None:
    answer = sign_up(email=email)
    assert answer.status_code == 201
    assert answer.json() == sign_up(username="other", email="fresh@example.com").json() | {
        "username": "nina",
        "email": email,
    }
    assert User.objects.get(email="carl@example.com") == carl
    assert carl.check_password(PASSWORD)


@pytest.mark.parametrize("email", ["nina@example.com", "carl@example.com"], ids=["new", "known"])
def test_a_second_try_with_the_same_name_tells_no_more(mandatory: None, carl: User, email: str) -> None:
    assert sign_up(email=email).status_code == 201
    again = sign_up(email="another@example.com")
    assert (again.status_code, set(said(again))) == (400, {"username"})
    assert post("/login/", {"username": "nina", "password": PASSWORD}).status_code == 401


@pytest.mark.parametrize("username", ["carl", "somebody@example.com"])
def test_what_else_is_wrong_tells_nothing_about_the_address(mandatory: None, carl: User, username: str) -> None:
    known = sign_up(username=username, email="carl@example.com")
    unknown = sign_up(username=username, email="nina@example.com")
    assert (known.status_code, known.json()) == (400, unknown.json())


@pytest.mark.parametrize("name", ["carl@example.com", "Carl@Example.com"])
@pytest.mark.parametrize("username", ["carl", "carl@example.com"])
def test_a_name_that_is_an_address_tells_nothing_either(mandatory: None, carl: User, username: str, name: str) -> None:
    User.objects.filter(pk=carl.pk).update(username=username)
    answers = [sign_up(username=name, email="carl@example.com") for _ in range(2)]
    answers += [sign_up(username="new@example.com", email="new@example.com") for _ in range(2)]
    assert {answer.status_code for answer in answers} == {201}
    assert User.objects.count() == 2


@pytest.mark.parametrize("email", ["nina@example.com", "carl@example.com"], ids=["new", "known"])
def test_a_known_address_takes_as_many_hashes(mandatory: None, carl: User, settings: Any, email: str) -> None:
    settings.PASSWORD_HASHERS = [f"{CountedHasher.__module__}.CountedHasher"]
    CountedHasher.count = 0
    assert sign_up(email=email).status_code == 201
    assert CountedHasher.count == 1


def test_the_owner_of_a_known_address_is_told(mandatory: None, carl: User, worker: Worker) -> None:
    sign_up(email="carl@example.com")
    worker()
    assert mail.outbox[0].to == ["carl@example.com"]
    assert "already have an account" in mail.outbox[0].subject


def test_a_stranger_cannot_put_words_into_our_mails(mandatory: None, worker: Worker) -> None:
    sign_up(first_name="Visit https://evil.example now", last_name="https://evil.example")
    worker()
    assert "evil" not in str(mail.outbox[0].body)


@pytest.mark.parametrize("path", ["/signup/resend-email/", "/password/reset/"])
def test_asking_for_a_mail_tells_nothing_about_the_address(mandatory: None, carl: User, path: str) -> None:
    User.objects.create_user("dora", "dora@example.com", PASSWORD, is_active=False)
    sign_up()
    answers = [post(path, {"email": f"{who}@example.com"}) for who in ("carl", "dora", "nina", "unknown")]
    assert {(answer.status_code, answer.content) for answer in answers} == {(200, answers[0].content)}


@pytest.fixture
def mandatory(db: None, settings: Any) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
