"""Errors of the API in one shape, whoever raises them, and pages for browsers."""

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import is_valid_path, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import APIException
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import exception_handler

from catalog.connections import is_lost
from catalog.errors import CatalogError, FeedRefused, NotAllowed, NotPossible, NotStored, QuotaReached
from catalog.imports.quotas import TOO_LARGE
from config.problems import JSON, media_type_for, problem
from events.log import current_request_id

log = logging.getLogger(__name__)

STATUS = {FeedRefused: 400, NotAllowed: 403, NotPossible: 409, QuotaReached: 429, NotStored: 507}


class Unavailable(APIException):
    """The database does not answer at the moment."""

    status_code = 503
    default_code = "unavailable"
    default_detail = "The service is busy or being restarted. Try again in half a minute."
    wait = 30


class BodyNotReceived(APIException):
    """The client fell silent, or there are too many that hardly send."""

    status_code = 408
    default_code = "body_not_received"
    default_detail = "The body did not arrive. Send it again."


def answer_for(error: Exception, context: dict[str, Any]) -> Response | None:
    """The answer to an error that a view raised; None for an unexpected one, which becomes a 500."""
    media_type = JSON
    if request := context.get("request"):
        media_type = media_type_for(request.headers.get("Accept", ""))
        if not isinstance(getattr(request, "accepted_renderer", None), JSONRenderer):  # of pages, or of another format
            request.accepted_renderer, request.accepted_media_type = JSONRenderer(), JSON
    if isinstance(error, CatalogError):
        status = status_of(error)
        data = problem(status, error.message, error.code)
        return Response(data, status, headers=retry_after(error), content_type=media_type)
    if is_lost(error):
        log.error("The database does not answer", exc_info=error)
        error = Unavailable()
    if isinstance(error, UnreadablePostError):
        error = BodyNotReceived()
    answer = exception_handler(error, context)
    if answer is not None:
        detail, fields = shape_errors(answer.data)
        answer.data = problem(answer.status_code, detail, code_of(error, answer.data), fields)
        answer.content_type = media_type
    return answer


def code_of(error: Exception, data: Any) -> str:
    """The stable name of an error: the one of its sentence if it has a single one, else its kind's."""
    said = data.get("detail") if isinstance(data, dict) else None
    return str(getattr(said, "code", None) or getattr(error, "default_code", "error"))


def status_of(error: CatalogError) -> int:
    kinds = (status for kind, status in STATUS.items() if isinstance(error, kind))
    return 413 if error.code == TOO_LARGE else next(kinds)


def retry_after(error: CatalogError) -> dict[str, str]:
    return {"Retry-After": str(error.wait)} if isinstance(error, QuotaReached) else {}


def shape_errors(data: Any) -> tuple[str, dict[str, list[str]]]:
    """What is said of the whole request, and of each wrong field."""
    if isinstance(data, list):
        return " ".join(sentences_in(data)), {}
    if "detail" in data:
        return " ".join(sentences_in(data["detail"])), {}
    fields = {name: sentences_in(problems) for name, problems in data.items()}
    return " ".join(fields.pop(api_settings.NON_FIELD_ERRORS_KEY, [])), fields


def sentences_in(problems: Any) -> list[str]:
    """The texts in whatever nesting a serializer gives them."""
    if isinstance(problems, dict):
        problems = problems.values()
    elif not isinstance(problems, list):
        return [str(problems)]
    return [sentence for problem in problems for sentence in sentences_in(problem)]


# --- errors outside the views of the API ------------------------------------------------------------------
def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return page_or_problem(request, 400, "The request cannot be read.", "bad_request")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    detail = "You may not do this. Somebody who manages people here can give you a role that allows it."
    return admin_page(request, 403, _("Not allowed"), detail) or page_or_problem(
        request, 403, detail, "permission_denied"
    )


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    detail = "This form is too old, or your browser keeps no cookies. Load the page again, then send it."
    return admin_page(request, 403, _("Not sent"), detail) or page_or_problem(request, 403, detail, "csrf_failed")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    shown = "The address may be mistyped, or what it showed is no longer there."
    detail = "There is nothing at this address. /docs/ lists the addresses of the API."
    if is_valid_path(f"{request.path_info}/"):
        detail = f"There is nothing at this address, but at {request.path}/ with a slash at its end."
    page = admin_page(request, 404, _("Not found"), shown)
    return page or page_or_problem(request, 404, detail, "not_found", "404.html")


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
    return page_or_problem(request, 500, detail, "server_error", "500.html")


def refused(request: HttpRequest, error: CatalogError) -> HttpResponse:
    """The answer to a request that is refused before any view sees it."""
    answer = page_or_problem(request, status_of(error), error.message, error.code)
    for name, value in retry_after(error).items():
        answer.headers[name] = value
    return answer


def page_or_problem(
    request: HttpRequest, status: int, detail: str, code: str, page: str = "refused.html"
) -> HttpResponse:
    """A page for browsers, which ask for HTML by name; the API's shape for all others.

    The page is made without the request: it has to be there when nothing else is.
    """
    if wants_page(request):
        shown = {"sentence": detail, "request_id": current_request_id()}
        return HttpResponse(render_to_string(page, shown), status=status)
    media_type = media_type_for(request.headers.get("Accept", ""))
    return JsonResponse(problem(status, detail, code), status=status, content_type=media_type)


def wants_page(request: HttpRequest) -> bool:
    return "text/html" in request.headers.get("Accept", "")


def without_html(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Give programs no page for an error, whoever made one: Django's own, also those of a checkout, or a decorator.

    The pages for people, and the scripts on them, are left alone.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        is_for_people = request.path.startswith(("/admin/", "/accounts/", "/mail/")) or wants_page(request)
        if response.status_code < 400 or is_for_people or not response.get("Content-Type", "").startswith("text/"):
            return response
        said = problem_for(request, response.status_code)
        response.content, response.headers["Content-Type"] = said.content, said.headers["Content-Type"]
        response.headers.pop("Content-Length", None)
        return response

    return middleware


def problem_for(request: HttpRequest, status: int) -> HttpResponse:
    """The error with this status, where nothing else is known of it."""
    if status == 400:
        return bad_request(request, Exception())
    if status == 404:
        return not_found(request, Exception())
    if status == 500:
        return server_error(request)
    known = HTTPStatus(status)
    code = known.name.lower()
    if status == 405:
        return page_or_problem(request, 405, f'Method "{request.method}" not allowed.', code)
    if status == 503:
        return page_or_problem(request, 503, Unavailable.default_detail, Unavailable.default_code)
    return page_or_problem(request, status, f"{known.description or known.phrase}.", code)
