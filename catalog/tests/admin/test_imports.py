"""The page of an import in every state, for everybody; how it moves while something works; and the changes it lists."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog.imports.apply import apply
from catalog.imports.confirm import confirm
from catalog.imports.discard import clean_up
from catalog.imports.reading.stage import stage
from catalog.imports.undo import request_redo, request_undo
from catalog.models import Feed, ImportRun, Status
from catalog.tests.factories import applied, discarded, edit, execute, feed_of, item, items, planned, received, undone
from catalog.tests.pages import (
    RUNS,
    UPLOAD,
    browser,
    buttons,
    changes,
    heading,
    staff,
    text_of,
    texts,
    tree,
    url,
    with_class,
)

pytestmark = pytest.mark.django_db

CONTENT = feed_of(*items(2))


# --- the page in every state --------------------------------------------------------------------------
def reading(feed: Feed) -> ImportRun:
    run = received(feed, CONTENT)
    run.move(Status.RECEIVED, to=Status.STAGING)
    return run


def applying(feed: Feed) -> ImportRun:
    run = planned(feed, *items(2))
    confirm(run, plan_hash=run.plan_hash, by=None)
    return run


def broken(feed: Feed) -> ImportRun:
    run = received(feed, feed_of(item("1"))[:-40])
    stage(run)
    return run


def thrown_away(feed: Feed) -> ImportRun:
    run = planned(feed, *items(2))
    discarded(run)
    return run


def unchanged(feed: Feed) -> ImportRun:
    applied(feed, *items(2))
    return applied(feed, *items(2))


def useless(feed: Feed) -> ImportRun:
    return applied(feed, *items(2, price="much"))


def synced_away(feed: Feed) -> ImportRun:
    applied(feed, *items(2))
    return applied(feed, item("00001", price="much"), mode="sync")


def undoing(feed: Feed) -> ImportRun:
    run = applied(feed, item("undoing"), item("undoing too"))
    request_undo(run, by=None)
    return run


def redoing(feed: Feed) -> ImportRun:
    run = undone(applied(feed, item("redoing"), item("redoing too")))
    request_redo(run, by=None)
    return run


def undone_long_ago(feed: Feed) -> ImportRun:
    run = undone(applied(feed, item("long ago"), item("long ago too")))
    run.staged.all().delete()
    return run


STATES: dict[str, tuple[Callable[[Feed], ImportRun], str]] = {
    "received": (lambda feed: received(feed, CONTENT), "Waiting for a worker"),
    "staging": (reading, "Reading the file"),
    "review": (lambda feed: planned(feed, *items(2)), "Confirming will add 2 products."),
    "applying": (applying, "Applying the plan"),
    "applied": (lambda feed: applied(feed, *items(2)), "This import added 2 products."),
    "undoing": (undoing, "Undoing the import"),
    "undone": (
        lambda feed: undone(applied(feed, item("undone"), item("undone too"))),
        "This import was undone: 2 products are as before the import.",
    ),
    "undone long ago": (undone_long_ago, "This import was undone: 2 products are as before the import."),
    "redoing": (redoing, "Applying the import again"),
    "failed": (broken, "This import failed. No product was changed."),
    "discarded": (thrown_away, "This import was discarded. No product was changed."),
    "unchanged": (unchanged, "Nothing to confirm: the catalogue already matches the file."),
    "useless": (useless, "No item of this file can be imported. No product was changed."),
    "synced away": (synced_away, "This import archived 1 product."),
}
STOP = "Stop this import"
ASK = "Send an e-mail"
DISCARD, CONFIRM, REDO = "Discard this import", "Confirm: add 2 products", "Apply this import again"
BUTTONS = {"received": [STOP], "staging": [STOP], "review": [CONFIRM, DISCARD], "undone": [REDO]}
every_state = pytest.mark.parametrize("state", STATES)


@every_state
def test_the_page_says_what_the_import_does(alice: Client, feed: Feed, state: str) -> None:
    make, sentence = STATES[state]
    page = alice.get(url(make(feed)))
    assert page.status_code == 200
    assert heading(page) == sentence


@every_state
def test_the_buttons_are_for_those_who_may(feed: Feed, state: str) -> None:
    run = STATES[state][0](feed)
    offered = {name: buttons(browser(name).get(url(run))) for name in ("alice", "ida", "bob")}
    expected = BUTTONS.get(state, [])
    for_ida = {"review": [ASK, DISCARD]}.get(state, [label for label in expected if label == STOP])
    assert offered == {"alice": expected, "ida": for_ida, "bob": []}


@every_state
def test_no_page_of_an_import_is_for_charlie(feed: Feed, state: str) -> None:
    run, charlie = STATES[state][0](feed), browser("charlie")
    for path in (url(run), url(run, "live"), url(run, "undo"), RUNS):
        assert charlie.get(path).status_code == 403


def test_who_may_not_confirm_is_told_who_has_to(bob: Client, feed: Feed) -> None:
    assert "Someone who may confirm imports" in bob.get(url(planned(feed, *items(2)))).content.decode()


def test_an_import_of_invalid_items_only_is_nowhere_called_applied(alice: Client, feed: Feed) -> None:
    run = useless(feed)
    page = alice.get(url(run))
    facts = f"//*[{with_class('facts')}]/span[1]"
    assert texts(page, facts) == ["Nothing imported"]
    assert "bg-red" in tree(page).xpath(facts)[0].get("class")
    assert texts(page, "//ol[@class='stepper']/li")[-1] == "Nothing imported"
    assert texts(alice.get(RUNS), "//td[contains(@class, 'field-shown_status')]") == ["Nothing imported"]
    assert texts(alice.get(url(synced_away(feed))), facts) == ["Applied"]


def test_a_risky_plan_looks_risky_and_leads_to_what_is_at_risk(alice: Client, feed: Feed) -> None:
    confirm_button = "//button[@name='confirm']/@class"
    assert "bg-red" not in tree(alice.get(url(planned(feed, *items(2))))).xpath(confirm_button)[0]
    applied(feed, *items(20))
    run = planned(feed, *items(10), mode="sync")
    page = tree(alice.get(url(run)))
    assert "bg-red" in page.xpath(confirm_button)[0]
    assert page.xpath(f"//ul[{with_class('cards')}]//a/@href") == ["?tab=missing"]


def test_a_failed_import_says_why_and_what_to_do(alice: Client, feed: Feed) -> None:
    run = broken(feed)
    page = alice.get(url(run))
    assert texts(page, "//*[@role='alert']") == [run.error] != [""]
    assert tree(page).xpath(f"//div[{with_class('run')}]//a[@href='{UPLOAD}?feed={feed.pk}']")


def test_only_those_who_may_upload_are_sent_to_the_form(bob: Client, feed: Feed) -> None:
    assert not tree(bob.get(url(broken(feed)))).xpath(f"//a[starts-with(@href, '{UPLOAD}')]")


@pytest.mark.parametrize(
    ("make", "steps"),
    [
        (broken, ["Upload ✓", "Failed now", "Review", "Apply", "Done"]),
        (undone, ["Upload ✓", "Read and compare ✓", "Review ✓", "Apply ✓", "Undone now"]),
    ],
)
def test_the_steps_say_where_an_import_ended(alice: Client, feed: Feed, make: Any, steps: list[str]) -> None:
    run = make(feed) if make is broken else make(applied(feed, *items(1)))
    shown = tree(alice.get(url(run))).xpath("//ol[@class='stepper']/li")
    marks = ["✓" if li.get("class") == "done" else "now" if li.get("aria-current") else "" for li in shown]
    assert [f"{text_of(li)} {mark}".strip() for li, mark in zip(shown, marks, strict=True)] == steps


def test_what_cannot_be_applied_again_says_why(alice: Client, bob: Client, feed: Feed) -> None:
    run = undone_long_ago(feed)
    assert "no longer kept. Upload the file again" in text_of(tree(alice.get(url(run))))
    assert "no longer kept" not in text_of(tree(bob.get(url(run))))


def test_the_result_says_who_confirmed(alice: Client, feed: Feed) -> None:
    run = planned(feed, *items(2))
    confirm(run, plan_hash=run.plan_hash, by=staff("alice"))
    apply(run)
    assert "Applied by alice" in text_of(tree(alice.get(url(run))))


COUNTS = {"items read": "6", "new": "1", "changed": "1", "duplicates, skipped": "1", "invalid, skipped": "1"}


@pytest.mark.parametrize(
    ("mode", "more"),
    [
        ("update", {"unchanged": "2"}),
        ("sync", {"unchanged": "2", "archived: not in the file": "1"}),
        ("add", {"existing, left alone": "3", "changed": "0"}),
    ],
)
def test_the_counts_are_those_of_the_mode(alice: Client, feed: Feed, mode: str, more: dict[str, str]) -> None:
    applied(feed, *items(4))
    known = [item("00001", title="Other"), *items(3)[1:]]
    page = alice.get(url(planned(feed, *known, item("8", price="?"), item("9"), item("9"), mode=mode)))
    numbers = dict(zip(texts(page, "//dl/div/dt"), texts(page, "//dl/div/dd"), strict=True))
    assert numbers == COUNTS | more


@pytest.mark.parametrize("pk", ["0", "999999", "²", "x", "9" * 40, "1" * 5000, "-1", "1_0"])
def test_an_import_that_is_not_there_is_not_found(alice: Client, pk: str) -> None:
    assert alice.get(f"{RUNS}{pk}/change/").status_code == 404


def test_the_list_shows_every_import_with_its_result(alice: Client, feed: Feed) -> None:
    for n, (make, _sentence) in enumerate(STATES.values()):
        make(Feed.objects.create(name=f"Feed {n}", slug=f"feed-{n}"))
    page = alice.get(RUNS)
    results = texts(page, "//table[@id='result_list']//td[contains(@class, 'field-shown_result')]")
    assert len(results) == ImportRun.objects.count()
    assert {"–", "+2"} == set(results)


def test_the_list_asks_as_often_for_many_imports_as_for_one(alice: Client, feed: Feed) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert alice.get(RUNS).status_code == 200
        return len(captured)

    received(feed, CONTENT, by=staff("alice"))
    queries()  # the content type is remembered from the first page on
    one = queries()
    for n in range(1, 20):
        received(feed, feed_of(item(str(n))), by=staff("ida"))
    assert queries() == one <= 12


@pytest.fixture
def run(feed: Feed) -> ImportRun:
    """Waiting to be confirmed: two new products."""
    return planned(feed, *items(2))


# --- watching -----------------------------------------------------------------------------------------
def test_the_live_part_is_asked_for_while_something_works(alice: Client, feed: Feed) -> None:
    run = reading(feed)
    (live,) = tree(alice.get(url(run))).xpath("//*[@hx-trigger]/self::*[@hx-get=$live]", live=url(run, "live"))
    part = alice.get(live.get("hx-get"))
    assert part.status_code == 200
    assert "HX-Refresh" not in part
    assert not tree(part).xpath("//body//script|//nav|//form")


@pytest.mark.parametrize("state", ["review", "applied", "failed", "discarded"])
def test_when_the_work_is_done_the_whole_page_is_fetched(alice: Client, feed: Feed, state: str) -> None:
    run = STATES[state][0](feed)
    assert alice.get(url(run, "live"))["HX-Refresh"] == "true"
    assert not tree(alice.get(url(run))).xpath("//*[@hx-get=$live]", live=url(run, "live"))


def test_the_live_part_counts(alice: Client, feed: Feed) -> None:
    run = reading(feed)
    now = timezone.now()
    history = [{"status": "staging", "at": (now - timedelta(seconds=10)).isoformat(), "by": ""}]
    ImportRun.objects.filter(pk=run.pk).update(items=12_000, invalid=7, bytes_read=run.file_size // 4, history=history)
    run.issues.create(code="price.lenient", attribute="price", severity="warning", count=1204)
    with patch("catalog.admin.run_page.timezone.now", return_value=now):
        said = text_of(tree(alice.get(url(run, "live"))))
    assert re.search(r"12,000 items · 25 % · 1,200 items/s · about (29|30|31) s left · 7 invalid", said)
    assert "The amount is written in an unusual way (price): 1,204" in said


def test_when_all_is_read_the_page_says_that_it_compares(alice: Client, feed: Feed) -> None:
    run = reading(feed)
    ImportRun.objects.filter(pk=run.pk).update(items=12_000, bytes_read=run.file_size)
    part = alice.get(url(run, "live"))
    assert heading(part) == "Comparing with the catalogue"
    assert "left" not in text_of(tree(part))


def test_the_live_part_has_no_numbers_to_show_at_the_start(alice: Client, feed: Feed) -> None:
    for make in (reading, lambda feed: received(feed, feed_of(item("8")))):
        page = alice.get(url(make(feed), "live"))
        assert page.status_code == 200
        assert "left" not in text_of(tree(page))


def test_without_javascript_the_page_reloads_while_something_works(alice: Client, feed: Feed) -> None:
    for state, expected in (("staging", 1), ("review", 0)):
        page = alice.get(url(STATES[state][0](feed)))
        assert len(tree(page).xpath("//noscript/meta[@http-equiv='refresh']")) == expected


# --- the changes --------------------------------------------------------------------------------------
def edited(feed: Feed, *new: str, **options: Any) -> ImportRun:
    """A plan for the catalogue of one product, 00001 as it is in every test."""
    applied(
        feed, item("00001", sale_price="80.00 AED", size="M", shipping_label="box", adult="no", product_type="A > B")
    )
    return planned(feed, *new, **options)


def fields_of(client: Client, run: ImportRun, product_id: str = "00001", **query: str) -> list[tuple[str, ...]]:
    return changes(client.get(url(run), query))[product_id]


def test_every_kind_of_field_shows_old_and_new(alice: Client, feed: Feed) -> None:
    run = edited(
        feed,
        item(
            "00001",
            title="Silk gown",
            price="120.00 AED",
            sale_price="60.00 AED",
            adult="yes",
            availability="out_of_stock",
            product_type="A > B",
            shipping_label="bag",
            size=None,
        ),
        item("2", size="S"),
    )
    assert fields_of(alice, run) == [
        ("Title", "Silk dress", "Silk gown"),
        ("Price", "100.00 AED", "120.00 AED +20.0%"),
        ("Sale price", "80.00 AED", "60.00 AED -25.0%"),
        ("Availability", "in_stock", "out_of_stock"),
        ("Size", "M", "–"),
        ("Adult", "no", "yes"),
        ("shipping_label", "box", "bag"),
    ]


def test_the_words_that_differ_are_marked(alice: Client, feed: Feed) -> None:
    run = edited(feed, item("00001", title="Silk <b>gown</b>", size="M", sale_price="80.00 AED"))
    page = alice.get(url(run)).content.decode()
    assert "<ins>" in page
    assert "<del>" in page
    assert "<b>gown</b>" not in page
    assert fields_of(alice, run)[0] == ("Title", "Silk dress", "Silk <b>gown</b>")


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ("1.250 KWD", "1.500 KWD", ("1.250 KWD", "1.500 KWD +20.0%")),
        ("1000 JPY", "900 JPY", ("1,000 JPY", "900 JPY -10.0%")),
        ("10.00 AED", "10.00 AED", ()),
    ],
)
def test_amounts_have_their_currencys_decimals(
    alice: Client, feed: Feed, old: str, new: str, shown: tuple[str, ...]
) -> None:
    applied(feed, item("1", price=old))
    found = changes(alice.get(url(planned(feed, item("1", price=new), item("2")))))
    assert [cells for label, *cells in found.get("1", []) if label == "Price"] == ([list(shown)] if shown else [])


def test_another_currency_is_shown_with_both_amounts(alice: Client, feed: Feed) -> None:
    applied(feed, item("1", price="100.00 AED"))
    found = changes(alice.get(url(planned(feed, item("1", price="10.000 KWD")))))["1"]
    assert found == [("Price", "100.00 AED", "10.000 KWD"), ("Currency", "AED", "KWD")]


def test_pictures_are_shown_as_pictures(alice: Client, feed: Feed) -> None:
    two = ["https://www.example.com/a.jpg", "https://www.example.com/b.jpg"]
    applied(feed, item("1"))
    page = alice.get(url(planned(feed, item("1", image_link=two[0], additional_image_link=two))))
    assert [img.get("src") for img in tree(page).xpath("//td[@class='new']//img")] == [two[0], *two]
    assert all(img.get("referrerpolicy") == "no-referrer" for img in tree(page).xpath("//ul[@class='changes']//img"))


def test_a_new_product_shows_its_facts(alice: Client, feed: Feed) -> None:
    run = planned(feed, item("1", price="5 KWD", adult="no", quantity="0", c__heel="high"))
    assert fields_of(alice, run, "1") == [
        ("Id", "1"),
        ("Title", "Silk dress"),
        ("Description", "A dress of silk."),
        ("Brand", "Noor"),
        ("Link", "https://www.example.com/1"),
        ("Image link", "https://www.example.com/1.jpg"),
        ("Price", "5.000 KWD"),
        ("Availability", "in_stock"),
        ("Quantity", "0"),
        ("MPN", "N-1"),
        ("Adult", "no"),
        ("c:heel", "high"),
    ]


def test_facts_stay_when_what_was_staged_is_swept(alice: Client, feed: Feed) -> None:
    run = applied(feed, item("1"))
    before = fields_of(alice, run, "1")
    clean_up(run)
    assert fields_of(alice, run, "1") == before


def test_archived_and_returning_products_say_what_happens(alice: Client, feed: Feed) -> None:
    applied(feed, *items(2))
    away = planned(feed, item("00001"), mode="sync")
    assert "It is no longer in the file." in alice.get(url(away)).content.decode()
    execute(away)
    back = alice.get(url(planned(feed, *items(2), mode="sync")))
    assert "It comes back from the archive unchanged." in back.content.decode()
    assert "Back from the archive" in texts(back, "//ul[@class='changes']//summary/span")


def test_each_count_leads_to_the_list_of_what_it_counts(alice: Client, feed: Feed) -> None:
    applied(feed, *items(6))
    run = planned(
        feed,
        *items(3, title="New"),
        item("x"),
        item("y"),
        item("y"),
        item("z", price="free"),
        item("00005"),
        mode="sync",
    )
    counted = tree(alice.get(url(run))).xpath("//dl[@class='counts']//dd/a")
    listed = {}
    for link in counted:
        page = tree(alice.get(url(run) + link.get("href")))
        listed[link.get("href")] = (int(link.text), len(page.xpath("//ul[@class='changes' or @class='issues']/li")))
    assert len(listed) == 5
    assert all(number == rows for number, rows in listed.values()), listed


def test_a_product_that_was_edited_since_is_named_as_left_alone(alice: Client, feed: Feed) -> None:
    applied(feed, *items(2))
    run = planned(feed, *items(2, title="New"))
    edit("00002", title="By hand")
    execute(run)
    page = alice.get(url(run), {"outcome": "conflict"})
    assert list(changes(page)) == ["00002"]
    assert "Left alone: edited since the plan" in page.content.decode()
    assert texts(page, f"//*[{with_class('chips')}]/a[@aria-current]") == ["Left alone 1"]


def test_a_product_that_somebody_else_created_is_not_shown_as_ours(alice: Client, feed: Feed, other_feed: Feed) -> None:
    run = planned(feed, item("1", title="Ours"))
    applied(other_feed, item("1", title="Theirs"))
    execute(run)
    clean_up(run)
    assert changes(alice.get(url(run))) == {"1": []}


@pytest.mark.parametrize(
    "query", [{}, {"before": "9" * 18}, {"operation": "update"}, {"outcome": "proposed"}, {"tab": "invalid"}]
)
def test_a_page_asks_as_often_however_long_the_plan_is(alice: Client, feed: Feed, query: dict[str, str]) -> None:
    applied(feed, *items(2))
    asked = []
    for count in (10, 500):
        run = planned(feed, *items(count, title="x" * count), item("bad", price="free"))
        with CaptureQueriesContext(connection) as captured:
            alice.get(url(run), query)
        asked.append(len(captured))
        execute(run)
    assert asked[0] <= asked[1] <= asked[0] + 1  # whether there is a page after it


def test_filters_choose_and_stay_in_the_address(alice: Client, feed: Feed) -> None:
    applied(feed, *items(3))
    run = planned(feed, item("00001", title="x"), item("00002", title="y"), item("9"), mode="sync")
    chosen = {
        operation: list(changes(alice.get(url(run), {"operation": operation})))
        for operation in ("create", "update", "archive", "restore")
    }
    assert chosen == {"create": ["9"], "update": ["00001", "00002"], "archive": ["00003"], "restore": []}
    assert list(changes(alice.get(url(run), {"product_id": "00002"}))) == ["00002"]
    page = alice.get(url(run), {"operation": "update"})
    assert texts(page, "//a[@aria-current='true']") == ["Changed 2"]


def test_chips_count_what_is_there(alice: Client, feed: Feed) -> None:
    applied(feed, *items(1))
    run = planned(feed, item("00001", title="x"), *items(60)[1:])
    assert texts(alice.get(url(run)), f"//*[{with_class('chips')}]/a") == ["All", "New 59", "Changed 1"]


def test_returning_products_have_a_chip_of_their_own(alice: Client, feed: Feed) -> None:
    applied(feed, *items(3))
    applied(feed, *items(2), mode="sync")
    run = planned(feed, item("00001", title="x"), *items(3)[1:])
    page = alice.get(url(run))
    assert texts(page, f"//*[{with_class('chips')}]/a") == ["All", "Changed 1", "Back from the archive 1"]
    assert list(changes(alice.get(url(run), {"operation": "restore"}))) == ["00003"]


def test_tabs_say_how_much_is_behind_them(alice: Client, feed: Feed) -> None:
    run = planned(feed, *items(3), item("8", price="?"), item("9", price="12,50 AED"))
    assert texts(alice.get(url(run)), "//nav[@class='tabs']/a") == [
        "Changes 4",
        "Issues 2",
        "Invalid items 1",
        "Attributes",
    ]


def test_a_discarded_plan_has_no_changes_to_show(ida: Client, feed: Feed) -> None:
    page = ida.get(url(thrown_away(feed)))
    assert texts(page, "//nav[@class='tabs']/a") == ["Changes", "Issues", "Invalid items", "Attributes"]
    assert texts(page, f"//*[{with_class('empty')}]") == ["The plan was discarded."]


def test_a_filter_without_a_match_offers_the_way_back(alice: Client, run: ImportRun) -> None:
    page = alice.get(url(run), {"product_id": "nothing"})
    assert texts(page, f"//*[{with_class('empty')}]") == ["No change matches. Show all"]
