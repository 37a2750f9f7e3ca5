"""The admin's login page."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from accounts.forms import LoginForm


def admin_login(request: HttpRequest) -> HttpResponse:
    """Django's own page, with status 429 after too many tries."""
    response = admin.site.login(request)
    form = (getattr(response, "context_data", None) or {}).get("form")
    if isinstance(form, LoginForm) and form.wait:
        response.status_code = 429
        response["Retry-After"] = str(form.wait)
    return response
