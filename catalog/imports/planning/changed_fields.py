"""Which fields the changes of a plan concern, and how many each: what the list of changes is filtered by.

docs/decisions/0026-the-fields-of-a-plan-are-counted-with-it.md
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet
from django.db.models.expressions import RawSQL

from catalog.imports.sql import execute
from catalog.models import Change, ImportRun

EXTRA_PREFIX = "extra."
# List every change of a field only when few changes concern it: so many, or one in `RARE_FIELD_RATIO` of all changes.
# The changes of other fields are soon met in any case.
MAX_LISTED_CHANGES = 1000
RARE_FIELD_RATIO = 50
# A file with its data in its names has millions of fields.
MAX_FIELDS = 300
MAX_NAME_CHARS = 200

# A change concerns a field when it changes it or a pin keeps it, never both. In `extra` only names that differ count.
_CHANGE_FIELDS = """
    SELECT change.id, change.operation, field.name
    FROM catalog_change change CROSS JOIN LATERAL (
        SELECT jsonb_object_keys(change.after - 'extra')
        UNION ALL
        SELECT jsonb_object_keys(change.pinned - 'extra')
        UNION ALL
        SELECT 'extra.' || name
        FROM jsonb_object_keys((change.before -> 'extra') || (change.after -> 'extra')) AS name
        WHERE change.before -> 'extra' -> name IS DISTINCT FROM change.after -> 'extra' -> name
        UNION ALL
        SELECT 'extra.' || name
        FROM jsonb_object_keys((change.pinned #> '{extra,kept}') || (change.pinned #> '{extra,file}')) AS name
        WHERE (change.pinned #> ARRAY['extra', 'kept', name])
            IS DISTINCT FROM (change.pinned #> ARRAY['extra', 'file', name])
    ) AS field (name)
    WHERE change.run_id = %(run)s AND change.operation IN ('update', 'restore', 'keep')
"""

# How many changes of each operation concern each field, and which are the first and the last.
_COUNT_FIELDS = f"""
    WITH counted AS (
        SELECT operation, name, count(*) AS number, min(id) AS first, max(id) AS last
        FROM ({_CHANGE_FIELDS}) AS change_field
        WHERE length(name) <= %(chars)s
        GROUP BY operation, name
    ), named AS (
        SELECT name FROM counted GROUP BY name
        ORDER BY name LIKE 'extra.%%', sum(number) DESC, name
        LIMIT %(names)s
    )
    INSERT INTO catalog_changedfield (run_id, operation, name, number, first, last)
    SELECT %(run)s, operation, name, number, first, last FROM counted JOIN named USING (name)
"""

# The changes themselves, for fields that few concern.
_LIST_CHANGES = f"""
    UPDATE catalog_changedfield field SET changes = listed.changes
    FROM (
        SELECT change_field.operation, change_field.name, array_agg(change_field.id ORDER BY change_field.id) AS changes
        FROM ({_CHANGE_FIELDS}) AS change_field
        JOIN catalog_changedfield rare ON rare.run_id = %(run)s AND rare.number <= %(most)s
            AND rare.operation = change_field.operation AND rare.name = change_field.name
        GROUP BY change_field.operation, change_field.name
    ) AS listed
    WHERE field.run_id = %(run)s AND field.operation = listed.operation AND field.name = listed.name
"""


def count_fields(run: ImportRun, different: int) -> None:
    """Count the changes that concern each field, and list those of rare fields; there are `different` changes."""
    execute(_COUNT_FIELDS, run=run.pk, names=MAX_FIELDS, chars=MAX_NAME_CHARS)
    most = max(MAX_LISTED_CHANGES, different // RARE_FIELD_RATIO)
    if run.changed_fields.filter(number__lte=most).exists():
        execute(_LIST_CHANGES, run=run.pk, most=most)


def numbers_by_field(run: ImportRun, operation: str = "") -> dict[str, int]:
    """How many changes concern each field: all of them, or those of one operation."""
    fields = run.changed_fields.filter(**({"operation": operation} if operation else {}))
    counted: Counter[str] = Counter()
    for name, number in fields.values_list("name", "number"):
        counted[name] += number
    return dict(counted)


def numbers_by_operation(run: ImportRun, field: str) -> dict[str, int]:
    """How many changes of each operation concern the field."""
    return dict(run.changed_fields.filter(name=field).values_list("operation", "number"))


def changes_of_field(rows: QuerySet[Change], run: ImportRun, name: str) -> list[QuerySet[Change]]:
    """The rows, of this run's changes, that concern the field: a list per operation, each in the order of an index."""
    is_listed = ExpressionWrapper(Q(changes__isnull=False), BooleanField())
    lists = []
    for field in run.changed_fields.filter(name=name).defer("changes").annotate(is_listed=is_listed):
        if field.is_listed:
            # By key, one by one: for a join the planner would expect to read all of the run's changes.
            listed = """
                catalog_change.id = ANY((
                    SELECT changes FROM catalog_changedfield WHERE (run_id, operation, name) = (%s, %s, %s)
                )::bigint[])
            """
            chosen = RawSQL(listed, field.pk, output_field=BooleanField())  # noqa: S611 - the key is a parameter
            lists.append(rows.filter(chosen).order_by("id"))
        else:
            # Nothing is read before the field's first change, nor after its last.
            between = rows.filter(**of_operation(field.operation), pk__range=(field.first, field.last))
            lists.append(with_field(between, name).order_by("operation", "id"))
    return lists


def of_operation(operation: str) -> dict[str, Any]:
    """A filter on one operation, as a range, so that PostgreSQL uses the index of operation and id.

    Compared with one value, the operation is dropped from the order, and the ids of all imports are gone through.
    """
    return {"operation__range": (operation, operation)}


def with_field(rows: QuerySet[Change], name: str) -> QuerySet[Change]:
    """The rows that concern the field, each looked at: for a few rows."""
    if name.startswith(EXTRA_PREFIX):
        concerns = RawSQL(
            """(
                (before -> 'extra' -> %s) IS DISTINCT FROM (after -> 'extra' -> %s)
                OR (pinned #> ARRAY['extra', 'kept', %s]) IS DISTINCT FROM (pinned #> ARRAY['extra', 'file', %s])
            )""",
            [name.removeprefix(EXTRA_PREFIX)] * 4,
        )
    else:
        concerns = RawSQL("(after ? %s OR COALESCE(pinned ? %s, false))", [name] * 2)
    return rows.alias(concerns=concerns).filter(concerns=True)
