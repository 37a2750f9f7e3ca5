"""Every message arrives once, or it is shown why not. The mail server is a real one on loopback, in every mood."""

import socket
import ssl
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import AbstractUser, Permission
from django.db.models.functions import Now

from notifications import delivery
from notifications.delivery import PAUSES, deliver, pause_after
from notifications.models import Message, Outage, Status
from notifications.outbox import Attachment, send_again, tell
from notifications.refusals import Meaning, server_refusal
from notifications.tests.conftest import time_passes
from notifications.tests.postoffice import GONE, SILENCE, PostOffice
from notifications.warnings import mail_warnings

Tell = Callable[..., Message]


def state(message: Message) -> tuple[str, int, str]:
    message.refresh_from_db()
    return message.status, message.attempts, message.last_error


def minutes_left(message: Message) -> float:
    """Until the next attempt, by the database's clock."""
    waiting = Message.objects.annotate(now=Now()).get(pk=message.pk)
    now: datetime = waiting.now  # type: ignore[attr-defined]  # annotated above
    return float((waiting.next_try - now) / timedelta(minutes=1))


@pytest.fixture
def message(alice: AbstractUser, told: Tell) -> Message:
    """One that waits for Alice."""
    return told(alice)


@pytest.fixture
def both(message: Message, bob: AbstractUser, told: Tell) -> list[Message]:
    """One that waits for Alice, and one for Bob."""
    return [message, told(bob)]


# --- what arrives -------------------------------------------------------------------------------------
def test_a_message_is_sent_once(message: Message, office: PostOffice) -> None:
    assert (deliver(), deliver()) == (1, 0)
    assert office.taken() == [("alice@example.com", str(message.pk))]
    assert state(message) == (Status.SENT, 1, "")
    assert message.sent_at is not None


def test_a_mail_says_what_it_is_and_for_whom(alice: AbstractUser, told: Tell, office: PostOffice) -> None:
    message = told(alice, attachments=[Attachment("added.csv", "text/csv", "id\n1\n")])
    deliver()
    (mail,) = office.ledger
    assert mail["Message-ID"] == f"<{message.pk}@shop.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert (mail["From"], mail["To"]) == ("Catalogue <catalogue@shop.example>", "alice@example.com")
    parts = [(part.get_content_type(), part.get_filename()) for part in mail.walk() if not part.is_multipart()]
    assert parts == [("text/plain", None), ("text/html", None), ("text/csv", "added.csv")]


def test_each_recipient_has_a_mail_alone(alice: AbstractUser, bob: AbstractUser, office: PostOffice) -> None:
    tell([alice, bob], "greeting", "dress:1", {"title": "A dress"})
    deliver()
    assert sorted(mail["Envelope-To"] for mail in office.ledger) == ["alice@example.com", "bob@example.com"]
    assert office.heard("CONNECT") == 1  # in one conversation


def test_values_of_a_file_change_no_header(alice: AbstractUser, told: Tell, office: PostOffice) -> None:
    told(alice, "Dress\r\nBcc: eve@example.com\r\n\r\n\ud800\x00" + "é" * 3000)
    assert deliver() == 1
    (mail,) = office.ledger
    assert (mail["To"], mail["Bcc"], mail["Envelope-To"]) == ("alice@example.com", None, "alice@example.com")


def test_a_mail_goes_where_its_recipient_is_now(alice: AbstractUser, message: Message, office: PostOffice) -> None:
    type(alice).objects.update(email="alice@new.example")
    deliver()
    assert office.taken() == [("alice@new.example", str(message.pk))]
    message.refresh_from_db()
    assert message.address == "alice@new.example"


def test_who_was_removed_or_left_gets_nothing(
    alice: AbstractUser, bob: AbstractUser, both: list[Message], office: PostOffice
) -> None:
    removed, left = both
    alice.delete()
    type(bob).objects.update(is_active=False)
    assert deliver() == 0
    assert office.ledger == []
    assert state(removed)[0::2] == (Status.WITHDRAWN, "The recipient's account was removed.")
    assert state(left)[0::2] == (Status.WITHDRAWN, "The recipient's account is no longer active.")


# --- refusals -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("MAIL", "421 Too busy"),
        ("MAIL", "452 Too many"),
        ("RCPT", "450 Greylisted, come back"),
        ("RCPT", "452 Mailbox full"),
        ("DATA", "451 Try again"),
    ],
)
def test_what_is_refused_for_now_is_sent_later_and_once(
    message: Message, office: PostOffice, command: str, answer: str
) -> None:
    office.moods[command] = answer
    assert deliver() == 0
    assert state(message) == (Status.WAITING, 1, answer)
    assert 4.9 < minutes_left(message) <= 6  # who comes back sooner is sent away again
    del office.moods[command]
    assert deliver() == 0
    time_passes(minutes=6)
    assert (deliver(), office.taken()) == (1, [("alice@example.com", str(message.pk))])


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("RCPT", "550 No such user"),
        ("RCPT", "554 Rejected"),
        ("DATA", "552 Too large"),
        ("DATA", "554 Spam"),
        ("MAIL", "552 Too large"),
    ],
)
def test_what_is_refused_for_good_is_not_sent_again(
    message: Message, office: PostOffice, command: str, answer: str
) -> None:
    office.moods[command] = answer
    deliver()
    time_passes(days=1)
    deliver()
    assert office.heard(command) == 1
    assert state(message) == (Status.FAILED, 1, answer)


