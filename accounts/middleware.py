"""A rule for whoever enters the admin."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.second_factor import is_overdue


class DemandSecondFactor:
    """Whoever must have a second factor and has none, after the days of grace, sets one up before anything else."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_view(self, request: HttpRequest, _view: Any, _arguments: Any, _options: Any) -> HttpResponse | None:
        is_admin = request.path.startswith(reverse("admin:index")) and request.path != reverse("admin:logout")
        if not is_admin or not request.user.is_authenticated or not is_overdue(request.user):
            return None
        messages.warning(request, _("Your rights need a second factor. Set one up, then go on."))
        return redirect("mfa_index")
