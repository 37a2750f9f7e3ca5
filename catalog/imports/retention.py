"""What is kept for how long. The products, their history and every import's counts stay for ever."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Exists, FileField, OuterRef, Q
from django.utils import timezone

from catalog.errors import NotPossible
from catalog.imports.discard import clean_up, discard
from catalog.imports.sql import execute, fetch_rows
from catalog.imports.work.files import stored_names
from catalog.imports.work.queue import MIRROR_LOCK
from catalog.models import (
    Change,
    ChangeFacets,
    DeliveryStatus,
    Fetch,
    ImportRun,
    Outcome,
    RefusedFile,
    StagedItem,
    Status,
    WebhookDelivery,
    Word,
)
from catalog.models.runs import ENDS

FOLDERS = ("feeds/", "spools/")
ORPHANED = timedelta(days=1)  # longer than any upload takes, or the reading of a file


def forget_old() -> dict[str, int]:
    """Delete what is older than the settings allow, and what lost processes left behind: how many of each."""
    return {
        "plans": _discard_old_plans(),
        "imports cleaned up": _clean_up_what_was_left(),
        "lists of items": _forget_items(),
        "lists of facets": _forget_facets(),
        "files": _forget_files(),
        "orphaned files": _forget_orphans(),
        "refused files": _forget_refused_files(),
        "fetches": _forget_fetches(),
        "versions": _forget_versions(),
        "webhook deliveries": _forget_deliveries(),
        "words": Word.renew(),
        "shapes": _forget_shapes(),
    }


def _discard_old_plans() -> int:
    """A plan that nobody confirmed for long is about a catalogue that is no more."""
    days = settings.RETENTION_PLANS_DAYS
    number = 0
    for run in ImportRun.objects.filter(status=Status.REVIEW, changed_at__lt=_before(days)) if days else ():
        try:
            discard(run, by=None, reason=f"nobody confirmed it for {days} days")
            number += 1
        except NotPossible:
            continue  # somebody was quicker, in this very moment
    return number


def _clean_up_what_was_left() -> int:
    """An import that ended is cleaned up by a worker, whose call may be lost."""
    proposed = Change.objects.filter(run=OuterRef("pk"), outcome=Outcome.PROPOSED)
    is_old = Q(status__in=(Status.APPLIED, Status.DISCARDED, Status.FAILED), finished_at__lt=timezone.now() - ORPHANED)
    ended = ImportRun.objects.filter(is_old)
    unlearnt = ImportRun.objects.filter(words_due=True, changed_at__lt=timezone.now() - ORPHANED)
    left = {*ended.filter(pk__in=_with_unneeded_items()), *ended.filter(Exists(proposed)), *unlearnt}
    for run in left:
        clean_up(run)
    return len(left)


def _with_unneeded_items() -> list[int]:
    """The imports that have valid items which no import that was planned has."""
    rows = fetch_rows(
        """
        SELECT DISTINCT run_id
        FROM (
            SELECT run_id, position FROM catalog_stageditem
            EXCEPT ALL
            SELECT run_id, position FROM catalog_stageditem WHERE state = 'invalid'
            EXCEPT
            SELECT from_run_id, from_position FROM catalog_knownitem
            WHERE run_id IN (SELECT id FROM catalog_importrun WHERE is_mirror OR status <> ALL(%(ends)s))
        ) AS unneeded
        """,
        ends=list(ENDS),
    )
    return [run for (run,) in rows]


def _forget_items() -> int:
    """The items that could not be imported: their list and their download go, their number and issues stay.

    And the products that an undo removed: the import cannot be applied again then. What the feed's last import has of
    older ones stays for as long as its own items do.
    """
    days = settings.RETENTION_ITEMS_DAYS
    if not days:
        return 0
    is_old = Q(status__in=ENDS, finished_at__lt=_before(days))
    is_due = Q(has_lost_items=False) | Q(status=Status.UNDONE)
    old = ImportRun.objects.filter(is_old, is_due, Exists(StagedItem.objects.filter(run=OuterRef("pk"))))
    return sum(_forget_items_of(run, is_old) for run in old)


@transaction.atomic
def _forget_items_of(run: ImportRun, is_old: Q) -> bool:
    if not ImportRun.objects.select_for_update().filter(is_old, pk=run.pk).exists():
        return False  # it is being applied again, from these very items
    execute("SELECT pg_advisory_xact_lock(%(kind)s, %(run)s)", kind=MIRROR_LOCK, run=run.pk)
    run.known.all().delete()
    ImportRun.objects.filter(pk=run.pk).update(is_mirror=False, has_lost_items=True)
    run.item_issues.all().delete()
    return bool(
        execute(
            """
            WITH unneeded AS (
                SELECT position FROM catalog_stageditem WHERE run_id = %(run)s
                EXCEPT
                SELECT from_position FROM catalog_knownitem WHERE from_run_id = %(run)s
            )
            DELETE FROM catalog_stageditem item USING unneeded
            WHERE item.run_id = %(run)s AND item.position = unneeded.position
            """,
            run=run.pk,
        )
    )


def _forget_facets() -> int:
    """What changes are found by; those of an import that ended long ago are a history that its products have, too."""
    days = settings.RETENTION_ITEMS_DAYS
    old = ImportRun.objects.filter(status__in=ENDS, finished_at__lt=_before(days))
    number = 0
    for run in old.filter(Exists(ChangeFacets.objects.filter(run=OuterRef("pk")))) if days else ():
        run.facets.all().delete()
        ImportRun.objects.filter(pk=run.pk).update(meaning={})
        number += 1
    return number


def _forget_files() -> int:
    """The file first: a row that names a file that is gone is found again, a file without a row only as an orphan."""
    days = settings.RETENTION_FILES_DAYS
    if not days:
        return 0
    is_old = Q(status__in=ENDS, finished_at__lt=_before(days))
    needed = ImportRun.objects.exclude(is_old).filter(file=OuterRef("file"))  # by an import that planned it again
    number = 0
    for run in ImportRun.objects.filter(is_old, ~Exists(needed)).exclude(file=""):
        name = run.file.name
        run.file.delete(save=False)
        ImportRun.objects.filter(file=name).update(file="")
        number += 1
    return number


def _forget_orphans() -> int:
    """Files of uploads and workers that were killed between the file and its row."""
    known: set[str] = set()
    for field in ImportRun._meta.get_fields():
        if isinstance(field, FileField):
            known.update(ImportRun.objects.exclude(**{field.name: ""}).values_list(field.name, flat=True))
    orphans = [
        name
        for folder in FOLDERS
        for name in stored_names(folder)
        if name not in known and default_storage.get_modified_time(name) < timezone.now() - ORPHANED
    ]
    for name in orphans:
        default_storage.delete(name)
    return len(orphans)


def _forget_refused_files() -> int:
    """Their rows: the files themselves were never kept."""
    days = settings.RETENTION_FILES_DAYS
    return RefusedFile.objects.filter(refused_at__lt=_before(days)).delete()[0] if days else 0


def _forget_shapes() -> int:
    """The names of items of which none is known. Where one is read just now, the next import reads it once more."""
    return execute(
        "DELETE FROM catalog_shape WHERE number NOT IN (SELECT shape FROM catalog_knownitem WHERE shape IS NOT NULL)"
    )


def _forget_fetches() -> int:
    days = settings.RETENTION_FETCHES_DAYS
    return Fetch.objects.filter(finished_at__lt=_before(days)).delete()[0] if days else 0


@transaction.atomic
def _forget_versions() -> int:
    """What made old versions. Programs that ask what changed before are told to load all products again."""
    days = settings.RETENTION_VERSIONS_DAYS
    if not days:
        return 0
    ((number,),) = fetch_rows(
        """
        WITH old AS (
            DELETE FROM catalog_catalogversion WHERE made_at < %(before)s RETURNING market_id, version
        ), last AS (
            SELECT market_id, max(version) AS version FROM old GROUP BY market_id
        ), moved AS (
            UPDATE catalog_catalogstate state SET known_since = GREATEST(known_since, last.version)
            FROM last WHERE state.market_id = last.market_id
        )
        SELECT count(*) FROM old
        """,
        before=_before(days),
    )
    execute(
        """
        DELETE FROM catalog_removedproduct removed
        WHERE NOT EXISTS (
            SELECT FROM catalog_catalogversion version
            WHERE version.market_id = removed.market_id AND version.change_number = removed.change_number
        )
        """
    )
    return int(number)


def _forget_deliveries() -> int:
    """What is kept as long as mails; never one that waits for an address that gets webhooks."""
    days = settings.RETENTION_MESSAGES_DAYS
    waits = Q(status=DeliveryStatus.WAITING, webhook__is_active=True)
    old = WebhookDelivery.objects.filter(written_at__lt=_before(days)).exclude(waits)
    return old.delete()[0] if days else 0


def _before(days: int) -> object:
    return timezone.now() - timedelta(days=days)
