"""Plan: what an import would change, decided once, exactly, and in sums that add up."""

import re
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from catalog.models import CatalogState, Feed, ImportRun, Mode, Product, Status
from catalog.tests.factories import (
    add_product,
    allow_changes,
    applied,
    catalogue,
    change,
    counts,
    discarded,
    edit,
    execute,
    item,
    planned,
)

MODES = list(Mode)


def operations(run: ImportRun) -> dict[str, str]:
    return dict(run.changes.values_list("product_id", "operation"))


# --- what becomes of an item --------------------------------------------------------------------------
@pytest.mark.parametrize("mode", MODES)
def test_an_unknown_id_is_new(feed: Feed, mode: str) -> None:
    run = planned(feed, item("1"), item("2"), mode=mode)
    assert counts(run) == {"items": 2, "created": 2}
    assert operations(run) == {"1": "create", "2": "create"}


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (Mode.ADD, {"items": 2, "existing": 2}),
        (Mode.UPDATE, {"items": 2, "changed": 1, "unchanged": 1}),
        (Mode.SYNC, {"items": 2, "changed": 1, "unchanged": 1, "archived": 1}),
    ],
)
def test_a_mode_decides_what_becomes_of_known_ids(feed: Feed, mode: str, expected: dict[str, int]) -> None:
    applied(feed, item("same"), item("other"), item("missing"))
    run = planned(feed, item("same"), item("other", color="Red"), mode=mode)
    assert counts(run) == expected


def test_the_last_of_several_items_with_one_id_wins(feed: Feed) -> None:
    run = execute(planned(feed, item("1", color="Red"), item("2"), item("1", color="Blue"), item("1", color="Green")))
    assert counts(run) == {"items": 4, "created": 2, "duplicate": 2}
    assert Product.objects.get(id="1").color == "Green"
    issue = run.issues.get()
    assert (issue.code, issue.count) == ("id.duplicate", 2)
    assert [example["line"] for example in issue.examples] == [2, 4]


def test_an_invalid_item_does_not_win_over_a_valid_one(feed: Feed) -> None:
    run = execute(planned(feed, item("1", color="Red"), item("1", color="Blue", price="free")))
    assert counts(run) == {"items": 2, "created": 1, "invalid": 1}
    assert Product.objects.get().color == "Red"


def test_invalid_items_are_not_duplicates_of_each_other(feed: Feed) -> None:
    run = planned(feed, item("1", price=None), item("1", price=None), item("", price=None))
    assert counts(run) == {"items": 3, "invalid": 3}


def test_ids_differ_by_every_character(feed: Feed) -> None:
    run = planned(feed, *map(item, ["a", "A", "á", "a\u0301", "a ", "a b", "a  b", "a%", "a_"]))
    assert counts(run) == {"items": 9, "created": 8, "duplicate": 1}  # outer white space does not count


def test_a_product_of_another_feed_is_known_too(feed: Feed, other_feed: Feed) -> None:
    applied(other_feed, item("1"))
    execute(planned(allow_changes(feed), item("1", color="Red"), mode=Mode.SYNC))
    product = Product.objects.get()
    assert (product.color, product.feed) == ("Red", other_feed)


# --- what changes of a product ------------------------------------------------------------------------
def test_a_change_holds_only_what_differs_and_exactly(feed: Feed) -> None:
    applied(feed, item("1", price="0.10 AED", quantity="3", adult="yes", c__heel="70", color="Red"))
    edit("1", price=Decimal("999999999.005"))
    run = planned(feed, item("1", price="1234567.89 AED", quantity="4", adult="yes", c__heel="80"))
    found = change(run, "1")
    assert found.before == {"price": Decimal("999999999.005"), "quantity": 3, "extra": {"c:heel": "70"}}
    assert found.after == {"price": Decimal("1234567.89"), "quantity": 4, "extra": {"c:heel": "80"}}
    assert (found.operation, found.outcome, found.base_version) == ("update", "proposed", 2)
    assert (found.position, found.line) == (1, 2)


def test_a_new_product_takes_its_values_from_its_item(feed: Feed) -> None:
    found = change(planned(feed, item("1")), "1")
    assert (found.before, found.after, found.base_version, found.position) == ({}, {}, None, 1)


