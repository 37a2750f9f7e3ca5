"""Rules for every request."""

import json
import logging
import re
from collections.abc import Callable, Iterable
from threading import BoundedSemaphore
from typing import Any

from django.contrib import messages
from django.core.exceptions import TooManyFieldsSent
from django.db import DEFAULT_DB_ALIAS, connections
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponsePermanentRedirect
from django.middleware.common import CommonMiddleware
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from redis.exceptions import RedisError

from accounts.limits import NotCounted, TooManyTries
from accounts.second_factor import is_overdue
from catalog.connections import is_lost
from catalog.errors import CatalogError
from catalog.upload_handler import length_of
from config.errors import admin_page, page_or_problem, refused, status_of
from config.problems import media_type_for, problem
from events.log import HEADER, current_request_id

log = logging.getLogger(__name__)

# Somebody waits for the answer; longer work belongs to a worker.
WAITING_LIMITS = "-c statement_timeout=60s -c lock_timeout=5s"
RETRY_AFTER_SECONDS = 30
MANY = "The address has too many parameters. Send at most 1,000."
NUL = "The address contains a NUL character. Remove %00 from it."
LENGTH = "The length of the body is missing. Send it with a Content-Length: from a file, not from a pipe."
CHARSET = re.compile(r";\s*charset\s*=\s*(\"[^\"]*\"|[^;]*)", re.IGNORECASE)


# Half of the web server's threads, which the Dockerfile names: bodies that hardly arrive leave the others to pages.
MAX_BODIES = 16
MAX_SILENCE_SECONDS = 30
BUSY = "Too many requests are being received at the moment. Try again in some seconds."


