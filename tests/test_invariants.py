"""What always holds, as SQL that returns no row: above all that each count is one of rows that can be listed."""

from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from catalog.imports.apply import apply
from catalog.imports.confirm import confirm
from catalog.imports.discard import clean_up
from catalog.imports.leave_out import leave_out
from catalog.imports.reading.stage import stage
from catalog.imports.undo import request_redo, request_undo
from catalog.models import Feed, ImportRun, Product, Status
from catalog.tests.factories import (
    FLAWLESS,
    add_product,
    applied,
    discarded,
    edit,
    execute,
    feed_of,
    item,
    items,
    planned,
    received,
    redone,
    undone,
)

PLANNED = "('review', 'applying', 'applied', 'undoing', 'undone', 'redoing')"
INVARIANTS = {
    "the counts of a plan add up": f"""
        SELECT id FROM catalog_importrun
        WHERE status IN {PLANNED}
            AND items <> created + changed + unchanged + existing + duplicate + invalid + conflict + left_out
    """,
    "what is proposed is what is counted": """
        SELECT run.id FROM catalog_importrun run LEFT JOIN catalog_change c ON c.run_id = run.id
        WHERE status IN ('review', 'applying')
        GROUP BY run.id
        HAVING created <> count(c) FILTER (WHERE operation = 'create' AND outcome <> 'left_out')
            OR changed <> count(c) FILTER (WHERE operation IN ('update', 'restore') AND outcome <> 'left_out')
            OR archived <> count(c) FILTER (WHERE operation = 'archive' AND outcome <> 'left_out')
            OR run.pinned <> count(c) FILTER (WHERE operation = 'keep')
            OR count(c.id) <> count(c) FILTER (WHERE outcome IN ('proposed', 'pinned', 'left_out'))
    """,
    "what was applied is what is counted": """
        SELECT run.id FROM catalog_importrun run LEFT JOIN catalog_change c ON c.run_id = run.id
        WHERE status IN ('applied', 'undoing')
        GROUP BY run.id
        HAVING created <> count(c) FILTER (WHERE operation = 'create' AND outcome = 'applied')
            OR changed <> count(c) FILTER (WHERE operation IN ('update', 'restore') AND outcome = 'applied')
            OR archived <> count(c) FILTER (WHERE operation = 'archive' AND outcome = 'applied')
            OR conflict <> count(c) FILTER (WHERE operation <> 'archive' AND outcome = 'conflict')
            OR archive_conflict <> count(c) FILTER (WHERE operation = 'archive' AND outcome = 'conflict')
    """,
    "what was left out is what is counted": f"""
        SELECT run.id FROM catalog_importrun run LEFT JOIN catalog_change c ON c.run_id = run.id
        WHERE status IN {PLANNED}
        GROUP BY run.id
        HAVING run.left_out <> count(c) FILTER (WHERE operation <> 'archive' AND outcome = 'left_out')
            OR archive_left_out <> count(c) FILTER (WHERE operation = 'archive' AND outcome = 'left_out')
            OR count(c) FILTER (WHERE outcome = 'left_out' AND c.left_out IS NULL) <> 0
    """,
    "what was undone is what is counted": """
        SELECT run.id FROM catalog_importrun run LEFT JOIN catalog_change c ON c.run_id = run.id
        WHERE status IN ('undone', 'redoing')
        GROUP BY run.id
        HAVING undone <> count(c) FILTER (WHERE outcome = 'undone')
            OR kept <> count(c) FILTER (WHERE outcome = 'kept')
            OR gone <> count(c) FILTER (WHERE outcome = 'gone')
            OR created + changed + archived <> count(c) FILTER (WHERE outcome IN ('undone', 'kept', 'gone'))
            OR conflict + archive_conflict <> count(c) FILTER (WHERE outcome = 'conflict')
    """,
    "only an undone run has counts of the undo": """
        SELECT id FROM catalog_importrun
        WHERE status NOT IN ('undone', 'redoing') AND undone + kept + gone <> 0
    """,
    "what can come back has its values": """
        SELECT c.id FROM catalog_change c
        LEFT JOIN catalog_stageditem i ON i.run_id = c.run_id AND i.position = c.position
        WHERE c.operation = 'create' AND c.outcome = 'undone' AND i.product_id IS DISTINCT FROM c.product_id
    """,
    "what was removed is not there": """
        SELECT c.id FROM catalog_change c
        JOIN catalog_product product ON product.id = c.product_id AND product.market_id = c.market_id
        WHERE c.operation = 'create' AND c.outcome = 'undone' AND product.created_at <= c.made_at
    """,
    "what was done has its time": """
        SELECT id FROM catalog_change
        WHERE outcome IN ('applied', 'undone', 'kept', 'gone') AND made_at IS NULL
    """,
    "invalid items can be listed": f"""
        SELECT run.id FROM catalog_importrun run
        WHERE (status IN {PLANNED} OR status = 'discarded')
            AND invalid <> (SELECT count(*) FROM catalog_stageditem i WHERE i.run_id = run.id AND state = 'invalid')
    """,
    "every item of an open plan can be listed": """
        SELECT run.id FROM catalog_importrun run LEFT JOIN catalog_stageditem i ON i.run_id = run.id
        WHERE status IN ('review', 'applying')
        GROUP BY run.id
        HAVING items <> count(i.position) OR items <> max(i.position) OR min(i.position) <> 1
            OR duplicate <> count(i.position) FILTER (WHERE state = 'duplicate')
    """,
    "duplicates are an issue": f"""
        SELECT run.id FROM catalog_importrun run
        LEFT JOIN catalog_runissue issue ON issue.run_id = run.id AND code = 'id.duplicate'
        WHERE status IN {PLANNED} AND duplicate <> COALESCE(issue.count, 0)
    """,
    "issues are counted as often as items have them": """
        SELECT issue.id FROM catalog_runissue issue JOIN catalog_importrun run ON run.id = issue.run_id
        WHERE status IN ('review', 'applying') AND NOT starts_with(code, 'feed.')
            AND code NOT IN ('id.duplicate', 'id.case', 'price.currency_mixed', 'gtin.duplicate', 'group.single',
                'group.brand_differs', 'group.title_differs', 'group.no_difference')
            AND issue.count <> (
            SELECT count(*) FROM catalog_stageditem i, jsonb_array_elements(i.issues) one
            WHERE i.run_id = run.id AND one ->> 0 = issue.code AND one ->> 1 = issue.attribute
        )
    """,
    "the items of an issue can be listed": """
        SELECT issue.id FROM catalog_runissue issue JOIN catalog_importrun run ON run.id = issue.run_id
        WHERE status IN ('review', 'applying') AND NOT starts_with(code, 'feed.')
            AND (SELECT count(*) FROM catalog_itemissue i JOIN catalog_stageditem USING (run_id, position)
                WHERE i.run_id = run.id AND i.code = issue.code AND i.attribute = issue.attribute)
            NOT BETWEEN 1 AND issue.count
    """,
    "only items that are there are listed": """
        SELECT i.run_id FROM catalog_itemissue i JOIN catalog_importrun run ON run.id = i.run_id
        WHERE NOT EXISTS (
            SELECT FROM catalog_stageditem item WHERE item.run_id = i.run_id AND item.position = i.position
        )
    """,
    "an issue has examples, at most five": """
        SELECT id FROM catalog_runissue WHERE jsonb_array_length(examples) <> least(count, 5)
    """,
    "a plan has its hash": f"""
        SELECT id FROM catalog_importrun
        WHERE status IN {PLANNED} AND length(plan_hash) <> 64
    """,
    "what is not applied leaves no plan": """
        SELECT run.id FROM catalog_importrun run JOIN catalog_change c ON c.run_id = run.id
        WHERE status IN ('received', 'staging', 'failed', 'discarded')
    """,
    "an end has its time, and only an end": """
        SELECT id FROM catalog_importrun
        WHERE (status IN ('received', 'staging', 'review', 'applying')) <> (finished_at IS NULL)
    """,
    "a failure has its reason, and only a failure, of an undo too": """
        SELECT id FROM catalog_importrun
        WHERE status = 'failed' AND error = '' OR status NOT IN ('failed', 'applied', 'undone') AND error <> ''
            OR (error <> '') <> (error_code <> '')
    """,
    "the history ends with the status": """
        SELECT id FROM catalog_importrun
        WHERE status <> COALESCE(history -> -1 ->> 'status', 'received')
    """,
    "staged items belong to a run": """
        SELECT run_id FROM catalog_stageditem WHERE run_id NOT IN (SELECT id FROM catalog_importrun)
    """,
    "every version of a product has its change": """
        SELECT product.id FROM catalog_product product
        WHERE version < (
            SELECT count(*) FROM catalog_change c
            WHERE c.product_id = product.id AND c.market_id = product.market_id AND outcome = 'applied'
        )
    """,
    "a change is in the market of its feed": """
        SELECT c.id FROM catalog_change c
        JOIN catalog_importrun run ON run.id = c.run_id JOIN catalog_feed feed ON feed.id = run.feed_id
        WHERE c.market_id <> feed.market_id
    """,
    "a product is in the market of its feed": """
        SELECT product.key FROM catalog_product product JOIN catalog_feed feed ON feed.id = product.feed_id
        WHERE product.market_id <> feed.market_id
    """,
    "a product is archived by its last change or by hand": """
        SELECT product.id FROM catalog_product product
        JOIN LATERAL (
            SELECT operation FROM catalog_change c
            WHERE c.product_id = product.id AND c.market_id = product.market_id AND outcome = 'applied'
            ORDER BY id DESC LIMIT 1
        ) AS last ON version = (
            SELECT count(*) FROM catalog_change c
            WHERE c.product_id = product.id AND c.market_id = product.market_id AND outcome = 'applied'
        )
        WHERE (archived_at IS NOT NULL) <> (last.operation = 'archive')
    """,
}


