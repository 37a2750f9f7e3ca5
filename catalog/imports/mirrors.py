"""Which import is a feed's mirror, in which the next one finds its items, and which rows of items are still needed.

docs/decisions/0037-a-feed-has-a-mirror.md
"""

from __future__ import annotations

from django.db.models import Exists, OuterRef

from catalog.imports.issues import forget_valid_items
from catalog.imports.sql import execute, fetch_row
from catalog.imports.work.queue import MIRROR_LOCK
from catalog.models import ImportRun, KnownItem, Status


def stays_known(run: ImportRun) -> bool:
    """Whether the items of the import that the run begins from are there, and will be until the transaction ends."""
    lock = "SELECT pg_advisory_xact_lock_shared(%(kind)s, %(mirror)s)"
    fetch_row(lock, kind=MIRROR_LOCK, mirror=run.known_from_id)
    return ImportRun.objects.filter(pk=run.known_from_id or 0, is_mirror=True).exists()


def move_mirror(run: ImportRun) -> None:
    """Let the feed's next import begin from this one, in the transaction that applies it.

    Where a product is not as its item says, the next import has to look at it anew. An older import that is applied
    after a newer one does not become the mirror.
    """
    later = ImportRun.objects.filter(feed=run.feed_id, status=Status.APPLIED, is_mirror=True, pk__gt=run.pk)
    if run.is_mirror or not run.known.exists() or later.exists():
        return
    execute(
        """
        UPDATE catalog_knownitem SET is_settled = false
        WHERE run_id = %(run)s AND position = ANY(ARRAY(
            SELECT position FROM catalog_change
            WHERE run_id = %(run)s AND (outcome <> 'applied' OR pinned IS NOT NULL OR left_out IS NOT NULL)
        ))
        """,
        run=run.pk,
    )
    run.is_mirror = True
    run.save(update_fields=["is_mirror"])


def unneeded_beside(run: ImportRun) -> list[ImportRun]:
    """The imports whose items are not needed any more since this one ended: itself, or the mirrors before it."""
    if not run.is_mirror:
        return [run]
    earlier = ImportRun.objects.filter(feed=run.feed_id, is_mirror=True, pk__lt=run.pk)
    return list(earlier.order_by("-pk").select_for_update())


# What an undone import needs to be applied again stays.
_NEEDS_ITEMS = [Status.UNDOING, Status.UNDONE, Status.REDOING]


def forget_items(run: ImportRun) -> None:
    """Delete the valid items that nothing but this run has, and forget where the others are.

    Whoever reads or plans an import by them comes first; whoever comes later sees that they are not known any more.
    """
    if run.is_mirror:
        execute("SELECT pg_advisory_xact_lock(%(kind)s, %(run)s)", kind=MIRROR_LOCK, run=run.pk)
    # Known items are looked for in runs of the same feed only.
    runs_of_feed = ImportRun.objects.filter(Exists(KnownItem.objects.filter(run=OuterRef("pk"))), feed=run.feed_id)
    execute(
        """
        CREATE TEMPORARY TABLE unneeded_item ON COMMIT DROP AS
        SELECT place.*
        FROM (
            (
                SELECT from_run_id, from_position FROM catalog_knownitem WHERE run_id = %(run)s
                UNION ALL
                SELECT run_id, position FROM catalog_stageditem
                WHERE run_id = %(run)s AND NOT %(is_mirror)s  -- all of a mirror's are known
            )
            EXCEPT
            SELECT from_run_id, from_position FROM catalog_knownitem WHERE run_id = ANY(%(others)s)
        ) AS place
        JOIN catalog_importrun owner ON owner.id = from_run_id AND owner.status <> ALL(%(needing)s);
        ANALYZE unneeded_item;
        DELETE FROM catalog_stageditem item
        USING unneeded_item
        WHERE item.run_id = from_run_id AND item.position = from_position AND item.state <> 'invalid';
        DROP TABLE unneeded_item
        """,
        run=run.pk,
        is_mirror=run.is_mirror,
        others=[other.pk for other in runs_of_feed.exclude(pk=run.pk)],
        needing=_NEEDS_ITEMS,
    )
    run.known.all().delete()
    ImportRun.objects.filter(pk=run.pk).update(is_mirror=False)
    if run.status not in _NEEDS_ITEMS:
        forget_valid_items(run)
