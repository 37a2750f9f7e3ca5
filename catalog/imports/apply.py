"""Execute a confirmed plan."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import Error, transaction

from catalog.imports.announce import announce_outcome
from catalog.imports.mirrors import move_mirror
from catalog.imports.notices import notify_outcome
from catalog.imports.permissions import still_allowed
from catalog.imports.sql import PRODUCT_OF_CHANGE, column_list, execute, fetch_rows
from catalog.imports.work.attempts import lost_seconds
from catalog.imports.work.queue import (
    Task,
    call_next,
    claimed,
    enqueue,
    failing_in_words,
    lock_catalogue,
    retried,
    timed,
)
from catalog.models import CatalogState, CatalogVersion, ImportRun, Operation, Product, Status
from catalog.models.fields import SHARED, columns_in_file
from events.log import log_event


def apply(run: ImportRun) -> None:
    """Execute the run's changes in one transaction: all of them or none, once, whatever is delivered how often.

    Nothing is read or decided again. A product whose version moved since the plan is a conflict: left alone, counted.
    """
    carry_out(run, lay_over, Status.APPLYING, to=Status.APPLIED, step="apply")


def carry_out(
    run: ImportRun,
    act: Callable[[ImportRun], dict[str, int]],
    during: Status,
    *,
    to: Status,
    step: str,
) -> None:
    """Let `act` change the catalogue and return the run's new counts; with them the run goes from `during` to `to`.

    One transaction under the catalogue's lock. Nothing at all while another import has that, when the run is in another
    status by then, or who asked for it may not any more.
    """
    had_lock = False

    @transaction.atomic
    def carry_out_once() -> None:
        nonlocal had_lock
        locked = ImportRun.objects.get(pk=run.pk)
        if locked.status != during or not lock_catalogue(locked):
            return
        had_lock = True
        locked = ImportRun.objects.select_for_update().get(pk=run.pk)
        if locked.status != during or not still_allowed(locked):
            return
        with timed(locked, step, lost_seconds(locked)):
            counts = act(locked)
        locked.move(during, to=to, seconds=locked.seconds, metrics=locked.metrics, words_due=True, **counts)
        notify_outcome(locked, step)
        announce_outcome(locked, step)
        log_event(step, run_id=run.pk, seconds=locked.seconds[step], **counts)
        enqueue(Task.CLEAN_UP, locked)

    try:
        with claimed(run) as free, failing_in_words(run):
            if free:
                retried(carry_out_once)
                run.refresh_from_db()
    finally:
        if had_lock:
            with suppress(Error):  # a connection that is lost: the sweep calls
                call_next()


def lay_over(run: ImportRun) -> dict[str, int]:
    """Execute the changes that are proposed, or that were undone: the run's new counts, and the version they made."""
    number = CatalogVersion.new_number()
    create_products(run, number)
    change_products(run, number)
    archive_products(run, number)
    counts = settle_conflicts(run)
    if counts["created"] or counts["changed"] or counts["archived"]:
        CatalogState.bump(run.market_id, change_number=number, run_id=run.pk)
    move_mirror(run)
    return {**counts, "catalog_version": CatalogState.current(run.market_id)}


# Versions begin anew when a product was deleted and another one came by its id; that one the plan did not see.
_AS_PLANNED = "product.version = change.base_version AND product.created_at < %(planned)s"
# Of the outcomes, these have had their turn. Named instead of the others, because PostgreSQL, which counted the changes
# when they were new, would take the others for rare, and look each one up.
_NOT_YET = "change.outcome NOT IN ('applied', 'conflict', 'left_out')"


def create_products(run: ImportRun, change_number: int) -> None:
    """New products take the values of their staged items, but for what was left out.

    One that somebody else created since stays as it is.
    """
    values, extra = _values_of_new(run)
    execute(
        f"""
        WITH done AS (
            INSERT INTO catalog_product
                (market_id, id, {column_list(SHARED)}, extra, pinned, feed_id, version, change_number,
                created_at, updated_at)
            SELECT
                %(market)s, item.product_id, {values}, {extra}, '{{}}', %(feed)s, 1, %(number)s,
                statement_timestamp(), statement_timestamp()
            FROM catalog_change change
            JOIN catalog_stageditem item ON item.run_id = change.run_id AND item.position = change.position
            WHERE change.run_id = %(run)s AND change.operation = 'create' AND {_NOT_YET}
            ON CONFLICT (market_id, id) DO NOTHING
            RETURNING id
        )
        UPDATE catalog_change change SET outcome = 'applied', made_at = statement_timestamp()
        FROM done
        WHERE change.product_id = done.id AND change.run_id = %(run)s
        """,
        run=run.pk,
        feed=run.feed_id,
        market=run.market_id,
        number=change_number,
    )