def violations() -> dict[str, list[Any]]:
    found = {}
    with connection.cursor() as cursor:
        for name, query in INVARIANTS.items():
            cursor.execute(query)
            if rows := cursor.fetchall():
                found[name] = rows
    return found


@pytest.fixture
def feed(db: None, settings: Any, tmp_path: Path) -> Feed:
    settings.MEDIA_ROOT = tmp_path
    return Feed.objects.create(name="Ounass", slug="ounass")


MIXED = [
    item("1", color="Red"),
    item("1", gtin="4006381333931"),
    item("twin", gtin="4006381333931"),
    item("free", price="free", gender="Herren"),
    item("2", brand=None),
]


@pytest.fixture
def imports(feed: Feed) -> Feed:
    """Imports in every state, with every kind of count."""
    applied(feed, *items(12), *MIXED)
    broken_off(feed)  # before others ask for the catalogue, for they come first
    with_conflicts(feed)
    with_undos(feed)
    with_pins(feed)
    with_things_left_out(feed)
    clean_up(applied(feed, *MIXED, mode="sync"))
    applied(feed, *MIXED, mode="add")
    applied(feed, *(item(str(n), **dict.fromkeys(FLAWLESS), quantity="1") for n in range(3)))
    refused(feed)
    discarded(planned(feed, *MIXED, item("7")))
    discarded(received(feed, feed_of(item("8"))))
    received(feed, feed_of(item("9")))
    received(feed, feed_of(item("10"))).move(Status.RECEIVED, to=Status.STAGING)
    planned(feed, *MIXED, *items(12, brand=None), mode="sync")
    run = planned(feed, *MIXED, item("11"), mode="sync")
    confirm(run, plan_hash=run.plan_hash, by=None)
    return feed


