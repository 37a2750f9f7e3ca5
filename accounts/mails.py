"""Mails about one's own account. They hold what opens it, so each is written when it is sent and kept nowhere."""

import json
import shlex

from allauth.account.forms import default_token_generator
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string

from accounts.models import User


def send_password_reset(address: str) -> None:
    """Say how to set a new password to the active person with that address, if there is one who has a password."""
    user = User.objects.filter(email=address, is_active=True).first()
    if user and user.has_usable_password():
        call = {"uid": str(user.pk), "token": default_token_generator.make_token(user)}
        passwords = {"new_password1": "your new password", "new_password2": "your new password"}
        _send("password_reset", user, call | passwords)


def send_confirmation(address: str) -> None:
    """Say how to confirm the address, if it waits for that."""
    waiting = EmailAddress.objects.filter(email=address, verified=False, user__is_active=True).select_related("user")
    for email_address in waiting:
        key = EmailConfirmationHMAC.create(email_address).key
        _send("confirm_address", email_address.user, {"key": key})


def send_already_known(address: str) -> None:
    """Say that there is an account already, to the person with that address."""
    user = User.objects.filter(email=address, is_active=True).first()
    if user:
        _send("already_known", user, {"email": user.email})


def send_password_changed(user: User) -> None:
    """Warn the owner, in case somebody else changed it."""
    _send("password_changed", user, {"email": user.email})


def _send(name: str, user: User, call: dict[str, str]) -> None:
    """A stranger may have given the address, so the username is all that a stranger contributes to the text."""
    site, body = settings.SITE_URL.rstrip("/"), shlex.quote(json.dumps(call))
    text = render_to_string(f"accounts/mails/{name}.txt", {"site": site, "user": user, "body": body})
    subject, _, rest = text.partition("\n")
    EmailMessage(subject, rest.strip() + "\n", to=[user.email], headers={"Auto-Submitted": "auto-generated"}).send()
