"""Errors of the API in one shape: `{"detail": "…"}`, or `{"field": ["…"]}` for each wrong field."""

import logging
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.shortcuts import render
from django.views import defaults
from rest_framework.exceptions import APIException
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import exception_handler

from catalog.connections import is_lost
from catalog.errors import CatalogError, FeedRefused, NotAllowed, NotPossible, NotStored, QuotaReached
from catalog.imports.quotas import TOO_LARGE

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
    return page_or_json(request, 400, "The request cannot be read.", lambda: defaults.bad_request(request, exception))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return page_or_json(request, 403, "You may not do this.", lambda: defaults.permission_denied(request, exception))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    detail = "There is nothing at this address. /docs/ lists the addresses of the API."
    return page_or_json(request, 404, detail, lambda: defaults.page_not_found(request, exception))


def server_error(request: HttpRequest) -> HttpResponse:
    detail = "Something went wrong here. It is not your fault, and it has been logged."
    return page_or_json(request, 500, detail, lambda: defaults.server_error(request))


def refused(request: HttpRequest, error: CatalogError) -> HttpResponse:
    """The answer to a request that is refused before any view sees it."""
    status = status_of(error)
    shown = {"sentence": error.message}
    answer = page_or_json(request, status, error.message, lambda: render(request, "refused.html", shown, status=status))
    for name, value in retry_after(error).items():
        answer.headers[name] = value
    return answer


def page_or_json(request: HttpRequest, status: int, detail: str, page: Callable[[], HttpResponse]) -> HttpResponse:
    """A page for browsers, which ask for HTML by name; the API's shape for all others."""
    if "text/html" in request.headers.get("Accept", ""):
        return page()
    return JsonResponse({"detail": detail}, status=status)
