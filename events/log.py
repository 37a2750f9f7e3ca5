"""What happened, in a line for each event. docs/events.md lists them all."""

import logging
import re
import uuid
from functools import partial
from typing import Any

from django.db import transaction
from structlog.contextvars import get_contextvars

EVENTS = "events"
REQUEST_ID, HEADER = "request_id", "X-Request-ID"
WELL_FORMED = re.compile(r"[A-Za-z0-9_-]{8,64}")

log = logging.getLogger(EVENTS)


def log_event(event: str, *, by: Any = None, level: int = logging.INFO, **fields: Any) -> None:
    """Log the event with these fields, when the transaction is committed; one that is rolled back never happened.

    `by` is the person who did it, or their name; None is the system. The line also has what is bound to the context:
    the request, the run, the client's address. Empty fields are left out. Give no password, token, link or text of a
    mail.
    """
    if getattr(by, "is_authenticated", True):  # a name, too
        fields = {"account": str(by or ""), **fields}
    known = {name: value for name, value in {**get_contextvars(), **fields}.items() if value not in (None, "")}
    write = partial(log.log, level, event, extra={"fields": known})
    if transaction.get_connection().in_atomic_block:
        transaction.on_commit(write, robust=True)
    else:
        write()


# --- the request --------------------------------------------------------------------------------------


def request_id_of(given: str) -> str:
    """The id that a proxy or a client gave its request, if it is one; else a new one."""
    return given if WELL_FORMED.fullmatch(given) else uuid.uuid4().hex


def current_request_id() -> str:
    """The id of the request that this thread answers, or that its task comes from; `""` if there is none."""
    return str(get_contextvars().get(REQUEST_ID, ""))


def request_header() -> dict[str, str]:
    """The header by which a task knows the request that it comes from."""
    return {REQUEST_ID: current_request_id()} if current_request_id() else {}
