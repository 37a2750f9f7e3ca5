"""Imports that come in while the worker is restarted, each with products of its own."""

from __future__ import annotations

from django.core.files.base import ContentFile

from accounts.models import User
from catalog.imports.receive import receive
from catalog.models import Feed, ImportRun, Mode, Product, Status
from catalog.tests.factories import feed_of, item
from notifications.models import Message
from notifications.tests.postoffice import PostOffice
from tests.test_invariants import violations
from tests.torture import story

ITEMS = 600


def another_import(number: int) -> ImportRun:
    User.objects.get_or_create(username="alice", email="alice@example.com", is_superuser=True)
    feed = Feed.objects.create(name=f"Feed {number}", slug=f"feed-{number}")
    content = feed_of(*(item(f"{number:03}-{n:04}") for n in range(ITEMS)))
    return receive(ContentFile(content, f"{number}.xml"), feed=feed, mode=Mode.SYNC, auto_apply=True)


def harm(runs: list[ImportRun], office: PostOffice) -> list[str]:
    """What was lost or done twice, in words."""
    wrong = [f"{name}: {rows}" for name, rows in violations().items()]
    for run in runs:
        run.refresh_from_db()
        applied = [step["status"] for step in run.history].count(Status.APPLIED)
        if (run.status, applied, run.created, run.attempts.count()) != (Status.APPLIED, 1, ITEMS, 0):
            wrong.append(f"{run} is {run.status}, was applied {applied} times, to {run.created} products {run.error}")
    numbers = {
        "products": (Product.objects.filter(version=1).count(), ITEMS * len(runs)),
        "messages": (Message.objects.filter(status="sent").count(), len(runs)),
        "messages that were not sent": (len(story.unsent(office)), 0),
        "mails that came twice": (story.doubles(office), 0),
    }
    return wrong + [
        f"{what}: {found} and not {expected}" for what, (found, expected) in numbers.items() if found != expected
    ]
