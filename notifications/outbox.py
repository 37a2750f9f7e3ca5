"""Telling people by e-mail: `tell` writes the messages, and a worker sends them after the commit.

The row is the job, as for imports: when its task is lost, the next sweep finds the row.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.db.models.functions import Now
from kombu.exceptions import OperationalError as BrokerError

from events.log import current_request_id
from notifications.models import Message, MessageQuerySet, Outage, Status
from notifications.rendering import Rendered, clean_text, render_mail
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

    Nobody gets `name` about the same thing twice. The templates have `context`, and the recipient as `person`. A
    message that cannot be rendered is kept as not delivered, for the admin to show: what the caller does must not fail
    because of its mail.
    """
    files = [asdict(Attachment(clean_text(file.name), file.type, clean_text(file.text))) for file in attachments]
    Message.objects.bulk_create(
        (
            Message(
                name=name,
                about=about_key(about),
                recipient_id=person.pk,
                address=person.email,
                attachments=files,
                request_id=current_request_id(),
                **_rendered_fields(name, {**context, "person": person}),
            )
            for person in people
        ),
        ignore_conflicts=True,
    )
    transaction.on_commit(enqueue_delivery)


def write_letter(
    name: str, about: models.Model | str, address: str, context: Mapping[str, Any], person: AbstractUser | None = None
) -> None:
    """Write the message `name` to an address, as `tell` does to people. `person` is whose account it is about."""
    fields = _rendered_fields(name, {**context, "person": person})
    Message.objects.create(
        name=name,
        about=about_key(about),
        recipient_id=person.pk if person else None,
        address=address,
        request_id=current_request_id(),
        **fields,
    )
    transaction.on_commit(enqueue_delivery)


def _rendered_fields(name: str, context: Mapping[str, Any]) -> dict[str, Any]:
    try:
        with transaction.atomic():  # a query that fails ends this, and not the caller's transaction
            return render_mail(name, context)._asdict()
    except Exception as error:
        log.exception("The message %s could not be rendered", name)
        reason = f"The message could not be written: {type(error).__name__}: {error}"
        failed = {"status": Status.FAILED, "failed_at": Now(), "last_error": clean_text(reason)}
        return {**Rendered(f"({name})", "", "")._asdict(), **failed}


WRITERS: list[Callable[[], None]] = []


def register_writer(write: Callable[[], None]) -> None:
    """Have `write` called before messages are sent, to write those that wait for it. Call it when the app is ready."""
    WRITERS.append(write)


def write_waiting() -> None:
    for write in WRITERS:
        try:
            write()
        except Exception:
            log.exception("Messages could not be written; the next sweep tries again")


def was_told(name: str, about: models.Model | str) -> bool:
    """Whether anybody got `name` about this already."""
    return Message.objects.filter(name=name, about=about_key(about)).exists()


def about_key(about: models.Model | str) -> str:
    """What a message is about, as its row has it, for example catalog.importrun:12."""
    return about if isinstance(about, str) else f"{about._meta.label_lower}:{about.pk}"


def send_again(messages: MessageQuerySet, *, by: AbstractUser | AnonymousUser) -> int:
    """Send these once more, at once, whatever their status, and return how many. Needs `resend_message`.

    They keep their text and their Message-ID. The mail server may have been repaired meanwhile, so it is tried at once,
    too. A message that could not be rendered is left out.
    """
    if not by.has_perm("notifications.resend_message"):
        raise PermissionDenied
    with transaction.atomic():
        Outage.objects.update(next_try=Now())
        count = messages.rendered().update(status=Status.WAITING, attempts=0, next_try=Now(), sent_at=None)
        transaction.on_commit(enqueue_delivery)
    return count


def enqueue_delivery() -> None:
    """Have a worker send what is due. If the broker does not answer, the next sweep does."""
    try:
        enqueue_now("notifications.deliver")
    except BrokerError:
        log.exception("The broker does not answer; messages wait for the next sweep")


def forget_old() -> int:
    """Delete messages older than the settings say, with their attachments; never one that still waits."""
    days = settings.RETENTION_MESSAGES_DAYS
    if not days:
        return 0
    old = Message.objects.filter(told_at__lt=Now() - timedelta(days=days)).exclude(status=Status.WAITING)
    deleted, _of_each = old.delete()
    return deleted
