"""Sending the messages that are due, each to one person, and each again until the mail server has said yes or no.

docs/decisions/0013 says how it is kept from sending twice.
"""

import logging
import random
import smtplib
from contextlib import suppress
from datetime import timedelta
from email.utils import format_datetime, parseaddr
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from notifications import refusals
from notifications.links import stop_headers
from notifications.models import Message, Outage, Status
from notifications.refusals import Meaning, Refusal
from notifications.subscriptions import has_declined

log = logging.getLogger(__name__)

# Between the attempts: together a day, after which the message counts as not delivered.
PAUSES = [timedelta(minutes=minutes) for minutes in (1, 5, 15, 30, 60, 120, 240, 480, 480)]
GREYLISTED = timedelta(minutes=5)  # who asks again earlier than that is sent away again
# Overdue for so long, a message is old news: from a backup that was restored, or from before mail stood still. Whoever
# knows better can send it all the same.
STALE = timedelta(days=2)
OLD_NEWS = (
    "Not sent, because that should have been more than two days ago: a backup was restored, or mail stood still. "
    "Send it again if it still matters."
)
JITTER = 0.2
DAY = timedelta(days=1)

# Advisory locks are numbers shared by the whole database: the first says what kind, which is SMTP's port here.
MAIL_LOCK = 25

# What psycopg2 raises of a connection that ended: mostly an OperationalError, at times no more than its parent.
CONNECTION_LOST = (DatabaseError, InterfaceError)


def deliver() -> int:
    """Send what is due, and return how many messages the mail server took. Any number may do this at the same time."""
    taken = 0
    with Line() as line:
        while Message.objects.due().exists() and line.open():
            message = claim()
            if message is None:
                break  # others are at what is due
            try:
                taken += attempt(message, line)
            finally:
                let_go(message)
    return taken


class Line:
    """The connection to the mail server: opened when it is needed, and anew after a failure."""

    def __init__(self) -> None:
        self._backend: BaseEmailBackend | None = None

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()

    def open(self) -> bool:
        """Whether the server is ready for a message. If not, that is noted for everybody."""
        if self._backend is not None:
            return True
        if not Outage.allows():
            return False
        try:
            self._backend = get_connection()
            self._backend.open()
            if isinstance(server := getattr(self._backend, "connection", None), smtplib.SMTP):
                server.ehlo_or_helo_if_needed()  # so that silence here is not a message's fault
        except Exception as error:
            self.hang_up()
            no_line(refusals.of_server(error))
        return self._backend is not None

    def send(self, mail: EmailMultiAlternatives) -> None:
        mail.connection = self._backend
        mail.send()

    def hang_up(self) -> None:
        backend, self._backend = self._backend, None
        with suppress(Exception):  # what was taken is taken, whatever the server makes of a good-bye
            if backend is not None:
                backend.close()


# --- one message --------------------------------------------------------------------------------------
def claim() -> Message | None:
    """The message that is due the longest, for this connection alone until it lets go; None when there is none.

    The attempt counts, and the next one is set, before the first byte is sent: a message that ends its sender each time
    is not sent for ever. What is old news is parked. No transaction is open afterwards.
    """
    with transaction.atomic():
        due = Message.objects.due().annotate(overdue=Now() - F("next_try"))
        while message := due.select_for_update(skip_locked=True).first():
            if message.attempts > len(PAUSES):
                _fail(message, "Given up: its senders ended while they sent it.")
                continue
            overdue: timedelta = message.overdue  # type: ignore[attr-defined]  # annotated above
            if overdue > STALE and not Outage.objects.exists():
                _note(message, status=Status.PARKED, failed_at=Now(), last_error=OLD_NEWS)
                continue
            alone = _lock("pg_try_advisory_lock", message)  # or its last sender is at it still
            message.attempts += alone
            _note(message, attempts=message.attempts, next_try=Now() + pause_after(message.attempts))
            if alone:
                return message
    return None


def let_go(message: Message) -> None:
    with suppress(*CONNECTION_LOST):  # then the lock went with its connection
        _lock("pg_advisory_unlock", message)


