"""The login history: what is kept of a login and of a refused try, who reads it, and who is told of a new device."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.keys import make_key
from accounts.models import KnownAddress, LoginRecord, User
from accounts.sessions import forget_old_logins
from accounts.tests.conftest import PASSWORD, logged_in, post
from accounts.tests.test_pages import LOGIN, enter, text
from accounts.tests.test_second_factor import CODE, code_now, protect

Worker = Callable[[], list[str]]
HISTORY = reverse("account_history")
LIST = reverse("admin:accounts_loginrecord_changelist")
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Safari/604.1"


def wrong(username: str = "carl", **more: Any) -> Any:
    return Client(**more).post(LOGIN, {"username": username, "password": "wrong"})


def kept(**of: Any) -> list[tuple[str, str, str]]:
    return list(LoginRecord.objects.filter(**of).order_by("pk").values_list("to", "how", "refused"))


def test_each_way_in_is_kept_with_its_place(carl: User) -> None:
    enter("carl", HTTP_USER_AGENT=FIREFOX, REMOTE_ADDR="192.0.2.7")
    post("/login/", {"username": "carl", "password": PASSWORD})
    wrong()
    post("/login/", {"username": "carl", "password": "wrong"})
    User.objects.filter(pk=carl.pk).update(is_active=False)
    post("/login/", {"username": "carl", "password": PASSWORD})
    assert kept() == [
        ("browser", "password", ""),
        ("api", "password", ""),
        ("browser", "", "wrong_password"),
        ("api", "", "wrong_password"),
        ("api", "", "deactivated"),
    ]
    first = LoginRecord.objects.earliest("pk")
    assert (first.user, first.address, first.user_agent) == (carl, "192.0.2.7", FIREFOX)


def test_a_second_factor_is_named_and_so_is_a_wrong_code(carl: User) -> None:
    recovery, *_others = protect(carl)
    for code in ("000000", code_now()):
        client = Client()
        client.post(LOGIN, {"username": "carl", "password": PASSWORD})
        client.post(CODE, {"code": code})
    challenge = post("/login/", {"username": "carl", "password": PASSWORD}).json()["challenge"]
    post("/login/second-factor/", {"challenge": challenge, "code": recovery})
    assert kept() == [
        ("browser", "", "wrong_code"),
        ("browser", "password,totp", ""),
        ("api", "password,recovery_codes", ""),
    ]


def test_a_password_without_its_code_is_no_login_and_makes_no_device_known(carl: User) -> None:
    protect(carl)
    Client().post(LOGIN, {"username": "carl", "password": PASSWORD})
    post("/login/", {"username": "carl", "password": PASSWORD})
    assert kept() == []
    assert not KnownAddress.objects.exists()


def test_a_name_that_nobody_has_leaves_nothing(carl: User) -> None:
    wrong("nobody")
    post("/login/", {"username": "nobody", "password": "wrong"})
    assert not LoginRecord.objects.exists()


def test_strangers_fill_nothing_and_push_out_no_login(carl: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LoginRecord, "MAX_REFUSED", 3)
    enter("carl")
    for number in range(5):
        wrong(REMOTE_ADDR=f"192.0.2.{number}")
    assert kept() == [("browser", "password", ""), *[("browser", "", "wrong_password")] * 3]
    for _ in range(4):
        assert wrong(REMOTE_ADDR="192.0.2.9").status_code == 200
    assert {wrong(REMOTE_ADDR="192.0.2.9").status_code for _ in range(3)} == {200, 429}
    assert LoginRecord.objects.count() == 4


def test_a_program_that_logs_in_all_the_time_keeps_its_last_logins(carl: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LoginRecord, "MAX_LOGINS", 2)
    for _ in range(3):
        post("/login/", {"username": "carl", "password": PASSWORD})
    assert kept() == [("api", "password", "")] * 2


def test_a_key_is_kept_for_each_other_address_that_it_is_used_from(carl: User, worker: Worker) -> None:
    secret = make_key(carl, name="A server", scopes=["read"], feeds=[], days=30, by=carl)
    start = timezone.localtime()
    with time_machine.travel(start, tick=False) as clock:
        for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2"):
            called = APIClient().get(
                "/auth-protected-check/", headers={"Authorization": f"Api-Key {secret}"}, REMOTE_ADDR=address
            )
            assert called.status_code == 200
            clock.shift(timedelta(minutes=2))
    found = LoginRecord.objects.order_by("pk").values_list("to", "how", "address")
    assert list(found) == [("api", "key", "192.0.2.1"), ("api", "key", "192.0.2.2")]
    assert "API key (API)" in text(logged_in(carl).get(HISTORY))
    enter("carl")
    assert worker() == [], "the person's own first login is no news"


def test_ninety_days_and_the_last_login_are_kept(carl: User, mona: User) -> None:
    enter("carl")
    enter("carl")
    wrong()
    enter("mona")
    last = LoginRecord.objects.filter(user=carl, refused="").latest("pk")
    with time_machine.travel(timezone.localtime() + LoginRecord.LIFETIME + timedelta(hours=1)):
        forget_old_logins()
    assert list(LoginRecord.objects.filter(user=carl)) == [last]
    assert LoginRecord.objects.filter(user=mona).count() == 1


# --- the owner's page ---------------------------------------------------------------------------------
def test_the_owner_reads_it(carl: User) -> None:
    for _ in range(3):
        wrong(HTTP_USER_AGENT=SAFARI, REMOTE_ADDR="192.0.2.66")
    page = text(enter("carl", HTTP_USER_AGENT=FIREFOX).get(HISTORY))
    assert "<strong>Logged in</strong>: password (browser)" in page
    assert "<strong>Refused</strong>: wrong password (browser), 3 times" in page
    assert "Safari on iOS, from 192.0.2.66" in page
    assert "Firefox on Linux, from 127.0.0.1" in page


def test_nobody_reads_anybody_elses(carl: User, vera: User) -> None:
    enter("carl", REMOTE_ADDR="192.0.2.66")
    assert "192.0.2.66" not in text(logged_in(vera).get(HISTORY))
    assert Client().get(HISTORY)["Location"] == f"{LOGIN}?next={HISTORY}"


def test_a_long_history_has_pages(carl: User) -> None:
    LoginRecord.objects.bulk_create(
        LoginRecord(user=carl, to="api", how="password", address="192.0.2.1") for _ in range(60)
    )
    client = logged_in(carl)
    assert "Older" in text(client.get(HISTORY))
    assert "Newer" in text(client.get(HISTORY, {"page": "2"}))


def test_what_a_browser_calls_itself_is_text(carl: User) -> None:
    enter("carl", HTTP_USER_AGENT="<script>alert(1)</script>" + "x" * 1000)
    assert len(LoginRecord.objects.get().user_agent) == 200
    assert "<script>alert" not in text(logged_in(carl).get(HISTORY))


# --- the managers' page -------------------------------------------------------------------------------
def test_managers_look_at_everybodys_and_change_nothing(mona: User, carl: User) -> None:
    enter("carl", REMOTE_ADDR="192.0.2.66")
    wrong()
    client = logged_in(mona)
    page = text(client.get(LIST))
    assert "192.0.2.66" in page
    assert "wrong password (browser)" in page
    assert "192.0.2.66" in text(client.get(LIST, {"q": "carl"}))
    record = LoginRecord.objects.filter(refused="").get()
    address = reverse("admin:accounts_loginrecord_change", args=[record.pk])
    assert "logged in" in text(client.get(address))
    assert "(&#x27;" not in text(client.get(address))
    assert client.post(address, {"address": "10.0.0.1"}).status_code == 403


def test_others_do_not(vera: User, carl: User) -> None:
    enter("carl")
    record = LoginRecord.objects.get()
    for address in (LIST, reverse("admin:accounts_loginrecord_change", args=[record.pk])):
        assert logged_in(vera).get(address).status_code == 403
        assert logged_in(carl).get(address).status_code == 302


def test_a_deleted_person_takes_it_along(olga: User, carl: User) -> None:
    enter("carl")
    address = reverse("admin:accounts_user_delete", args=[carl.pk])
    assert logged_in(olga).post(address, {"post": "yes"}).status_code == 302
    assert not LoginRecord.objects.exists()


# --- a new device -------------------------------------------------------------------------------------
HOME = {"REMOTE_ADDR": "192.0.2.7", "HTTP_USER_AGENT": FIREFOX}


def test_the_first_login_is_no_news_and_another_device_is(carl: User, worker: Worker) -> None:
    enter("carl", **HOME)
    enter("carl", **HOME)
    assert worker() == []
    enter("carl", REMOTE_ADDR="198.51.100.3", HTTP_USER_AGENT=SAFARI)
    assert worker() == ["new_device"]
    message = mail.outbox[-1]
    assert message.to == ["carl@example.com"]
    for fact in ("198.51.100.3", "Safari on iOS", "password (browser)", "/accounts/sessions/"):
        assert fact in message.body
    enter("carl", REMOTE_ADDR="198.51.100.3", HTTP_USER_AGENT=SAFARI)
    assert worker() == []


@pytest.mark.parametrize("other", [{"REMOTE_ADDR": "198.51.100.3"}, {"HTTP_USER_AGENT": SAFARI}])
def test_another_address_or_another_browser_is_another_device(
    carl: User, worker: Worker, other: dict[str, str]
) -> None:
    enter("carl", **HOME)
    enter("carl", **{**HOME, **other})
    assert worker() == ["new_device"]


def test_a_newer_version_of_a_browser_is_the_same_device(carl: User, worker: Worker) -> None:
    enter("carl", **HOME)
    enter("carl", **{**HOME, "HTTP_USER_AGENT": FIREFOX.replace("140", "141")})
    assert worker() == []


def test_a_login_through_the_api_is_news_too(carl: User, worker: Worker) -> None:
    enter("carl", **HOME)
    post("/login/", {"username": "carl", "password": PASSWORD}, REMOTE_ADDR="198.51.100.3")
    assert worker() == ["new_device"]
    assert "(API)" in mail.outbox[-1].body


def test_addresses_from_before_browsers_were_kept_are_known(carl: User, worker: Worker) -> None:
    digest = KnownAddress.digest_of("192.0.2.7")
    KnownAddress.objects.create(user=carl, digest=digest, used_at=timezone.now())
    enter("carl", **HOME)
    assert worker() == []


def test_somebody_who_comes_back_after_a_year_is_told_of_a_new_device(carl: User, worker: Worker) -> None:
    enter("carl", **HOME)
    with time_machine.travel(timezone.localtime() + timedelta(days=365)):
        forget_old_logins()
        enter("carl", REMOTE_ADDR="198.51.100.3")
        assert worker() == ["new_device"]
