"""What an import lives through, and what is compared of it afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from django.core.files.base import ContentFile
from django.db import connection

from accounts.models import User
from catalog.imports import retention
from catalog.imports.local import import_locally
from catalog.imports.receive import receive
from catalog.imports.undo import request_redo, request_undo
from catalog.models import CatalogState, Feed, ImportRun, Mode, Product, Status
from catalog.tests.factories import feed_of, item
from notifications.models import Message, Outage
from notifications.tests.postoffice import PostOffice
from tests.test_invariants import violations


class Step(NamedTuple):
    """What somebody asks for, from which status of the import, and where that leads."""

    name: str
    ask: Callable[..., None]
    before: Status
    after: Status


AFTERWARDS = [
    Step("undone", request_undo, Status.APPLIED, Status.UNDONE),
    Step("applied again", request_redo, Status.UNDONE, Status.APPLIED),
]


def nothing_so_far() -> None:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE catalog_feed, catalog_stageditem, catalog_attempt, notifications_message CASCADE")
    User.objects.all().delete()
    Outage.end()


def first_day(items: int) -> Feed:
    feed = Feed.objects.create(name="Tortured", slug="tortured")
    content = feed_of(*(item(f"{n:06}") for n in range(items)))
    import_locally(ContentFile(content, "first.xml"), feed=feed, mode=Mode.SYNC)
    User.objects.create(username="alice", email="alice@example.com", is_superuser=True)  # who is told of what follows
    return feed


def second_day(feed: Feed, items: int) -> ImportRun:
    """Some of everything: changed, new, missing, invalid and repeated items."""
    content = feed_of(*filter(None, map(_on_second_day, range(items + items // 20))))
    return receive(ContentFile(content, "second.xml"), feed=feed, mode=Mode.SYNC, auto_apply=True)


def _on_second_day(n: int) -> str:
    if n % 40 == 0:
        return ""
    if n % 41 == 0:
        return item(f"{n:06}", price="free")
    if n % 43 == 0:
        return item(f"{n:06}") + item(f"{n:06}", color="Black")
    return item(f"{n:06}", color="Red") if n % 7 == 0 else item(f"{n:06}")


def status(run: ImportRun) -> str:
    return ImportRun.objects.values_list("status", flat=True).get(pk=run.pk)


def catalogue_after(run: ImportRun) -> dict[str, Any]:
    """What a step has made of the import and of the catalogue, as values that can be compared."""
    run.refresh_from_db()
    private = ("key", "change_number", "feed_id", "created_at", "updated_at", "archived_at")
    changes = run.changes.order_by("product_id").values_list("product_id", "operation", "before", "after", "outcome")
    return {
        "status": (run.status, run.error_code, run.error),
        "counts": {**run.counts, "undone": run.undone, "kept": run.kept, "gone": run.gone},
        "products": [
            {name: value for name, value in product.items() if name not in private}
            | {"archived": bool(product["archived_at"])}
            for product in Product.objects.order_by("id").values()
        ],
        "changes": list(changes),
    }


def end_of(run: ImportRun, version: int) -> dict[str, Any]:
    """Everything else that must be as if nothing had happened."""
    retention.forget_old()
    steps = [step["status"] for step in run.history]
    return {
        "times": [steps.count(end) for end in (Status.REVIEW, Status.APPLIED, Status.UNDONE)],
        "versions of the catalogue": CatalogState.objects.get().version - version,
        "issues": list(run.issues.order_by("code", "attribute").values_list("code", "attribute", "count", "examples")),
        "staged": sorted(run.staged.values_list("position", "product_id", "state")),
        "names": run.names,
        "attempts": run.attempts.count(),
        "chunks": run.chunks.count(),
        "messages": sorted(Message.objects.values_list("name", "status")),
        "invariants": violations(),
    }


def unlike_itself(found: dict[str, Any]) -> str:
    """What is wrong with the import that all others are compared with; "" when it went as it should."""
    statuses = [found[f"status, {name}"][0] for name in ("imported", *(step.name for step in AFTERWARDS))]
    if statuses != [Status.APPLIED, *(step.after for step in AFTERWARDS)]:
        return f"it was {', then '.join(statuses)}"
    counts = found["counts, imported"]
    missing = [name for name in ("created", "changed", "archived", "duplicate", "invalid") if not counts[name]]
    return f"nothing was {missing}" if missing else str(found["invariants"] or "")


def unsent(office: PostOffice) -> list[str]:
    """The messages that call themselves sent, and never came."""
    came = {key for _to, key in office.taken()}
    return [str(pk) for pk in Message.objects.filter(status="sent").values_list("pk", flat=True) if str(pk) not in came]


def doubles(office: PostOffice) -> int:
    keys = [key for _to, key in office.taken()]
    return len(keys) - len(set(keys))


def differences(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """In words, briefly."""
    return [
        f"{what}: {_brief(found[what])} and not {_brief(expected[what])}"
        for what in expected
        if expected[what] != found[what]
    ]


def _brief(value: Any) -> str:
    return f"{len(value)} × {str(value)[:300]}" if isinstance(value, list) else str(value)
