"""What happens when somebody has logged in with a browser."""

from typing import Any

from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.signals import user_logged_in
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_added, authenticator_removed
from django.contrib import messages
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from accounts.history import note_login
from accounts.mails import write_mail
from accounts.models import User
from accounts.second_factor import is_missing, is_overdue
from events.log import log_event


@receiver(user_logged_in, dispatch_uid="accounts.note_login")
def note_browser_login(request: HttpRequest, user: User, **_signal: Any) -> None:
    User.objects.filter(pk=user.pk, uses_browser=False).update(uses_browser=True)
    steps = get_authentication_records(request, user)
    note_login(request, user, [step.get("type") or step["method"] for step in steps], to="browser")
    if is_missing(user) and not is_overdue(user):
        due = date_format(timezone.localtime(user.second_factor_due), "j F Y")
        said = _("From %s on, your rights need a second factor. Set one up under My account.")
        messages.warning(request, said % due)


@receiver([authenticator_added, authenticator_removed], dispatch_uid="accounts.note_second_factor")
def note_second_factor(user: User, authenticator: Authenticator, signal: Any, **_more: Any) -> None:
    if authenticator.type == Authenticator.Type.RECOVERY_CODES:
        return  # they come and go with the others
    done = "added" if signal is authenticator_added else "removed"
    write_mail("second_factor_changed", user, done=done)
    log_event(f"second_factor_{done}", by=user)
