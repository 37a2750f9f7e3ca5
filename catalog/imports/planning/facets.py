"""Write what the changes of a plan are found and sorted by into narrow rows, and count these.

docs/decisions/0040-a-plan-is-filtered-by-narrow-rows.md
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet

from catalog.imports.sql import PRODUCT_OF_CHANGE, execute, fetch_rows, joining_by_hashes
from catalog.models import ChangeFacets, ImportRun

# What products are counted by. A change may take a product from one value to another.
DIMENSIONS = ("brand", "product_type", "gender", "condition")
# The lists of the API's `filter-options`.
API_FILTERS = ("brand", "gender", "condition")
# The ends of the bars of the histogram, as shares of the old price; below the first and above the last is one more.
PRICE_STEPS = (-0.5, -0.2, -0.05, 0, 0.05, 0.2, 0.5)
MAX_VALUES = 50  # of each facet
SHOWN_SHIFTS = 10
SHOWN_EXTREMES = 3

_COLUMNS = [*DIMENSIONS, "currency", *(f"lost_{name}" for name in DIMENSIONS)]
# The move of a price in one currency, as a share of the old one. Zero is no move.
_SHARE = """
    CASE WHEN change.after ? 'price' AND NOT change.after ? 'currency' THEN NULLIF(
        ((change.after ->> 'price')::numeric / NULLIF((change.before ->> 'price')::numeric, 0) - 1)::float8, 0
    ) END
"""
# The words of a new item, for it is no product yet.
WORDS = "lower(concat_ws(' ', {0}.product_id, {0}.title, {0}.brand, {0}.gtin, {0}.mpn))"

# Whether a change replaces a value that a person's edit gave: a column, a name in `extra`, or that it is archived.
_REPLACES = """(
    EXISTS (
        SELECT FROM jsonb_each(edit.after - 'extra') AS field
        WHERE change.after ? field.key AND change.before -> field.key = field.value
    )
    OR EXISTS (
        SELECT FROM jsonb_object_keys((edit.before -> 'extra') || (edit.after -> 'extra')) AS name
        WHERE edit.before -> 'extra' -> name IS DISTINCT FROM edit.after -> 'extra' -> name
            AND change.before -> 'extra' -> name IS NOT DISTINCT FROM edit.after -> 'extra' -> name
            AND change.before -> 'extra' -> name IS DISTINCT FROM change.after -> 'extra' -> name
    )
    OR change.operation = 'restore' AND edit.operation = 'archive' AND NOT EXISTS (
        SELECT FROM catalog_change later
        WHERE later.product_id = edit.product_id AND later.market_id = edit.market_id AND later.id > edit.id
            AND later.operation IN ('archive', 'restore') AND later.outcome = 'applied'
    )
)"""
# The changes of products that exist, each with the edits that it replaces.
_REPLACED_EDITS = f"""
    catalog_change change
    JOIN catalog_change edit ON edit.run_id IS NULL AND edit.market_id = change.market_id
        AND edit.product_id = change.product_id
    WHERE change.run_id = %(run)s AND change.operation IN ('update', 'restore') AND change.outcome <> 'left_out'
        AND {_REPLACES}
