"""What webhooks are sent, for programs that are made from the description: no call answers it.

OpenAPI 3.0 has no place for webhooks. Their bodies are schemas like others; `x-webhooks` says which event has which.
"""

from __future__ import annotations

from typing import Any

from catalog.imports.announce import COUNTS
from catalog.models import WebhookEvent

_TEXT, _NUMBER, _LINK = {"type": "string"}, {"type": "integer"}, {"type": "string", "format": "uri"}
_MOMENT = {"type": "string", "format": "date-time"}


def _record(description: str, optional: dict[str, Any] | None = None, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "description": description,
        "properties": {**properties, **(optional or {})},
        "required": [*properties],
    }


def _event(description: str, events: list[str], data: str) -> dict[str, Any]:
    """The body of these events."""
    about = {"$ref": f"#/components/schemas/{data}"}
    return _record(description, type={"type": "string", "enum": events}, timestamp=_MOMENT, data=about)


_OF_IMPORTS = [event.value for event in WebhookEvent if event.value.startswith("import.")]
_BODIES = {
    **dict.fromkeys(_OF_IMPORTS, "ImportEvent"),
    WebhookEvent.CHANGED.value: "ProductsChangedEvent",
    WebhookEvent.QUIET.value: "FeedQuietEvent",
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "ImportEvent": _event("An import came to a state.", _OF_IMPORTS, "ImportEventData"),
    "ImportEventData": _record(
        "The import, and what its event says of it.",
        {
            "plan_hash": {**_TEXT, "description": "Of `import.review`: confirms the plan."},
            "holds": {"type": "array", "items": _TEXT, "description": "Of `import.review`: codes of what holds it."},
            "catalogue_version": {**_NUMBER, "nullable": True, "description": "Of `import.applied`."},
            "code": {**_TEXT, "description": "Of `import.failed`: the reason."},
        },
        **{"import": _NUMBER},
        status=_TEXT,
        feed=_TEXT,
        market=_TEXT,
        counts=_record("Of its items and products.", **dict.fromkeys(COUNTS, _NUMBER)),
        url=_LINK,
        page=_LINK,
    ),
    "ProductsChangedEvent": _event("Products changed.", [WebhookEvent.CHANGED.value], "ProductsChangedEventData"),
    "ProductsChangedEventData": _record(
        "A market went from one version to another.",
        market=_TEXT,
        since=_NUMBER,
        version=_NUMBER,
        **{"import": {**_NUMBER, "nullable": True, "description": "If one import did it all."}},
        url={**_LINK, "description": "Lists what changed."},
    ),
    "FeedQuietEvent": _event("A feed brings nothing new.", [WebhookEvent.QUIET.value], "FeedQuietEventData"),
    "FeedQuietEventData": _record(
        "The feed, and since when.",
        feed=_TEXT,
        market=_TEXT,
        last_new_at={**_MOMENT, "nullable": True},
        expected_hours=_NUMBER,
        page=_LINK,
    ),
}


def describe_webhooks(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add the bodies of webhooks to the schema of the API."""
    result["components"]["schemas"].update(SCHEMAS)
    result["x-webhooks"] = {
        event: {
            "post": {
                "summary": str(WebhookEvent(event).label),
                "requestBody": {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}},
                "responses": {"2XX": {"description": "It is accepted."}},
            }
        }
        for event, name in _BODIES.items()
    }
    return result
