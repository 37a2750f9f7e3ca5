"""Mails about one's own account. They hold what opens it: whoever sends one writes it then, and it is kept nowhere."""

import json
import shlex

from allauth.account.forms import default_token_generator
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string

from accounts.models import User


def send_password_reset(address: str) -> None:
    """To the active person of that address, if there is one who has a password at all: how to set a new one."""
    user = User.objects.filter(email=address, is_active=True).first()
    if user and user.has_usable_password():
        call = {"uid": str(user.pk), "token": default_token_generator.make_token(user)}
        passwords = {"new_password1": "your new password", "new_password2": "your new password"}
        _send("password_reset", user, call | passwords)


def send_confirmation(address: str) -> None:
    """To an address that waits for it: how to confirm that it is one's own."""
    waiting = EmailAddress.objects.filter(email=address, verified=False, user__is_active=True).select_related("user")
    for email_address in waiting:
        key = EmailConfirmationHMAC.create(email_address).key
        _send("confirm_address", email_address.user, {"key": key})


def send_already_known(address: str) -> None:
    """To somebody in whose name an account was asked for while they have one."""
    user = User.objects.filter(email=address, is_active=True).first()
    if user:
        _send("already_known", user, {"email": user.email})


def send_password_changed(user: User) -> None:
    """To the owner, who may not have been the one who did it."""
    _send("password_changed", user, {"email": user.email})


def _send(name: str, user: User, call: dict[str, str]) -> None:
    """Nothing of the text is a stranger's but the username: who makes an account may give any address."""
    site, body = settings.SITE_URL.rstrip("/"), shlex.quote(json.dumps(call))
    text = render_to_string(f"accounts/mails/{name}.txt", {"site": site, "user": user, "body": body})
    subject, _, rest = text.partition("\n")
    EmailMessage(subject, rest.strip() + "\n", to=[user.email], headers={"Auto-Submitted": "auto-generated"}).send()
