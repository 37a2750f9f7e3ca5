"""What webhooks are told of an import: ids, counts and links, and nothing of what the file says.

Call each `announce_…` in the transaction that makes it true.
"""

from __future__ import annotations

from typing import Any

from django.urls import reverse

from catalog.imports.notices import occasion_of, run_url
from catalog.models import ImportRun, WebhookEvent
from catalog.models.webhooks import write_event
from notifications.outbox import about_key
from notifications.rendering import public_url

COUNTS = (
    "items",
    "created",
    "changed",
    "archived",
    "unchanged",
    "existing",
    "duplicate",
    "invalid",
    "conflict",
    "archive_conflict",
    "left_out",
    "undone",
    "kept",
    "gone",
)


def announce_review(run: ImportRun) -> None:
    """A plan waits for a person. Also called again and again while it does: it is told once."""
    holds = [hold["code"] for hold in run.holds]
    _announce(run, WebhookEvent.REVIEW, plan_hash=run.plan_hash, holds=holds)


def announce_outcome(run: ImportRun, step: str) -> None:
    """The step changed the catalogue: apply, undo, or redo, which applies again."""
    if step == "undo":
        _announce(run, WebhookEvent.UNDONE)
    else:
        _announce(run, WebhookEvent.APPLIED, catalogue_version=run.catalog_version)


def announce_failed(run: ImportRun) -> None:
    """The import failed; or its undo did, and `status` says that it is as it was before."""
    _announce(run, WebhookEvent.FAILED, code=run.error_code)


def _announce(run: ImportRun, event: WebhookEvent, **more: Any) -> None:
    def facts() -> dict[str, Any]:
        return {
            "import": run.pk,
            "status": run.status,
            "feed": run.feed.slug,
            "market": run.feed.market.code,
            "counts": {name: getattr(run, name) for name in COUNTS},
            **more,
            "url": public_url(reverse("import", args=[run.pk])),
            "page": run_url(run),
        }

    write_event(event, about_key(occasion_of(run)), facts)