def _values_of_new(run: ImportRun) -> tuple[str, str]:
    """The columns and the `extra` of new products, in SQL: nothing stands where a field was left out."""
    rows = fetch_rows(
        """
        SELECT DISTINCT jsonb_object_keys(left_out) FROM catalog_change
        WHERE run_id = %(run)s AND operation = 'create' AND left_out IS NOT NULL AND outcome <> 'left_out'
        """,
        run=run.pk,
    )
    left = {name for (name,) in rows}
    blanks = {name: _blank_of(name) for name in SHARED if name in left}
    columns = [
        f"CASE WHEN change.left_out ? '{name}' THEN {blanks[name]} ELSE item.{name} END"
        if name in blanks
        else f"item.{name}"
        for name in SHARED
    ]
    names = "ARRAY(SELECT jsonb_object_keys(COALESCE(change.left_out #> '{extra,file}', '{}')))"
    return ", ".join(columns), f"item.extra - {names}" if "extra" in left else "item.extra"


def _blank_of(name: str) -> str:
    field: Any = Product._meta.get_field(name)
    return "NULL" if field.null else "'{}'" if isinstance(field, ArrayField) else "''"


def change_products(run: ImportRun, change_number: int) -> None:
    """Lay the planned values over each product that is still the one the plan was made for."""
    columns = [*columns_in_file(run.names), "extra"]
    execute(
        f"""
        WITH done AS (
            UPDATE catalog_product product
            SET ({column_list(columns)}) = (
                    SELECT {column_list(columns, "planned")}
                    FROM jsonb_populate_record(product, change.after) AS planned
                ),
                archived_at = NULL, version = product.version + 1, change_number = %(number)s, updated_at = now()
            FROM catalog_change change
            WHERE change.run_id = %(run)s AND change.operation IN ('update', 'restore') AND {_NOT_YET}
                AND {PRODUCT_OF_CHANGE} AND {_AS_PLANNED}
            RETURNING change.id
        )
        UPDATE catalog_change change SET outcome = 'applied', made_at = statement_timestamp()
        FROM done
        WHERE change.id = done.id
        """,
        run=run.pk,
        market=run.market_id,
        planned=run.planned_at,
        number=change_number,
    )


def archive_products(run: ImportRun, change_number: int) -> None:
    execute(
        f"""
        WITH done AS (
            UPDATE catalog_product product
            SET archived_at = now(), version = product.version + 1, change_number = %(number)s, updated_at = now()
            FROM catalog_change change
            WHERE change.run_id = %(run)s AND change.operation = 'archive' AND {_NOT_YET}
                AND {PRODUCT_OF_CHANGE} AND {_AS_PLANNED}
            RETURNING change.id
        )
        UPDATE catalog_change change SET outcome = 'applied', made_at = statement_timestamp()
        FROM done
        WHERE change.id = done.id
        """,
        run=run.pk,
        market=run.market_id,
        planned=run.planned_at,
        number=change_number,
    )


_COUNT_OF = {
    Operation.CREATE: "created",
    Operation.UPDATE: "changed",
    Operation.RESTORE: "changed",
    Operation.ARCHIVE: "archived",
}


def settle_conflicts(run: ImportRun) -> dict[str, int]:
    """What could not be applied is a conflict, and moves from its count to that of the conflicts."""
    conflicts = dict(
        fetch_rows(
            """
            WITH left_alone AS (
                UPDATE catalog_change SET outcome = 'conflict'
                WHERE run_id = %(run)s AND outcome IN ('proposed', 'undone')
                RETURNING operation
            )
            SELECT operation, count(*) FROM left_alone GROUP BY operation
            """,
            run=run.pk,
        )
    )
    names = ("created", "changed", "archived", "conflict", "archive_conflict")
    counts = {name: getattr(run, name) for name in names}
    for operation, number in conflicts.items():
        counts[_COUNT_OF[operation]] -= number
        counts["archive_conflict" if operation == Operation.ARCHIVE else "conflict"] += number
    return counts