def test_one_refused_recipient_costs_the_others_nothing(
    alice: AbstractUser, bob: AbstractUser, office: PostOffice
) -> None:
    tell([alice, bob], "greeting", "dress:1", {"title": "A dress"})
    office.moods["RCPT alice@example.com"] = "550 No such user"
    assert deliver() == 1
    assert [to for to, _key in office.taken()] == ["bob@example.com"]
    assert sorted(Message.objects.values_list("status", flat=True)) == [Status.FAILED, Status.SENT]


@pytest.mark.usefixtures("impatience")
@pytest.mark.parametrize("mood", [SILENCE, GONE])
@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
def test_a_server_that_falls_silent_is_asked_again_later(
    message: Message, office: PostOffice, command: str, mood: str
) -> None:
    office.moods[command] = mood
    assert deliver() == 0
    status, attempts, error = state(message)
    assert (status, attempts) == (Status.WAITING, 1)
    assert error.startswith("The mail server gave no answer: ")
    assert 0.9 < minutes_left(message) <= 1.2


@pytest.mark.usefixtures("impatience")
@pytest.mark.parametrize("mood", [SILENCE, GONE])
def test_an_answer_that_was_lost_costs_one_second_delivery_under_the_same_name(
    message: Message, office: PostOffice, mood: str
) -> None:
    office.moods["TAKEN"] = mood
    assert deliver() == 0
    del office.moods["TAKEN"]
    time_passes(minutes=2)
    assert deliver() == 1
    time_passes(days=2)
    assert deliver() == 0
    first, second = office.ledger
    assert first["Message-ID"] == second["Message-ID"]
    assert first["X-Idempotency-Key"] == second["X-Idempotency-Key"] == str(message.pk)
    assert state(message)[0] == Status.SENT


@pytest.mark.usefixtures("impatience")
@pytest.mark.parametrize("mood", [SILENCE, GONE, "421 Closing", "500 What?"])
def test_a_good_bye_that_fails_does_not_undo_a_delivery(message: Message, office: PostOffice, mood: str) -> None:
    office.moods["QUIT"] = mood
    assert deliver() == 1
    assert state(message)[0] == Status.SENT


def test_pauses_grow_to_a_day_and_then_the_message_counts_as_not_delivered(
    message: Message, office: PostOffice
) -> None:
    office.moods["RCPT"] = "451 Not now"
    for _attempt in range(12):
        deliver()
        time_passes(hours=10)
    assert office.heard("RCPT") == 10
    assert state(message) == (Status.FAILED, 10, "Given up after 10 attempts. 451 Not now")
    assert timedelta(hours=23) < sum(PAUSES, timedelta()) < timedelta(hours=25)
    assert all(pause <= pause_after(n) <= 1.2 * pause for n, pause in enumerate(PAUSES, start=1))


def test_a_message_that_ends_its_senders_is_given_up(message: Message, office: PostOffice) -> None:
    for _ in range(12):
        lost = delivery.claim_message()  # by a sender of which nothing more is heard
        if lost:
            delivery.release_message(lost)
        time_passes(hours=10)
    assert state(message) == (Status.FAILED, 10, "Given up: each worker that sent it ended unexpectedly.")


def test_a_mail_that_cannot_be_made_is_shown_and_holds_up_nothing(both: list[Message], office: PostOffice) -> None:
    broken, fine = both
    Message.objects.filter(pk=broken.pk).update(subject="two\nlines")
    assert deliver() == 1
    assert state(broken)[0] == Status.FAILED
    assert state(broken)[2].startswith("The message is not a valid mail: ")
    assert state(fine)[0] == Status.SENT


def test_an_error_of_our_own_is_logged_and_holds_up_nothing(
    both: list[Message], office: PostOffice, caplog: pytest.LogCaptureFixture
) -> None:
    broken, fine = both
    Message.objects.filter(pk=broken.pk).update(attachments=[{"name": "added.csv"}])
    assert deliver() == 1
    assert state(broken) == (Status.WAITING, 1, "Something unexpected happened: KeyError: 'text'")
    assert "Traceback" in caplog.text
    assert state(fine)[0] == Status.SENT


# --- the server is away -------------------------------------------------------------------------------
def test_a_server_that_is_down_costs_no_message_its_attempts(
    message: Message, office: PostOffice, settings: Any
) -> None:
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        settings.EMAIL_PORT = nobody_listens.getsockname()[1]
        for _ in range(5):
            assert deliver() == 0
            time_passes(minutes=20)
    assert state(message) == (Status.WAITING, 0, "")
    outage = Outage.objects.get()
    assert outage.tries == 5
    assert outage.reason.startswith("The mail server cannot be reached: ")
    settings.EMAIL_PORT = office.port
    assert (deliver(), len(office.ledger)) == (1, 1)
    assert not Outage.objects.exists()


