"""Guards: an import that would do much harm waits for a person, who has to say why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from accounts.models import User
from catalog.errors import NotPossible
from catalog.imports.confirm import REASON_CHARS, confirm
from catalog.models import Feed, ImportRun, Product, Status
from catalog.tests.conftest import Worker
from catalog.tests.factories import allow_changes, applied, execute, feed_of, item, items, planned, uploaded
from catalog.tests.pages import browser, buttons, messages, text_of, texts, tree, url, with_class

WAS = items(40, price="100.00 AED")


def rest(count: int) -> list[str]:
    """The items of `WAS` but for the first `count`."""
    return WAS[count:]


def codes(run: ImportRun) -> list[str]:
    return [hold["code"] for hold in run.holds]


# What is imported after forty items for 100.00 AED in the mode sync: the guard that it trips, with the setting that
# switches it off, a part of the sentence, and the same thing done to so few products that nobody has to look.
TRIPPING: dict[str, tuple[str, str, list[str], list[str]]] = {
    "archived": (
        "guard_archived",
        "9 of 40 (22.5 %) of this feed's products would be archived",
        rest(9),
        rest(8),
    ),
    "items": (
        "guard_items",
        "The file has 61 items, 52.5 % more than before",
        [*rest(4), *[item(f"new{n}") for n in range(25)]],
        [*WAS, *[item(f"new{n}") for n in range(21)]],
    ),
    "price_change": (
        "guard_price_products",
        "The price of 5 of 40 (12.5 %) of the products would change by more than 50 %, or to another currency.",
        [*items(5, price="49.00 AED"), *rest(5)],
        [*items(4, price="49.00 AED"), *rest(4)],
    ),
    "currency": (
        "guard_currency",
        "None of this feed's products has been in KWD (1 item) so far.",
        [*WAS, item("new", price="1.000 KWD")],
        [*WAS, item("new", price="1.00 AED")],
    ),
    "out_of_stock": (
        "guard_out_of_stock",
        "13 of 40 (32.5 %) of the products would go out of stock.",
        [*items(13, price="100.00 AED", availability="out_of_stock"), *rest(13)],
        [*items(12, price="100.00 AED", availability="out_of_stock"), *rest(12)],
    ),
    "zero_price": (
        "guard_zero_price",
        "4 prices in 40 items are zero or negative.",
        [*items(2, price="0.00 AED"), *items(4, price="-1.00 AED")[2:], item("00005", color="Red"), *rest(5)],
        [*items(3, price="0.00 AED"), item("00004", color="Red"), *rest(4)],
    ),
    "lost_values": (
        "guard_lost_values",
        "Products would lose a value: brand of 5 of 40 (12.5 %).",
        [*items(5, price="100.00 AED", brand="", gtin="9780306406157"), *rest(5)],
        [*items(4, price="100.00 AED", brand="", gtin="9780306406157"), *rest(4)],
    ),
    "duplicates": (
        "guard_duplicates",
        "5 of 45 (11.1 %) of the items have the id of a later item and other values, for example 00001, 00002, 00003.",
        [*items(5, price="100.00 AED", color="Red"), *WAS[:-1], item("00040", color="Red")],
        [*WAS[:5], *WAS[:-1], item("00040", color="Red")],
    ),
    "invalid": (
        "guard_invalid",
        "13 of 40 (32.5 %) of the items are invalid and would be skipped.",
        [*items(13, price="free"), item("00014", color="Red"), *rest(14)],
        [*items(12, price="free"), item("00013", color="Red"), *rest(13)],
    ),
}


@pytest.fixture
def catalogue_of_forty(feed: Feed) -> Feed:
    applied(feed, *WAS, mode="sync")
    return feed


@pytest.mark.parametrize("name", TRIPPING)
def test_what_would_do_much_is_held_with_its_numbers(catalogue_of_forty: Feed, name: str) -> None:
    _setting, sentence, much, _little = TRIPPING[name]
    run = planned(catalogue_of_forty, *much, mode="sync")
    assert codes(run) == [f"guard.{name}"]
    assert run.holds[0]["message"].startswith(sentence)


@pytest.mark.parametrize("name", TRIPPING)
def test_what_would_do_little_passes(catalogue_of_forty: Feed, name: str) -> None:
    assert planned(catalogue_of_forty, *TRIPPING[name][3], mode="sync").holds == []


@pytest.mark.parametrize("name", TRIPPING)
def test_each_guard_can_be_switched_off(catalogue_of_forty: Feed, name: str) -> None:
    setting, _sentence, much, _little = TRIPPING[name]
    setattr(catalogue_of_forty, setting, False if setting == "guard_currency" else None)
    catalogue_of_forty.save()
    assert planned(catalogue_of_forty, *much, mode="sync").holds == []


@pytest.mark.parametrize("price", ["27.00 USD", "100.00 USD"])
def test_a_price_in_another_currency_is_another_price(feed: Feed, price: str) -> None:
    dollars = item("dollars", price="1.00 USD")
    applied(feed, *WAS, dollars, mode="sync")
    assert planned(feed, *items(4, price=price), *rest(4), dollars, mode="sync").holds == []
    assert codes(planned(feed, *items(5, price=price), *rest(5), dollars, mode="sync")) == ["guard.price_change"]


def test_a_first_currency_is_no_change_of_price(feed: Feed) -> None:
    applied(feed, *WAS, mode="sync")
    Product.objects.filter(id__lt="00020").update(currency="", price=None)
    assert planned(feed, *WAS, mode="sync").holds == []


def test_sale_prices_of_zero_are_zero_prices_where_every_item_is_valid(catalogue_of_forty: Feed) -> None:
    run = planned(catalogue_of_forty, *items(40, price="100.00 AED", sale_price="0.00 AED", color="Red"), mode="sync")
    assert (run.invalid, codes(run)) == (0, ["guard.zero_price"])


@pytest.mark.parametrize("guard", ["guard_price_change", "guard_price_products"])
def test_either_half_of_the_prices_guard_switches_it_off(catalogue_of_forty: Feed, guard: str) -> None:
    setattr(catalogue_of_forty, guard, None)
    catalogue_of_forty.save()
    assert planned(catalogue_of_forty, *TRIPPING["price_change"][2], mode="sync").holds == []


def test_a_feeds_first_import_trips_nothing(feed: Feed, other_feed: Feed) -> None:
    applied(other_feed, *items(10))
    awful = [*items(9, price="0 AED"), *[item(f"new{n}", price="1.000 KWD") for n in range(3)]]
    assert planned(feed, *awful, mode="sync").holds == []


@pytest.mark.parametrize(
    ("names", "values"),
    [
        (["price_change"], {"price": "1.00 AED"}),
        (["price_change", "currency"], {"price": "100.00 USD"}),
        (["out_of_stock"], {"price": "100.00 AED", "availability": "out_of_stock"}),
    ],
)
def test_a_feed_that_only_changes_the_products_of_another_is_guarded_as_well(
    catalogue_of_forty: Feed, other_feed: Feed, names: list[str], values: dict[str, str]
) -> None:
    allow_changes(other_feed)
    for _ in range(2):  # its first import, and every later one
        run = planned(other_feed, *items(40, **values))
        assert codes(run) == [f"guard.{name}" for name in names]
        applied(other_feed, *items(40, price="100.00 AED", color=f"Red {run.pk}"))


def test_a_plan_without_changes_is_not_held(feed: Feed) -> None:
    applied(feed, *items(5))
    run = planned(feed, *items(5), *[item(f"bad{n}", price="free") for n in range(50)])
    assert (run.holds, run.unchanged, run.invalid) == ([], 5, 50)


def test_a_few_mended_items_of_a_large_feed_are_no_collapse(catalogue_of_forty: Feed) -> None:
    assert planned(catalogue_of_forty, *items(2, color="Red"), mode="update").holds == []


def test_the_file_is_compared_with_the_last_that_was_applied(catalogue_of_forty: Feed) -> None:
    planned(catalogue_of_forty, *items(2), mode="sync")
    applied(catalogue_of_forty, *items(2, color="Red"), mode="update")
    run = planned(catalogue_of_forty, *rest(4), mode="sync")
    assert run.holds == []


def test_guards_hold_beside_each_other(catalogue_of_forty: Feed) -> None:
    run = planned(catalogue_of_forty, *items(10, price="900.00 KWD", availability="out_of_stock"), mode="sync")
    held_by = ("archived", "items", "price_change", "currency", "out_of_stock")
    assert codes(run) == [f"guard.{name}" for name in held_by]


# --- what a hold stops ----------------------------------------------------------------------------------
@pytest.fixture
def harmful(catalogue_of_forty: Feed) -> ImportRun:
    return planned(catalogue_of_forty, *items(4), mode="sync")


@pytest.mark.django_db(transaction=True)
def test_what_is_held_does_not_apply_by_itself(catalogue_of_forty: Feed, worker: Worker) -> None:
    run = uploaded(catalogue_of_forty, feed_of(*items(4)), mode="sync", auto_apply=True)
    assert worker.work() == ["catalog.stage"]
    run.refresh_from_db()
    assert run.status == Status.REVIEW
    assert Product.objects.active().count() == 40


@pytest.mark.parametrize(
    "reason", ["", "  \n ", "\0", "\u200b", "\u2060\u2800", "\u3164", "...", "_ – !", "\u202e\ufeff"]
)
def test_confirming_without_a_reason_is_refused(harmful: ImportRun, alice: User, reason: str) -> None:
    with pytest.raises(NotPossible, match="Say in words why it should be applied all the same") as refused:
        confirm(harmful, plan_hash=harmful.plan_hash, by=alice, reason=reason)
    assert refused.value.code == "reason_needed"
    harmful.refresh_from_db()
    assert harmful.status == Status.REVIEW


def test_the_reason_is_kept_with_who_gave_it(harmful: ImportRun, alice: User) -> None:
    confirm(harmful, plan_hash=harmful.plan_hash, by=alice, reason="  The season\nis over ")
    step = harmful.history[-1]
    assert (step["status"], step["by"], step["reason"]) == ("applying", "alice", "The season is over")


@pytest.mark.parametrize("reason", ["انتهى الموسم", "季末", "x\0y", "می‌خواهم", "7"])
def test_a_reason_may_be_in_any_script(harmful: ImportRun, alice: User, reason: str) -> None:
    confirm(harmful, plan_hash=harmful.plan_hash, by=alice, reason=reason)
    assert harmful.history[-1]["reason"] == reason.replace("\0", " ")


def test_a_reason_has_an_end(harmful: ImportRun, alice: User) -> None:
    confirm(harmful, plan_hash=harmful.plan_hash, by=alice, reason="x" * 5000)
    assert len(harmful.history[-1]["reason"]) == REASON_CHARS


def test_who_was_too_late_is_told_so_and_not_asked_why(harmful: ImportRun, alice: User) -> None:
    execute(harmful)
    with pytest.raises(NotPossible, match="“applied”"):
        confirm(harmful, plan_hash=harmful.plan_hash, by=alice)


def test_the_shell_leaves_it_in_review_and_says_why(
    catalogue_of_forty: Feed, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "few.xml").write_bytes(feed_of(*items(4)))
    arguments = [str(tmp_path / "few.xml"), "--feed", "ounass", "--mode", "sync", "--json"]
    call_command("import_feed", *arguments)
    answer: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (answer["status"], answer["counts"]["archived"], answer["error"]) == ("review", 36, None)
    assert [hold["code"] for hold in answer["holds"]] == ["guard.archived", "guard.items"]
    assert Product.objects.active().count() == 40


# --- on the page ------------------------------------------------------------------------------------------
def cards(page: Any) -> list[str]:
    return texts(page, f"//*[{with_class('cards')}]/li")


def test_the_page_shows_each_guard_and_asks_why(harmful: ImportRun) -> None:
    page = browser("alice").get(url(harmful))
    assert [card.removesuffix(" Show them") for card in cards(page)] == [
        f"serious {hold['message']}" for hold in harmful.holds
    ]
    (field,) = tree(page).xpath("//form[contains(@action, '/confirm/')]//input[@name='reason']")
    assert field.get("required") is not None
    assert texts(page, "//label[@for='reason']") == ["Why should this import be applied anyway?"]


def test_the_page_asks_nothing_where_nothing_is_held(feed: Feed) -> None:
    page = browser("alice").get(url(planned(feed, item("1"))))
    assert cards(page) == []
    assert not tree(page).xpath("//input[@name='reason']")


def test_confirming_on_the_page_without_a_reason_says_what_is_missing(harmful: ImportRun) -> None:
    page = browser("alice").post(url(harmful, "confirm"), {"plan_hash": harmful.plan_hash}, follow=True)
    assert "is held by a guard" in messages(page)[0]
    harmful.refresh_from_db()
    assert harmful.status == Status.REVIEW


def test_the_reason_stays_on_the_page_escaped(harmful: ImportRun) -> None:
    alice: Client = browser("alice")
    alice.post(url(harmful, "confirm"), {"plan_hash": harmful.plan_hash, "reason": "<b>End</b> of season"})
    ImportRun.objects.filter(pk=harmful.pk).update(status=Status.APPLIED)
    page = alice.get(url(harmful))
    assert "Confirmed anyway: <b>End</b> of season" in text_of(tree(page))
    assert not tree(page).xpath("//b[text()='End']")


def test_who_may_not_confirm_reads_the_guards_and_is_not_asked(harmful: ImportRun) -> None:
    page = browser("bob").get(url(harmful))
    assert cards(page)
    assert not [button for button in buttons(page) if button.startswith("Confirm")]
    assert not tree(page).xpath("//input[@name='reason']")


def test_a_managers_limit_holds_the_next_import(catalogue_of_forty: Feed) -> None:
    mona, address = browser("mona"), f"/admin/catalog/feed/{catalogue_of_forty.pk}/change/"
    form = tree(mona.get(address)).xpath("//form[@id='feed_form']")[0]
    mona.post(address, {**dict(form.form_values()), "guard_archived": "5", "guard_items": ""})
    catalogue_of_forty.refresh_from_db()
    assert (catalogue_of_forty.guard_archived, catalogue_of_forty.guard_items) == (5, None)
    assert codes(planned(catalogue_of_forty, *rest(4), mode="sync")) == ["guard.archived"]
