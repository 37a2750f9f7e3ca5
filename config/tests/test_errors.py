"""Every error of the API has one shape, whoever raises it."""

from http import HTTPStatus
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import Http404
from rest_framework.exceptions import Throttled, ValidationError
from rest_framework_simplejwt.exceptions import InvalidToken

from catalog.errors import FeedRefused, NotAllowed, NotPossible
from config.errors import answer_for
from config.problems import JSON, MEMBERS, PROBLEM, media_type_for, problem


@pytest.mark.parametrize(
    ("error", "status", "code", "detail", "errors"),
    [
        (NotAllowed("not_allowed", "You may not."), 403, "not_allowed", "You may not.", None),
        (NotPossible("plan_changed", "It changed."), 409, "plan_changed", "It changed.", None),
        (FeedRefused("feed.empty", "The file is empty."), 400, "feed.empty", "The file is empty.", None),
        (Http404("There is none."), 404, "not_found", "There is none.", None),
        (PermissionDenied("No."), 403, "permission_denied", "No.", None),
        (InvalidToken("No."), 401, "token_not_valid", "No.", None),
        (ValidationError("No."), 400, "invalid", "No.", None),
        (ValidationError({"mode": "Unknown."}), 400, "invalid", "mode: Unknown.", {"mode": ["Unknown."]}),
        (
            ValidationError({"user": {"name": ["Too long.", "Odd."]}}),
            400,
            "invalid",
            "user: Too long. user: Odd.",
            {"user": ["Too long.", "Odd."]},
        ),
        (ValidationError({"non_field_errors": ["These differ."]}), 400, "invalid", "These differ.", None),
        (ValidationError({"a": ["b"], "non_field_errors": ["c"]}), 400, "invalid", "c", {"a": ["b"]}),
    ],
)
def test_an_error_has_one_shape(error: Exception, status: int, code: str, detail: str, errors: Any) -> None:
    answer = answer_for(error, {})
    assert answer is not None
    title = HTTPStatus(status).phrase
    members = {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail}
    assert answer.status_code == status
    assert answer.data == members | ({"errors": errors, **errors} if errors else {})


@pytest.mark.parametrize("name", MEMBERS)
def test_a_field_named_as_a_member_of_the_problem_is_only_among_its_errors(name: str) -> None:
    document = problem(400, "", "invalid", {name: ["Wrong."]})
    assert document["errors"] == {name: ["Wrong."]}
    assert document.get(name) != ["Wrong."]


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/json", JSON),
        ("application/*", JSON),
        ("application/problem+json", PROBLEM),
        ("application/json, Application/Problem+JSON; q=0.5", PROBLEM),
        ("application/problem+json;q=0, */*", JSON),
        ("application/problem+xml", JSON),
        (", ;;q=x", JSON),
    ],
)
def test_only_a_client_that_names_problem_documents_gets_their_media_type(accept: str, media_type: str) -> None:
    assert media_type_for(accept) == media_type


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
