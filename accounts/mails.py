"""Mails about one's own account. Each leads to a page; its secret is made when it is sent, and is in no row.

People who have never used a browser here read the call to make, too.
"""

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from allauth.account.forms import default_token_generator
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from django.conf import settings
from django.core import signing
from django.db import transaction
from django.urls import reverse
from structlog.contextvars import bound_contextvars

from accounts.models import Invitation, MailRequest, User
from accounts.roles import description_of
from events.log import REQUEST_ID, current_request_id
from notifications.models import Message
from notifications.outbox import about_key, enqueue_delivery, register_writer, tell, write_letter
from notifications.rendering import HIDDEN, public_url
from notifications.subscriptions import register_letter, register_necessary

CONFIRM_NEW_ADDRESS = "confirm_new_address"
INVITATION_SALT = "accounts.Invitation"


@dataclass(frozen=True)
class AccountMail:
    """The page and the call that a mail leads to, and what makes its secret: None for somebody who does not need it."""

    page: str
    query: Callable[[User], dict[str, str]]
    path: str
    body: Callable[[User], dict[str, str]]
    secret: Callable[[User], str | None] = lambda _person: ""


def reset_query(person: User) -> dict[str, str]:
    return {"uid": str(person.pk), "key": HIDDEN}


def reset_body(person: User) -> dict[str, str]:
    passwords = {"new_password1": "your new password", "new_password2": "your new password"}
    return {"uid": str(person.pk), "token": HIDDEN, **passwords}


def reset_token(person: User) -> str | None:
    return str(default_token_generator.make_token(person)) if person.has_usable_password() else None


def key_alone(_person: User) -> dict[str, str]:
    return {"key": HIDDEN}


def confirmation_key(person: User) -> str | None:
    return key_of(EmailAddress.objects.filter(user=person, email=person.email, verified=False).first())


def new_address_key(message: Message) -> str | None:
    """None when the person wants another address by now, or has given up."""
    return key_of(EmailAddress.objects.filter(user=message.recipient_id, email=message.address, verified=False).first())


def key_of(unconfirmed: EmailAddress | None) -> str | None:
    return str(EmailConfirmationHMAC.create(unconfirmed).key) if unconfirmed else None


def invitation_key(message: Message) -> str | None:
    """None when the invitation was accepted, withdrawn or sent again, or has expired."""
    link_id = message.about.partition("#")[2]
    found = Invitation.objects.open().filter(link_id=link_id).exists()
    return signing.dumps(link_id, salt=INVITATION_SALT) if found else None


def no_query(_person: User) -> dict[str, str]:
    return {}


def address_body(person: User) -> dict[str, str]:
    return {"email": person.email}


RESET_PAGE = "account_reset_password"
MAILS = {
    "password_reset": AccountMail(
        "account_open_reset_link", reset_query, "/password/reset/confirm/", reset_body, reset_token
    ),
    "confirm_address": AccountMail(
        "account_confirm_email", key_alone, "/signup/verify-email/", key_alone, confirmation_key
    ),
    "already_known": AccountMail(RESET_PAGE, no_query, "/password/reset/", address_body),
    "second_factor_changed": AccountMail("mfa_index", no_query, "/password/reset/", address_body),
    "new_device": AccountMail("usersessions_list", no_query, "/password/reset/", address_body),
    "second_factor_removed": AccountMail("mfa_index", no_query, "/password/reset/", address_body),
    "password_changed": AccountMail(RESET_PAGE, no_query, "/password/reset/", address_body),
}


def register_mails() -> None:
    """Let the outbox know these mails. Call it when the app is ready."""
    register_writer(write_requested)
    for name, mail in MAILS.items():
        register_necessary(name, mail.secret)
    register_letter(CONFIRM_NEW_ADDRESS, new_address_key)
    register_letter("address_changed")
    register_letter("invitation", invitation_key)


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
            with bound_contextvars(**{REQUEST_ID: request.request_id}):
                if request.name == CONFIRM_NEW_ADDRESS:
                    _ask_new_address(request.address, person)
                elif person and MAILS[request.name].secret(person) is not None:
                    write_mail(request.name, person)
            request.delete()


def _ask_new_address(address: str, owner: User | None) -> None:
    """Ask whoever reads the address whether it is theirs. Only somebody who has it already is told so."""
    if owner:
        write_mail("already_known", owner)
        return
    for waiting in EmailAddress.objects.filter(email=address, verified=False).select_related("user"):
        link = public_url(reverse("account_confirm_email", query=key_alone(waiting.user)))
        context = {"site": site(), "link": link}
        write_letter(CONFIRM_NEW_ADDRESS, f"{about_key(waiting.user)}#{uuid4()}", address, context, waiting.user)


def write_mail(name: str, person: User, **context: Any) -> None:
    """Write the mail to the person, in the caller's transaction."""
    mail = MAILS[name]
    body = shlex.quote(json.dumps(mail.body(person)))
    call = f"curl {site()}{mail.path} \\\n    -H 'Content-Type: application/json' \\\n    -d {body}"
    link = public_url(reverse(mail.page, query=mail.query(person)))
    # A stranger may have given the address, so the username is all that a stranger contributes to the text.
    facts = {"site": site(), "link": link, "call": "" if person.uses_browser or person.is_staff else call, **context}
    tell([person], name, f"{about_key(person)}#{uuid4()}", facts)


def write_letter_to_old_address(person: User, old: str) -> None:
    write_letter("address_changed", f"{about_key(person)}#{uuid4()}", old, {"site": site()}, person)


def write_invitation(invitation: Invitation) -> None:
    link = public_url(reverse("account_invitation", query={"key": HIDDEN}))
    context = {"site": site(), "link": link, "invitation": invitation, "role": description_of(invitation.role.name)}
    write_letter("invitation", f"{about_key(invitation)}#{invitation.link_id}", invitation.email, context)


def site() -> str:
    return str(settings.SITE_URL).rstrip("/")
