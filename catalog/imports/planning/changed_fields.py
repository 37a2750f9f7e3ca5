"""Which fields a plan's changes speak of, and how often: what the list of changes is filtered by.

docs/decisions/0026-the-fields-of-a-plan-are-counted-with-it.md
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet
from django.db.models.expressions import RawSQL

from catalog.imports.sql import execute
from catalog.models import Change, ChangedField, ImportRun

EXTRA = "extra."
# Of a field that so many changes speak of, or one in `RARE`, each is listed; those of others are met soon in any case.
FEW = 1000
RARE = 50
# A file with its data in its names has millions of them.
NAMES = 300
NAME_CHARS = 200

# A change speaks of a field when it changes it, or a pin keeps it: never both. Of `extra` the names that differ count.
_SPOKEN = """
    SELECT change.id, change.operation, spoken.name
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
    ) AS spoken (name)
    WHERE change.run_id = %(run)s AND change.operation IN ('update', 'restore', 'keep')
"""

_COUNTED = f"""
    WITH counted AS (
        SELECT operation, name, count(*) AS number, min(id) AS first, max(id) AS last
        FROM ({_SPOKEN}) AS spoken
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

_LISTED = f"""
    UPDATE catalog_changedfield field SET changes = listed.changes
    FROM (
        SELECT spoken.operation, spoken.name, array_agg(spoken.id ORDER BY spoken.id) AS changes
        FROM ({_SPOKEN}) AS spoken
        JOIN catalog_changedfield rare ON rare.run_id = %(run)s
            AND rare.operation = spoken.operation AND rare.name = spoken.name AND rare.number <= %(most)s
        GROUP BY spoken.operation, spoken.name
    ) AS listed
    WHERE field.run_id = %(run)s AND field.operation = listed.operation AND field.name = listed.name
"""


def measure(run: ImportRun, different: int) -> None:
    """Count the changes that speak of each field, and list those of the fields that few do; `different` are all."""
    execute(_COUNTED, run=run.pk, names=NAMES, chars=NAME_CHARS)
    most = max(FEW, different // RARE)
    if run.changed_fields.filter(number__lte=most).exists():
        execute(_LISTED, run=run.pk, most=most)


def numbers(run: ImportRun, operation: str = "") -> dict[str, int]:
    """How many changes speak of each field, all or those of one operation."""
    fields = run.changed_fields.filter(**({"operation": operation} if operation else {}))
    counted: Counter[str] = Counter()
    for name, number in fields.values_list("name", "number"):
        counted[name] += number
    return dict(counted)


def numbers_by_operation(run: ImportRun, field: str) -> dict[str, int]:
    return dict(run.changed_fields.filter(name=field).values_list("operation", "number"))


def lists(rows: QuerySet[Change], run: ImportRun, field: str) -> list[QuerySet[Change]]:
    """Of the run's changes those that speak of the field: a list for each operation, in the order of an index."""
    is_listed = ExpressionWrapper(Q(changes__isnull=False), BooleanField())
    found = run.changed_fields.filter(name=field).defer("changes").annotate(is_listed=is_listed)
    return [_listed(rows, each) if each.is_listed else _between(rows, each) for each in found]


def _listed(rows: QuerySet[Change], field: ChangedField) -> QuerySet[Change]:
    """Asked for by key, one by one: of a join the planner would think that it reads all of the run's changes."""
    stored = """
        catalog_change.id = ANY((
            SELECT changes FROM catalog_changedfield WHERE (run_id, operation, name) = (%s, %s, %s)
        )::bigint[])
    """
    listed = RawSQL(stored, field.pk, output_field=BooleanField())  # noqa: S611 - the key is a parameter
    return rows.filter(listed).order_by("id")


def _between(rows: QuerySet[Change], field: ChangedField) -> QuerySet[Change]:
    """Nothing is read before the first change that speaks of the field, nor after the last."""
    rows = rows.filter(**only(field.operation), pk__range=(field.first, field.last))
    return speaking_of(rows, field.name).order_by("operation", "id")


def only(operation: str) -> dict[str, Any]:
    """Of one operation, said so that an order by operation and id means the index of both.

    Of what is one value anyway PostgreSQL drops it from the order, and goes through the ids of all imports.
    """
    return {"operation__range": (operation, operation)}


def speaking_of(rows: QuerySet[Change], field: str) -> QuerySet[Change]:
    """Those of a few rows that speak of the field."""
    if field.startswith(EXTRA):
        name = field.removeprefix(EXTRA)
        differs = RawSQL(
            """(
                (before -> 'extra' -> %s) IS DISTINCT FROM (after -> 'extra' -> %s)
                OR (pinned #> ARRAY['extra', 'kept', %s]) IS DISTINCT FROM (pinned #> ARRAY['extra', 'file', %s])
            )""",
            [name] * 4,
        )
    else:
        differs = RawSQL("(after ? %s OR COALESCE(pinned ? %s, false))", [field] * 2)
    return rows.alias(speaks=differs).filter(speaks=True)
