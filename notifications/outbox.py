"""Telling people by e-mail: `tell` writes the messages, and workers send them once they are committed.

The row is the job and the broker only a doorbell, as for imports.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.db.models.functions import Now
from kombu.exceptions import OperationalError as BrokerError

from notifications.models import Message, MessageQuerySet, Outage, Status
from notifications.rendering import Wording, clean, word
from schedule.queue import enqueue_now

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attachment:
    """A text file that goes with a mail. Every message keeps a copy, so it should be small."""

    name: str
    type: str
    text: str


def tell(
    people: Iterable[AbstractUser],
    name: str,
    about: models.Model | str,
    context: Mapping[str, Any],
    attachments: Iterable[Attachment] = (),
) -> None:
    """Write the message `name` to each person, in the caller's transaction; it is sent after the commit.

    Whoever was told `name` about the same thing already is not told again. The templates have `context` and, as
    `person`, who is told. A message that cannot be worded is kept as not delivered, for the admin to show: what the
    caller does must not fail because of its mail.
    """
    subject_matter = named(about)
    files = [asdict(Attachment(clean(file.name), file.type, clean(file.text))) for file in attachments]
    Message.objects.bulk_create(
        (
            Message(
                name=name,
                about=subject_matter,
                recipient_id=person.pk,
                address=person.email,
                attachments=files,
                **_worded(name, {**context, "person": person}),
            )
            for person in people
        ),
        ignore_conflicts=True,
    )
    transaction.on_commit(ring)


def send_again(messages: MessageQuerySet, *, by: AbstractUser | AnonymousUser) -> int:
    """Have these sent once more, at once, whatever came of them, and return how many. Needs `resend_message`.

    They keep their words and their Message-ID. Who asks for it may have mended the server, so it is tried at once, too.
    What could not be worded has nothing that could be sent.
    """
    if not by.has_perm("notifications.resend_message"):
        raise PermissionDenied
    with transaction.atomic():
        Outage.objects.update(next_try=Now())
        count = messages.worded().update(status=Status.WAITING, attempts=0, next_try=Now(), sent_at=None)
        transaction.on_commit(ring)
    return count


def forget_old() -> int:
    """Delete what was told longer ago than the settings say, with its attachments; never what still waits."""
    days = settings.RETENTION_MESSAGES_DAYS
    if not days:
        return 0
    old = Message.objects.filter(told_at__lt=Now() - timedelta(days=days)).exclude(status=Status.WAITING)
    deleted, _of_each = old.delete()
    return deleted


def was_told(name: str, about: models.Model | str) -> bool:
    """Whether anybody was told `name` about this already."""
    return Message.objects.filter(name=name, about=named(about)).exists()


def named(about: models.Model | str) -> str:
    """What a message is about, as its row has it: catalog.importrun:12."""
    return about if isinstance(about, str) else f"{about._meta.label_lower}:{about.pk}"


def _worded(name: str, context: Mapping[str, Any]) -> dict[str, Any]:
    try:
        with transaction.atomic():  # a failed query ends with the words, and not with the caller's transaction
            return word(name, context)._asdict()
    except Exception as error:
        log.exception("The message %s could not be worded", name)
        reason = f"It could not be worded: {type(error).__name__}: {error}"
        return {
            **Wording(f"({name})", "", "")._asdict(),
            "status": Status.FAILED,
            "failed_at": Now(),
            "last_error": clean(reason),
        }


def ring() -> None:
    """Ask a worker to send what is due. When nobody hears it, the next sweep does."""
    try:
        enqueue_now("notifications.deliver")
    except BrokerError:
        log.exception("The broker does not answer; messages wait for the next sweep")
