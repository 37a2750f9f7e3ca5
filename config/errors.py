"""Errors of the API in one shape: `{"detail": "…"}`, or `{"field": ["…"]}` for each wrong field."""

import logging
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import APIException
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import exception_handler

from catalog.connections import is_lost
from catalog.errors import CatalogError, FeedRefused, NotAllowed, NotPossible, NotStored, QuotaReached
from catalog.imports.quotas import TOO_LARGE
from events.log import current_request_id

log = logging.getLogger(__name__)

STATUS = {FeedRefused: 400, NotAllowed: 403, NotPossible: 409, QuotaReached: 429, NotStored: 507}


class Unavailable(APIException):
    """The database does not answer at the moment."""

    status_code = 503
    default_detail = "The service is busy or being restarted. Try again in half a minute."
    wait = 30


class BodyNotReceived(APIException):
    """The client fell silent, or there are too many that hardly send."""

    status_code = 408
    default_detail = "The body did not arrive. Send it again."


def answer_for(error: Exception, context: dict[str, Any]) -> Response | None:
    """The answer to an error that a view raised; None for an unexpected one, which becomes a 500."""
    if isinstance(error, CatalogError):
        return Response({"detail": error.message}, status=status_of(error), headers=retry_after(error))
    if is_lost(error):
        log.error("The database does not answer", exc_info=error)
        error = Unavailable()
    if isinstance(error, UnreadablePostError):
        error = BodyNotReceived()
    answer = exception_handler(error, context)
    if answer is not None:
        answer.data = shape_errors(answer.data)
    return answer


def status_of(error: CatalogError) -> int:
    kinds = (status for kind, status in STATUS.items() if isinstance(error, kind))
    return 413 if error.code == TOO_LARGE else next(kinds)


def retry_after(error: CatalogError) -> dict[str, str]:
    return {"Retry-After": str(error.wait)} if isinstance(error, QuotaReached) else {}


def shape_errors(data: Any) -> dict[str, Any]:
    if isinstance(data, list):
        return {"detail": " ".join(sentences_in(data))}
    if "detail" in data:
        return {"detail": " ".join(sentences_in(data["detail"]))}
    fields = {name: sentences_in(problems) for name, problems in data.items()}
    about_all = fields.pop(api_settings.NON_FIELD_ERRORS_KEY, [])
    return {**fields, "detail": " ".join(about_all)} if about_all else fields


def sentences_in(problems: Any) -> list[str]:
    """The texts in whatever nesting a serializer gives them."""
    if isinstance(problems, dict):
        problems = problems.values()
    elif not isinstance(problems, list):
        return [str(problems)]
    return [sentence for problem in problems for sentence in sentences_in(problem)]


# --- errors outside the views of the API ------------------------------------------------------------------
def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return page_or_json(request, 400, "The request cannot be read.")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    detail = "You may not do this. Somebody who manages people here can give you a role that allows it."
    return admin_page(request, 403, _("Not allowed"), detail) or page_or_json(request, 403, detail)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    detail = "This form is too old, or your browser keeps no cookies. Load the page again, then send it."
    return admin_page(request, 403, _("Not sent"), detail) or page_or_json(request, 403, detail)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    shown = "The address may be mistyped, or what it showed is no longer there."
    detail = "There is nothing at this address. /docs/ lists the addresses of the API."
    return admin_page(request, 404, _("Not found"), shown) or page_or_json(request, 404, detail, "404.html")


def admin_page(request: HttpRequest, status: int, title: Any, sentence: str) -> HttpResponse | None:
    """The error within the admin, for staff who look at a page there; None for everybody else."""
    is_in_admin = request.path.startswith(reverse("admin:index")) and "text/html" in request.headers.get("Accept", "")
    if not is_in_admin or not request.user.is_staff:
        return None
    before = request.headers.get("Referer", "")
    is_ours = url_has_allowed_host_and_scheme(before, {request.get_host()}) and not before.endswith(request.path)
    context = {"title": title, "sentence": sentence, "before": before if is_ours else ""}
    return render(request, "admin/error.html", {**admin.site.each_context(request), **context}, status=status)


def server_error(request: HttpRequest) -> HttpResponse:
    detail = f"Something went wrong here. It is not your fault, and it has been logged. Request {current_request_id()}."
    return page_or_json(request, 500, detail, "500.html")


def refused(request: HttpRequest, error: CatalogError) -> HttpResponse:
    """The answer to a request that is refused before any view sees it."""
    answer = page_or_json(request, status_of(error), error.message)
    for name, value in retry_after(error).items():
        answer.headers[name] = value
    return answer


def page_or_json(request: HttpRequest, status: int, detail: str, page: str = "refused.html") -> HttpResponse:
    """A page for browsers, which ask for HTML by name; the API's shape for all others.

    The page is made without the request: it has to be there when nothing else is.
    """
    if "text/html" in request.headers.get("Accept", ""):
        shown = {"sentence": detail, "request_id": current_request_id()}
        return HttpResponse(render_to_string(page, shown), status=status)
    return JsonResponse({"detail": detail}, status=status)
