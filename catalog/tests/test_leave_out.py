"""Leaving parts of a plan out: the plan follows at once, the products stay, and the next file proposes it again."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from catalog.errors import NotAllowed, NotPossible
from catalog.imports.confirm import confirm, go_on
from catalog.imports.leave_out import leave_out, take_again
from catalog.imports.reports.changes import changes_with, filtered_changes, numbers_by_field
from catalog.imports.reports.downloads import changes_csv
from catalog.imports.reports.pages import read_page
from catalog.models import Feed, ImportRun, Outcome, Product, Status
from catalog.tests.factories import (
    applied,
    catalogue,
    change,
    counts,
    edit,
    execute,
    item,
    items,
    planned,
    redone,
    undone,
)
from catalog.tests.pages import browser, buttons, changes, heading, messages, staff, texts, tree, url

pytestmark = pytest.mark.django_db


def leave(run: ImportRun, product_id: str = "", field: str = "") -> int:
    pk = change(run, product_id).pk if product_id else None
    return leave_out(run, plan_hash=run.plan_hash, by=None, change=pk, field=field)


def take(run: ImportRun, product_id: str) -> None:
    take_again(run, plan_hash=run.plan_hash, by=None, change=change(run, product_id).pk)


def product(product_id: str) -> Product:
    return Product.objects.get(id=product_id)


def listed(run: ImportRun, **filters: str) -> list[str]:
    return [row.product_id for row in read_page(filtered_changes(run, **filters)[0], "id").rows]


@pytest.fixture
def plan(feed: Feed) -> ImportRun:
    """Of four products one gets another price and colour, one another price, one another heel and note, one goes; two
    are new."""
    applied(feed, *items(4, color="Red", c__heel="low"))
    return planned(
        feed,
        item("00001", price="90.00 AED", color="Blue", c__heel="low"),
        item("00002", price="95.00 AED", color="Red", c__heel="low"),
        item("00003", color="Red", c__heel="high", c__note="new"),
        item("new-1", color="Green", c__heel="70"),
        item("new-2"),
        mode="sync",
    )


# --- a change ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("product_id", ["00001", "00002", "00003", "00004", "new-1"])
def test_a_change_that_is_left_out_is_not_applied_and_counted_as_such(plan: ImportRun, product_id: str) -> None:
    before = {row["id"]: row for row in catalogue()}
    was, hash_before = counts(plan), plan.plan_hash
    assert leave(plan, product_id) == 1
    assert plan.plan_hash != hash_before
    moved = {"00004": ("archived", "archive_left_out"), "new-1": ("created", "left_out")}
    source, target = moved.get(product_id, ("changed", "left_out"))
    now = {name: getattr(plan, name) for name in (source, target)}
    assert now == {source: was[source] - 1, target: 1}
    execute(plan)
    assert {row["id"]: row for row in catalogue()}.get(product_id) == before.get(product_id)
    assert change(plan, product_id).outcome == Outcome.LEFT_OUT
    assert plan.conflict == plan.archive_conflict == 0
    assert Product.objects.filter(id="new-2").exists()


def test_a_plan_of_which_all_was_left_out_waits_for_its_person(plan: ImportRun) -> None:
    for each in plan.changes.all():
        leave(plan, each.product_id)
    assert counts(plan) == {"items": 5, "left_out": 5}
    assert plan.archive_left_out == 1
    go_on(plan)
    plan.refresh_from_db()
    assert plan.status == Status.REVIEW
    before = catalogue()
    execute(plan)
    assert catalogue() == before


# --- a field of a change ----------------------------------------------------------------------------------
def test_a_field_of_a_change_is_left_out_and_the_others_are_applied(plan: ImportRun) -> None:
    leave(plan, "00001", "price")
    assert counts(plan)["changed"] == 3
    assert plan.left_out == 0
    leave(plan, "00003", "extra.c:note")
    execute(plan)
    assert (product("00001").price, product("00001").color) == (Decimal(100), "Blue")
    assert product("00003").extra == {"c:heel": "high"}


def test_a_change_of_which_no_field_remains_is_left_out(plan: ImportRun) -> None:
    leave(plan, "00002", "price")
    assert (plan.changed, plan.left_out) == (2, 1)
    leave(plan, "00003", "extra.c:note")
    leave(plan, "00003", "extra.c:heel")
    assert (plan.changed, plan.left_out) == (1, 2)
    execute(plan)
    assert product("00003").extra == {"c:heel": "low"}


def test_a_new_product_comes_without_what_was_left_out(plan: ImportRun) -> None:
    leave(plan, "new-1", "color")
    leave(plan, "new-1", "extra.c:heel")
    assert counts(plan)["created"] == 2
    execute(plan)
    assert (product("new-1").color, product("new-1").extra) == ("", {})
    redone(undone(plan))
    assert (product("new-1").color, product("new-1").extra) == ("", {})


@pytest.mark.parametrize("field", ["price", "title", "currency", "link"])
def test_a_new_product_keeps_what_it_cannot_be_without(plan: ImportRun, field: str) -> None:
    with pytest.raises(NotPossible, match="A new product cannot be without it"):
        leave(plan, "new-1", field)


@pytest.mark.parametrize("field", ["color", "extra.c:heel"])
def test_the_plan_is_another_one_once_a_new_product_loses_a_field(plan: ImportRun, field: str, alice: User) -> None:
    before = plan.plan_hash
    assert leave(plan, "new-1", field) == 1
    assert plan.plan_hash != before
    with pytest.raises(NotPossible):
        confirm(plan, plan_hash=before, by=alice)
    take(plan, "new-1")
    assert plan.plan_hash == before


def test_what_came_back_from_the_archive_can_come_back_without_a_field(feed: Feed) -> None:
    applied(feed, *items(2, color="Red"))
    applied(feed, item("00001", color="Red"), mode="sync")
    run = planned(feed, item("00002", color="Blue"))
    leave(run, "00002", "color")
    assert (run.changed, run.left_out) == (1, 0)
    execute(run)
    assert (product("00002").color, product("00002").archived_at) == ("Red", None)


# --- a field in the whole import --------------------------------------------------------------------------
def test_a_field_is_left_out_of_the_whole_import(plan: ImportRun) -> None:
    assert leave(plan, field="price") == 2
    assert (plan.created, plan.changed, plan.left_out) == (2, 2, 1)
    assert numbers_by_field(plan) == {"color": 1, "extra.c:heel": 1, "extra.c:note": 1}
    execute(plan)
    assert {product(id).price for id in ("00001", "00002", "00003", "new-1")} == {Decimal(100)}
    assert product("00001").color == "Blue"


def test_new_products_lose_it_too_unless_they_need_it(plan: ImportRun) -> None:
    assert leave(plan, field="color") == 2
    assert leave(plan, field="extra.c:heel") == 2
    execute(plan)
    assert (product("00001").color, product("new-1").color) == ("Red", "")
    assert (product("00003").extra, product("new-1").extra) == ({"c:heel": "low", "c:note": "new"}, {})


def test_amounts_that_would_come_in_another_currency_are_left_out_together(feed: Feed) -> None:
    applied(feed, *items(2, sale_price="90.00 AED"))
    run = planned(
        feed,
        item("00001", price="50.00 SAR", sale_price="40.00 SAR", title="New"),
        item("00002", price="95.00 AED", sale_price="85.00 AED"),
    )
    leave(run, field="sale_price")
    assert numbers_by_field(run) == {"title": 1, "price": 1}
    execute(run)
    one, two = product("00001"), product("00002")
    assert (one.price, one.sale_price, one.currency, one.title) == (100, 90, "AED", "New")
    assert (two.price, two.sale_price) == (95, 90)


def test_a_guard_that_looks_at_changes_looks_again(feed: Feed) -> None:
    applied(feed, *items(20))
    run = planned(feed, *items(20, price="900.00 AED"))
    assert [hold["code"] for hold in run.holds] == ["guard.price_change"]
    leave(run, "00001")
    assert run.holds[0]["message"].startswith("The price of 19 of 19")
    leave(run, field="price")
    assert run.holds == []
    assert (run.changed, run.left_out) == (0, 20)


# --- taking it again --------------------------------------------------------------------------------------
@pytest.mark.parametrize("product_id", ["00001", "00002", "00003", "00004", "new-1"])
def test_what_is_taken_again_is_the_plan_of_before(plan: ImportRun, product_id: str) -> None:
    def state() -> tuple[Any, ...]:
        fields = sorted(plan.changed_fields.values_list("operation", "name", "number"))
        rows = [*plan.changes.order_by("pk").values_list("pk", "before", "after", "left_out", "outcome")]
        return counts(plan), plan.plan_hash, plan.holds, fields, rows

    before = state()
    if product_id == "00003":
        leave(plan, "00003", "extra.c:note")
    leave(plan, product_id)
    assert state() != before
    take(plan, product_id)
    assert state() == before
    with pytest.raises(NotPossible, match="in the plan again"):
        take(plan, product_id)


def test_one_name_of_extra_is_taken_again_beside_the_others(plan: ImportRun) -> None:
    leave(plan, "00003", "extra.c:note")
    take(plan, "00003")
    execute(plan)
    assert product("00003").extra == {"c:heel": "high", "c:note": "new"}


# --- the next file ----------------------------------------------------------------------------------------
def test_the_next_file_proposes_it_again(feed: Feed, plan: ImportRun) -> None:
    leave(plan, "00002")
    leave(plan, field="color")
    leave(plan, "new-1", "extra.c:heel")
    leave(plan, "new-2")
    leave(plan, "00004")
    execute(plan)
    file = [
        item("00001", price="90.00 AED", color="Blue", c__heel="low"),
        item("00002", price="95.00 AED", color="Red", c__heel="low"),
        item("00003", color="Red", c__heel="high", c__note="new"),
        item("new-1", color="Green", c__heel="70"),
        item("new-2"),
    ]
    again = planned(feed, *file, mode="sync")
    assert {each.product_id: each.operation for each in again.changes.all()} == {
        "00001": "update",
        "00002": "update",
        "new-1": "update",
        "new-2": "create",
        "00004": "archive",
    }
    assert change(again, "new-1").after == {"color": "Green", "extra": {"c:heel": "70"}}


# --- undo, and others -------------------------------------------------------------------------------------
def test_an_undo_takes_back_what_was_applied_and_nothing_that_was_left_out(plan: ImportRun) -> None:
    before = {row["id"]: (row["price"], row["color"], row["extra"]) for row in catalogue()}
    leave(plan, "00001", "price")
    leave(plan, "00002")
    leave(plan, "00004")
    leave(plan, "new-2")
    run = undone(execute(plan))
    assert (run.undone, run.kept, run.gone) == (3, 0, 0)
    assert {row["id"]: (row["price"], row["color"], row["extra"]) for row in catalogue()} == before
    redone(run)
    assert (product("00001").price, product("00001").color) == (Decimal(100), "Blue")
    assert not Product.objects.filter(id="new-2").exists()


def test_a_product_edited_meanwhile_is_a_conflict_unless_it_was_left_out(plan: ImportRun) -> None:
    edit("00001", title="By hand")
    edit("00002", title="By hand")
    leave(plan, "00002")
    execute(plan)
    assert (plan.conflict, plan.left_out) == (1, 1)


def test_a_plan_that_was_seen_before_is_not_confirmed(plan: ImportRun, alice: User) -> None:
    seen = ImportRun.objects.get(pk=plan.pk)
    leave(plan, "00001")
    with pytest.raises(NotPossible, match="The plan has changed"):
        confirm(seen, plan_hash=seen.plan_hash, by=alice)
    with pytest.raises(NotPossible, match="The plan has changed"):
        leave_out(seen, plan_hash=seen.plan_hash, by=alice, change=change(plan, "00002").pk)


@pytest.mark.parametrize("field", ["title", "extra.nothing", "nonsense", "extra.", "'; DROP", "id", "pinned"])
def test_what_the_plan_does_not_change_cannot_be_left_out(plan: ImportRun, field: str) -> None:
    with pytest.raises(NotPossible, match="Nothing was left out"):
        leave(plan, field=field) if field != "title" else leave(plan, "00001", field)


def test_nothing_is_left_out_of_what_is_no_plan_any_more(plan: ImportRun) -> None:
    execute(plan)
    with pytest.raises(NotPossible, match="cannot be changed"):
        leave(plan, "00001")


def test_only_who_may_confirm_leaves_things_out(plan: ImportRun, bob: User) -> None:
    with pytest.raises(NotAllowed):
        leave_out(plan, plan_hash=plan.plan_hash, by=bob, field="price")
    with pytest.raises(NotAllowed):
        take_again(plan, plan_hash=plan.plan_hash, by=bob, change=1)


# --- the lists --------------------------------------------------------------------------------------------
def test_what_was_left_out_is_listed_and_in_the_download(plan: ImportRun) -> None:
    leave(plan, "00001", "price")
    leave(plan, "00004")
    leave(plan, "new-2")
    leave(plan, "new-1", "color")
    for _ in range(2):
        assert listed(plan, outcome="left_out") == ["new-1", "new-2", "00001", "00004"]
        assert listed(plan, operation="create") == ["new-1"]
        assert listed(plan, operation="archive") == []
        assert listed(plan, field="price") == ["00002"]
        assert changes_with(plan).count() == 6
        lines = "".join(changes_csv(plan)).splitlines()
        left = sorted(line for line in lines if ",left_out," in line and not line.startswith("new-2"))
        assert left == ["00001,left_out,price,100.00,90.00", "00004,left_out,,,", "new-1,left_out,color,,Green"]
        if plan.status == Status.REVIEW:
            execute(plan)


# --- the page ---------------------------------------------------------------------------------------------
def part(page: Any, value: str) -> str:
    (label,) = texts(page, f"//button[@value='{value}']")
    return label


def post(client: Client, run: ImportRun, part: str, state: str = "") -> Any:
    run.refresh_from_db()
    data = {"part": part, "plan_hash": run.plan_hash, "state": state}
    return client.post(url(run, "leave_out"), data, follow=True)


def test_the_page_leaves_things_out_and_stays_where_it_was(plan: ImportRun) -> None:
    alice = browser("alice")
    page = alice.get(url(plan), {"field": "price"})
    assert part(page, "* price") == "Leave “Price” out of the whole import"
    page = post(alice, plan, "* price", state="tab=changes&field=price")
    assert messages(page) == ["Left out of 2 changes."]
    assert page.redirect_chain[0][0] == f"{url(plan)}?tab=changes&field=price"
    assert heading(page) == "Confirming will add 2, change 2 and archive 1 products; 1 is left out."
    assert buttons(page)[0] == "Confirm: add 2, change 2 and archive 1 products"
    pk = change(plan, "00001").pk
    page = post(alice, plan, f"{pk} color")
    assert messages(page) == ["Left out of the plan."]
    page = alice.get(url(plan), {"tab": "changes", "outcome": "left_out"})
    assert changes(page)["00001"] == [("Price", "100.00 AED", "90.00 AED left out"), ("Colour", "Red", "Blue left out")]
    assert part(page, f"take {pk}") == "Take it after all"
    assert messages(post(alice, plan, f"take {pk}")) == ["The change is in the plan again."]
    assert messages(post(alice, plan, "nonsense")) == [
        "Nothing was left out. The plan does not change it, or no longer does."
    ]


def test_after_the_import_a_new_plan_takes_it_after_all(plan: ImportRun) -> None:
    alice = browser("alice")
    post(alice, plan, str(change(plan, "00001").pk))
    plan.refresh_from_db()
    execute(plan)
    page = alice.get(url(plan), {"tab": "changes", "outcome": "left_out"})
    assert "Take it after all: make a new plan" in buttons(page)
    assert not tree(page).xpath("//form[@id='leave-out']")


def test_who_may_not_confirm_is_offered_nothing_to_leave_out(plan: ImportRun) -> None:
    page = browser("ida").get(url(plan), {"field": "price"})
    assert not tree(page).xpath("//button[@name='part']")
    assert browser("ida").post(url(plan, "leave_out"), {"part": "* price"}).status_code == 403
    staff("bob")
