"""The pages of messages: everybody who may looks, managers send again, and no mail does anything to who looks at it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser, Permission
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse

from notifications.delivery import deliver
from notifications.models import Message, Outage, Status
from notifications.outbox import Attachment, tell
from notifications.tests.conftest import time_passes
from notifications.tests.postoffice import PostOffice

Tell = Callable[..., Message]
LIST = reverse("admin:notifications_message_changelist")
INDEX = reverse("admin:index")


@pytest.fixture
def staff(db: None, client: Client) -> Callable[..., Client]:
    def log_in(*permissions: str) -> Client:
        user = get_user_model().objects.create_user("mia", "mia@example.com", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client.force_login(user)
        return client

    return log_in


@pytest.fixture
def manager(staff: Callable[..., Client]) -> Client:
    return staff("view_message", "resend_message")


@pytest.fixture
def viewer(staff: Callable[..., Client]) -> Client:
    return staff("view_message")


def page_of(message: Message, page: str = "change", query: str = "") -> str:
    return reverse(f"admin:notifications_message_{page}", args=[message.pk]) + query


def text_of(response: Any) -> str:
    assert response.status_code == 200
    return str(response.content.decode())


def failed(message: Message, error: str = "550 No such user") -> Message:
    Message.objects.filter(pk=message.pk).update(status=Status.FAILED, attempts=1, last_error=error)
    return message


# --- looking ------------------------------------------------------------------------------------------
def test_the_list_says_what_became_of_each_message(viewer: Client, alice: AbstractUser, told: Tell) -> None:
    failed(told(alice), error="550 <b>No such user</b>")
    page = text_of(viewer.get(LIST))
    assert "Hello alice: A dress came in" in page
    assert "Not delivered" in page
    assert "550 &lt;b&gt;No such user&lt;/b&gt;" in page


def test_the_list_does_not_load_what_the_mails_say(
    viewer: Client, alice: AbstractUser, told: Tell, django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        told(alice, about=f"dress:{number}")
    with django_assert_max_num_queries(14) as queries:
        viewer.get(LIST)
    assert not [q for q in queries.captured_queries if '"attachments"' in q["sql"]]


def test_a_message_is_read_in_a_frame_in_which_nothing_can_happen(
    viewer: Client, alice: AbstractUser, told: Tell
) -> None:
    message = told(alice, "<script>alert(1)</script>")
    page = text_of(viewer.get(page_of(message)))
    assert f'src="{page_of(message, "preview")}"' in page
    assert "<script>alert(1)" not in page
    preview = viewer.get(page_of(message, "preview"))
    assert "&lt;script&gt;alert(1)" in text_of(preview)
    policy = preview["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert policy.startswith("sandbox ")
    assert "allow-scripts" not in policy + page
    assert preview["X-Frame-Options"] == "SAMEORIGIN"


def test_an_attachment_is_saved_and_never_shown(viewer: Client, alice: AbstractUser, told: Tell) -> None:
    message = told(alice, attachments=[Attachment("added items.csv", "text/html", "<script>")])
    assert "?name=added%20items.csv" in text_of(viewer.get(page_of(message)))
    file = viewer.get(page_of(message, "attachment", "?name=added items.csv"))
    assert (text_of(file), file["Content-Disposition"]) == ("<script>", "attachment")
    assert file["Content-Type"].startswith("text/plain")
    assert viewer.get(page_of(message, "attachment", "?name=other")).status_code == 404


def test_who_may_not_look_sees_nothing(staff: Callable[..., Client], alice: AbstractUser, told: Tell) -> None:
    nobody = staff()
    message = told(alice)
    for address in (LIST, page_of(message), page_of(message, "preview"), page_of(message, "attachment", "?name=a")):
        assert nobody.get(address).status_code == 403


def test_mails_that_are_only_caught_are_called_so(
    viewer: Client, alice: AbstractUser, told: Tell, settings: Any
) -> None:
    told(alice)
    assert "Mail stays on this machine" in text_of(viewer.get(LIST))
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    assert "Mail stays on this machine" not in text_of(viewer.get(LIST))


# --- sending again ------------------------------------------------------------------------------------
def test_a_manager_sends_a_message_again(manager: Client, alice: AbstractUser, told: Tell, office: PostOffice) -> None:
    message = failed(told(alice))
    assert "Send again" in text_of(manager.get(page_of(message)))
    assert "1 message is sent again." in text_of(manager.post(page_of(message, "resend"), follow=True))
    assert deliver() == 1
    assert office.taken() == [("alice@example.com", str(message.pk))]


def test_several_messages_are_sent_again_from_the_list(
    manager: Client, alice: AbstractUser, bob: AbstractUser, told: Tell, office: PostOffice
) -> None:
    chosen = [failed(told(alice)), failed(told(bob)), failed(told(bob, about="dress:2"))][:2]
    form = {"action": "send_selected_again", "_selected_action": [message.pk for message in chosen]}
    assert "2 messages are sent again." in text_of(manager.post(LIST, form, follow=True))
    assert deliver() == 2


def test_sending_again_tries_the_server_at_once(
    manager: Client, alice: AbstractUser, told: Tell, office: PostOffice
) -> None:
    message = told(alice)
    office.moods["CONNECT"] = "421 Closed"
    assert deliver() == 0
    office.moods.clear()
    assert deliver() == 0
    manager.post(page_of(message, "resend"))
    assert deliver() == 1


def test_what_could_not_be_rendered_is_not_sent_empty(manager: Client, alice: AbstractUser, office: PostOffice) -> None:
    tell([alice], "no_such_message", "dress:1", {})
    message = Message.objects.get()
    assert "Send again" not in text_of(manager.get(page_of(message)))
    assert "0 messages are sent again." in text_of(manager.post(page_of(message, "resend"), follow=True))
    assert (deliver(), office.ledger) == (0, [])


def test_who_may_only_look_sends_nothing_again(viewer: Client, alice: AbstractUser, told: Tell) -> None:
    message = failed(told(alice))
    assert "Send again" not in text_of(viewer.get(page_of(message)))
    assert viewer.post(page_of(message, "resend")).status_code == 403
    viewer.post(LIST, {"action": "send_selected_again", "_selected_action": [message.pk]})
    message.refresh_from_db()
    assert message.status == Status.FAILED


def test_looking_sends_nothing_again(manager: Client, alice: AbstractUser, told: Tell) -> None:
    assert manager.get(page_of(failed(told(alice)), "resend")).status_code == 405


# --- the warning --------------------------------------------------------------------------------------
def test_the_first_page_is_silent_while_mail_gets_out(
    viewer: Client, alice: AbstractUser, told: Tell, office: PostOffice
) -> None:
    told(alice)
    deliver()
    assert "Mail delivery has problems" not in text_of(viewer.get(INDEX))


def test_the_first_page_warns_when_the_server_takes_no_mail(
    viewer: Client, alice: AbstractUser, told: Tell, office: PostOffice, settings: Any
) -> None:
    told(alice)
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "shop", "wrong"
    office.moods["AUTH"] = "535 <Wrong>"
    deliver()
    page = text_of(viewer.get(INDEX))
    assert "The mail server refuses the login" in page
    assert "535 &lt;Wrong&gt;. 1 message waits; the next attempt is at " in page


def test_the_first_page_warns_when_nobody_sends(viewer: Client, alice: AbstractUser, told: Tell) -> None:
    told(alice)
    assert "waited to be sent" not in text_of(viewer.get(INDEX))
    time_passes(minutes=6)
    assert "1 message has waited to be sent since " in text_of(viewer.get(INDEX))


def test_the_first_page_warns_of_what_was_not_delivered(viewer: Client, alice: AbstractUser, told: Tell) -> None:
    message = failed(told(alice))
    assert "1 message of the last 7 days was not delivered." in text_of(viewer.get(INDEX))
    Message.objects.filter(pk=message.pk).update(told_at=Now() - timedelta(days=8))
    assert "not delivered" not in text_of(viewer.get(INDEX))


def test_who_may_not_look_at_messages_is_not_warned(staff: Callable[..., Client]) -> None:
    Outage.begin("The mail server cannot be reached")
    assert "Mail delivery has problems" not in text_of(staff().get(INDEX))