def in_utf8(application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """Read requests as UTF-8, whatever charset they name.

    Django reads even the address in that charset, before any middleware, and fails for those of Python's charsets
    that are not for text.
    """

    def serve(request: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request["CONTENT_TYPE"] = CHARSET.sub("", request.get("CONTENT_TYPE", ""))
        return application(request, start_response)

    return serve


def limit_reading(application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """Read so many bodies at a time, from the first byte to the last; others are asked to come again."""
    slots = BoundedSemaphore(MAX_BODIES)

    def serve(request: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if connection := request.get("gunicorn.socket"):
            connection.settimeout(MAX_SILENCE_SECONDS)  # it waits for ever
        if length_of(request) <= 0:
            return application(request, start_response)
        body = request["wsgi.input"] = _LimitedBody(request["wsgi.input"], length_of(request), slots)
        begun: list[Any] = []
        try:
            answer = application(request, lambda *status_and_headers: begun.extend(status_and_headers))
        finally:
            body.release()
        if body.is_refused:  # whatever the application made of it
            request_id = [header for header in begun[1] if header[0] == HEADER]
            media_type = media_type_for(request.get("HTTP_ACCEPT", ""))
            headers = [("Content-Type", media_type), ("Retry-After", "5"), *request_id]
            begun = ["503 Service Unavailable", headers]
            answer = [json.dumps(problem(503, BUSY, "busy")).encode()]
        start_response(*begun)
        return answer

    return serve


class _LimitedBody:
    """A body that takes a slot when it is read, and gives it back when nothing more of it is awaited."""

    def __init__(self, body: Any, size: int, slots: BoundedSemaphore) -> None:
        self._body, self._awaited, self._slots = body, size, slots
        self._holds_slot = self.is_refused = False

    def read(self, size: int = -1) -> bytes:
        return self._read_with(self._body.read, size)

    def readline(self, size: int = -1) -> bytes:
        return self._read_with(self._body.readline, size)

    def _read_with(self, read: Callable[[int], bytes], size: int) -> bytes:
        if self._awaited > 0 and not self._holds_slot:
            self._holds_slot = self._slots.acquire(blocking=False)
            self.is_refused = not self._holds_slot
            if self.is_refused:
                raise OSError(BUSY)
        data = read(size)
        self._awaited -= len(data) or self._awaited
        if self._awaited <= 0:
            self.release()
        return data

    def release(self) -> None:
        if self._holds_slot:
            self._holds_slot = False
            self._slots.release()


# What pages may load. The admin's Alpine evaluates expressions and sets styles. Products show pictures of any shop, of
# which catalog.admin.pictures leaves some out.
PAGES = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: https:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)
DATA = "default-src 'none'; frame-ancestors 'none'"


def limit_what_pages_load(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """A Content-Security-Policy on every answer, errors included: a script smuggled in by a feed cannot run."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        is_page = response.get("Content-Type", "").startswith("text/html")
        response.headers.setdefault("Content-Security-Policy", PAGES if is_page else DATA)
        return response

    return middleware


def refuse_bad_address(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Refuse addresses with a NUL, which is never meant and makes PostgreSQL raise when a filter passes it on, and
    those with more parameters than Django reads: before anything else looks at them.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        try:
            parameters = request.GET.lists()
        except TooManyFieldsSent:
            return page_or_problem(request, 400, MANY, "too_many_parameters")
        if "\x00" in request.path or any("\x00" in text for _name, texts in parameters for text in texts):
            if request.path.startswith("/admin/"):
                return HttpResponseBadRequest(NUL, "text/plain")
            return page_or_problem(request, 400, NUL, "nul_in_address")
        return get_response(request)

    return middleware


def want_length(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Refuse a body without a length: Django reads it as an empty one, which misleads the sender."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if "Transfer-Encoding" in request.headers and not request.META.get("CONTENT_LENGTH"):
            return page_or_problem(request, 411, LENGTH, "length_required")
        return get_response(request)

    return middleware


class _Redirect(HttpResponsePermanentRedirect):
    """To the address with a slash. It has no body, so it has no media type."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        del self.headers["Content-Type"]


class Slashes(CommonMiddleware):
    """As Django's: an address without the slash at its end leads to the one with it, where nothing is sent.

    Clients do not repeat what they sent, so a POST is not found, and the answer says why.
    """

    response_redirect_class = _Redirect

    def should_redirect_with_slash(self, request: HttpRequest) -> bool:
        return request.method in ("GET", "HEAD") and super().should_redirect_with_slash(request)


class DatabaseAway:
    """Answer 503 with a sentence while the database is away, restarts, or keeps a request waiting too long."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return answer_without_database(error)


def answer_without_database(error: Exception) -> HttpResponse | None:
    """The answer to an error of a database that is away; None for any other error."""
    if not is_lost(error):
        return None
    log.error("The database does not answer", exc_info=error)
    page = render_to_string("503.html", {"request_id": current_request_id()})
    return HttpResponse(page, status=503, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


class RefusedTries:
    """Answer in words where a page's tries are over, or cannot be counted because the cache does not answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, RedisError):
            error = NotCounted()
        if not isinstance(error, TooManyTries | NotCounted):
            return None
        answer = page_or_problem(request, error.status_code, str(error.detail), error.default_code)
        answer.headers["Retry-After"] = str(error.wait)
        return answer


class RefusedOperations:
    """Answer in words where a page asks for what is not possible any more: it is gone, or in another state by now.

    Views that can say it on the page they came from do so themselves.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, CatalogError):
            return None
        page = admin_page(request, status_of(error), _("Not possible"), error.message)
        return page or refused(request, error)


class DemandSecondFactor:
    """Whoever has no second factor after the days of grace, and must have one, sets it up before entering the admin."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_view(self, request: HttpRequest, _view: Any, _arguments: Any, _options: Any) -> HttpResponse | None:
        if not request.path.startswith(reverse("admin:index")) or request.path == reverse("admin:logout"):
            return None
        try:
            if not request.user.is_authenticated or not is_overdue(request.user):
                return None
        except Exception as error:  # nobody else is asked: this is no view yet
            if answer := answer_without_database(error):
                return answer
            raise
        messages.warning(request, _("Your rights need a second factor. Set one up, then go on."))
        return redirect("mfa_index")


def limit_waiting() -> None:
    """Limit the waiting of each connection that this process opens: for processes that serve requests.

    They are the connection's own limits, to which a `RESET` after other work comes back.
    """
    options = connections[DEFAULT_DB_ALIAS].settings_dict.setdefault("OPTIONS", {})
    options["options"] = f"{options.get('options', '')} {WAITING_LIMITS}".strip()
