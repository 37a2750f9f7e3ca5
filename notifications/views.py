"""The pages where people choose their e-mails, and stop one they do not want."""

from typing import cast

from django.contrib import admin, messages
from django.contrib.auth.models import AbstractUser
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from notifications.digests import begin_now
from notifications.forms import PreferenceForm
from notifications.subscriptions import (
    decline_message,
    has_declined,
    label_of,
    locked_preference_of,
    read_stop_token,
)


@transaction.atomic
def my_mail(request: HttpRequest) -> HttpResponse:
    """Each member of staff chooses for themselves. The admin lets nobody else in."""
    preference = locked_preference_of(cast(AbstractUser, request.user))
    before = preference.digest
    form = PreferenceForm(request.POST or None, instance=preference)
    if request.method == "POST" and form.is_valid():
        begin_now(form.instance, before)
        form.save()
        messages.success(request, _("Saved. Your choices apply from now on."))
        return redirect("my-mail")
    context = {**admin.site.each_context(request), "title": _("My e-mails"), "form": form}
    return render(request, "admin/notifications/my_mail.html", context)


@csrf_exempt  # a mail program posts here, and the token says whom it is for (RFC 8058)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def stop_mail(request: HttpRequest) -> HttpResponse:
    """Stop one kind of mail to one person, with one click and no login. GET changes nothing: scanners look too."""
    found = read_stop_token(request.GET.get("token", ""))
    if found is None:
        page = render(request, "notifications/stop.html", {"unknown": True}, status=404)
    else:
        person, name = found
        if request.method == "POST":
            decline_message(person, name)
        context = {"person": person, "label": label_of(name), "stopped": has_declined(person, name)}
        page = render(request, "notifications/stop.html", context)
    page.headers["Referrer-Policy"] = "no-referrer"  # the page's address has the token
    return page