def attempt(message: Message, line: Line) -> bool:
    """Send it and note what came of it. Whether the server took it."""
    if reason := unwanted(message):
        _note(message, status=Status.WITHDRAWN, last_error=reason)
        return False
    try:
        line.send(mail_of(message))
    except Exception as error:
        line.hang_up()
        if not isinstance(error, (OSError, ValueError)):
            log.exception("Message %s could not be sent", message.pk)
        refused(message, refusals.of_message(error))
        return False
    _note(message, status=Status.SENT, sent_at=Now(), address=message.address, last_error="")
    Outage.end()
    return True


def unwanted(message: Message) -> str:
    """Why the message is not wanted any more, `""` when it is. Asked right before it is sent."""
    if message.recipient is None:
        return "The recipient's account was removed."
    if not message.recipient.is_active:
        return "The recipient's account is not active any more."
    if has_declined(message.recipient, message.name):
        return "The recipient does not want messages of this kind any more."
    return ""


def mail_of(message: Message) -> EmailMultiAlternatives:
    """The mail, the same at every attempt, to where its recipient can be reached now."""
    if message.recipient is not None:
        message.address = message.recipient.email
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    mail = EmailMultiAlternatives(
        message.subject,
        message.text,
        to=[message.address],
        headers={
            "Message-ID": f"<{message.pk}@{domain}>",
            "X-Idempotency-Key": str(message.pk),
            "Date": format_datetime(message.told_at),
            "Auto-Submitted": "auto-generated",
            **(stop_headers(message.recipient, message.name) if message.recipient else {}),
        },
    )
    mail.attach_alternative(message.html, "text/html")
    for file in message.attachments:
        mail.attach(file["name"], file["text"], file["type"])
    return mail


# --- refusals -----------------------------------------------------------------------------------------
def refused(message: Message, refusal: Refusal) -> None:
    """Note it at the message; or at the server, where every message would meet with the same."""
    log.warning("Message %s was not taken: %s", message.pk, refusal.words)
    if refusal.meaning is Meaning.NOBODY:
        _note(message, attempts=message.attempts - 1, next_try=Now(), last_error=refusal.words)
        no_line(refusal)
        return
    if refusal.answered:
        Outage.end()
    if refusal.meaning is Meaning.NEVER:
        _fail(message, refusal.words)
    elif message.attempts > len(PAUSES):
        _fail(message, f"Given up after {message.attempts} attempts. {refusal.words}")
    else:
        pause = pause_after(message.attempts, at_least=GREYLISTED if refusal.answered else timedelta())
        _note(message, next_try=Now() + pause, last_error=refusal.words)


def no_line(refusal: Refusal) -> None:
    """Leave the server alone for a while, and say so.

    What could not be sent for a day counts as not delivered. Where only a person can help, it waits for that person.
    """
    outage = Outage.note(refusal.words)
    log.error("No mail gets out (attempt %s): %s", outage.tries, refusal.words)
    if refusal.meaning is Meaning.LATER and Outage.objects.filter(since__lt=Now() - DAY).exists():
        Message.objects.due().filter(told_at__lt=Now() - DAY).update(
            status=Status.FAILED, failed_at=Now(), last_error=f"Given up after a day. {refusal.words}"
        )


def _fail(message: Message, words: str) -> None:
    _note(message, status=Status.FAILED, failed_at=Now(), last_error=words)


def pause_after(attempts: int, at_least: timedelta = timedelta()) -> timedelta:
    """How long a message rests after so many attempts; a little longer at random, so that many do not come at once."""
    pause = PAUSES[min(max(attempts, 1), len(PAUSES)) - 1]
    return max(pause, at_least) * random.uniform(1, 1 + JITTER)  # noqa: S311


# --- the database -------------------------------------------------------------------------------------
def _lock(function: str, message: Message) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(%s, %s)", [MAIL_LOCK, message.pk.int & 0x7FFFFFFF])
        (done,) = cursor.fetchone()
    return bool(done)


def _note(message: Message, **fields: Any) -> None:
    """Update the row. What the server answered is not forgotten because the database's connection broke meanwhile."""
    row = Message.objects.filter(pk=message.pk)
    try:
        row.update(**fields)
    except CONNECTION_LOST:
        if connection.in_atomic_block:
            raise
        connection.close()
        row.update(**fields)
