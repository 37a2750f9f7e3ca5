"""Decide what an import would change: one SQL statement per decision, all in one transaction."""

import hashlib

from django.db import transaction

from catalog.feeds.cleaning.other_kinds import other_kind
from catalog.imports.issues import list_items
from catalog.imports.planning.between_items import compare_items, mark_duplicates
from catalog.imports.planning.changed_fields import count_fields
from catalog.imports.planning.coverage import measure_coverage
from catalog.imports.planning.facets import write_facets
from catalog.imports.planning.guards import find_holds
from catalog.imports.planning.known_values import keep_known_values
from catalog.imports.planning.meaning import measure_meaning
from catalog.imports.planning.mirror import carry_issues, drop_mirror_tables, note_own_items, settle_known
from catalog.imports.planning.supplemental import accept_items, count_remaining
from catalog.imports.planning.working_table import MERGED_EXTRA, count_left, create_table, drop_table
from catalog.imports.sql import ITS_PRODUCT, execute, fetch_row
from catalog.imports.work.queue import timed
from catalog.models import ImportRun, Mode, Operation, Status
from catalog.models.fields import MONEY_NAMES, columns_in_file
from events.log import log_event


def make_plan(run: ImportRun, *, has_many: bool = True) -> None:
    """Compare the staged items with the catalogue and write a Change for each product that would change.

    The run goes from staging to review with its counts and a hash over the plan. No product is changed. Called again,
    it does nothing. Unless the run `has_many` items, PostgreSQL's planner is not told of them, which takes locks.
    """
    if not ImportRun.objects.filter(pk=run.pk, status=Status.STAGING).exists():
        run.refresh_from_db()
        return
    if has_many:
        _sample_statistics(
            "catalog_stageditem (run_id, position, product_id, state, digest)",
            "catalog_knownitem (run_id, position, last_position, product_id)",
            "catalog_product (market_id, id, feed_id)",
        )
    with transaction.atomic():
        # By the database's clock; the plan will be of this version of the catalogue or a later one.
        planned_at, version = fetch_row(
            "SELECT statement_timestamp(), (SELECT version FROM catalog_catalogstate WHERE market_id = %(market)s)",
            market=run.market_id,
        )
        counts: dict[str, int] = {"items": run.items}
        with timed(run, "plan"):
            is_partial = settle_known(run)
            covered = measure_coverage(run, is_partial=is_partial)
            counts["invalid"] = run.invalid - accept_items(run)
            if counts["invalid"] == run.items and (refused := other_kind(run.names)):
                raise refused
            keep_known_values(run)
            create_table(run)
            counts["duplicate"] = mark_duplicates(run)
            list_items(run)
            if is_partial:
                carry_issues(run)
            compare_items(run, is_partial=is_partial)
            count_remaining(run)
            counts["created"] = plan_creations(run)
            different = plan_changes(run)
            count_fields(run, different)
            counts["pinned"] = run.changes.filter(operation=Operation.KEEP).count()
            counts["changed"] = different - counts["pinned"]
            counts["archived"] = plan_archiving(run) if run.mode == Mode.SYNC else 0
            write_facets(run)
            counts["existing"] = count_left()
            plan_hash = hash_plan(run)
        counts["unchanged"] = counts["items"] - sum(
            counts[name] for name in ("invalid", "duplicate", "created", "changed", "existing")
        )
        for name, count in counts.items():
            setattr(run, name, count)
        facts = {
            "plan_hash": plan_hash,
            "planned_at": planned_at,
            "catalog_version": version or 0,
            "planned_version": version or 0,
            "names": run.names,
            "holds": find_holds(run),
            "coverage": covered,
            "meaning": measure_meaning(run),
            "seconds": run.seconds,
            "metrics": run.metrics,
        }
        note_own_items(run)
        drop_table()
        drop_mirror_tables()
        if not run.move(Status.STAGING, to=Status.REVIEW, **facts, **counts):
            transaction.set_rollback(True)  # discarded meanwhile
        else:
            holds = [hold["code"] for hold in run.holds]
            log_event("plan", run_id=run.pk, holds=holds, seconds=run.seconds["plan"], **counts)
    if has_many:
        _sample_statistics(
            "catalog_change (run_id, operation, product_id, position)",
            "catalog_itemissue (run_id, code, position)",
            "catalog_changefacets (run_id, operation, position, brand, product_type, share)",
        )


def _sample_statistics(*tables: str) -> None:
    """Let the planner know how many rows were just written, or it would loop over a million of them.

    It needs to know how many there are rather than what is in them, so a small sample does. Each table has a
    transaction of its own: ANALYZE locks out every other one, and autovacuum, until the commit.
    """
    for table in tables:
        with transaction.atomic():
            execute("SET LOCAL default_statistics_target = 10")
            execute(f"ANALYZE {table}")


