"""Who is told what is each person's own choice, in the admin or by one click in a mail."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser, Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from notifications import subscriptions
from notifications.delivery import mail_of, reason_to_withdraw
from notifications.digests import send_due
from notifications.models import Digest, Message, Preference
from notifications.outbox import tell
from notifications.rendering import HIDDEN
from notifications.subscriptions import (
    FAILURE_DIGEST,
    STOP_TOKEN_LIFETIME,
    Kind,
    decline_message,
    has_declined,
    preference_of,
    recipients_of,
    stop_token,
    stop_url,
)

pytestmark = pytest.mark.django_db
PAGE = reverse("my-mail")


@pytest.fixture(autouse=True)
def kinds_of_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "KINDS", {})
    subscriptions.register_kinds(
        Kind("greeting", "Greeting", "Who came in.", "auth.view_group"),
        Kind("secret", "Secret", "What only few may know.", "auth.delete_group"),
    )


@pytest.fixture
def root(db: None) -> Any:
    return get_user_model().objects.create_superuser("root", "root@example.com")


@pytest.fixture
def sam(db: None) -> Any:
    """Staff who may look at groups, and so may be greeted."""
    sam: Any = get_user_model().objects.create_user("sam", "sam@example.com", is_staff=True)
    sam.user_permissions.set(Permission.objects.filter(codename="view_group"))
    return get_user_model().objects.get(pk=sam.pk)


def browser(person: Any) -> Client:
    client = Client()
    client.force_login(person)
    return client


def form(**fields: Any) -> dict[str, Any]:
    return {"digest": "off", "weekday": 0, "hour": 8, "time_zone": "Asia/Dubai", **fields}


# --- who is told --------------------------------------------------------------------------------------
def test_superusers_are_told_unasked_and_other_staff_when_they_asked(root: Any, sam: Any, alice: Any) -> None:
    assert recipients_of("greeting") == [root]
    browser(sam).post(PAGE, form(messages=["greeting"]))
    assert {*recipients_of("greeting")} == {root, sam}
    decline_message(root, "greeting")
    assert recipients_of("greeting") == [sam]


def test_a_superuser_who_chose_something_else_is_told_all_the_same(root: Any) -> None:
    decline_message(root, "secret")
    assert recipients_of("greeting") == [root]
    assert recipients_of("secret") == []


def test_whose_doing_it_is_about_is_told_once_unless_declined(root: Any, alice: Any) -> None:
    assert recipients_of("greeting", also=alice) == [root, alice]
    assert recipients_of("greeting", also=root) == [root]
    decline_message(alice, "greeting")
    assert recipients_of("greeting", also=alice) == [root]


def test_who_left_is_told_nothing(root: Any, alice: Any) -> None:
    for person in (root, alice):
        person.is_active = False
        person.save()
    assert recipients_of("greeting", also=alice) == []


def test_who_lost_the_permission_is_told_nothing(sam: Any) -> None:
    browser(sam).post(PAGE, form(messages=["greeting"]))
    sam.user_permissions.clear()
    assert recipients_of("greeting") == []


# --- my e-mails ---------------------------------------------------------------------------------------
def test_everybody_on_the_staff_chooses_for_themselves(sam: Any, root: Any) -> None:
    chosen = form(messages=["greeting"], digest="weekly", weekday=6, hour=17, time_zone="Europe/Berlin")
    assert browser(sam).post(PAGE, chosen).status_code == 302
    preference = Preference.objects.get()
    assert preference.person == sam
    assert preference.choices == {"greeting": True}
    assert (preference.digest, preference.weekday, preference.hour) == (Digest.WEEKLY, 6, 17)
    assert preference.time_zone == "Europe/Berlin"


def test_nobody_chooses_what_they_may_not_know(sam: Any) -> None:
    page = browser(sam).get(PAGE).content.decode()
    assert "Who came in." in page
    assert "What only few may know." not in page
    browser(sam).post(PAGE, form(messages=["secret"]))
    assert not Preference.objects.filter(choices__secret=True).exists()


def test_what_a_person_declined_stays_declined_while_it_is_not_offered(sam: Any) -> None:
    decline_message(sam, "secret")
    browser(sam).post(PAGE, form(messages=["greeting"]))
    assert preference_of(sam).choices == {"secret": False, "greeting": True}


@pytest.mark.parametrize(
    "wrong", [{"hour": 24}, {"hour": -1}, {"time_zone": "Mars/Olympus"}, {"digest": "hourly"}, {"weekday": 7}]
)
def test_a_wrong_choice_is_refused(sam: Any, wrong: dict[str, Any]) -> None:
    page = browser(sam).post(PAGE, form(**wrong))
    assert page.status_code == 200
    assert page.context["form"].errors.keys() == wrong.keys()


def test_only_staff_have_the_page(alice: Any) -> None:
    for client in (Client(), browser(alice)):
        for response in (client.get(PAGE), client.post(PAGE, form())):
            assert response.status_code == 302
            assert response["Location"].startswith(reverse("admin:login"))


def test_the_page_needs_its_token(sam: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(sam)
    assert client.post(PAGE, form()).status_code == 403


# --- one click ----------------------------------------------------------------------------------------
def path(person: AbstractUser, name: str = "greeting") -> str:
    return stop_url(stop_token(person, name)).removeprefix("http://localhost:8000")


def test_every_mail_can_be_stopped_with_one_click(told: Any, alice: Any) -> None:
    headers = mail_of(told(alice)).extra_headers
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    address = headers["List-Unsubscribe"].strip("<>").removeprefix("http://localhost:8000")
    mail_program = Client(enforce_csrf_checks=True)
    assert mail_program.post(address, {"List-Unsubscribe": "One-Click"}).status_code == 200
    assert has_declined(alice, "greeting")


def test_a_look_at_the_link_stops_nothing(client: Client, alice: Any) -> None:
    page = client.get(path(alice))
    assert "Stop “Greeting”?" in page.content.decode()
    assert not has_declined(alice, "greeting")


def test_the_link_stops_one_kind_of_mail_to_one_person(client: Client, alice: Any, bob: Any) -> None:
    assert "is stopped" in client.post(path(alice)).content.decode()
    assert has_declined(alice, "greeting")
    assert not has_declined(alice, "secret")
    assert not has_declined(bob, "greeting")


def test_the_link_leads_staff_to_all_their_choices(client: Client, sam: Any, alice: Any) -> None:
    assert PAGE in client.get(path(sam)).content.decode()
    assert PAGE not in client.get(path(alice)).content.decode()


def test_a_digest_is_stopped_as_any_other_mail(client: Client, root: Any) -> None:
    assert preference_of(root).digest == Digest.DAILY
    client.post(path(root, FAILURE_DIGEST))
    assert preference_of(root).digest == Digest.OFF
    assert send_due() == 0


def test_a_link_that_somebody_made_up_stops_nothing(client: Client, alice: Any) -> None:
    for token in ("", "x", HIDDEN, stop_token(alice, "greeting")[:-2] + "zz"):
        for response in (client.get(stop_url(token)), client.post(stop_url(token))):
            assert response.status_code == 404
    assert client.post("/mail/stop/").status_code == 404
    assert not has_declined(alice, "greeting")


def test_a_link_expires(client: Client, alice: Any) -> None:
    address = path(alice)
    with time_machine.travel(timezone.localtime() + STOP_TOKEN_LIFETIME - timedelta(minutes=1)):
        assert client.get(address).status_code == 200
    with time_machine.travel(timezone.localtime() + STOP_TOKEN_LIFETIME + timedelta(minutes=1)):
        page = client.post(address)
    assert (page.status_code, "has expired" in page.content.decode()) == (404, True)
    assert not has_declined(alice, "greeting")


def test_the_page_of_the_link_gives_it_to_no_other(client: Client, alice: Any) -> None:
    for page in (client.get(path(alice)), client.post(path(alice)), client.get("/mail/stop/?token=x")):
        assert page["Referrer-Policy"] == "no-referrer"


def test_no_row_has_the_link_that_stops_a_mail(root: Any, alice: Any) -> None:
    tell([alice], "failure_digest", "a day", {"since": timezone.now(), "until": timezone.now()})
    message = Message.objects.get()
    mail = mail_of(message)
    token = mail.extra_headers["List-Unsubscribe"].partition("token=")[2].strip("<>")
    html = mail.alternatives[0].content  # type: ignore[attr-defined]
    for sent, stored in ((mail.body, message.text), (html, message.html)):
        assert (token in sent, HIDDEN in sent) == (True, False)
        assert (token in stored, HIDDEN in stored) == (False, True)
    shown = browser(root).get(reverse("admin:notifications_message_change", args=[message.pk])).content.decode()
    assert HIDDEN in shown
    assert token not in shown


def test_what_was_declined_after_it_was_told_is_not_sent(told: Any, alice: Any) -> None:
    message: Message = told(alice)
    assert reason_to_withdraw(message) == ""
    decline_message(alice, "greeting")
    assert "no longer wants" in reason_to_withdraw(Message.objects.get(pk=message.pk))
