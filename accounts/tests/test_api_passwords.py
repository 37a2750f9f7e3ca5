"""Forgotten, changed and guessed passwords."""

import json
import re
import shlex
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from celery import current_app
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError

from accounts.limits import LOGIN_ACCOUNT, MAILS_FROM
from accounts.mails import write_requested
from accounts.models import User
from accounts.tests.conftest import PASSWORD, bearer, check, log_in, logged_in, post
from config.tests.problems import said
from notifications.models import Message, Status
from notifications.rendering import HIDDEN

NEW = "a better horse battery"
Worker = Callable[[], list[str]]


def ask(email: str = "carl@example.com", **headers: Any) -> Any:
    return post("/password/reset/", {"email": email}, **headers)


def in_the_mail() -> dict[str, str]:
    """The body of the call that the newest mail says to make."""
    text = str(mail.outbox[-1].body)
    call = shlex.split(text[text.index("curl") :].split("\n\n")[0])
    return dict(json.loads(call[call.index("-d") + 1]))


def confirm(**changed: str) -> Any:
    return post("/password/reset/confirm/", {**in_the_mail(), "new_password1": NEW, "new_password2": NEW, **changed})


@pytest.fixture
def asked(carl: User, worker: Worker) -> None:
    ask()
    worker()


def test_a_forgotten_password_is_set_anew_by_what_the_mail_says(asked: None) -> None:
    assert confirm().status_code == 200
    log_in(password=NEW)
    assert post("/login/", {"username": "carl", "password": PASSWORD}).status_code == 401


def test_the_mail_is_in_plain_words_and_leads_to_us(carl: User, worker: Worker, settings: Any) -> None:
    settings.SITE_URL = "https://catalogue.example.com/"
    ask(HTTP_HOST="localhost", HTTP_X_FORWARDED_HOST="evil.example")
    worker()
    (message,) = mail.outbox
    assert message.subject == "Set a new password for carl"
    assert message.to == ["carl@example.com"]
    assert set(re.findall(r"https?://[^/\s]+\b", str(message.body))) == {"https://catalogue.example.com"}
    assert "If it was not you, do nothing." in message.body


def test_an_address_in_any_case_is_the_same(carl: User, worker: Worker) -> None:
    ask("CARL@Example.com")
    worker()
    assert mail.outbox[0].to == ["carl@example.com"]


def test_nobody_else_gets_a_mail(carl: User, worker: Worker) -> None:
    User.objects.create_user("dora", "dora@example.com", PASSWORD, is_active=False)
    User.objects.create_user("emil", "emil@example.com")
    for name in ("unknown", "dora", "emil"):
        assert ask(f"{name}@example.com").status_code == 200
    worker()
    assert not mail.outbox


@pytest.mark.parametrize("email", ["carl@example.com", "unknown@example.com"])
def test_asking_looks_nothing_up(carl: User, email: str) -> None:
    """What is not looked up takes no time that would tell."""
    with CaptureQueriesContext(connection) as queries:
        ask(email)
    (only,) = queries
    assert only["sql"].startswith('INSERT INTO "accounts_mailrequest"')


def test_what_the_mail_says_works_once(asked: None) -> None:
    assert confirm().status_code == 200
    assert confirm().status_code == 400


def test_what_the_mail_says_works_for_an_hour(asked: None) -> None:
    with time_machine.travel(timezone.localtime() + timedelta(minutes=61)):
        assert confirm().status_code == 400


def test_what_the_mail_says_is_void_after_a_login(asked: None) -> None:
    log_in()
    assert confirm().status_code == 400


@pytest.mark.parametrize("who", ["olga", "unknown", "deactivated"])
def test_an_id_that_is_somebody_s_is_refused_like_any_other(asked: None, olga: User, who: str) -> None:
    """Else strangers learn which ids there are."""
    User.objects.filter(pk=olga.pk).update(is_active=who != "deactivated")
    uid = str(uuid4() if who == "unknown" else olga.pk)
    with CaptureQueriesContext(connection) as queries:
        answer = confirm(uid=uid, new_password1="short")
    assert answer.status_code == 400
    assert said(answer) == {"token": ["This e-mail is not valid, or no longer. Ask for a new one."]}
    assert len(queries) == 1