"""


def write_facets(run: ImportRun) -> None:
    """Write the rows of a new plan, from the working table."""
    source = "JOIN working_table item ON item.position = change.position"
    _insert(source, "item.old_", "item.words", "change.position IS NOT NULL", run)
    _insert_looked_up("change.position IS NULL", run)
    _mark_replaced_edits(run)


def rewrite_facets(run: ImportRun, change: int) -> None:
    """Write the row of one change anew: none if it is left out."""
    run.facets.filter(change_id=change).delete()
    _insert_looked_up("change.id = %(change)s", run, change=change)
    _mark_replaced_edits(run, change)


def follow_left_out(run: ImportRun, field: str) -> None:
    """Let the rows follow when a field has been left out of the whole plan."""
    execute(
        """
        DELETE FROM catalog_changefacets facets USING catalog_change change
        WHERE change.run_id = %(run)s AND change.left_out IS NOT NULL AND change.outcome = 'left_out'
            AND (facets.run_id, facets.change_id) = (change.run_id, change.id)
        """,
        run=run.pk,
    )
    _update(run, "share = NULL", "facets.share IS NOT NULL AND NOT change.after ? 'price'")
    kept = "COALESCE(change.left_out -> '{0}' ->> 'kept', '')"
    _update(run, f"currency = {kept.format('currency')}", "change.left_out ? 'currency'")
    if field in DIMENSIONS:
        _update(run, f"{field} = {kept.format(field)}, lost_{field} = NULL", f"change.left_out ? '{field}'")
    run.facets.filter(replaces_edit=True).update(replaces_edit=False)
    _mark_replaced_edits(run)


def replaced_edits(run: ImportRun, changes: list[int]) -> dict[int, tuple[str, Any]]:
    """Who made the last edit that each of these changes replaces, and when."""
    rows = fetch_rows(
        f"""
        SELECT DISTINCT ON (change.id) change.id, edit.actor, edit.made_at
        FROM {_REPLACED_EDITS} AND change.id = ANY(%(changes)s)
        ORDER BY change.id, edit.id DESC
        """,
        run=run.pk,
        changes=changes,
    )
    return {change: (actor, made_at) for change, actor, made_at in rows}


def _insert_looked_up(where: str, run: ImportRun, **values: Any) -> None:
    source = f"""
        LEFT JOIN catalog_product product ON {PRODUCT_OF_CHANGE}
        LEFT JOIN catalog_stageditem item ON change.operation = 'create'
            AND item.run_id = change.run_id AND item.position = change.position
    """
    _insert(source, "product.", WORDS.format("item"), where, run, **values)


def _insert(source: str, old: str, words: str, where: str, run: ImportRun, **values: Any) -> None:
    """Write the rows of changes; `item` has the values of new products, and what begins with `old` those of others."""
    new = "CASE WHEN change.left_out ? '{0}' THEN '' ELSE item.{0} END"
    after = [
        f"CASE change.operation WHEN 'create' THEN {new.format(name)}"
        f" ELSE COALESCE(change.after ->> '{name}', {old}{name}, '') END"
        for name in (*DIMENSIONS, "currency")
    ]
    lost = [
        f"CASE WHEN change.operation = 'archive' THEN {old}{name}"
        f" WHEN change.operation = 'update' THEN change.before ->> '{name}' END"
        for name in DIMENSIONS
    ]
    execute(
        f"""
        INSERT INTO catalog_changefacets
            (run_id, change_id, operation, position, {", ".join(_COLUMNS)}, share, words)
        SELECT
            change.run_id, change.id, change.operation, change.position, {", ".join([*after, *lost])}, {_SHARE},
            CASE change.operation WHEN 'create' THEN {words} ELSE '' END
        FROM catalog_change change {source}
        WHERE change.run_id = %(run)s AND change.outcome <> 'left_out' AND {where}
        """,
        run=run.pk,
        market=run.market_id,
        **values,
    )


def _update(run: ImportRun, what: str, where: str) -> None:
    execute(
        f"""
        UPDATE catalog_changefacets facets SET {what} FROM catalog_change change
        WHERE facets.run_id = %(run)s AND change.run_id = %(run)s AND change.id = facets.change_id
            AND change.left_out IS NOT NULL AND {where}
        """,
        run=run.pk,
    )


def _mark_replaced_edits(run: ImportRun, change: int | None = None) -> None:
    execute(
        f"""
        UPDATE catalog_changefacets SET replaces_edit = true
        WHERE run_id = %(run)s AND change_id IN (
            SELECT change.id FROM {_REPLACED_EDITS} AND (%(change)s::bigint IS NULL OR change.id = %(change)s)
        )
        """,
        run=run.pk,
        change=change,
    )


# --- counted --------------------------------------------------------------------------------------------
_COUNTED = (*DIMENSIONS, "currency", "move")
_LOST = tuple(f"lost_{name}" for name in DIMENSIONS)
_KIND = " ".join(f"WHEN grouping({name}) THEN '{name}'" for name in _COUNTED)
_LOST_KIND = " ".join(f"WHEN grouping(lost_{name}) THEN '{name}'" for name in DIMENSIONS)
_OTHER_VALUE = " ".join(f"WHEN grouping({name}) THEN count(lost_{name})" for name in DIMENSIONS)
# Each row is read once: every value with its rows, and with the products that it gets and loses.
_COUNT_VALUES = f"""
    CREATE TEMPORARY TABLE counted_value ON COMMIT DROP AS
    SELECT kind, value, sum(number)::int AS number, sum(gained)::int AS gained, sum(lost)::int AS lost
    FROM (
        SELECT
            CASE 0 {_KIND} END AS kind, COALESCE({", ".join(_COUNTED)}) AS value, count(*) AS number,
            CASE
                WHEN operation IN ('create', 'restore') THEN count(*)
                WHEN operation = 'update' THEN CASE 0 {_OTHER_VALUE} END
            END AS gained,
            0 AS lost
        FROM (
            SELECT *, width_bucket(share, ARRAY{[*PRICE_STEPS]}::float8[])::text AS move
            FROM catalog_changefacets WHERE run_id = %(run)s
        ) AS facets
        GROUP BY operation, GROUPING SETS ({", ".join(_COUNTED)})
        UNION ALL
        SELECT CASE 0 {_LOST_KIND} END, COALESCE({", ".join(_LOST)}), 0, 0, count(*)
        FROM catalog_changefacets
        WHERE run_id = %(run)s AND COALESCE({", ".join(_LOST)}) IS NOT NULL
        GROUP BY GROUPING SETS ({", ".join(_LOST)})
    ) AS counted
    WHERE value <> ''
    GROUP BY kind, value
