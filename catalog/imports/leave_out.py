"""Leaving parts of a plan out before it is confirmed: a change, a field of one, or a field in the whole import.

What is left out stays in the change's `left_out` and is no part of the plan: neither of its hash nor of its counts.
The items keep it: the feed's next file proposes it again.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction

from catalog.errors import NotPossible
from catalog.feeds.attributes import BY_NAME, Need
from catalog.imports.confirm import describe_status
from catalog.imports.permissions import require
from catalog.imports.planning.changed_fields import EXTRA_PREFIX, count_fields, fields_of_change, shift_counts
from catalog.imports.planning.facets import follow_left_out, rewrite_facets
from catalog.imports.planning.guards import check_again
from catalog.imports.planning.meaning import measure_meaning
from catalog.imports.planning.plan import hash_plan
from catalog.imports.sql import execute, fetch_rows
from catalog.models import ImportRun, Operation, Outcome, Status
from catalog.models.fields import MONEY_NAMES, SHARED
from events.log import log_event

AMOUNTS = frozenset(MONEY_NAMES) | {"currency"}
_COUNTS = {Operation.CREATE: "created", Operation.UPDATE: "changed", Operation.RESTORE: "changed"}


@transaction.atomic
def leave_out(run: ImportRun, *, plan_hash: str, by: Any, change: int | None = None, field: str = "") -> int:
    """Leave out a change, a field of it, or the field in every change; returns how many changes that concerned.

    `field` is a column, or `extra.x`. Amounts that would come in another currency are left out together. New products
    keep what they cannot be without. Raises `NotPossible` when the plan is another one now or there is nothing to leave
    out, `NotAllowed` without permission.
    """
    locked = _locked_plan(run, plan_hash, by)
    before = _left_by_operation(locked)
    fields = fields_of_change(locked, change) if change else set()
    if not field:
        touched = _leave_change(locked, change)
    elif field.startswith(EXTRA_PREFIX):
        touched = _leave_extra(locked, field.removeprefix(EXTRA_PREFIX), change)
    elif field in SHARED:
        touched = _leave_column(locked, field, change)
    else:
        touched = 0
    if not touched:
        is_needed = change and field in SHARED and is_needed_by_new(field)
        why = "A new product cannot be without it." if is_needed else "The plan does not change it, or no longer does."
        raise NotPossible("nothing_to_leave_out", f"Nothing was left out. {why}")
    if change:
        shift_counts(locked, change, before=fields)
        rewrite_facets(locked, change)
    elif field in AMOUNTS:
        locked.changed_fields.all().delete()
        count_fields(locked, locked.changed + locked.pinned)
    else:
        locked.changed_fields.filter(name=field).exclude(operation=Operation.KEEP).delete()
    if not change:
        follow_left_out(locked, field)
    _settle(locked, before)
    log_event("leave_out", by=by, run_id=run.pk, field=field, changes=touched)
    run.refresh_from_db()
    return touched


@transaction.atomic
def take_again(run: ImportRun, *, plan_hash: str, by: Any, change: int) -> None:
    """Take all that was left out of a change into the plan again, while it waits. Raises as `leave_out` does."""
    locked = _locked_plan(run, plan_hash, by)
    before = _left_by_operation(locked)
    fields = fields_of_change(locked, change)
    if not execute(_TAKE_AGAIN, run=run.pk, change=change):
        raise NotPossible("nothing_to_take", "Nothing was left out of this change, or it is in the plan again.")
    shift_counts(locked, change, before=fields)
    rewrite_facets(locked, change)
    _settle(locked, before)
    log_event("take_again", by=by, run_id=run.pk, changes=1)
    run.refresh_from_db()


def is_needed_by_new(field: str) -> bool:
    """Whether a new product cannot be without it."""
    return field == "currency" or (field in BY_NAME and BY_NAME[field].need == Need.REQUIRED)


def _locked_plan(run: ImportRun, plan_hash: str, by: Any) -> ImportRun:
    """The run, locked until the transaction ends: nobody confirms it meanwhile."""
    require(by, "catalog.confirm_importrun")
    locked = ImportRun.objects.select_for_update(of=("self",)).select_related("feed").get(pk=run.pk)
    if locked.status != Status.REVIEW:
        raise NotPossible("not_in_review", f"The plan of {run} cannot be changed: {describe_status(locked)}")
    if locked.plan_hash != plan_hash:
        raise NotPossible("plan_changed", "The plan has changed since you looked at it. Read it again.")
    return locked


# --- the statements -------------------------------------------------------------------------------------
# Those of one change, or of all: `%(change)s` is null then.
_IN_PLAN = """
    change.run_id = %(run)s AND change.outcome = 'proposed' AND (%(change)s::bigint IS NULL OR change.id = %(change)s)