@pytest.mark.parametrize(
    ("name", "value", "empty"),
    [
        ("color", "Red", ""),
        ("gender", "male", ""),
        ("sale_price", "50.00 AED", None),
        ("quantity", "3", None),
        ("adult", "no", None),
        ("additional_image_link", "https://www.example.com/2.jpg", []),
    ],
)
def test_an_attribute_is_cleared_only_where_the_file_speaks_of_it(
    feed: Feed, name: str, value: str, empty: Any
) -> None:
    applied(feed, item("1", **{name: value}))
    kept = Product.objects.values_list(name, flat=True).get()
    silent = applied(feed, item("1"))
    assert counts(silent) == {"items": 1, "unchanged": 1}
    assert Product.objects.values_list(name, flat=True).get() == kept
    applied(feed, item("1"), item("2", **{name: value}))
    assert Product.objects.values_list(name, flat=True).get(id="1") == empty


def test_an_extra_name_is_cleared_only_where_the_file_speaks_of_it(feed: Feed) -> None:
    applied(feed, item("1", c__heel="70", note="n", unit_pricing_measure="1 l"))
    applied(feed, item("1", note="m"), item("2", c__heel="80"))
    assert Product.objects.get(id="1").extra == {"note": "m", "unit_pricing_measure": "1 l"}


@pytest.mark.parametrize(
    ("element", "column", "extra"),
    [
        ('<appLink property="ios_url" content="app://1"/>', "app://1", {}),
        ("<title>Beside g:title</title>", "", {"rss:title": "Beside g:title"}),
    ],
)
def test_what_comes_by_another_name_is_cleared_only_where_the_file_speaks_of_it(
    feed: Feed, element: str, column: str, extra: dict[str, str]
) -> None:
    with_it = [item(id).replace("</item>", f"{element}</item>") for id in ("1", "2")]
    applied(feed, with_it[0])
    applied(feed, item("1"))
    assert [*Product.objects.values_list("ios_url", "extra")] == [(column, extra)]
    applied(feed, item("1"), with_it[1])
    assert Product.objects.values_list("ios_url", "extra").get(id="1") == ("", {})


@pytest.mark.parametrize("speaks", [{"price": "free", "color": "Red"}, {"title": "Twice", "color": "Red"}])
def test_items_that_are_not_applied_speak_for_the_file_too(feed: Feed, speaks: dict[str, str]) -> None:
    applied(feed, item("1", color="Blue"))
    applied(feed, item("1", **speaks), item("1"))
    assert Product.objects.get().color == ""


def test_an_empty_element_clears(feed: Feed) -> None:
    applied(feed, item("1", color="Blue", c__heel="70"))
    applied(feed, item("1", color="", c__heel=""))
    product = Product.objects.get()
    assert (product.color, product.extra) == ("", {})


def test_a_value_that_is_not_understood_changes_nothing(feed: Feed) -> None:
    applied(feed, item("1", gender="male"))
    assert counts(applied(feed, item("1", gender="Herren"))) == {"items": 1, "unchanged": 1}
    product = Product.objects.get()
    assert (product.gender, product.extra) == ("male", {})
    applied(feed, item("1", gender="female"))
    product.refresh_from_db()
    assert (product.gender, product.extra) == ("female", {})


def test_another_currency_is_a_change(feed: Feed) -> None:
    applied(feed, item("1", price="100.00 AED"))
    run = planned(feed, item("1", price="100.00 SAR"))
    assert change(run, "1").after == {"currency": "SAR"}


def test_the_same_amount_written_otherwise_is_no_change(feed: Feed) -> None:
    applied(feed, item("1", price="100.00 AED"))
    assert counts(planned(feed, item("1", price="AED 100"))) == {"items": 1, "unchanged": 1}


# --- the archive --------------------------------------------------------------------------------------
def test_sync_archives_what_is_missing_of_its_own_feed_only(feed: Feed, other_feed: Feed) -> None:
    applied(feed, item("mine"), item("missing"))
    applied(other_feed, item("theirs"))
    add_product(id="by hand", title="Of no feed")
    run = planned(feed, item("mine"), mode=Mode.SYNC)
    assert operations(run) == {"missing": "archive"}
    assert counts(run) == {"items": 1, "unchanged": 1, "archived": 1}


def test_sync_archives_only_once(feed: Feed) -> None:
    applied(feed, item("1"), item("2"))
    applied(feed, item("1"), mode=Mode.SYNC)
    archived_at = Product.objects.get(id="2").archived_at
    assert counts(applied(feed, item("1"), mode=Mode.SYNC)) == {"items": 1, "unchanged": 1}
    assert archived_at == Product.objects.get(id="2").archived_at is not None


@pytest.mark.parametrize("mode", [Mode.ADD, Mode.UPDATE])
def test_only_sync_archives(feed: Feed, mode: str) -> None:
    applied(feed, item("1"), item("2"))
    applied(feed, item("1"), mode=mode)
    assert Product.objects.active().count() == 2


