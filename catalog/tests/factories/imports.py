"""Imports at each station of their life, and the people who see to them, in a line each."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Permission
from django.core.files.base import ContentFile

from accounts.models import User
from catalog.imports.apply import apply
from catalog.imports.confirm import confirm
from catalog.imports.discard import discard
from catalog.imports.edit import edit_product
from catalog.imports.local import local_queue, stage_locally
from catalog.imports.receive import receive
from catalog.imports.undo import redo, request_redo, request_undo, undo
from catalog.models import DEFAULT_MARKET, Change, Feed, ImportRun, Product, Status
from catalog.models.product import ProductQuerySet
from catalog.tests.factories.files import feed_of


def uploaded(feed: Feed, content: bytes, **options: Any) -> ImportRun:
    """An import that a worker is asked to read."""
    return receive(ContentFile(content, "feed.xml"), feed=feed, **options)


def received(feed: Feed, content: bytes, **options: Any) -> ImportRun:
    """An import that waits to be read; no worker hears of it."""
    with local_queue():
        return uploaded(feed, content, **options)


def planned(feed: Feed, *items: str, **options: Any) -> ImportRun:
    """An import of these items in review."""
    run = received(feed, feed_of(*items), **options)
    stage_locally(run)
    assert run.status == Status.REVIEW, run.error
    return run


def allow_changes(feed: Feed) -> Feed:
    """Let the feed change the products of others."""
    feed.may_change_others = True
    feed.save()
    return feed


def applied(feed: Feed, *items: str, **options: Any) -> ImportRun:
    return execute(planned(feed, *items, **options))


def execute(run: ImportRun) -> ImportRun:
    """Confirm and apply a planned import in this process, whatever guard it trips."""
    with local_queue():
        confirm(run, plan_hash=run.plan_hash, by=None, reason="Agreed with the supplier")
        apply(run)
    assert run.status == Status.APPLIED, run.error
    return run


def undone(run: ImportRun) -> ImportRun:
    """Undo an applied import in this process."""
    with local_queue():
        request_undo(run, by=None)
        undo(run)
    assert run.status == Status.UNDONE, run.error
    return run


def redone(run: ImportRun) -> ImportRun:
    """Apply an undone import again in this process."""
    with local_queue():
        request_redo(run, by=None)
        redo(run)
    assert run.status == Status.APPLIED, run.error
    return run


def discarded(run: ImportRun, by: User | None = None) -> ImportRun:
    """Discard an import and clean up after it in this process."""
    with local_queue() as work:
        discard(run, by=by)
        work()
    return run


def counts(run: ImportRun) -> dict[str, int]:
    """Its counts that are not zero, read anew."""
    run.refresh_from_db()
    beside = {name: getattr(run, name) for name in ("archive_conflict", "pinned", "undone", "kept", "gone")}
    every = {**run.counts, **beside}
    return {name: number for name, number in every.items() if number}


def catalogue() -> list[Any]:
    """Every product with every column but its key and the number of its last change, to compare with what it was."""
    products = Product.objects.order_by("market", "id").values()
    return [
        {name: value for name, value in product.items() if name not in ("key", "change_number")} for product in products
    ]


def search(words: str, market: Any = DEFAULT_MARKET) -> ProductQuerySet:
    """The products of a market that the words find."""
    return Product.objects.search(words, market=market)


def change(run: ImportRun, product_id: str) -> Change:
    return run.changes.get(product_id=product_id)


def edit(product_id: str, market: Any = DEFAULT_MARKET, **values: Any) -> None:
    """Change a product as a person would: its version grows."""
    product = Product.objects.get(market=market, id=product_id)
    for name, value in values.items():
        setattr(product, name, value)
    edit_product(product, by=None)


def add_product(**values: Any) -> Product:
    """A product that no import made."""
    product = Product(**values)
    edit_product(product, by=None)
    return product


# --- people -------------------------------------------------------------------------------------------
def person(name: str, *permissions: str) -> User:
    """Somebody with these permissions, as in `confirm_importrun`."""
    user = User.objects.create_user(name, f"{name}@example.com")
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user
