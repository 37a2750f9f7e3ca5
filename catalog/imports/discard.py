"""Throw a plan away, and what an ended run no longer needs."""

from typing import Any

from django.db import transaction

from catalog.errors import NotPossible
from catalog.imports.confirm import describe_status
from catalog.imports.issues import note_product_issues
from catalog.imports.mirrors import forget_items, unneeded_beside
from catalog.imports.permissions import require
from catalog.imports.work.files import forget_chunks
from catalog.imports.work.queue import Task, enqueue
from catalog.models import ImportRun, ProductIssues, Status, Word
from events.log import log_event


def discard(run: ImportRun, *, by: Any, reason: str = "") -> None:
    """End a run that is not applied, at any point before; the catalogue stays as it is.

    Raises `NotPossible` when it is too late, `NotAllowed` without permission.
    """
    require(by, "catalog.discard_importrun")
    if not run.move(Status.RECEIVED, Status.STAGING, Status.REVIEW, to=Status.DISCARDED, by=by, reason=reason):
        raise NotPossible("not_discardable", f"{run} cannot be discarded: {describe_status(run)}")
    log_event("discard", by=by, run_id=run.pk)
    enqueue(Task.CLEAN_UP, run)


def clean_up(run: ImportRun) -> None:
    """Delete what an ended run staged, and know the words of what it changed and the issues of what is in it."""
    _note_issues(run)
    _forget_staged(run)
    _learn_words(run)


@transaction.atomic
def _note_issues(run: ImportRun) -> None:
    """Once for each time that it was applied: later its items are gone. Undone, it says nothing about products."""
    locked = ImportRun.objects.select_for_update().get(pk=run.pk)
    if locked.words_due and locked.status == Status.APPLIED:
        note_product_issues(locked)
    elif locked.words_due and locked.status == Status.UNDONE:
        ProductIssues.objects.filter(feed=locked.feed_id, run=locked).delete()


@transaction.atomic
def _forget_staged(run: ImportRun) -> None:
    """Invalid items stay for their list; a plan that was not applied goes.

    What an undo took out of the catalogue is staged again, and stays: the run may be applied again. The items of the
    feed's last import stay, too, because the next one need not read what it finds there; of the one before it go those
    that the last one did not find.
    """
    locked = ImportRun.objects.select_for_update().get(pk=run.pk)  # nothing is undone meanwhile
    if locked.status in (Status.APPLIED, Status.DISCARDED, Status.FAILED):
        for unneeded in unneeded_beside(locked):
            forget_items(unneeded)
        forget_chunks(locked)
    if locked.status in (Status.DISCARDED, Status.FAILED):
        locked.changes.all().delete()
        locked.changed_fields.all().delete()
        locked.facets.all().delete()


@transaction.atomic
def _learn_words(run: ImportRun) -> None:
    """Whatever the run did to a product, applying or undone: where no word was touched, none is looked for."""
    due = ImportRun.objects.select_for_update().filter(pk=run.pk, words_due=True)
    if not due.exists():
        return
    Word.learn(
        run.market_id,
        """product.id IN (
            SELECT product_id FROM catalog_change
            WHERE run_id = %(run)s AND (operation = 'create' OR after ?| %(searched)s)
        )""",
        run=run.pk,
        searched=["title", "brand", "gtin", "mpn"],
    )
    due.update(words_due=False)
