"""Each request has an id, which its answer, its lines in the log and the tasks that it enqueues have too."""

import logging
import re
import time
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject
from structlog.contextvars import bound_contextvars

from accounts.limits import client_address
from accounts.models import ApiKey
from config.latency import count_call, method_of
from events.log import HEADER, log_event, request_id_of
from events.telemetry import span

MAX_PATH_CHARS = 500


def log_requests(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Give the request its id, and log its answer without what the address has after `?`."""

    def middleware(request: HttpRequest) -> HttpResponse:
        request_id, start = request_id_of(request.headers.get(HEADER, "")), time.monotonic()
        with bound_contextvars(request_id=request_id, address=client_address(request)):
            with span("request", method=method_of(request)) as seen:
                response = get_response(request)
                seen |= {"name": f"{method_of(request)} {view_of(request)}".strip(), "status": response.status_code}
            response.headers[HEADER] = request_id
            status, by = response.status_code, known_account(request)
            if status == 403:
                log_event(
                    "permission_refused", by=by, level=logging.WARNING, method=request.method, view=view_of(request)
                )
            key, seconds = getattr(request, "auth", None), round(time.monotonic() - start, 3)
            count_call(request, status, seconds)
            log_event(
                "request",
                by=by,
                method=request.method,
                path=request.path[:MAX_PATH_CHARS],
                status=status,
                seconds=seconds,
                key=key.pk if isinstance(key, ApiKey) else None,
            )
        return response

    return middleware


def view_of(request: HttpRequest) -> str:
    return request.resolver_match.view_name if request.resolver_match else ""


def known_account(request: HttpRequest) -> Any:
    """Who sent the request, if anything asked for that: the log does not look anybody up."""
    user = getattr(request, "user", None)
    return getattr(request, "_cached_user", "") if type(user) is SimpleLazyObject else user


def hide_queries(record: logging.LogRecord) -> bool:
    """Let the development server write addresses without what follows `?`: the tokens of mails stand there."""
    if isinstance(record.args, tuple):
        record.args = tuple(re.sub(r"\?\S*", "", part) if isinstance(part, str) else part for part in record.args)
    return True


logging.getLogger("django.server").addFilter(hide_queries)