"""


@contextmanager
def counted_values(run: ImportRun) -> Iterator[None]:
    """Within, in the open transaction, the temporary table `counted_value` has the values of the run's changes."""
    execute(_COUNT_VALUES, run=run.pk)
    yield
    execute("DROP TABLE counted_value")


def count_facets(run: ImportRun) -> dict[str, list[list[Any]]]:
    """How many of the plan's changes have each value, the most frequent first."""
    frequent = "GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %(most)s"
    by_number = "ORDER BY number DESC, value LIMIT %(most)s"
    counts = {
        name: f"SELECT value, number FROM counted_value WHERE kind = '{name}' AND number > 0 {by_number}"
        for name in _COUNTED
    }
    counts["move"] = counts["move"].replace("value,", "value::int,", 1)
    counts["issue"] = f"""
        SELECT code, count(DISTINCT listed.position)
        FROM catalog_itemissue listed JOIN catalog_changefacets facets USING (run_id, position)
        WHERE run_id = %(run)s {frequent}
    """
    counts["edit"] = f"""
        SELECT 'replaced', count(*) FROM catalog_changefacets WHERE run_id = %(run)s AND replaces_edit {frequent}
    """
    with joining_by_hashes():
        return {
            name: [list(row) for row in fetch_rows(statement, run=run.pk, most=MAX_VALUES)]
            for name, statement in counts.items()
        }