@pytest.mark.usefixtures("impatience")
@pytest.mark.parametrize(
    ("command", "mood"),
    [
        ("CONNECT", SILENCE),
        ("CONNECT", GONE),
        ("CONNECT", "421 Too many connections"),
        ("CONNECT", "554 Go away"),
        ("EHLO", SILENCE),
        ("EHLO", "421 Closing"),
    ],
)
def test_a_server_without_a_word_is_left_alone_for_a_while(
    both: list[Message], office: PostOffice, command: str, mood: str
) -> None:
    office.moods[command] = mood
    assert (deliver(), deliver(), deliver()) == (0, 0, 0)
    assert office.heard("CONNECT") == 1
    office.moods.clear()
    time_passes(minutes=2)
    assert deliver() == 2
    assert [state(message)[1] for message in both] == [1, 1]


def test_a_slow_banner_within_the_time_is_waited_for(message: Message, office: PostOffice) -> None:
    office.moods["CONNECT"] = lambda: time.sleep(0.1)
    office.moods["DATA"] = lambda: time.sleep(0.1)
    assert deliver() == 1


def test_what_a_server_left_lying_for_a_day_counts_as_not_delivered(
    alice: AbstractUser, bob: AbstractUser, told: Tell, office: PostOffice
) -> None:
    old = told(alice)
    office.moods["CONNECT"] = "421 Closed"
    deliver()
    time_passes(hours=25)
    new = told(bob)
    deliver()
    assert state(old)[0::2] == (
        Status.FAILED,
        "Given up after a day. The mail server cannot be reached: 421 Closed",
    )
    assert state(new)[0] == Status.WAITING


# --- old news -----------------------------------------------------------------------------------------
def test_what_a_restored_backup_has_waiting_is_parked_when_it_is_older_than_two_days(
    alice: AbstractUser, bob: AbstractUser, told: Tell, office: PostOffice
) -> None:
    old = told(alice)
    time_passes(hours=47)
    new = told(bob)
    time_passes(hours=2)
    assert deliver() == 1
    assert state(new)[0] == Status.SENT
    assert state(old)[0] == Status.PARKED
    assert old.last_error.startswith("Not sent, because it was more than two days late")
    assert any("is parked" in sentence for sentence in mail_warnings())


def test_what_is_parked_is_sent_when_a_person_asks_for_it(
    message: Message, alice: AbstractUser, office: PostOffice
) -> None:
    time_passes(days=3)
    deliver()
    alice.user_permissions.add(Permission.objects.get(codename="resend_message"))
    assert send_again(Message.objects.filter(status=Status.PARKED), by=alice) == 1
    assert deliver() == 1
    assert state(message)[0] == Status.SENT
    assert mail_warnings() == []


# --- only a person can help ---------------------------------------------------------------------------
def test_a_wrong_password_is_tried_rarely_and_costs_no_message(
    both: list[Message], office: PostOffice, settings: Any
) -> None:
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "shop", "wrong"
    office.moods["AUTH"] = "535 5.7.8 Authentication failed"
    for _minute in range(60):
        deliver()
        time_passes(minutes=1)
    assert 4 <= office.heard("CONNECT") <= 7  # at once, after 1 minute, 5 more, then every 15
    outage = Outage.objects.get()
    assert "refuses the login" in outage.reason
    assert "535 5.7.8 Authentication failed" in outage.reason
    time_passes(days=3)
    deliver()
    assert [state(message)[:2] for message in both] == [(Status.WAITING, 0)] * 2
    office.moods.clear()
    time_passes(minutes=15)
    assert deliver() == 2
    assert not Outage.objects.exists()


def test_nothing_is_sent_in_clear_when_encryption_is_asked_for(
    message: Message, office: PostOffice, settings: Any
) -> None:
    settings.EMAIL_USE_TLS = True
    assert deliver() == 0
    assert (office.heard("MAIL"), office.ledger) == (0, [])
    assert "STARTTLS" in Outage.objects.get().reason
    assert state(message)[:2] == (Status.WAITING, 0)


@pytest.mark.parametrize("answer", ["530 Authentication required", "550 Sender not allowed"])
def test_a_refused_sender_concerns_every_message(both: list[Message], office: PostOffice, answer: str) -> None:
    office.moods["MAIL"] = answer
    assert deliver() == 0
    assert office.heard("MAIL") == 1
    assert answer in Outage.objects.get().reason
    assert [state(message)[:2] for message in both] == [(Status.WAITING, 0)] * 2
    office.moods.clear()
    time_passes(minutes=1)
    assert deliver() == 2


def test_a_certificate_that_proves_nothing_is_for_a_person() -> None:
    assert server_refusal(ssl.SSLCertVerificationError("self-signed certificate")).meaning is Meaning.NOBODY
