"""Take an applied import back, and bring it back again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from catalog.errors import NotPossible
from catalog.imports.apply import carry_out, lay_over
from catalog.imports.confirm import describe_status
from catalog.imports.permissions import require
from catalog.imports.reports.pages import of_operation
from catalog.imports.sql import OF_CHANGED_PRODUCTS, PRODUCT_OF_CHANGE, column_list, execute, fetch_rows
from catalog.imports.work.queue import Task, enqueue
from catalog.models import CatalogState, CatalogVersion, Change, ImportRun, Operation, Outcome, Status
from catalog.models.fields import SHARED, columns_in_file
from events.log import log_event

# What decides about each applied change. The preview counts and lists by the very words that the undo acts by.
_APPLIED = "change.run_id = %(run)s AND change.operation <> 'keep' AND change.outcome NOT IN ('conflict', 'left_out')"
# The product is as the change left it: nobody edited it, no later import, and it is no other one by the same id.
_UNTOUCHED = "product.version = COALESCE(change.base_version, 0) + 1 AND product.created_at <= change.made_at"
_VERDICT = f"CASE WHEN product.id IS NULL THEN 'gone' WHEN {_UNTOUCHED} THEN 'undone' ELSE 'kept' END"


@dataclass(frozen=True, slots=True)
class Prospect:
    """What an undo would do, in products: take back, keep because they changed since, not find any more."""

    undone: int = 0
    kept: int = 0
    gone: int = 0

    def __str__(self) -> str:
        return f"{self.undone}-{self.kept}-{self.gone}"


def prospect(run: ImportRun) -> Prospect:
    """What undoing the run would do now. Changes nothing."""
    others = dict(
        fetch_rows(
            f"""
            SELECT {_VERDICT}, count(*)
            FROM catalog_change change LEFT JOIN catalog_product product ON {PRODUCT_OF_CHANGE}
            WHERE {_APPLIED} AND {OF_CHANGED_PRODUCTS} AND {_VERDICT} <> 'undone'
            GROUP BY 1
            """,
            run=run.pk,
            market=run.market_id,
            changed_ids=run.products_changed_since(),
        )
    )
    return Prospect(undone=run.created + run.changed + run.archived - sum(others.values()), **others)


def changes_by_verdict(run: ImportRun, verdict: str) -> QuerySet[Change]:
    """The applied changes that an undo would take back (`undone`), keep (`kept`) or not find (`gone`)."""
    own = f"""(
        SELECT {_VERDICT}
        FROM (SELECT catalog_change.*) change
        LEFT JOIN catalog_product product ON product.market_id = change.market_id AND product.id = change.product_id
    )"""
    applied = run.changes.exclude(operation=Operation.KEEP).exclude(outcome__in=[Outcome.CONFLICT, Outcome.LEFT_OUT])
    if verdict != Outcome.UNDONE and (changed_ids := run.products_changed_since()) is not None:
        applied = applied.filter(product_id__in=changed_ids)
    return applied.annotate(verdict=RawSQL(own, ())).filter(verdict=verdict)  # noqa: S611 - no value in it


def request_undo(run: ImportRun, *, by: Any, seen: str = "") -> None:
    """Have a worker take back what the import applied.

    `seen` is the `Prospect` that was looked at, as text. Raises `NotPossible` when another one is true now, when there
    is nothing to take back or somebody was quicker, `NotAllowed` without permission.
    """
    require(by, "catalog.undo_importrun")
    if run.status == Status.APPLIED and not run.has_changes:
        raise NotPossible("nothing_to_undo", f"{run} changed no product: there is nothing to undo.")
    if seen and seen != str(prospect(run)):
        raise NotPossible(
            "prospect_changed", "Products were changed since you looked. Read the numbers again, then undo."
        )
    if not run.move(Status.APPLIED, to=Status.UNDOING, by=by, error="", error_code=""):
        raise NotPossible("not_applied", f"{run} cannot be undone: {describe_status(run)}")
    log_event("undo_requested", by=by, run_id=run.pk)
    enqueue(Task.UNDO, run)


def request_redo(run: ImportRun, *, by: Any) -> None:
    """Have a worker apply an import again that was undone.

    Raises `NotPossible` when it is not undone or what it had added is kept no longer, `NotAllowed` without permission.
    """
    require(by, "catalog.undo_importrun")
    if run.status == Status.UNDONE and not keeps_values(run):
        raise NotPossible(
            "values_forgotten",
            f"{run} cannot be applied again: the values of the products that it had added are kept no longer. "
            "Upload its file again.",
        )
    if not run.move(Status.UNDONE, to=Status.REDOING, by=by, error="", error_code=""):
        raise NotPossible("not_undone", f"{run} cannot be applied again: {describe_status(run)}")
    log_event("redo_requested", by=by, run_id=run.pk)
    enqueue(Task.REDO, run)


def redo_conflicts(run: ImportRun) -> int:
    """How many of the changes that were undone a redo would leave alone: their products changed since."""
    ((number,),) = fetch_rows(
        f"""
        SELECT count(*)
        FROM catalog_change change LEFT JOIN catalog_product product ON {PRODUCT_OF_CHANGE}
        WHERE change.run_id = %(run)s AND change.outcome = 'undone' AND CASE change.operation
            WHEN 'create' THEN product.id IS NOT NULL
            ELSE product.version IS DISTINCT FROM change.base_version OR product.created_at >= %(planned)s
        END
        """,
        run=run.pk,
        market=run.market_id,
        planned=run.planned_at,
    )
    return int(number)


def keeps_values(run: ImportRun) -> bool:
    """Whether products that the undo removed can be made again: their values are deleted after a time."""
    removed = run.changes.filter(unusual=Outcome.UNDONE, **of_operation(Operation.CREATE))
    return (run.staged.exists() and not run.has_lost_items) or not removed.exists()


def undo(run: ImportRun) -> None:
    """Execute the inverse of the run's applied changes in one transaction, once.

    A product is restored, and a new one removed, if it is as the import left it. What anybody changed since is kept.
    """
    carry_out(run, invert_changes, Status.UNDOING, to=Status.UNDONE, step="undo")


def redo(run: ImportRun) -> None:
    """Lay the changes that were undone over the catalogue again, once. A product that changed since is a conflict."""
    carry_out(run, lay_over_again, Status.REDOING, to=Status.APPLIED, step="redo")


def invert_changes(run: ImportRun) -> dict[str, int]:
    number = CatalogVersion.new_number()
    stage_again(run)
    remove_created(run, number)
    restore_changed(run, number)
    counts = settle_outcomes(run)
    if counts["undone"]:
        CatalogState.bump(run.market_id, change_number=number, run_id=run.pk)
    return counts


def lay_over_again(run: ImportRun) -> dict[str, int]:
    """What was kept is applied still, and has its turn at the next undo."""
    left = run.changes.filter(outcome__in=[Outcome.KEPT, Outcome.GONE]).update(outcome=Outcome.APPLIED)
    counts = {**lay_over(run), "undone": 0, "kept": 0, "gone": 0}
    if left:
        counts["catalog_version"] = run.catalog_version  # not all of the products are as the run left them
    return counts


def stage_again(run: ImportRun) -> None:
    """The values of new products go back to where they came from: from there they are created again.

    Before they are removed, because both in one statement would hold a million products in memory or on disk.
    """
    execute(
        f"""
        INSERT INTO catalog_stageditem
            (run_id, position, line, product_id, state, issues, {column_list(SHARED)}, extra)
        SELECT
            change.run_id, change.position, change.line, change.product_id, 'valid', '[]',
            {column_list(SHARED, "product")}, product.extra
        FROM catalog_change change
        JOIN catalog_product product ON {PRODUCT_OF_CHANGE}
        WHERE {_APPLIED} AND change.operation = 'create' AND {_UNTOUCHED}
        ON CONFLICT (run_id, position) DO NOTHING
        """,
        run=run.pk,
        market=run.market_id,
    )
    ImportRun.objects.filter(pk=run.pk).update(has_lost_items=False)


def remove_created(run: ImportRun, change_number: int) -> None:
    execute(
        f"""
        WITH done AS (
            DELETE FROM catalog_product product
            USING catalog_change change
            WHERE {_APPLIED} AND change.operation = 'create' AND {PRODUCT_OF_CHANGE} AND {_UNTOUCHED}
            RETURNING change.id, product.id AS product_id
        ), removed AS (
            INSERT INTO catalog_removedproduct (market_id, product_id, change_number)
            SELECT %(market)s, product_id, %(number)s FROM done
            ON CONFLICT (market_id, product_id) DO UPDATE SET change_number = EXCLUDED.change_number
        )
        UPDATE catalog_change change SET outcome = 'undone', made_at = statement_timestamp()
        FROM done
        WHERE change.id = done.id
        """,
        run=run.pk,
        market=run.market_id,
        number=change_number,
    )


def restore_changed(run: ImportRun, change_number: int) -> None:
    """Lay the values from before over each product; what came from the archive goes back, and the reverse.

    The version that this makes is the one over which the change may be laid again.
    """
    columns = [*columns_in_file(run.names), "extra"]
    execute(
        f"""
        WITH done AS (
            UPDATE catalog_product product
            SET ({column_list(columns)}) = (
                    SELECT {column_list(columns, "earlier")}
                    FROM jsonb_populate_record(product, change.before) AS earlier
                ),
                archived_at = CASE change.operation WHEN 'restore' THEN now() END,
                version = product.version + 1, change_number = %(number)s, updated_at = now()
            FROM catalog_change change
            WHERE {_APPLIED} AND change.operation IN ('update', 'restore', 'archive')
                AND {PRODUCT_OF_CHANGE} AND {_UNTOUCHED}
            RETURNING change.id, product.version
        )
        UPDATE catalog_change change
        SET outcome = 'undone', base_version = done.version, made_at = statement_timestamp()
        FROM done
        WHERE change.id = done.id
        """,
        run=run.pk,
        market=run.market_id,
        number=change_number,
    )


def settle_outcomes(run: ImportRun) -> dict[str, int]:
    """Everything that was applied is undone by now, or kept, or gone."""
    execute(
        f"""
        UPDATE catalog_change change
        SET outcome = CASE
            WHEN EXISTS (SELECT FROM catalog_product product WHERE {PRODUCT_OF_CHANGE}) THEN 'kept'
            ELSE 'gone'
        END
        WHERE {_APPLIED} AND change.outcome <> 'undone'
        """,
        run=run.pk,
        market=run.market_id,
    )
    counted = f"SELECT change.outcome, count(*) FROM catalog_change change WHERE {_APPLIED} GROUP BY 1"
    return {"undone": 0, "kept": 0, "gone": 0, **dict(fetch_rows(counted, run=run.pk))}
