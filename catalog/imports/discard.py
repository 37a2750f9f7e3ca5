"""Throw a plan away, and what an ended run no longer needs."""

from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from catalog.errors import NotPossible
from catalog.imports.confirm import describe_status
from catalog.imports.issues import forget_missing_items
from catalog.imports.permissions import require
from catalog.imports.reading.unchanged import runs_with_items
from catalog.imports.work.files import forget_chunks
from catalog.imports.work.queue import Task, enqueue
from catalog.models import ImportRun, StagedItem, Status, Word
from catalog.models.runs import ItemState
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
    """Delete what an ended run staged, and know the words of what it changed."""
    _forget_staged(run)
    _learn_words(run)


@transaction.atomic
def _forget_staged(run: ImportRun) -> None:
    """Invalid items stay for their list; a plan that was not applied goes.

    What an undo took out of the catalogue is staged again, and stays: the run may be applied again. The items of the
    feed's last import stay, too, and those of the one before it go: the next one need not read what it finds there.
    """
    locked = ImportRun.objects.select_for_update().get(pk=run.pk)  # nothing is undone meanwhile
    if locked.status in (Status.APPLIED, Status.DISCARDED, Status.FAILED):
        if locked == runs_with_items(locked.feed).first():
            for earlier in with_valid_items(runs_with_items(locked.feed).filter(pk__lt=locked.pk)).select_for_update():
                _forget_valid_items(earlier)
        else:
            _forget_valid_items(locked)
        forget_chunks(locked)
    if locked.status in (Status.DISCARDED, Status.FAILED):
        locked.changes.all().delete()
        locked.changed_fields.all().delete()


def with_valid_items(runs: QuerySet[ImportRun]) -> QuerySet[ImportRun]:
    return runs.filter(Exists(StagedItem.objects.filter(run=OuterRef("pk")).exclude(state=ItemState.INVALID)))


def _forget_valid_items(run: ImportRun) -> None:
    run.staged.exclude(state=ItemState.INVALID).delete()
    forget_missing_items(run)


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
