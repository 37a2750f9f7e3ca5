"""Messages are written once, with the work they are about, in words that fit into a mail whatever a file says."""

from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
from django.contrib.auth.models import AbstractUser
from django.core.mail import EmailMessage
from django.db import connection, transaction
from kombu.exceptions import OperationalError

from notifications.models import Message, Status
from notifications.outbox import Attachment, tell
from notifications.rendering import render_mail
from notifications.tasks import forget_old_messages
from notifications.tests.conftest import time_passes

HOSTILE = "Dress\r\nBcc: eve@example.com\n\n<script>alert(1)</script> & \ud800 \x00\x07\u202eevil\x85" + "x" * 3000


def test_each_person_gets_a_message_of_their_own(alice: AbstractUser, bob: AbstractUser) -> None:
    tell([alice, bob], "greeting", "dress:1", {"title": "A dress came in"})
    assert {(m.recipient, m.address, m.subject) for m in Message.objects.all()} == {
        (alice, "alice@example.com", "Hello alice: A dress came in"),
        (bob, "bob@example.com", "Hello bob: A dress came in"),
    }


def test_nobody_is_told_the_same_twice(alice: AbstractUser, bob: AbstractUser) -> None:
    tell([alice], "greeting", "dress:1", {"title": "A dress came in"})
    tell([alice, bob, bob], "greeting", "dress:1", {"title": "It came in again"})
    tell([alice], "greeting", "dress:2", {"title": "Another one"})
    assert sorted(Message.objects.values_list("recipient__username", "about")) == [
        ("alice", "dress:1"),
        ("alice", "dress:2"),
        ("bob", "dress:1"),
    ]


def test_a_model_names_itself(alice: AbstractUser) -> None:
    tell([alice], "greeting", alice, {"title": "You"})
    assert Message.objects.get().about == f"accounts.user:{alice.pk}"


@pytest.mark.django_db(transaction=True)
def test_a_message_goes_with_the_transaction_it_was_told_in(alice: AbstractUser, enqueued: list[str]) -> None:
    with transaction.atomic():
        tell([alice], "greeting", "dress:1", {"title": "A dress came in"})
        transaction.set_rollback(True)
    assert not Message.objects.exists()
    assert enqueued == []


@pytest.mark.django_db(transaction=True)
def test_delivery_is_enqueued_once_the_message_can_be_seen(alice: AbstractUser, enqueued: list[str]) -> None:
    with transaction.atomic():
        tell([alice], "greeting", "dress:1", {"title": "A dress came in"})
        assert enqueued == []
    assert enqueued == ["notifications.deliver"]


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_is_away_costs_nobody_the_message(alice: AbstractUser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("celery.current_app.send_task", Mock(side_effect=OperationalError("away")))
    tell([alice], "greeting", "dress:1", {"title": "A dress came in"})
    assert Message.objects.get().status == Status.WAITING


def test_text_says_values_as_they_are_and_html_escapes_them(alice: AbstractUser) -> None:
    words = render_mail("greeting", {"title": "Silk & <b>wool</b>", "person": alice})
    assert words.subject == "Hello alice: Silk & <b>wool</b>"
    assert "Silk & <b>wool</b>" in words.text
    assert "Silk &amp; &lt;b&gt;wool&lt;/b&gt;" in words.html


def test_styles_stand_at_their_elements_and_the_dark_ones_stay() -> None:
    html = render_mail("greeting", {"title": "A dress"}).html
    assert '<p style="color: #111111' in html
    assert "prefers-color-scheme: dark" in html


def test_no_value_breaks_a_header_or_the_database(alice: AbstractUser, told: Callable[..., Message]) -> None:
    message = told(alice, HOSTILE)
    assert (message.status, len(message.subject), message.subject[-1]) == (Status.WAITING, 150, "…")
    assert message.subject.isprintable()
    assert "<script>" not in message.html
    raw = EmailMessage(message.subject, message.text, to=[message.address]).message()
    assert (raw["To"], raw["Bcc"]) == ("alice@example.com", None)


def test_a_message_that_cannot_be_rendered_is_shown_and_blocks_nothing(alice: AbstractUser) -> None:
    def broken() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT no_such_column")

    tell([alice], "greeting", "dress:1", {"title": broken})
    message = Message.objects.get()
    assert (message.status, message.subject) == (Status.FAILED, "(greeting)")
    assert "no_such_column" in message.last_error


def test_a_message_without_templates_is_shown_too(alice: AbstractUser) -> None:
    tell([alice], "no_such_message", "dress:1", {})
    assert "emails/no_such_message/subject.txt" in Message.objects.get().last_error


def test_attachments_are_kept_with_the_message(alice: AbstractUser, told: Callable[..., Message]) -> None:
    message = told(alice, attachments=[Attachment("added.csv", "text/csv", "id,title\r\n1,Dress \ud800\x00\r\n")])
    assert message.attachments == [{"name": "added.csv", "type": "text/csv", "text": "id,title\n1,Dress �\n"}]


def test_old_messages_are_forgotten_but_not_while_they_wait(
    alice: AbstractUser, bob: AbstractUser, told: Callable[..., Message], settings: Any
) -> None:
    settings.RETENTION_MESSAGES_DAYS = 30
    old, waiting = told(alice), told(bob)
    Message.objects.filter(pk=old.pk).update(status=Status.FAILED)
    time_passes(days=31)
    new = told(alice, about="dress:2")
    assert forget_old_messages() == "1 deleted"
    assert set(Message.objects.all()) == {waiting, new}
    settings.RETENTION_MESSAGES_DAYS = 0
    time_passes(days=3650)
    assert forget_old_messages() is None
