"""Mails about one's own account. Each says what call to make; its secret is made when it is sent, and is in no row."""

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

from allauth.account.forms import default_token_generator
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from django.conf import settings
from django.db import transaction
from structlog.contextvars import bound_contextvars

from accounts.models import MailRequest, User
from events.log import REQUEST_ID, current_request_id
from notifications.outbox import about_key, enqueue_delivery, register_writer, tell
from notifications.rendering import HIDDEN
from notifications.subscriptions import register_necessary


@dataclass(frozen=True)
class AccountMail:
    """The call that a mail says to make, and what makes its secret: None for a person who does not need the mail."""

    path: str
    body: Callable[[User], dict[str, str]]
    secret: Callable[[User], str | None] = lambda _person: ""


def reset_body(person: User) -> dict[str, str]:
    passwords = {"new_password1": "your new password", "new_password2": "your new password"}
    return {"uid": str(person.pk), "token": HIDDEN, **passwords}


def reset_token(person: User) -> str | None:
    return str(default_token_generator.make_token(person)) if person.has_usable_password() else None


def confirmation_body(_person: User) -> dict[str, str]:
    return {"key": HIDDEN}


def confirmation_key(person: User) -> str | None:
    unconfirmed = EmailAddress.objects.filter(user=person, email=person.email, verified=False).first()
    return str(EmailConfirmationHMAC.create(unconfirmed).key) if unconfirmed else None


def address_body(person: User) -> dict[str, str]:
    return {"email": person.email}


MAILS = {
    "password_reset": AccountMail("/password/reset/confirm/", reset_body, reset_token),
    "confirm_address": AccountMail("/signup/verify-email/", confirmation_body, confirmation_key),
    "already_known": AccountMail("/password/reset/", address_body),
    "password_changed": AccountMail("/password/reset/", address_body),
}


def register_mails() -> None:
    """Let the outbox know these mails. Call it when the app is ready."""
    register_writer(write_requested)
    for name, mail in MAILS.items():
        register_necessary(name, mail.secret)


def request_mail(name: str, address: str) -> None:
    """Have a mail sent to the active person who has the address and needs it.

    What this does, and how long it takes, is the same when there is no such person: the worker that sends mails finds
    out. The request is a row, so it is not lost with the broker.
    """
    MailRequest.objects.create(name=name, address=address, request_id=current_request_id())
    transaction.on_commit(enqueue_delivery)


def write_requested() -> None:
    """Write the mails that were asked for. Each request ends in the transaction that writes its mail."""
    for pk in MailRequest.objects.order_by("pk").values_list("pk", flat=True):
        with transaction.atomic():
            request = MailRequest.objects.select_for_update(skip_locked=True).filter(pk=pk).first()
            if request is None:
                continue  # another worker has it
            person = User.objects.filter(email=request.address, is_active=True).first()
            if person and MAILS[request.name].secret(person) is not None:
                with bound_contextvars(**{REQUEST_ID: request.request_id}):
                    write_mail(request.name, person)
            request.delete()


def write_mail(name: str, person: User) -> None:
    """Write the mail to the person, in the caller's transaction."""
    site, mail = settings.SITE_URL.rstrip("/"), MAILS[name]
    body = shlex.quote(json.dumps(mail.body(person)))
    call = f"curl {site}{mail.path} \\\n    -H 'Content-Type: application/json' \\\n    -d {body}"
    # A stranger may have given the address, so the username is all that a stranger contributes to the text.
    tell([person], name, f"{about_key(person)}#{uuid4()}", {"site": site, "call": call})
