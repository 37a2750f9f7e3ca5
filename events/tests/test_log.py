"""One line for each event: when, by whom, from where, and no secret."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import transaction
from structlog.contextvars import bound_contextvars

from events.log import current_request_id, log_event, request_id_of
from events.rendering import logging_settings

Lines = Callable[[], list[dict[str, Any]]]


def formatter(*, as_text: bool) -> logging.Formatter:
    made = logging_settings(as_text=as_text)["formatters"]["lines"]
    return made.pop("()")(**made)  # type: ignore[no-any-return]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What is logged until then, as it is written in production."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter(as_text=False))
    logging.getLogger().addHandler(handler)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.getLogger().removeHandler(handler)


def test_a_line_says_when_who_and_from_where(lines: Lines) -> None:
    with bound_contextvars(request_id="abcdefgh", address="192.0.2.7"):
        log_event("upload", by="alice", run_id=3)
    (line,) = lines()
    assert list(line)[:3] == ["time", "level", "event"]
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "event": "upload",
        "request_id": "abcdefgh",
        "address": "192.0.2.7",
        "account": "alice",
        "run_id": 3,
    }


def test_empty_fields_are_left_out(lines: Lines) -> None:
    log_event("discard", by=None, run_id=None, reason="")
    assert lines()[0].keys() == {"time", "level", "event"}


def test_a_field_that_is_left_empty_is_not_taken_from_the_context(lines: Lines) -> None:
    with bound_contextvars(request_id="of-another"):
        log_event("mail", request_id="")
        logging.getLogger("any").info("in the context")
    assert [line.get("request_id") for line in lines()] == [None, "of-another"]


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_never_happened(lines: Lines) -> None:
    with transaction.atomic():
        log_event("edit", product="1")
        transaction.set_rollback(True)
    with transaction.atomic(), bound_contextvars(request_id="of-the-edit"):
        log_event("edit", product="2")
        assert lines() == []
    assert [(line["product"], line["request_id"]) for line in lines()] == [("2", "of-the-edit")]


def test_other_lines_are_messages_with_their_traceback(lines: Lines) -> None:
    try:
        secret = "in a variable"  # noqa: F841
        raise ValueError("no")
    except ValueError:
        logging.getLogger("django.db").exception("It %s", "failed\nat once")
    (line,) = lines()
    assert (line["level"], line["message"], line["logger"]) == ("error", "It failed\nat once", "django.db")
    assert line["exception"].endswith("ValueError: no")
    assert "event" not in line
    assert "in a variable" not in line["exception"].replace('secret = "in a variable"', "")


def test_a_checkout_has_text() -> None:
    record = logging.makeLogRecord({"name": "events", "msg": "upload", "levelname": "INFO", "fields": {"run_id": 3}})
    text = formatter(as_text=True).format(record)
    assert "upload" in text
    assert "run_id=3" in text


@pytest.mark.parametrize("given", ["abcdefgh", "5f0e4c6b-8a59-4d1e-9a01-6f3f4b1f9c0d", "A_b-" * 16])
def test_a_well_formed_id_is_kept(given: str) -> None:
    assert request_id_of(given) == given


@pytest.mark.parametrize(
    "given", ["", "short", "x" * 65, "has space", 'quote"quote', "line\nbreak", "ünïcödé-id", "abcdefgh\n", "a,b,c,d,e"]
)
def test_any_other_id_is_replaced(given: str) -> None:
    made = request_id_of(given)
    assert made != given
    assert request_id_of(made) == made


def test_outside_of_a_request_there_is_no_id() -> None:
    assert current_request_id() == ""
