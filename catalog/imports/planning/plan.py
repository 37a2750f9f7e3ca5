"""Decide what an import would change: one SQL statement per decision, all in one transaction."""

import hashlib
from collections.abc import Iterable
from typing import Any

from django.db import connection, transaction

from catalog.imports.planning import between_items, changed_fields, coverage, supplemental, working_table
from catalog.imports.planning.holds import holds
from catalog.imports.sql import execute
from catalog.imports.work.queue import timed
from catalog.models import ImportRun, Mode, Operation, Status
from catalog.models.fields import MONEY_NAMES, columns_in_file


def plan(run: ImportRun) -> None:
    """Compare the staged items with the catalogue and write a Change for each product that would change.

    The run goes from staging to review with its counts and a hash over the plan. No product is changed. Called again,
    it does nothing.
    """
    if not ImportRun.objects.filter(pk=run.pk, status=Status.STAGING).exists():
        run.refresh_from_db()
        return
    _gather_statistics(
        "catalog_stageditem (run_id, position, product_id, state, digest)", "catalog_product (id, feed_id)"
    )
    with transaction.atomic():
        begun = _moment()
        counts: dict[str, int] = {"items": run.items}
        with timed(run, "plan"):
            counts["invalid"] = run.invalid - supplemental.accept(run)
            working_table.gather(run)
            counts["duplicate"] = between_items.mark_duplicates(run)
            between_items.list_items(run)
            between_items.compare(run)
            supplemental.count_the_rest(run)
            counts["created"] = _plan_creations(run)
            different = _plan_changes(run)
            changed_fields.measure(run, different)
            counts["pinned"] = run.changes.filter(operation=Operation.KEEP).count()
            counts["changed"] = different - counts["pinned"]
            counts["archived"] = _plan_archiving(run) if run.mode == Mode.SYNC else 0
            covered = coverage.measure(run)
            plan_hash = _hash(run)
        rest = counts["items"] - counts["invalid"] - counts["duplicate"] - counts["created"] - counts["changed"]
        counts["existing" if run.mode == Mode.ADD else "unchanged"] = rest
        for name, count in counts.items():
            setattr(run, name, count)
        fields = {"plan_hash": plan_hash, "names": run.names, "holds": holds(run), "coverage": covered, **begun}
        fields |= {"seconds": run.seconds, "metrics": run.metrics}
        working_table.drop()
        if not run.move(Status.STAGING, to=Status.REVIEW, **fields, **counts):
            transaction.set_rollback(True)  # discarded meanwhile
    _gather_statistics("catalog_change (run_id, operation, product_id, position)")