def test_a_product_with_an_invalid_item_is_not_missing(feed: Feed) -> None:
    applied(feed, item("1"), item("2"))
    run = planned(feed, item("1"), item("2", price="free"), mode=Mode.SYNC)
    assert counts(run) == {"items": 2, "unchanged": 1, "invalid": 1}


@pytest.mark.parametrize("mode", [Mode.UPDATE, Mode.SYNC])
def test_an_archived_product_that_is_in_the_file_comes_back(feed: Feed, mode: str) -> None:
    applied(feed, item("1"), item("2"))
    applied(feed, item("1"), mode=Mode.SYNC)
    run = execute(planned(feed, item("1"), item("2", color="Red"), mode=mode))
    assert counts(run) == {"items": 2, "changed": 1, "unchanged": 1}
    assert (change(run, "2").operation, change(run, "2").after) == ("restore", {"color": "Red"})
    product = Product.objects.get(id="2")
    assert (product.archived_at, product.color, product.version) == (None, "Red", 3)


def test_an_archived_product_comes_back_as_it_was(feed: Feed) -> None:
    applied(feed, item("1"), item("2"))
    applied(feed, item("1"), mode=Mode.SYNC)
    run = applied(feed, item("2"))
    assert (change(run, "2").operation, change(run, "2").before, change(run, "2").after) == ("restore", {}, {})
    assert Product.objects.get(id="2").archived_at is None


def test_adding_leaves_the_archive_alone(feed: Feed) -> None:
    applied(feed, item("1"), item("2"))
    applied(feed, item("1"), mode=Mode.SYNC)
    assert counts(applied(feed, item("2", color="Red"), mode=Mode.ADD)) == {"items": 1, "existing": 1}
    assert Product.objects.get(id="2").archived_at is not None


# --- the plan as a whole ------------------------------------------------------------------------------
@pytest.mark.parametrize("mode", MODES)
def test_a_file_that_was_applied_changes_nothing(feed: Feed, mode: str) -> None:
    file = [item("1", c__heel="70", sale_price="50.00 AED"), item("2", price="free"), item("1"), item("3")]
    applied(feed, *file)
    before, version = catalogue(), CatalogState.objects.get().version
    run = applied(feed, *file, mode=mode)
    assert not run.has_changes
    assert not run.changes.exists()
    assert catalogue() == before
    assert CatalogState.objects.get().version == version


def test_the_same_plan_has_the_same_hash(feed: Feed) -> None:
    applied(feed, item("1"))
    first = planned(feed, item("1", color="Red"), item("2"))
    discarded(first)
    second = planned(feed, item("1", color="Red"), item("2"))
    assert first != second
    assert first.plan_hash == second.plan_hash
    assert re.fullmatch("[0-9a-f]{64}", second.plan_hash)


def test_another_plan_has_another_hash(feed: Feed, other_feed: Feed) -> None:
    applied(feed, item("1"), item("2"))
    file = [item("1", color="Red"), item("3")]
    hashes = [planned(feed, *file, mode=mode).plan_hash for mode in MODES]
    hashes += [planned(feed, item("3"), mode=mode).plan_hash for mode in MODES]
    hashes.append(planned(other_feed, *file).plan_hash)
    hashes.append(planned(feed, item("1", color="Blue"), item("3")).plan_hash)
    hashes.append(planned(feed, item("1", color="Red"), item("3", color="Red")).plan_hash)
    edit("1")
    hashes.append(planned(feed, *file, auto_apply=True).plan_hash)
    assert len({*hashes}) == len(hashes)


def test_the_database_refuses_counts_that_do_not_add_up(feed: Feed) -> None:
    run = planned(feed, item("1"), item("1"), item("2", price="free"))
    for name in ("items", "created", "changed", "unchanged", "existing", "duplicate", "invalid", "conflict"):
        wrong = {name: getattr(run, name) + 1}
        with pytest.raises(IntegrityError, match="importrun_counts_add_up"), transaction.atomic():
            ImportRun.objects.filter(pk=run.pk).update(**wrong)


def test_what_stands_beside_the_sum_may_be_anything(feed: Feed) -> None:
    run = planned(feed, item("1"))
    assert ImportRun.objects.filter(pk=run.pk).update(archived=5, archive_conflict=3) == 1


def test_a_plan_without_valid_items_is_reviewed_like_any_other(feed: Feed) -> None:
    run = planned(feed, item("1", price="free"), mode=Mode.SYNC)
    assert (run.status, run.has_changes) == (Status.REVIEW, False)
    assert counts(run) == {"items": 1, "invalid": 1}