def plan_creations(run: ImportRun) -> int:
    """A valid item whose id is not in the catalogue is new."""
    return execute(
        """
        INSERT INTO catalog_change
            (run_id, market_id, product_id, operation, before, after, position, line, outcome)
        SELECT %(run)s, %(market)s, product_id, 'create', '{}', '{}', position, line, 'proposed'
        FROM working_table
        WHERE is_new
        ORDER BY position
        """,
        run=run.pk,
        market=run.market_id,
    )


def plan_changes(run: ImportRun) -> int:
    """A product changes when a column that occurs in the file differs, or comes back when it was archived.

    A column that occurs nowhere in the file stays; one that an item lacks but the file has is cleared. The same holds
    for each name in `extra`. A pinned column is kept, with the file's value beside it; a product that only differs in
    such columns does not change. Where an amount is pinned, the file's amounts in another currency are kept out.
    """
    columns = columns_in_file(run.names)
    pairs = [f"('{c}', to_jsonb(product.{c}), to_jsonb(item.{c}))" for c in columns]
    pairs.append(f"('extra', product.extra, {MERGED_EXTRA})")
    is_pinned = "field.name = ANY(product.pinned)"
    if "currency" in columns:
        amounts = "field.name = ANY(%(amounts)s) AND product.pinned && %(amounts)s"
        is_pinned = f"({is_pinned} OR {amounts} AND product.currency <> item.currency)"
    return execute(
        f"""
        INSERT INTO catalog_change
            (run_id, market_id, product_id, operation, before, after, pinned, base_version, position, line, outcome)
        SELECT
            item.run_id, %(market)s, item.product_id,
            CASE
                WHEN product.archived_at IS NOT NULL THEN 'restore'
                WHEN difference.before IS NULL THEN 'keep'
                ELSE 'update'
            END,
            COALESCE(difference.before, '{{}}'), COALESCE(difference.after, '{{}}'), difference.pinned,
            product.version, item.position, item.line,
            CASE WHEN product.archived_at IS NULL AND difference.before IS NULL THEN 'pinned' ELSE 'proposed' END
        FROM working_table
        JOIN catalog_stageditem item ON item.run_id = %(run)s AND item.position = working_table.position
        JOIN catalog_product product ON {ITS_PRODUCT.format("working_table")}
        CROSS JOIN LATERAL (
            SELECT
                jsonb_object_agg(name, old) FILTER (WHERE NOT is_pinned) AS before,
                jsonb_object_agg(name, new) FILTER (WHERE NOT is_pinned) AS after,
                jsonb_object_agg(name, jsonb_build_object('kept', old, 'file', new)) FILTER (WHERE is_pinned) AS pinned
            FROM (
                SELECT field.*, {is_pinned} AS is_pinned
                FROM (VALUES {", ".join(pairs)}) AS field (name, old, new)
                WHERE field.old IS DISTINCT FROM field.new
            ) AS field
        ) AS difference
        WHERE working_table.differs
        ORDER BY item.position
        """,
        run=run.pk,
        market=run.market_id,
        names=run.names,
        amounts=[*MONEY_NAMES, "currency"],
    )


def plan_archiving(run: ImportRun) -> int:
    """A product of this feed that is not in the file is archived. One whose item is invalid is in the file."""
    return execute(
        """
        INSERT INTO catalog_change
            (run_id, market_id, product_id, operation, before, after, base_version, outcome)
        SELECT %(run)s, product.market_id, product.id, %(archive)s, '{}', '{}', product.version, 'proposed'
        FROM catalog_product product
        WHERE product.feed_id = %(feed)s AND product.archived_at IS NULL
            AND NOT EXISTS (
                SELECT FROM catalog_stageditem item WHERE item.run_id = %(run)s AND item.product_id = product.id
            )
            AND NOT EXISTS (
                SELECT FROM catalog_knownitem known WHERE known.run_id = %(run)s AND known.product_id = product.id
            )
        ORDER BY product.id
        """,
        run=run.pk,
        feed=run.feed_id,
        archive=Operation.ARCHIVE,
    )


def hash_plan(run: ImportRun) -> str:
    """One value for the whole plan, in constant memory: what was reviewed is what is confirmed.

    The values of new products are those of the file, so the file's own hash stands for them, with what is left out.
    """
    sums = fetch_row(
        """
        SELECT count(*), bit_xor(hashtextextended(content, 0)), sum(hashtextextended(content, 1)::numeric)
        FROM (
            SELECT concat_ws(
                '|', product_id, operation, after, base_version, position,
                CASE WHEN operation = 'create' THEN left_out END
            ) AS content
            FROM catalog_change
            WHERE run_id = %(run)s AND outcome <> 'left_out'
        ) AS plan
        """,
        run=run.pk,
    )
    return hashlib.sha256(f"{run.sha256}|{run.feed_id}|{run.mode}|{sums}".encode()).hexdigest()
