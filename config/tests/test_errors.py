"""Every error of the API has one shape, whoever raises it."""

from typing import Any

import pytest
from django.db import OperationalError
from rest_framework.exceptions import Throttled, ValidationError

from catalog.errors import FeedRefused, NotAllowed, NotPossible
from config.errors import answer_for


@pytest.mark.parametrize(
    ("error", "status", "data"),
    [
        (NotAllowed("not_allowed", "You may not."), 403, {"detail": "You may not."}),
        (NotPossible("plan_changed", "It changed."), 409, {"detail": "It changed."}),
        (FeedRefused("feed.empty", "The file is empty."), 400, {"detail": "The file is empty."}),
        (ValidationError("No."), 400, {"detail": "No."}),
        (ValidationError({"mode": "Unknown."}), 400, {"mode": ["Unknown."]}),
        (ValidationError({"user": {"name": ["Too long.", "Odd."]}}), 400, {"user": ["Too long.", "Odd."]}),
        (ValidationError({"non_field_errors": ["These differ."]}), 400, {"detail": "These differ."}),
        (ValidationError({"a": ["b"], "non_field_errors": ["c"]}), 400, {"a": ["b"], "detail": "c"}),
    ],
)
def test_an_error_has_one_shape(error: Exception, status: int, data: Any) -> None:
    answer = answer_for(error, {})
    assert answer is not None
    assert (answer.status_code, answer.data) == (status, data)


def test_who_has_to_wait_is_told_how_long() -> None:
    answer = answer_for(Throttled(90), {})
    assert answer is not None
    assert answer["Retry-After"] == "90"


def test_a_database_that_is_away_is_not_an_error_of_ours() -> None:
    answer = answer_for(OperationalError("server closed the connection"), {})
    assert answer is not None
    assert answer.status_code == 503
    assert answer["Retry-After"]
    assert "server closed" not in answer.data["detail"]


def test_what_nobody_foresaw_stays_an_error() -> None:
    assert answer_for(ZeroDivisionError(), {}) is None
