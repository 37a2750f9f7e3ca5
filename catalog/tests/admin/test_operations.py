"""The buttons of an import's page: confirm and discard, pressed once, twice, too late, and by whom."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from catalog.imports.apply import apply
from catalog.models import Feed, ImportRun, Product, Status
from catalog.tests.factories import catalogue, execute, items, planned
from catalog.tests.pages import browser, heading, messages, text_of, tree, url

pytestmark = pytest.mark.django_db


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
    assert messages(answer) == [f"Import {run.pk} cannot be confirmed: alice has already confirmed it."]


def test_confirming_after_the_end_changes_nothing(alice: Client, run: ImportRun) -> None:
    execute(run)
    before = catalogue()
    press(alice, run, "confirm")
    apply(run)
    assert catalogue() == before


def test_ida_discards(ida: Client, run: ImportRun) -> None:
    answer = press(ida, run, "discard")
    run.refresh_from_db()
    assert (run.status, run.history[-1]["by"]) == (Status.DISCARDED, "ida")
    assert heading(answer) == "This import was discarded. No product was changed."
    assert not Product.objects.exists()


def test_a_second_click_on_discard_is_harmless(ida: Client, run: ImportRun) -> None:
    press(ida, run, "discard")
    assert "cannot be discarded: ida has already discarded it." in messages(press(ida, run, "discard"))[0]


def test_it_is_too_late_to_discard_what_is_applied(alice: Client, run: ImportRun) -> None:
    execute(run)
    answer = press(alice, run, "discard")
    run.refresh_from_db()
    assert run.status == Status.APPLIED
    assert "cannot be discarded" in messages(answer)[0]


@pytest.mark.parametrize("button", ["confirm", "discard"])
def test_an_import_that_is_not_there_has_no_buttons(alice: Client, feed: Feed, button: str) -> None:
    assert alice.post(url(ImportRun(pk=0), button)).status_code == 404
