"""What the templates of the account pages have."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

PAGES = (
    ("account_home", _("My account")),
    ("account_email", _("E-mail address")),
    ("account_change_password", _("Password")),
    ("mfa_index", _("Second factor")),
    ("usersessions_list", _("Logins")),
    ("account_history", _("Login history")),
    ("account_keys", _("API keys")),
)


def look_of_the_admin(request: HttpRequest) -> dict[str, Any]:
    """The admin's look, on the pages about one's own account alone: its own pages have it already."""
    if not request.path.startswith((reverse("account_home"), reverse("admin:login"))):
        return {}
    return {**admin.site.each_context(request), "account_nav": PAGES}