def test_a_reset_makes_the_address_known_and_opens_it_in_an_attack(asked: None) -> None:
    body = {"username": "carl", "password": "wrong"}
    for number in range(LOGIN_ACCOUNT.times + 1):
        post("/login/", body, REMOTE_ADDR=f"198.51.100.{number}")
    assert post("/login/", {**body, "password": PASSWORD}).status_code == 429
    assert confirm().status_code == 200
    log_in(password=NEW)


def test_what_the_mail_says_is_for_one_person(asked: None, olga: User) -> None:
    assert confirm(uid=str(olga.pk)).status_code == 400
    olga.refresh_from_db()
    assert olga.check_password(PASSWORD)


@pytest.mark.parametrize("changed", [{"uid": "abc"}, {"uid": "\x00"}, {"token": "abc"}, {"token": "c-"}, {"uid": "1"}])
def test_an_odd_key_is_refused(asked: None, changed: dict[str, str]) -> None:
    assert confirm(**changed).status_code == 400


@pytest.mark.parametrize("password", ["short", "carl@example", "12345678901"])
def test_a_weak_new_password_is_refused(asked: None, password: str) -> None:
    assert confirm(new_password1=password, new_password2=password).status_code == 400
    assert confirm(new_password2="something else").status_code == 400


def test_a_reset_ends_every_login_and_tells_the_owner(carl: User, worker: Worker) -> None:
    tokens = log_in()
    ask()
    worker()
    confirm()
    assert check(tokens["access"]) == 401
    assert post("/token/refresh/", {"refresh": tokens["refresh"]}).status_code == 401
    assert worker() == ["password_changed"]
    assert mail.outbox[-1].subject == "Your password was changed"


def test_nobody_is_flooded_with_mails(carl: User, worker: Worker) -> None:
    answers = [ask(REMOTE_ADDR=f"198.51.100.{number}").status_code for number in range(6)]
    assert answers == [200] * 3 + [429] * 3
    assert len(worker()) == 3


def test_unknown_addresses_have_the_same_limit(db: None) -> None:
    assert [ask("unknown@example.com").status_code for _ in range(4)] == [200] * 3 + [429]


def test_one_address_does_not_have_mails_sent_without_end(db: None) -> None:
    answers = [ask(f"person{number}@example.com").status_code for number in range(MAILS_FROM.times + 1)]
    assert answers == [200] * MAILS_FROM.times + [429]