def with_conflicts(feed: Feed) -> None:
    run = planned(feed, *MIXED, item("new"), item("newer"), *items(3, color="Blue"), mode="sync")
    edit("00001", color="Green")
    edit("00009", color="Green")
    Product.objects.get(id="00010").delete()
    add_product(id="new", title="By hand")
    execute(run)


def with_undos(feed: Feed) -> None:
    """Undone with every kind of count, undone and applied again with conflicts, and on the way either way."""
    applied(feed, item("u1"), item("u2"), item("u3"), item("u4"))
    run = applied(feed, *(item(f"u{n}", color="Red") for n in (1, 2, 3, 5, 6, 7)), mode="sync")
    edit("u2", color="Green")
    edit("u6", color="Green")
    Product.objects.filter(id__in=["u3", "u7"]).delete()
    undone(run)
    edit("u1", color="Green")
    redone(run)
    undone(run)
    request_redo(run, by=None)
    again = applied(feed, item("u8"), item("u9"))
    clean_up(again)
    edit("u9", color="Green")
    undone(again)
    clean_up(again)
    request_undo(applied(feed, item("u10")), by=None)


def with_pins(feed: Feed) -> None:
    applied(feed, item("p1"), item("p2"))
    edit("p1", title="Mine", pinned=["title"])
    edit("p2", title="Mine", pinned=["title"])
    applied(feed, item("p1"), item("p2", color="Red"))
    discarded(planned(feed, item("p1"), item("p2")))
    planned(feed, item("p1"), item("p2", color="Blue"))