"""
# A change of which nothing remains is left out. A product that comes back from the archive does so without values, too.
_OUTCOME = "CASE WHEN change.operation = 'update' AND {rest} = '{{}}' THEN 'left_out' ELSE change.outcome END"


def _leave_column(run: ImportRun, name: str, change: int | None) -> int:
    touched = 0
    if name in AMOUNTS:
        touched += _leave_columns(
            run, sorted(AMOUNTS), change, f"change.after ? 'currency' AND change.after ? '{name}'"
        )
    touched += _leave_columns(run, [name], change, f"change.after ? '{name}'")
    if not is_needed_by_new(name):
        touched += execute(
            f"""
            UPDATE catalog_change change
            SET left_out = COALESCE(change.left_out, '{{}}')
                || jsonb_build_object(%(name)s, jsonb_build_object('kept', null, 'file', to_jsonb(item.{name})))
            FROM catalog_stageditem item
            WHERE {_IN_PLAN} AND change.operation = 'create' AND change.left_out -> %(name)s IS NULL
                AND item.run_id = change.run_id AND item.position = change.position
                AND to_jsonb(item.{name}) NOT IN ('null', '""', '[]')
            """,
            run=run.pk,
            change=change,
            name=name,
        )
    return touched


def _leave_columns(run: ImportRun, names: list[str], change: int | None, where: str) -> int:
    """Leave these columns out of the changes of products that exist. The names come from the attribute table."""
    return execute(
        f"""
        UPDATE catalog_change change
        SET left_out = COALESCE(change.left_out, '{{}}') || (
                SELECT jsonb_object_agg(
                    name, jsonb_build_object('kept', change.before -> name, 'file', change.after -> name)
                )
                FROM unnest(%(names)s::text[]) AS name WHERE change.after ? name
            ),
            before = change.before - %(names)s::text[],
            after = change.after - %(names)s::text[],
            outcome = {_OUTCOME.format(rest="change.after - %(names)s::text[]")}
        WHERE {_IN_PLAN} AND change.operation IN ('update', 'restore') AND {where}
        """,
        run=run.pk,
        change=change,
        names=names,
    )


# The name with its value, where it has one.
_PART_OF_EXTRA = """
    CASE WHEN change.{0} -> 'extra' ? %(name)s
        THEN jsonb_build_object(%(name)s, change.{0} -> 'extra' -> %(name)s)
        ELSE '{{}}'
    END
