"""Pages about accounts that Django's admin does not have."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from accounts.forms import LoginForm


def admin_login(request: HttpRequest) -> HttpResponse:
    """The admin's own page to log in. Says in its status too when somebody tries too often."""
    response = admin.site.login(request)
    form = (getattr(response, "context_data", None) or {}).get("form")
    if isinstance(form, LoginForm) and form.wait:
        response.status_code = 429
        response["Retry-After"] = str(form.wait)
    return response