def with_things_left_out(feed: Feed) -> None:
    """Of a plan that was applied and one that waits: changes of each kind, fields, and a field everywhere."""
    applied(feed, *(item(f"l{n}", color="Red") for n in range(4)))
    for colour in ("Blue", "Green"):
        run = planned(feed, item("l0", color=colour), item("l1", title=colour, color=colour), item(colour), mode="sync")
        leave_out(run, plan_hash=run.plan_hash, by=None, field="color")
        for product_id in (colour, "l2"):
            change = run.changes.get(product_id=product_id).pk
            leave_out(run, plan_hash=run.plan_hash, by=None, change=change)
        if colour == "Blue":
            execute(run)


def refused(feed: Feed) -> None:
    run = received(feed, feed_of(*items(2500))[:-10], mode="sync")
    stage(run)
    assert run.status == Status.FAILED


def broken_off(feed: Feed) -> None:
    run = planned(feed, item("poison", title="poison"), item("00004", color="Blue"))
    confirm(run, plan_hash=run.plan_hash, by=None)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # of the test's own transaction
        cursor.execute("ALTER TABLE catalog_product ADD CONSTRAINT no_poison CHECK (title <> 'poison')")
    with pytest.raises(IntegrityError):
        apply(run)
    assert run.status == Status.FAILED


def test_every_invariant_holds_in_a_scenario_with_every_state(imports: Feed) -> None:
    assert {*ImportRun.objects.values_list("status", flat=True)} == {*Status.values}
    assert violations() == {}


SPOILS = {
    "DELETE FROM catalog_stageditem WHERE state = 'invalid'": "invalid items can be listed",
    "DELETE FROM catalog_change WHERE outcome = 'proposed'": "what is proposed is what is counted",
    "DELETE FROM catalog_change WHERE outcome = 'conflict'": "what was applied is what is counted",
    "DELETE FROM catalog_change WHERE outcome = 'left_out'": "what was left out is what is counted",
    "DELETE FROM catalog_change WHERE outcome = 'undone'": "what was undone is what is counted",
    "DELETE FROM catalog_stageditem WHERE state = 'valid'": "what can come back has its values",
    "DELETE FROM catalog_stageditem WHERE position = 1": "every item of an open plan can be listed",
    "UPDATE catalog_runissue SET count = count + 1": "issues are counted as often as items have them",
    "UPDATE catalog_product SET version = 1": "every version of a product has its change",
}


def test_an_invariant_that_is_broken_is_noticed(imports: Feed, subtests: Any) -> None:
    for spoil, name in SPOILS.items():
        with subtests.test(spoil), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(spoil)
            assert name in violations()
            transaction.set_rollback(True)
