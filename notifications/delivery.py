"""Sending the messages that are due, each to one person, and each again until the mail server says yes or no.

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

from events.log import log_event
from notifications.models import Message, Outage, Status
from notifications.refusals import Meaning, Refusal, message_refusal, server_refusal
from notifications.rendering import HIDDEN
from notifications.subscriptions import LETTERS, can_be_stopped, has_declined, secret_of, stop_headers

log = logging.getLogger(__name__)

# Between two attempts. Together they last a day; after that the message counts as not delivered.
PAUSES = [timedelta(minutes=minutes) for minutes in (1, 5, 15, 30, 60, 120, 240, 480, 480)]
GREYLISTED_FOR = timedelta(minutes=5)  # a server that greylists refuses whatever comes again earlier
# A message overdue for this long is old news: it comes from a restored backup, or from before mail stood still.
PARKED_AFTER = timedelta(days=2)
NOT_NEEDED = "The message is no longer needed."
PARKED_REASON = (
    "Not sent, because it was more than two days late: a backup was restored, or mail stood still. "
    "Send it again if it still matters."
)
JITTER = 0.2
DAY = timedelta(days=1)

# Advisory locks are numbers that the whole database shares. The first one says what kind: here, SMTP's port.
MAIL_LOCK = 25

# What psycopg2 raises when a connection has ended: mostly an OperationalError, sometimes only its parent.
CONNECTION_LOST = (DatabaseError, InterfaceError)


def deliver() -> int:
    """Send what is due, and return how many messages the mail server took. Several may do this at the same time."""
    taken = 0
    with MailConnection() as server:
        while Message.objects.due().exists() and server.open():
            message = claim_message()
            if message is None:
                break  # others send what is due
            try:
                taken += send_message(message, server)
            finally:
                release_message(message)
    return taken


class MailConnection:
    """The connection to the mail server: opened when it is needed, and again after a failure."""

    def __init__(self) -> None:
        self._backend: BaseEmailBackend | None = None

    def __enter__(self) -> "MailConnection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> bool:
        """Whether the server is ready for a message. If not, it is recorded for every sender."""
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
            self.close()
            record_outage(server_refusal(error))
        return self._backend is not None

    def send(self, mail: EmailMultiAlternatives) -> None:
        mail.connection = self._backend
        mail.send()

    def close(self) -> None:
        backend, self._backend = self._backend, None
        with suppress(Exception):  # a message that was taken stays taken, however the server ends the connection
            if backend is not None:
                backend.close()


# --- one message --------------------------------------------------------------------------------------
def claim_message() -> Message | None:
    """The message that is due the longest, for this connection alone until it is released; None if there is none.

    The attempt is counted, and the next one planned, before the first byte is sent: a message that ends its sender each
    time is not sent for ever. Old news is parked. No transaction is open afterwards.
    """
    with transaction.atomic():
        due = Message.objects.due().annotate(overdue=Now() - F("next_try"))
        while message := due.select_for_update(skip_locked=True).first():
            if message.attempts > len(PAUSES):
                _mark_failed(message, "Given up: each worker that sent it ended unexpectedly.")
                continue
            overdue: timedelta = message.overdue  # type: ignore[attr-defined]  # annotated above
            if overdue > PARKED_AFTER and not Outage.objects.exists():
                _update_row(message, status=Status.PARKED, failed_at=Now(), last_error=PARKED_REASON)
                log_mail(message, Status.PARKED)
                continue
            alone = _advisory_lock("pg_try_advisory_lock", message)  # else its last sender still works on it
            message.attempts += alone
            _update_row(message, attempts=message.attempts, next_try=Now() + pause_after(message.attempts))
            if alone:
                return message
    return None


def release_message(message: Message) -> None:
    with suppress(*CONNECTION_LOST):  # then the lock went with its connection
        _advisory_lock("pg_advisory_unlock", message)


def send_message(message: Message, server: MailConnection) -> bool:
    """Send it, record the result, and return whether the server took it."""
    if reason := reason_to_withdraw(message):
        _update_row(message, status=Status.WITHDRAWN, last_error=reason)
        log_mail(message, Status.WITHDRAWN)
        return False
    try:
        server.send(mail_of(message))
    except Exception as error:
        server.close()
        if not isinstance(error, (OSError, ValueError)):
            log.exception("Message %s could not be sent", message.pk)
        record_refusal(message, message_refusal(error))
        return False
    _update_row(message, status=Status.SENT, sent_at=Now(), address=message.address, last_error="")
    log_mail(message, Status.SENT)
    Outage.end()
    return True


def reason_to_withdraw(message: Message) -> str:
    """Why the message is not wanted any more; `""` while it is. Asked right before it is sent."""
    if message.name in LETTERS:
        return NOT_NEEDED if LETTERS[message.name](message) is None else ""
    if message.recipient is None:
        return "The recipient's account was removed."
    if not message.recipient.is_active:
        return "The recipient's account is no longer active."
    if has_declined(message.recipient, message.name):
        return "The recipient no longer wants messages of this kind."
    if secret_of(message.recipient, message.name) is None:
        return NOT_NEEDED
    return ""


def mail_of(message: Message) -> EmailMultiAlternatives:
    """The mail, always the same but for its secret: to the recipient's present address, a letter to its own."""
    secret = ""
    if message.name in LETTERS:
        secret = LETTERS[message.name](message) or ""
    elif message.recipient is not None:
        message.address = message.recipient.email
        secret = secret_of(message.recipient, message.name) or ""
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    mail = EmailMultiAlternatives(
        message.subject,
        message.text.replace(HIDDEN, secret),
        to=[message.address],
        headers={
            "Message-ID": f"<{message.pk}@{domain}>",
            "X-Idempotency-Key": str(message.pk),
            "Date": format_datetime(message.told_at),
            "Auto-Submitted": "auto-generated",
            **(stop_headers(secret) if can_be_stopped(message.name) else {}),
        },
    )
    mail.attach_alternative(message.html.replace(HIDDEN, secret), "text/html")
    for file in message.attachments:
        mail.attach(file["name"], file["text"], file["type"])
    return mail


