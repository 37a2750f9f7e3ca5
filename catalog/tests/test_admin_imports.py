"""Imports in the admin: uploading a feed, and the page where a person reads its plan, confirms it and watches it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from catalog.imports.apply import apply
from catalog.imports.discard import clean_up, discard
from catalog.imports.review import confirm
from catalog.imports.stage import stage
from catalog.imports.undo import redo, undo
from catalog.models import Feed, ImportRun, Mode, Product, Status
from catalog.tests.factories import (
    applied,
    catalogue,
    edit,
    execute,
    feed_of,
    item,
    items,
    planned,
    received,
    taken_back,
)
from catalog.tests.pages import (
    PRODUCTS,
    RUNS,
    UPLOAD,
    active_parts,
    browser,
    buttons,
    changes,
    heading,
    messages,
    staff,
    text_of,
    texts,
    tree,
    upload,
    url,
    with_class,
)

pytestmark = pytest.mark.django_db

CONTENT = feed_of(*items(2))


@pytest.fixture
def alice(feed: Feed) -> Client:
    return browser("alice")


@pytest.fixture
def bob(feed: Feed) -> Client:
    return browser("bob")


@pytest.fixture
def ida(feed: Feed) -> Client:
    return browser("ida")


# --- upload -------------------------------------------------------------------------------------------
def test_an_upload_becomes_an_import_and_opens_its_page(ida: Client, feed: Feed) -> None:
    answer = upload(ida, CONTENT, "summer.xml", feed=feed.pk, mode="sync")
    run = ImportRun.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, url(run))
    assert (run.status, run.feed, run.mode, run.file_name) == (Status.RECEIVED, feed, Mode.SYNC, "summer.xml")
    assert str(run.uploaded_by) == "ida"


def test_the_form_is_complete_without_a_format(ida: Client, feed: Feed) -> None:
    assert upload(ida, CONTENT, feed=feed.pk, mode="update", format="0").status_code == 302
    assert upload(ida, CONTENT, feed=feed.pk, mode="update").status_code == 302


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            b"<!DOCTYPE html><html><body>Log in</body></html>",
            "The file is an HTML page, often the login or error page of the shop.",
        ),
        (b"\x89PNG\r\n\x1a\n" * 9, "The file is a PNG picture."),
        (b"%PDF-1.7" * 9, "Upload the product feed itself: XML (RSS or Atom), CSV or TSV."),
        (b"PK\x03\x04" * 9, "The archive ends too early."),
        (b"", "The submitted file is empty."),
    ],
)
def test_a_refusal_stands_beside_the_file_and_leaves_nothing(
    ida: Client, feed: Feed, storage: Path, content: bytes, sentence: str
) -> None:
    answer = upload(ida, content, feed=feed.pk, mode="update")
    assert answer.status_code == 200
    (field,) = tree(answer).xpath(f"//div[{with_class('errors')}][.//input[@type='file']][not(.//select)]")
    assert sentence in text_of(field)
    assert not ImportRun.objects.exists()
    assert not [path for path in storage.rglob("*") if path.is_file()]


def test_a_refused_form_keeps_what_was_chosen(ida: Client, feed: Feed, other_feed: Feed) -> None:
    answer = upload(ida, b"<html>", feed=other_feed.pk, mode="add")
    assert texts(answer, "//select[@name='feed']/option[@selected]") == ["Outlet"]
    assert [radio.get("value") for radio in tree(answer).xpath("//input[@name='mode'][@checked]")] == ["add"]


@pytest.mark.parametrize("fields", [{}, {"feed": "0", "mode": "update"}, {"feed": "x", "mode": "wipe"}])
def test_an_incomplete_form_says_so_and_stores_nothing(ida: Client, fields: dict[str, str]) -> None:
    answer = upload(ida, CONTENT, **fields)
    assert answer.status_code == 200
    assert "feed" in answer.context["form"].errors
    assert not ImportRun.objects.exists()


def test_without_a_file_the_form_asks_for_one(ida: Client, feed: Feed) -> None:
    answer = ida.post(UPLOAD, {"feed": feed.pk, "mode": "update"})
    assert "import_file" in answer.context["form"].errors


@pytest.mark.parametrize(("name", "status"), [("ida", 200), ("alice", 200), ("bob", 403), ("charlie", 403)])
def test_who_may_upload(feed: Feed, storage: Path, name: str, status: int) -> None:
    client = browser(name)
    assert client.get(UPLOAD).status_code == status
    upload(client, CONTENT, feed=feed.pk, mode="update")
    assert ImportRun.objects.exists() == (status == 200)


@pytest.mark.parametrize(("name", "offered"), [("ida", 1), ("bob", 0)])
@pytest.mark.parametrize("page", [PRODUCTS, RUNS])
def test_the_button_to_the_form_is_for_those_who_may(feed: Feed, page: str, name: str, offered: int) -> None:
    client = browser(name)
    links = tree(client.get(page)).xpath("//a[contains(normalize-space(), 'Import')][not(ancestor::nav)]/@href")
    found = [link for link in links if client.get(link, follow=True).request["PATH_INFO"] == UPLOAD]
    assert len(found) == offered


def test_an_upload_without_its_token_is_refused(feed: Feed) -> None:
    assert upload(browser("ida", enforce_csrf_checks=True), CONTENT, feed=feed.pk, mode="update").status_code == 403
    assert not ImportRun.objects.exists()


def test_the_form_starts_from_the_last_import(ida: Client, feed: Feed, other_feed: Feed) -> None:
    received(feed, CONTENT)
    received(other_feed, CONTENT, mode="sync")
    Feed.objects.create(name="Brand new", slug="brand-new")
    page = ida.get(UPLOAD)
    assert texts(page, "//select[@name='feed']/option[@selected]") == ["Outlet"]
    assert [radio.get("value") for radio in tree(page).xpath("//input[@name='mode'][@checked]")] == ["sync"]


def test_the_first_form_starts_from_the_first_feed(ida: Client, feed: Feed) -> None:
    page = ida.get(UPLOAD)
    assert [radio.get("value") for radio in tree(page).xpath("//input[@name='mode'][@checked]")] == [feed.mode]


@pytest.mark.parametrize(("name", "way"), [("mona", 1), ("ida", 0)])
def test_without_a_feed_there_is_nothing_to_fill_in(db: None, name: str, way: int) -> None:
    page = browser(name).get(UPLOAD)
    assert "There is no feed yet" in page.content.decode()
    assert not tree(page).xpath("//input[@type='file']")
    assert len(tree(page).xpath("//form//a[@href=$add]", add=reverse("admin:catalog_feed_add"))) == way


def test_the_same_file_sent_twice_is_one_import(ida: Client, feed: Feed) -> None:
    first, second = (upload(ida, CONTENT, feed=feed.pk, mode="update") for _ in range(2))
    assert first["Location"] == second["Location"]
    assert ImportRun.objects.count() == 1


def test_nothing_is_imported_past_the_plan() -> None:
    with pytest.raises(NoReverseMatch):
        reverse("admin:catalog_product_process_import")


# --- the page in every state --------------------------------------------------------------------------
def reading(feed: Feed) -> ImportRun:
    run = received(feed, CONTENT)
    run.move(Status.RECEIVED, to=Status.STAGING)
    return run


def applying(feed: Feed) -> ImportRun:
    run = planned(feed, *items(2))
    confirm(run, plan_hash=run.plan_hash, by=None, in_background=False)
    return run


def broken(feed: Feed) -> ImportRun:
    run = received(feed, feed_of(item("1"))[:-40])
    stage(run)
    return run


def thrown_away(feed: Feed) -> ImportRun:
    run = planned(feed, *items(2))
    discard(run, by=None, in_background=False)
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
    undo(run, by=None, in_background=False)
    return run


def redoing(feed: Feed) -> ImportRun:
    run = taken_back(applied(feed, item("redoing"), item("redoing too")))
    redo(run, by=None, in_background=False)
    return run


STATES: dict[str, tuple[Callable[[Feed], ImportRun], str]] = {
    "received": (lambda feed: received(feed, CONTENT), "Waiting for a worker"),
    "staging": (reading, "Reading the file"),
    "review": (lambda feed: planned(feed, *items(2)), "Confirming will add 2 products."),
    "applying": (applying, "Applying the plan"),
    "applied": (lambda feed: applied(feed, *items(2)), "This import added 2 products."),
    "undoing": (undoing, "Undoing the import"),
    "undone": (
        lambda feed: taken_back(applied(feed, item("undone"), item("undone too"))),
        "This import was undone: 2 products are as before the import.",
    ),
    "redoing": (redoing, "Applying the import again"),
    "failed": (broken, "This import failed. No product was changed."),
    "discarded": (thrown_away, "This import was discarded. No product was changed."),
    "unchanged": (unchanged, "Nothing to confirm: the catalogue already says the same."),
    "useless": (useless, "No item of this file can be imported. No product was changed."),
    "synced away": (synced_away, "This import archived 1 product."),
}
STOP = "Stop this import"
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
    assert offered == {"alice": expected, "ida": [label for label in expected if label in (DISCARD, STOP)], "bob": []}


@every_state
def test_no_page_of_an_import_is_for_charlie(feed: Feed, state: str) -> None:
    run, charlie = STATES[state][0](feed), browser("charlie")
    for path in (url(run), url(run, "live"), url(run, "undo"), RUNS):
        assert charlie.get(path).status_code == 403


def test_who_may_not_confirm_is_told_who_has_to(bob: Client, feed: Feed) -> None:
    assert "Somebody who may confirm imports" in bob.get(url(planned(feed, *items(2)))).content.decode()


def test_a_failed_import_says_why_and_what_to_do(alice: Client, feed: Feed) -> None:
    run = broken(feed)
    page = alice.get(url(run))
    assert texts(page, "//*[@role='alert']") == [run.error] != [""]
    assert tree(page).xpath(f"//div[{with_class('run')}]//a[@href='{UPLOAD}']")


def test_the_result_says_who_confirmed(alice: Client, feed: Feed) -> None:
    run = planned(feed, *items(2))
    confirm(run, plan_hash=run.plan_hash, by=staff("alice"), in_background=False)
    apply(run, in_background=False)
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
    results = texts(page, "//table[@id='result_list']//td[contains(@class, 'field-result')]")
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


# --- confirm and discard ------------------------------------------------------------------------------
@pytest.fixture
def run(feed: Feed) -> ImportRun:
    """Waiting to be confirmed: two new products."""
    return planned(feed, *items(2))


def press(client: Client, run: ImportRun, button: str, **fields: str) -> Any:
    """Press a button as the page that was shown to everybody says it."""
    return client.post(url(run, button), {"plan_hash": run.plan_hash, **fields}, follow=True)


def test_alice_confirms(alice: Client, run: ImportRun) -> None:
    (form,) = tree(alice.get(url(run))).xpath("//form[contains(@action, '/confirm/')]")
    answer = alice.post(form.get("action"), dict(form.form_values()), follow=True)
    run.refresh_from_db()
    assert run.status == Status.APPLYING
    assert run.history[-1]["by"] == "alice"
    assert heading(answer) == "Applying the plan"
    assert not messages(answer)


@pytest.mark.parametrize("button", ["confirm", "discard", "again", "redo"])
def test_looking_is_not_pressing(alice: Client, run: ImportRun, button: str) -> None:
    assert alice.get(url(run, button)).status_code == 405
    run.refresh_from_db()
    assert run.status == Status.REVIEW


@pytest.mark.parametrize("button", ["confirm", "discard", "again", "undo", "redo"])
def test_another_site_cannot_press_a_button(run: ImportRun, button: str) -> None:
    answer = browser("alice", enforce_csrf_checks=True).post(url(run, button), {"plan_hash": run.plan_hash})
    run.refresh_from_db()
    assert (answer.status_code, run.status) == (403, Status.REVIEW)


@pytest.mark.parametrize(
    ("name", "button"),
    [
        *(("bob", button) for button in ("confirm", "discard", "again", "undo", "redo")),
        *(("ida", button) for button in ("confirm", "undo", "redo")),
        *(("charlie", button) for button in ("confirm", "discard", "again", "undo", "redo")),
    ],
)
def test_who_may_not_press_a_button_is_refused(run: ImportRun, name: str, button: str) -> None:
    assert press(browser(name), run, button).status_code == 403
    run.refresh_from_db()
    assert run.status == Status.REVIEW


@pytest.mark.parametrize("plan_hash", ["", "0" * 64, "\x00", "é" * 9000])
def test_another_plan_than_the_one_that_was_read_is_not_confirmed(
    alice: Client, run: ImportRun, plan_hash: str
) -> None:
    answer = press(alice, run, "confirm", plan_hash=plan_hash)
    run.refresh_from_db()
    assert run.status == Status.REVIEW
    assert messages(answer) == ["The plan has changed since you looked at it. Read it again, then confirm."]
    assert text_of(tree(answer)).count(messages(answer)[0]) == 1


def test_a_second_click_on_confirm_is_harmless(alice: Client, run: ImportRun) -> None:
    press(alice, run, "confirm")
    answer = press(alice, run, "confirm")
    run.refresh_from_db()
    assert run.status == Status.APPLYING
    assert messages(answer) == [f"Import {run.pk} cannot be confirmed: it is “applying” by alice already."]


def test_confirming_after_the_end_changes_nothing(alice: Client, run: ImportRun) -> None:
    execute(run)
    before = catalogue()
    press(alice, run, "confirm")
    apply(run, in_background=False)
    assert catalogue() == before


def test_ida_discards(ida: Client, run: ImportRun) -> None:
    answer = press(ida, run, "discard")
    run.refresh_from_db()
    assert (run.status, run.history[-1]["by"]) == (Status.DISCARDED, "ida")
    assert heading(answer) == "This import was discarded. No product was changed."
    assert not Product.objects.exists()


def test_a_second_click_on_discard_is_harmless(ida: Client, run: ImportRun) -> None:
    press(ida, run, "discard")
    assert "cannot be discarded: it is “discarded” by ida already." in messages(press(ida, run, "discard"))[0]


def test_it_is_too_late_to_discard_what_is_applied(alice: Client, run: ImportRun) -> None:
    execute(run)
    answer = press(alice, run, "discard")
    run.refresh_from_db()
    assert run.status == Status.APPLIED
    assert "cannot be discarded" in messages(answer)[0]


@pytest.mark.parametrize("button", ["confirm", "discard"])
def test_an_import_that_is_not_there_has_no_buttons(alice: Client, feed: Feed, button: str) -> None:
    assert alice.post(url(ImportRun(pk=0), button)).status_code == 404


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
    started = (timezone.now() - timedelta(seconds=10)).isoformat()
    history = [{"status": "staging", "at": started, "by": ""}]
    ImportRun.objects.filter(pk=run.pk).update(items=12_000, invalid=7, bytes_read=run.file_size // 4, history=history)
    run.issues.create(code="price.lenient", attribute="price", severity="warning", count=1204)
    said = text_of(tree(alice.get(url(run, "live"))))
    assert re.search(r"12,000 items · 25 % · 1,[12]\d\d items/s · about (29|30|31) s left · 7 invalid", said)
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
    assert "It is not in the file any more." in alice.get(url(away)).content.decode()
    execute(away)
    back = alice.get(url(planned(feed, *items(2), mode="sync")))
    assert "It comes back from the archive as it was." in back.content.decode()
    assert "Back from the archive" in texts(back, "//ul[@class='changes']//summary/span")


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
    assert texts(page, f"//*[{with_class('empty')}]") == ["The plan was thrown away."]


def test_a_filter_without_a_match_offers_the_way_back(alice: Client, run: ImportRun) -> None:
    page = alice.get(url(run), {"product_id": "nothing"})
    assert texts(page, f"//*[{with_class('empty')}]") == ["No change matches. Show all"]


# --- page by page -------------------------------------------------------------------------------------
def walk(client: Client, run: ImportRun, start: str, link: str) -> list[str]:
    """Product ids of every page from `start` on, following the link of that name."""
    found: list[str] = []
    address = start
    while address:
        page = client.get(url(run) + address)
        found += changes(page) if link == "Next" else list(changes(page))[::-1]
        address = "".join(tree(page).xpath("//nav[@class='pages']/a[normalize-space()=$link]/@href", link=link))
    return found


@pytest.mark.parametrize(("query", "count"), [("?tab=changes", 127), ("?tab=changes&operation=update", 100)])
def test_walking_the_pages_meets_every_change_once(alice: Client, feed: Feed, query: str, count: int) -> None:
    applied(feed, *items(100))
    run = planned(feed, *items(127, title="Linen dress"))
    there = walk(alice, run, query, "Next")
    (last,) = tree(alice.get(url(run) + query)).xpath("//nav[@class='pages']/a[.='Last']/@href")
    back = walk(alice, run, last, "Previous")
    assert there == back[::-1]
    assert sorted(there) == [f"{n:05}" for n in range(1, count + 1)]


def test_the_links_to_the_ends_lead_there(alice: Client, feed: Feed) -> None:
    run = planned(feed, *items(127))
    first = alice.get(url(run))
    (to_last,) = tree(first).xpath("//nav[@class='pages']/a[.='Last']/@href")
    last = alice.get(url(run) + to_last)
    (to_first,) = tree(last).xpath("//nav[@class='pages']/a[.='First']/@href")
    assert list(changes(last))[-1] == "00127"
    assert changes(alice.get(url(run) + to_first)) == changes(first)


def test_a_single_page_needs_no_links(alice: Client, feed: Feed) -> None:
    assert not tree(alice.get(url(planned(feed, *items(50))))).xpath("//nav[@class='pages']")


GARBAGE = ["0", "-1", "²", "9" * 19, "9" * 30, "1\x00", "'", "\ud800"]


@pytest.mark.parametrize("tab", ["changes", "invalid"])
@pytest.mark.parametrize("place", ["after", "before", "operation", "outcome", "product_id", "tab", "q"])
def test_no_address_is_an_error(alice: Client, feed: Feed, tab: str, place: str) -> None:
    run = planned(feed, *items(2), item("3", price="?"))
    for text in GARBAGE if place in ("after", "before") else GARBAGE[-3:]:
        query = urlencode({"tab": tab, place: text.encode("utf-8", "surrogatepass")})
        wanted = 400 if "\x00" in text else 200
        assert alice.get(f"{url(run)}?{query}").status_code == wanted, query


@pytest.mark.parametrize("query", [{"after": "999999999"}, {"before": "0"}, {"before": "1"}])
def test_an_address_beyond_the_list_leads_back(alice: Client, run: ImportRun, query: dict[str, str]) -> None:
    page = alice.get(url(run), query)
    assert all(tree(page).xpath("//nav[@class='pages']/a/@href"))
    assert changes(page) or tree(page).xpath(f"//*[{with_class('empty')}]/a[@href='?tab=changes']")


@pytest.mark.parametrize("tab", ["changes", "issues", "invalid"])
def test_a_page_asks_as_often_for_fifty_rows_as_for_one(alice: Client, feed: Feed, tab: str) -> None:
    def queries(run: ImportRun) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert alice.get(url(run), {"tab": tab}).status_code == 200
        return len(captured)

    applied(feed, *items(30))
    one = planned(feed, item("00001", title="x"), item("8"), item("9", price="?"))
    many = planned(feed, *items(60, title="x"), *[item(f"x{n}", price="?", gtin="1") for n in range(60)])
    queries(one)
    assert queries(many) == queries(one) <= 12


# --- issues and invalid items -------------------------------------------------------------------------
def test_issues_stand_with_count_advice_and_examples_the_worst_first(alice: Client, feed: Feed) -> None:
    run = planned(feed, *items(7, price="12,50 AED"), item("8", price="abc", brand=None))
    page = alice.get(url(run), {"tab": "issues"})
    found = [text_of(row) for row in tree(page).xpath("//ul[@class='issues']/li/details/summary")]
    assert found == [
        "error This is not an amount of money price.format price 1 · 12.5 %",
        "warning The amount is written in an unusual way price.lenient price 7 · 87.5 %",
        "warning brand is missing brand.missing brand 1 · 12.5 %",
    ]
    worst, lenient, _ = tree(page).xpath("//ul[@class='issues']/li")
    assert "Write it as 155.00 AED: digits, a point, the currency." in text_of(worst)
    assert "Expected: An amount and an ISO 4217 currency, as 155.00 AED." in text_of(worst)
    assert [text_of(cell) for cell in worst.xpath(".//tbody//td")][:3] == ["9", "8", "abc"]
    assert len(lenient.xpath(".//tbody/tr[not(.//details)]")) == 5


def test_a_flawless_feed_has_no_issues(alice: Client, run: ImportRun) -> None:
    for tab, sentence in (("issues", "No issues."), ("invalid", "No item is invalid.")):
        assert sentence in text_of(tree(alice.get(url(run), {"tab": tab})))


def test_an_invalid_item_says_where_what_and_how_to_fix_it(alice: Client, feed: Feed) -> None:
    run = planned(feed, *items(2), item("bad", price="1.234 AED", availability="soon", title=None))
    page = alice.get(url(run), {"tab": "invalid"})
    (row,) = tree(page).xpath("//ul[@class='issues']/li")
    assert text_of(row.xpath(".//summary")[0]) == "invalid – bad line 4"
    lines = {text_of(line[0]): [text_of(cell) for cell in line[1:]] for line in row.xpath(".//tbody/tr")}
    assert lines["price"][0].startswith("error The amount can be read in two ways")
    assert lines["price"][1:3] == ["4", "1.234 AED"]
    assert "1234.00 AED" in lines["price"][4]
    choices = "in_stock, out_of_stock, preorder, backorder."
    assert lines["availability"][1:] == ["4", "soon", f"One of: {choices}", f"Use one of: {choices}"]
    assert lines["title"][3] == "Text, up to 150 characters."
    assert "Add title to every item." in lines["title"][4]


def test_invalid_items_are_paged(alice: Client, feed: Feed) -> None:
    run = planned(feed, *items(120, price="?"))
    page = alice.get(url(run), {"tab": "invalid"})
    (last,) = tree(page).xpath("//nav[@class='pages']/a[.='Last']/@href")
    assert texts(alice.get(url(run) + last), "//ul[@class='issues']//code")[-1] == "00120"


def test_invalid_items_stay_to_be_read_after_the_end(alice: Client, feed: Feed) -> None:
    run = applied(feed, *items(2), item("bad", price="?"))
    clean_up(run)
    assert texts(alice.get(url(run), {"tab": "invalid"}), "//ul[@class='issues']//code") == ["bad"]


# --- hostile feeds ------------------------------------------------------------------------------------
PAYLOADS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)' x='",
    "<svg/onload=alert(1)>",
    "</td></table><iframe src=javascript:alert(1)></iframe>",
    "<a href='javascript:alert(1)'>x</a>",
    "{{7*7}}",
    "{% debug %}",
    "${7*7} #{7*7} @{{constructor}}",
    "javascript:alert(1)",
    '=HYPERLINK("https://example.com")',
    "<!-- --><![CDATA[ <b>",
    "&lt;script&gt;",
]
FREE = ["title", "description", "brand", "color", "size", "gtin", "mpn", "custom_label_0", "shipping_label", "c__heel"]
LINKS = ["link", "image_link", "additional_image_link", "price", "availability", "icon_media_url", "condition"]


def twins(texts_: list[str], harmless: str) -> tuple[list[str], list[str]]:
    """Hostile items and their harmless twins: the same elements with the same faults."""

    def write(n: int, free: str, link: str) -> list[str]:
        return [
            item(f"{free} {n}", **dict.fromkeys(FREE, free), image_link=f"https://www.example.com/{free}"),
            item(f"{n} {free}", **dict.fromkeys([*FREE, *LINKS], link)),
        ]

    hostile = [one for n, text in enumerate(texts_) for one in write(n, text, text)]
    plain = [one for n, _ in enumerate(texts_) for one in write(n, harmless, harmless)]
    return hostile, plain


@pytest.fixture
def pages(alice: Client, feed: Feed) -> Callable[[list[str], str], list[Any]]:
    """Every page that shows anything of an import of these items, before and after it."""

    def read(written: list[str], name: str) -> list[Any]:
        own = Feed.objects.create(name=name, slug=f"own-{Feed.objects.count()}")
        applied(own, *items(len(written)))
        changed = [re.sub(r"<g:id>.*?</g:id>", f"<g:id>{n:05}</g:id>", one) for n, one in enumerate(written, 1)]
        run = received(own, feed_of(*written, *changed), by=staff("alice"))
        ImportRun.objects.filter(pk=run.pk).update(
            file_name=name, history=[{"status": "staging", "at": "x", "by": name}]
        )
        run.refresh_from_db()
        before = [alice.get(url(run)), alice.get(url(run, "live"))]
        stage(run)
        assert run.status == Status.REVIEW, run.error
        at = [{"tab": tab, **more} for tab in ("changes", "issues", "invalid") for more in ({}, {"before": "9" * 18})]
        tabs = [alice.get(url(run), query) for query in at]
        execute(run)
        return [*before, *tabs, alice.get(url(run)), alice.get(RUNS), alice.get(PRODUCTS), alice.get(UPLOAD)]

    return read


def test_nothing_from_a_feed_becomes_part_of_a_page(pages: Callable[[list[str], str], list[Any]]) -> None:
    hostile, plain = twins(PAYLOADS, "word")
    for shown, twin in zip(pages(hostile, " ".join(PAYLOADS)), pages(plain, "word"), strict=True):
        assert not active_parts(shown) - active_parts(twin), shown.request["PATH_INFO"]


@pytest.mark.parametrize("text", PAYLOADS[::3])
def test_markup_in_a_feed_is_shown_as_it_was_written(alice: Client, feed: Feed, text: str) -> None:
    applied(feed, item("1", custom_label_0=text), item("2"))
    run = planned(feed, item("1"), item("2", custom_label_0=text), item(text, price=text))
    shown = text_of(tree(alice.get(url(run)))) + text_of(tree(alice.get(url(run), {"tab": "invalid"})))
    assert shown.count(text) >= 3