def count_values(run: ImportRun, rows: QuerySet[ChangeFacets], most: int) -> list[tuple[str, str, int]]:
    """How many of these narrow rows have each value of each facet: its name, the value and the number.

    The rows themselves are among it as `change`, each with its key. Of more than `most` nothing is said but the number
    of `all`: most + 1. They are read once, and no further.
    """
    kinds = (*_COUNTED, "operation")
    names = (*(name for name in kinds if name != "move"), "change_id", "position", "share", "replaces_edit")
    try:
        found, values = rows.order_by().values_list(*names)[: most + 1].query.sql_with_params()
    except EmptyResultSet:
        return []
    kind = " ".join(f"WHEN grouping({name}) THEN '{name}'" for name in kinds)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH found AS MATERIALIZED ({found}),
            number AS MATERIALIZED (SELECT count(*) AS of_found FROM found),
            few AS MATERIALIZED (
                SELECT *, width_bucket(share, ARRAY{[*PRICE_STEPS]}::float8[])::text AS move
                FROM found WHERE (SELECT of_found FROM number) <= %s
            )
            SELECT 'all', '', of_found FROM number
            UNION ALL SELECT 'change', change_id::text, 1 FROM few
            UNION ALL SELECT * FROM (
                SELECT CASE 0 {kind} END, COALESCE({", ".join(kinds)}) AS value, count(*)
                FROM few GROUP BY GROUPING SETS ({", ".join(kinds)})
            ) AS counted WHERE value IS NOT NULL
            UNION ALL SELECT 'edit', 'replaced', count(*) FROM few WHERE replaces_edit
            UNION ALL
            SELECT 'issue', code, count(DISTINCT listed.position)
            FROM few JOIN catalog_itemissue listed ON listed.run_id = %s AND listed.position = few.position
            GROUP BY code
            """,
            [*values, most, run.pk],
        )
        return list(cursor.fetchall())


def farthest_moves(run: ImportRun) -> dict[str, list[list[Any]]]:
    """The products whose prices fall and rise the farthest, each with the move."""
    return {
        name: [
            [product_id, float(share)]
            for product_id, share in fetch_rows(
                f"""
                SELECT change.product_id, share
                FROM (
                    SELECT change_id, share FROM catalog_changefacets
                    WHERE run_id = %(run)s AND share {sign} 0 ORDER BY share {order}, change_id LIMIT %(most)s
                ) AS facets JOIN catalog_change change ON change.id = change_id
                ORDER BY share {order}, change_id
                """,
                run=run.pk,
                most=SHOWN_EXTREMES,
            )
        ]
        for name, sign, order in (("falls", "<", "ASC"), ("rises", ">", "DESC"))
    }


_LISTED = "catalog_product WHERE market_id = %(market)s AND archived_at IS NULL AND {0} = shift.value"
_APPEARS = "gained > 0 AND NOT EXISTS (SELECT FROM {listed})"
# As many products have it as it loses, but for those that it gets.
_VANISHES = """
    lost > gained AND (
        SELECT count(*) FROM (SELECT FROM {listed} LIMIT shift.lost - shift.gained + 1) AS few
    ) = lost - gained
"""


def measure_shifts(run: ImportRun) -> dict[str, dict[str, Any]]:
    """What gets and loses how many products, and what the API's filters get and lose by it.

    Each list has the first values, those with the most products, and how many values there are.
    """
    values = {"market": run.market_id, "most": SHOWN_SHIFTS}

    def first_shifts(name: str, where: str, order: str) -> list[Any]:
        rows = fetch_rows(
            f"""
            SELECT value, gained, lost, count(*) OVER () FROM counted_value AS shift
            WHERE kind = '{name}' AND gained + lost > 0 AND {where.format(listed=_LISTED.format(name))}
            ORDER BY {order} DESC, value LIMIT %(most)s
            """,
            **values,
        )
        return [[[value, gained, lost] for value, gained, lost, _all in rows], rows[0][3]] if rows else []

    return {
        "shifts": {name: found for name in DIMENSIONS if (found := first_shifts(name, "true", "gained + lost"))},
        "appearing": {name: found for name in API_FILTERS if (found := first_shifts(name, _APPEARS, "gained"))},
        "vanishing": {name: found for name in API_FILTERS if (found := first_shifts(name, _VANISHES, "lost"))},
    }