# --- refusals -----------------------------------------------------------------------------------------
def record_refusal(message: Message, refusal: Refusal) -> None:
    """Record it at the message; or as an outage, if the server would refuse every message."""
    log.warning("Message %s was not taken: %s", message.pk, refusal.reason)
    if refusal.meaning is Meaning.NOBODY:
        _update_row(message, attempts=message.attempts - 1, next_try=Now(), last_error=refusal.reason)
        record_outage(refusal)
        return
    if refusal.answered:
        Outage.end()
    if refusal.meaning is Meaning.NEVER:
        _mark_failed(message, refusal.reason)
    elif message.attempts > len(PAUSES):
        _mark_failed(message, f"Given up after {message.attempts} attempts. {refusal.reason}")
    else:
        pause = pause_after(message.attempts, at_least=GREYLISTED_FOR if refusal.answered else timedelta())
        _update_row(message, next_try=Now() + pause, last_error=refusal.reason)
        log_mail(message, Status.WAITING)


def record_outage(refusal: Refusal) -> None:
    """Leave the server alone for a while.

    A message that could not be sent for a day counts as not delivered. If only a person can help, messages wait.
    """
    outage = Outage.begin(refusal.reason)
    log.error("No mail can be sent (attempt %s): %s", outage.tries, refusal.reason)
    if refusal.meaning is Meaning.LATER and Outage.objects.filter(since__lt=Now() - DAY).exists():
        Message.objects.due().filter(told_at__lt=Now() - DAY).update(
            status=Status.FAILED, failed_at=Now(), last_error=f"Given up after a day. {refusal.reason}"
        )


def _mark_failed(message: Message, reason: str) -> None:
    _update_row(message, status=Status.FAILED, failed_at=Now(), last_error=reason)
    log_mail(message, Status.FAILED)


def log_mail(message: Message, status: Status) -> None:
    """What became of the message, with the request that it comes from: a sender sends those of many."""
    level = logging.INFO if status in (Status.SENT, Status.WITHDRAWN) else logging.WARNING
    facts = {"message_id": str(message.pk), "name": message.name, "about": message.about, "attempt": message.attempts}
    log_event("mail", by=message.recipient, level=level, status=status.value, request_id=message.request_id, **facts)


def pause_after(attempts: int, at_least: timedelta = timedelta()) -> timedelta:
    """How long a message waits after so many attempts; up to a fifth longer, so that many do not come at once."""
    pause = PAUSES[min(max(attempts, 1), len(PAUSES)) - 1]
    return max(pause, at_least) * random.uniform(1, 1 + JITTER)  # noqa: S311


# --- the database -------------------------------------------------------------------------------------
def _advisory_lock(function: str, message: Message) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(%s, %s)", [MAIL_LOCK, message.pk.int & 0x7FFFFFFF])
        (done,) = cursor.fetchone()
    return bool(done)


def _update_row(message: Message, **fields: Any) -> None:
    """Update the row. The server's answer is not lost when the database's connection broke meanwhile."""
    row = Message.objects.filter(pk=message.pk)
    try:
        row.update(**fields)
    except CONNECTION_LOST:
        if connection.in_atomic_block:
            raise
        connection.close()
        row.update(**fields)
