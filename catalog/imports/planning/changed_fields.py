"""Count how many changes of a plan concern each field, so that their list can be filtered by field.

docs/decisions/0026-the-fields-of-a-plan-are-counted-with-it.md
"""

from catalog.imports.sql import execute, fetch_rows
from catalog.models import ImportRun

# List every change of a field only when few changes concern it: so many, or one in `RARE_FIELD_RATIO` of all changes.
# The changes of other fields are soon met in any case.
MAX_LISTED_CHANGES = 1000
RARE_FIELD_RATIO = 50
EXTRA_PREFIX = "extra."  # in the names of fields that are names in `extra`
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


def fields_of_change(run: ImportRun, change: int) -> set[tuple[str, str]]:
    """The operation of a change with each field that it concerns."""
    fields = f"SELECT operation, name FROM ({_CHANGE_FIELDS} AND change.id = %(change)s) AS change_field"
    return {(operation, name) for operation, name in fetch_rows(fields, run=run.pk, change=change)}


def shift_counts(run: ImportRun, change: int, *, before: set[tuple[str, str]]) -> None:
    """Count a change that has become another one; `before` is what it concerned."""
    now = fields_of_change(run, change)
    for operation, name in before - now:
        execute(
            """
            UPDATE catalog_changedfield SET number = number - 1, changes = array_remove(changes, %(change)s)
            WHERE (run_id, operation, name) = (%(run)s, %(operation)s, %(name)s)
            """,
            run=run.pk,
            change=change,
            operation=operation,
            name=name,
        )
    run.changed_fields.filter(number=0).delete()
    for operation, name in now - before:
        execute(
            """
            INSERT INTO catalog_changedfield AS field (run_id, operation, name, number, first, last, changes)
            VALUES (%(run)s, %(operation)s, %(name)s, 1, %(change)s, %(change)s, ARRAY[%(change)s]::bigint[])
            ON CONFLICT (run_id, operation, name) DO UPDATE
            SET number = field.number + 1, changes = field.changes || EXCLUDED.changes,
                first = least(field.first, EXCLUDED.first), last = greatest(field.last, EXCLUDED.last)
            """,
            run=run.pk,
            change=change,
            operation=operation,
            name=name,
        )


def count_fields(run: ImportRun, different: int) -> None:
    """Count the changes that concern each field, and list those of rare fields; there are `different` changes."""
    execute(_COUNT_FIELDS, run=run.pk, names=MAX_FIELDS, chars=MAX_NAME_CHARS)
    most = max(MAX_LISTED_CHANGES, different // RARE_FIELD_RATIO)
    if run.changed_fields.filter(number__lte=most).exists():
        execute(_LIST_CHANGES, run=run.pk, most=most)
