"""What allauth's pages ask us: where people go, what is sent to whom, and which address a request comes from."""

import ipaddress
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from django.contrib import messages
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.addresses import confirm_address
from accounts.limits import MAILS_TO, TooManyTries, client_address
from accounts.mails import request_mail
from accounts.models import User
from accounts.passwords import save_password

NOBODY = "0.0.0.0"  # noqa: S104  # who comes by a socket has no address


class AccountAdapter(DefaultAccountAdapter):
    """Mails go through the outbox, and tries are counted by `accounts.limits`, so allauth does neither."""

    error_messages = {**DefaultAccountAdapter.error_messages, "incorrect_password": _("The password is wrong.")}

    def get_client_ip(self, request: HttpRequest) -> str:
        address = client_address(request)
        try:
            return str(ipaddress.ip_address(address))
        except ValueError:
            return NOBODY

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        return reverse("admin:index") if request.user.is_staff else reverse("account_home")

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return reverse("account_home")

    def get_email_verification_redirect_url(self, email_address: EmailAddress) -> str:
        return reverse("account_home")  # which asks a stranger to log in

    def set_password(self, user: User, password: str) -> None:
        save_password(user, password)

    def send_confirmation_mail(self, request: HttpRequest, emailconfirmation: Any, signup: bool) -> None:
        """Somebody with the right password is asked once more, as often as through the API."""
        address = emailconfirmation.email_address.email
        try:
            MAILS_TO.take("confirm_address", address)
        except TooManyTries:
            return  # the earlier mails are on their way
        request_mail("confirm_address", address)

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        confirmed = confirm_address(email_address)
        if confirmed:
            messages.success(request, _("%s is confirmed.") % email_address.email)
        else:
            messages.error(request, _("%s cannot be used.") % email_address.email)
        return confirmed