"""


def _leave_extra(run: ImportRun, name: str, change: int | None) -> int:
    """Leave one name in `extra` out. A change has `extra` as a whole, and so has what is left out of it."""
    values = {"run": run.pk, "change": change, "name": name}
    touched = execute(
        f"""
        UPDATE catalog_change change
        SET left_out = COALESCE(change.left_out, '{{}}') || jsonb_build_object('extra', jsonb_build_object(
                'kept', COALESCE(change.left_out #> '{{extra,kept}}', change.before -> 'extra'),
                'file', (COALESCE(change.left_out #> '{{extra,file}}', change.before -> 'extra') - %(name)s) || wanted
            )),
            before = CASE WHEN is_whole THEN change.before - 'extra' ELSE change.before END,
            after = remaining,
            outcome = {_OUTCOME.format(rest="remaining")}
        FROM (
            SELECT each.*, rest = old AS is_whole, CASE
                WHEN rest = old THEN each.after - 'extra'
                ELSE jsonb_set(each.after, '{{extra}}', rest)
            END AS remaining
            FROM (
                SELECT change.id, change.after, change.before -> 'extra' AS old,
                    {_PART_OF_EXTRA.format("after")} AS wanted,
                    ((change.after -> 'extra') - %(name)s) || {_PART_OF_EXTRA.format("before")} AS rest
                FROM catalog_change change
                WHERE {_IN_PLAN} AND change.operation IN ('update', 'restore')
                    AND change.before -> 'extra' -> %(name)s IS DISTINCT FROM change.after -> 'extra' -> %(name)s
            ) AS each
        ) AS part
        WHERE change.id = part.id
        """,
        **values,
    )
    return touched + execute(
        f"""
        UPDATE catalog_change change
        SET left_out = COALESCE(change.left_out, '{{}}') || jsonb_build_object('extra', jsonb_build_object(
            'kept', '{{}}'::jsonb,
            'file', COALESCE(change.left_out #> '{{extra,file}}', '{{}}')
                || jsonb_build_object(%(name)s, item.extra -> %(name)s)
        ))
        FROM catalog_stageditem item
        WHERE {_IN_PLAN} AND change.operation = 'create' AND change.left_out #> ARRAY['extra', 'file', %(name)s] IS NULL
            AND item.run_id = change.run_id AND item.position = change.position AND item.extra ? %(name)s
        """,
        **values,
    )


def _leave_change(run: ImportRun, change: int | None) -> int:
    """Leave a change out with all of its fields."""
    row = run.changes.filter(pk=change or 0, outcome=Outcome.PROPOSED).first()
    if row is None:
        return 0
    if columns := [name for name in row.after if name != "extra"]:
        _leave_columns(run, columns, row.pk, "true")
    old, new = row.before.get("extra") or {}, row.after.get("extra") or {}
    for name in old.keys() | new.keys():
        if old.get(name) != new.get(name):
            _leave_extra(run, name, row.pk)
    return execute(
        """
        UPDATE catalog_change SET left_out = COALESCE(left_out, '{}'), outcome = 'left_out'
        WHERE run_id = %(run)s AND id = %(change)s
        """,
        run=run.pk,
        change=change,
    )


# Names in `extra` that were left out, or not, are told apart by what the file would have changed.
_TAKE_AGAIN = """
    UPDATE catalog_change change
    SET before = change.before || part.kept || CASE WHEN change.left_out ? 'extra' AND change.operation <> 'create'
            AND NOT change.before ? 'extra'
            THEN jsonb_build_object('extra', change.left_out #> '{extra,kept}') ELSE '{}' END,
        after = change.after || part.file || part.extra,
        left_out = NULL, outcome = 'proposed'
    FROM (
        SELECT id,
            (SELECT COALESCE(jsonb_object_agg(key, value -> 'kept'), '{}') FROM jsonb_each(columns)) AS kept,
            (SELECT COALESCE(jsonb_object_agg(key, value -> 'file'), '{}') FROM jsonb_each(columns)) AS file,
            CASE WHEN operation <> 'create' AND left_out ? 'extra' THEN jsonb_build_object('extra',
                (COALESCE(after -> 'extra', left_out #> '{extra,kept}') - names)
                || (
                    SELECT COALESCE(jsonb_object_agg(name, left_out #> ARRAY['extra', 'file', name]), '{}')
                    FROM unnest(names) AS name WHERE left_out #> '{extra,file}' ? name
                )
            ) ELSE '{}' END AS extra
        FROM catalog_change,
            LATERAL (SELECT CASE operation WHEN 'create' THEN '{}' ELSE left_out - 'extra' END AS columns) AS those,
            LATERAL (
                SELECT COALESCE(array_agg(name), '{}') AS names
                FROM jsonb_object_keys((left_out #> '{extra,kept}') || (left_out #> '{extra,file}')) AS name
                WHERE left_out #> ARRAY['extra', 'kept', name] IS DISTINCT FROM left_out #> ARRAY['extra', 'file', name]
            ) AS different
        WHERE run_id = %(run)s AND id = %(change)s AND left_out IS NOT NULL
    ) AS part
    WHERE change.id = part.id
"""


# --- what follows from it -------------------------------------------------------------------------------
def _left_by_operation(run: ImportRun) -> dict[str, int]:
    counted = """
        SELECT operation, count(*) FROM catalog_change
        WHERE run_id = %(run)s AND left_out IS NOT NULL AND outcome = 'left_out' GROUP BY operation
    """
    return dict(fetch_rows(counted, run=run.pk))


def _settle(run: ImportRun, before: dict[str, int]) -> None:
    """Let counts, hash and guards follow."""
    left = _left_by_operation(run)
    for operation, name in _COUNTS.items():
        more = left.get(operation, 0) - before.get(operation, 0)
        setattr(run, name, getattr(run, name) - more)
        run.left_out += more
    more = left.get(Operation.ARCHIVE, 0) - before.get(Operation.ARCHIVE, 0)
    run.archived -= more
    run.archive_left_out += more
    run.plan_hash = hash_plan(run)
    run.holds = check_again(run)
    run.meaning = measure_meaning(run)
    counts = ("created", "changed", "archived", "left_out", "archive_left_out")
    run.save(update_fields=[*counts, "plan_hash", "holds", "meaning"])
