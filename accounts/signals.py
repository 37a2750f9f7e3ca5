"""What happens when somebody has logged in with a browser."""

from typing import Any

from allauth.account.signals import user_logged_in
from django.dispatch import receiver

from accounts.models import User
from events.log import log_event


@receiver(user_logged_in, dispatch_uid="accounts.note_login")
def note_login(user: User, **_signal: Any) -> None:
    User.objects.filter(pk=user.pk, uses_browser=False).update(uses_browser=True)
    log_event("login", by=user, to="browser")