def _moment() -> dict[str, Any]:
    """When the plan is begun, by the database's clock, and of which version of the catalogue it will be at least."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp(), (SELECT version FROM catalog_catalogstate)")
        planned_at, version = cursor.fetchone()
    return {"planned_at": planned_at, "catalog_version": version or 0}


def _gather_statistics(*tables: str) -> None:
    """Rows that were written a moment ago are unknown to the planner, which would then loop over a million of them.

    It needs to know how many there are rather than what is in them, so a small sample does. Each table has a
    transaction of its own: ANALYZE locks out every other one, and autovacuum, until the commit.
    """
    for table in tables:
        with transaction.atomic():
            execute("SET LOCAL default_statistics_target = 10")
            execute(f"ANALYZE {table}")


def _plan_creations(run: ImportRun) -> int:
    """A valid item whose id is not in the catalogue is new."""
    return execute(
        """
        INSERT INTO catalog_change
            (run_id, product_id, operation, before, after, position, line, outcome)
        SELECT %(run)s, product_id, 'create', '{}', '{}', position, line, 'proposed'
        FROM compared
        WHERE is_new
        ORDER BY position
        """,
        run=run.pk,
    )


def _plan_changes(run: ImportRun) -> int:
    """A product changes when a column that the file speaks of differs, or comes back when it was archived.

    A column that occurs nowhere in the file stays; one that is missing on an item but occurs in the file is cleared.
    The same holds for each name in `extra`. A pinned column is kept, with what the file says of it; a product that only
    differs in such columns does not change. Of amounts that are pinned no part is kept in another currency.
    """
    columns = columns_in_file(run.names)
    pairs = [f"('{c}', to_jsonb(product.{c}), to_jsonb(item.{c}))" for c in columns]
    pairs.append(f"('extra', product.extra, {working_table.EXTRA})")
    return execute(
        _CHANGES.format(pairs=", ".join(pairs), held=_held(columns)),
        run=run.pk,
        names=run.names,
        amounts=[*MONEY_NAMES, "currency"],
    )


def _held(columns: Iterable[str]) -> str:
    held = "field.name = ANY(product.pinned)"
    if "currency" not in columns:
        return held
    amounts = "field.name = ANY(%(amounts)s) AND product.pinned && %(amounts)s"
    return f"({held} OR {amounts} AND product.currency <> item.currency)"


_CHANGES = """
    INSERT INTO catalog_change
        (run_id, product_id, operation, before, after, pinned, base_version, position, line, outcome)
    SELECT
        item.run_id, item.product_id,
        CASE
            WHEN product.archived_at IS NOT NULL THEN 'restore'
            WHEN difference.before IS NULL THEN 'keep'
            ELSE 'update'
        END,
        COALESCE(difference.before, '{{}}'), COALESCE(difference.after, '{{}}'), difference.pinned,
        product.version, item.position, item.line,
        CASE WHEN product.archived_at IS NULL AND difference.before IS NULL THEN 'pinned' ELSE 'proposed' END
    FROM compared
    JOIN catalog_stageditem item ON item.run_id = %(run)s AND item.position = compared.position
    JOIN catalog_product product ON product.id = compared.product_id
    CROSS JOIN LATERAL (
        SELECT
            jsonb_object_agg(name, old) FILTER (WHERE NOT held) AS before,
            jsonb_object_agg(name, new) FILTER (WHERE NOT held) AS after,
            jsonb_object_agg(name, jsonb_build_object('kept', old, 'file', new)) FILTER (WHERE held) AS pinned
        FROM (
            SELECT field.*, {held} AS held
            FROM (VALUES {pairs}) AS field (name, old, new)
            WHERE field.old IS DISTINCT FROM field.new
        ) AS field
    ) AS difference
    WHERE compared.differs
    ORDER BY item.position
"""


def _plan_archiving(run: ImportRun) -> int:
    """A product of this feed that is not in the file is archived. One whose item is invalid is in the file."""
    return execute(
        """
        INSERT INTO catalog_change
            (run_id, product_id, operation, before, after, base_version, outcome)
        SELECT %(run)s, product.id, %(archive)s, '{}', '{}', product.version, 'proposed'
        FROM catalog_product product
        WHERE product.feed_id = %(feed)s AND product.archived_at IS NULL
            AND NOT EXISTS (
                SELECT FROM catalog_stageditem item WHERE item.run_id = %(run)s AND item.product_id = product.id
            )
        ORDER BY product.id
        """,
        run=run.pk,
        feed=run.feed_id,
        archive=Operation.ARCHIVE,
    )


def _hash(run: ImportRun) -> str:
    """One value for the whole plan, in constant memory: what was reviewed is what is confirmed.

    The values of new products are those of the file, so the file's own hash stands for them.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT count(*), bit_xor(hashtextextended(content, 0)), sum(hashtextextended(content, 1)::numeric)
            FROM (
                SELECT concat_ws('|', product_id, operation, after, base_version, position) AS content
                FROM catalog_change
                WHERE run_id = %s
            ) AS plan
            """,
            [run.pk],
        )
        sums = cursor.fetchone()
    return hashlib.sha256(f"{run.sha256}|{run.feed_id}|{run.mode}|{sums}".encode()).hexdigest()
