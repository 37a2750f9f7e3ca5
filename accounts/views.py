"""The admin's login page."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from accounts.forms import LoginForm
from events.log import log_event


def admin_login(request: HttpRequest) -> HttpResponse:
    """Django's own page, with status 429 after too many tries, and 503 while tries cannot be counted."""
    response = admin.site.login(request)
    if request.method == "POST" and response.status_code == 302:
        log_event("login", by=request.user, to="admin")
    form = (getattr(response, "context_data", None) or {}).get("form")
    if isinstance(form, LoginForm) and form.refused:
        response.status_code = form.refused.status_code
        response["Retry-After"] = str(form.refused.wait)
    return response
