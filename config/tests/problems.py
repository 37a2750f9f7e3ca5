"""Errors as the tests read them."""

from __future__ import annotations

from typing import Any

from config.problems import JSON, MEMBERS


def said(answer: Any) -> dict[str, Any]:
    """The sentences about each field, or the `detail` where none is wrong. The rest is as it should be."""
    data = answer.json()
    assert answer["Content-Type"] == JSON
    assert (data["type"], data["status"]) == ("about:blank", answer.status_code)
    assert all(isinstance(data[name], str) and data[name] for name in ("title", "detail", "code"))
    errors: dict[str, Any] = data.get("errors", {})
    beside = {name: sentences for name, sentences in data.items() if name not in MEMBERS}
    assert beside == {name: sentences for name, sentences in errors.items() if name not in MEMBERS}
    return errors or {"detail": data["detail"]}