@pytest.mark.django_db(transaction=True)
def test_a_mail_asked_for_while_the_broker_is_away_is_sent_by_the_next_sweep(
    carl: User, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise BrokerError("no route")

    monkeypatch.setattr(current_app, "send_task", away)
    assert ask().status_code == 200
    assert ask("unknown@example.com").status_code == 200
    assert worker() == ["password_reset"]
    assert confirm().status_code == 200


# --- where the secrets are ----------------------------------------------------------------------------
def everything_stored() -> str:
    """Every text of every message and request, as the database has it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT m::text FROM notifications_message m UNION ALL SELECT r::text FROM accounts_mailrequest r"
        )
        return "\n".join(row for (row,) in cursor.fetchall())


def test_no_row_has_the_secret_before_or_after_the_mail(carl: User, worker: Worker) -> None:
    ask()
    assert "carl@example.com" in everything_stored()
    worker()
    token = in_the_mail()["token"]
    assert len(token) > 30
    assert "Set a new password for carl" in everything_stored()
    assert token not in everything_stored()
    sent: Any = mail.outbox[0]
    html = sent.alternatives[0].content
    assert token in html
    assert HIDDEN not in sent.body + html


@pytest.mark.parametrize("who", ["mona", "olga"])
def test_no_page_about_a_message_shows_its_secret(asked: None, mona: User, olga: User, who: str) -> None:
    client, message, token = logged_in({"mona": mona, "olga": olga}[who]), Message.objects.get(), in_the_mail()["token"]
    pages = [
        reverse("admin:notifications_message_changelist"),
        reverse("admin:notifications_message_change", args=[message.pk]),
        reverse("admin:notifications_message_preview", args=[message.pk]),
    ]
    texts = [client.get(page).content.decode() for page in pages]
    assert all("Set a new password" in text for text in texts)
    assert all(token not in text for text in texts)
    assert "Only the e-mail that is sent has them." in texts[1]


def test_a_request_for_nobody_leaves_nothing(db: None, worker: Worker) -> None:
    ask("unknown@example.com")
    worker()
    assert everything_stored() == ""


def test_a_mail_about_an_account_cannot_be_stopped(asked: None) -> None:
    assert "List-Unsubscribe" not in mail.outbox[0].message()
    assert "mail/stop" not in mail.outbox[0].body


def test_a_second_attempt_has_the_same_message_id_and_a_key_that_works(carl: User, worker: Worker) -> None:
    ask()
    worker()
    Message.objects.update(status=Status.WAITING, sent_at=None, next_try=timezone.now())
    worker()
    first, second = (str(message.message()["Message-ID"]) for message in mail.outbox)
    assert first == second
    assert confirm().status_code == 200


def test_a_mail_that_nobody_needs_any_more_is_not_sent(carl: User, worker: Worker) -> None:
    ask()
    write_requested()
    User.objects.update(password="!")
    assert worker() == []
    message = Message.objects.get()
    assert (message.status, message.last_error) == (Status.WITHDRAWN, "The message is no longer needed.")


def test_a_password_is_changed_with_its_mail_or_not_at_all(carl: User, monkeypatch: pytest.MonkeyPatch) -> None:
    token = log_in()["access"]
    monkeypatch.setattr("accounts.mails.tell", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        change(token)
    log_in()


# --- changing -----------------------------------------------------------------------------------------
def change(token: str, old: str = PASSWORD, new: str = NEW) -> Any:
    body = {"old_password": old, "new_password1": new, "new_password2": new}
    return bearer(token).post("/password/change/", body)


def test_a_password_is_changed_with_the_old_one(carl: User, worker: Worker) -> None:
    here, elsewhere = log_in(), log_in()
    assert change(here["access"]).status_code == 200
    assert check(here["access"]) == check(elsewhere["access"]) == 401
    assert post("/token/refresh/", {"refresh": elsewhere["refresh"]}).status_code == 401
    log_in(password=NEW)
    worker()
    assert mail.outbox[0].to == ["carl@example.com"]


@pytest.mark.parametrize("path", ["/password/change/", "/user/"])
def test_what_is_taken_away_meanwhile_stays_away(mona: User, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashing takes a while, in which somebody may have been deactivated."""
    client = bearer(log_in("mona")["access"])
    save = User.save

    def later(self: User, **options: Any) -> None:
        User.objects.filter(pk=mona.pk).update(is_active=False, is_staff=False)
        save(self, **options)

    monkeypatch.setattr(User, "save", later)
    if path == "/user/":
        client.patch(path, {"first_name": "Mo"})
    else:
        client.post(path, {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW})
    mona.refresh_from_db()
    assert not mona.is_active
    assert not mona.is_staff


def test_nobody_changes_a_password_without_the_old_one(carl: User) -> None:
    token = log_in()["access"]
    assert said(change(token, old="wrong")).keys() == {"old_password"}
    body = {"new_password1": NEW, "new_password2": NEW}
    assert said(bearer(token).post("/password/change/", body)).keys() == {"old_password"}
    log_in()


def test_who_found_a_token_does_not_guess_the_old_password(carl: User) -> None:
    token = log_in()["access"]
    assert [change(token, old="wrong").status_code for _ in range(6)] == [400] * 5 + [429]
    assert change(token).status_code == 429


def test_blanks_belong_to_a_password(carl: User) -> None:
    assert change(log_in()["access"], new=f" {NEW} ").status_code == 200
    log_in(password=f" {NEW} ")


def test_a_weak_password_is_not_changed_to(carl: User) -> None:
    assert change(log_in()["access"], new="carl@example").status_code == 400


# --- one's own names ----------------------------------------------------------------------------------
def test_one_changes_ones_own_names(carl: User) -> None:
    client = bearer(log_in()["access"])
    answer = client.patch("/user/", {"first_name": "Carl", "username": "Charles"})
    assert answer.status_code == 200
    assert client.get("/user/").json() == answer.json()
    assert answer.json()["username"] == "Charles"


@pytest.mark.parametrize("username", ["OLGA", "olga@example.com", "a b", "", None, ["x"], "x\x00"])
def test_nobody_takes_another_persons_name(carl: User, olga: User, username: object) -> None:
    answer = bearer(log_in()["access"]).patch("/user/", {"username": username})
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == ["username"]


def test_ones_own_name_may_stay(carl: User) -> None:
    assert bearer(log_in()["access"]).patch("/user/", {"username": "CARL"}).status_code == 200
