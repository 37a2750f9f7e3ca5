"""The undo in the admin: what it would do is shown product by product, and done when somebody who may asks for it."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from catalog.imports.undo import undo
from catalog.models import Feed, ImportRun, Product, Status
from catalog.tests.factories import add_product, applied, edit, execute, item, items, planned, undone
from catalog.tests.pages import browser, buttons, changes, heading, messages, text_of, texts, tree, url, with_class

COUNTS = f"//dl[{with_class('counts')}]/div"
BADGES = f"//ul[@class='changes']/li//span[{with_class('operation')}]"


@pytest.fixture
def run(feed: Feed) -> ImportRun:
    """An applied import: a product of each kind of change, and one that was edited since."""
    applied(feed, item("changed"), item("archived"), item("back"), item("edited"))
    applied(feed, item("changed"), item("archived"), item("edited"), mode="sync")
    run = applied(
        feed, item("new"), item("changed", price="9 AED"), item("back"), item("edited", price="9 AED"), mode="sync"
    )
    edit("edited", color="Green")
    return run


def preview(client: Client, run: ImportRun, **query: str) -> Any:
    return client.get(url(run, "undo"), query)


def press_undo(client: Client, run: ImportRun) -> Any:
    """As the page that is shown now says it."""
    (form,) = tree(preview(client, run)).xpath("//form[.//input[@name='seen']]")
    return client.post(url(run, "undo"), dict(form.form_values()), follow=True)


def test_the_way_to_the_undo_is_for_those_who_may(run: ImportRun) -> None:
    way = f"//div[{with_class('run')}]//a[@href='{url(run, 'undo')}']"
    assert [len(texts(browser(name).get(url(run)), way)) for name in ("alice", "ida", "bob")] == [1, 0, 0]


def test_the_preview_says_what_the_undo_would_do(alice: Client, run: ImportRun) -> None:
    Product.objects.filter(id="archived").delete()
    page = preview(alice, run)
    assert heading(page) == (
        "Undo this import? 3 products will be as before the import; 1 will be kept because it has changed since; "
        "1 is no longer in the catalogue."
    )
    assert texts(page, COUNTS) == ["undone3", "kept: changed since1", "no longer in the catalogue1"]
    assert buttons(page) == ["Undo this import"]


def test_each_product_is_listed_the_other_way_round(alice: Client, run: ImportRun) -> None:
    page = preview(alice, run)
    assert changes(page)["changed"] == [("Price", "9.00 AED", "100.00 AED +1011.1%")]
    assert sorted(texts(page, BADGES)) == ["Archived again", "Back from the archive", "Changed back", "Removed"]


@pytest.mark.parametrize(
    ("bucket", "id", "why"),
    [
        ("kept", "edited", "It was edited or changed by a later"),
        ("gone", "archived", "It is no longer in the catalogue"),
    ],
)
def test_what_stays_is_listed_with_the_reason(alice: Client, run: ImportRun, bucket: str, id: str, why: str) -> None:
    Product.objects.filter(id="archived").delete()
    page = preview(alice, run, bucket=bucket)
    assert [*changes(page)] == [id]
    assert why in text_of(tree(page))


def test_the_lists_are_paged(alice: Client, feed: Feed) -> None:
    run = applied(feed, *items(120))
    met: list[str] = []
    page = preview(alice, run)
    while True:
        met += changes(page)
        following = tree(page).xpath("//nav[@class='pages']/a[@rel='next']/@href")
        if not following:
            break
        page = alice.get(url(run, "undo") + following[0])
    assert met == [f"{n:05}" for n in range(1, 121)]


@pytest.mark.parametrize(
    "query",
    [{"bucket": "x"}, {"bucket": "gone"}, {"bucket": "kept", "after": "x"}, {"before": "-1"}, {"after": "9" * 18}],
)
def test_no_address_is_an_error(alice: Client, run: ImportRun, query: dict[str, str]) -> None:
    assert preview(alice, run, **query).status_code == 200


def test_alice_undoes(alice: Client, run: ImportRun) -> None:
    answer = press_undo(alice, run)
    assert heading(answer) == "Undoing the import"
    undo(ImportRun.objects.get(pk=run.pk))
    page = alice.get(url(run))
    assert heading(page) == (
        "This import was undone: 4 products are as before the import; 1 was kept because it has changed since."
    )
    assert texts(page, COUNTS)[:3] == ["undone4", "kept: changed since1", "no longer in the catalogue0"]
    assert "Undone by alice" in text_of(tree(page))
    assert [*changes(alice.get(url(run), {"outcome": "kept"}))] == ["edited"]


def test_a_preview_that_is_not_true_any_more_is_shown_anew(alice: Client, run: ImportRun) -> None:
    stale = {"seen": "5-0-0"}
    answer = alice.post(url(run, "undo"), stale, follow=True)
    assert messages(answer) == ["Products were changed since you looked. Read the numbers again, then undo."]
    run.refresh_from_db()
    assert run.status == Status.APPLIED


def test_a_second_click_on_undo_is_harmless(alice: Client, run: ImportRun) -> None:
    press_undo(alice, run)
    answer = alice.post(url(run, "undo"), follow=True)
    assert messages(answer) == [f"{run} cannot be undone: alice has already undone it."]


@pytest.mark.parametrize("made", [lambda feed: planned(feed, item("1")), lambda feed: undone(applied(feed, item("1")))])
def test_where_there_is_nothing_to_undo_there_is_no_preview(alice: Client, feed: Feed, made: Any) -> None:
    run = made(feed)
    answer = alice.get(url(run, "undo"), follow=True)
    assert answer.redirect_chain == [(url(run), 302)]
    assert len(messages(answer)) == 1


def test_alice_applies_it_again(alice: Client, run: ImportRun) -> None:
    undone(run)
    (form,) = tree(alice.get(url(run))).xpath("//form[contains(@action, '/redo/')]")
    answer = alice.post(form.get("action"), dict(form.form_values()), follow=True)
    assert heading(answer) == "Applying the import again"


def test_an_undo_that_failed_is_told(alice: Client, run: ImportRun) -> None:
    ImportRun.objects.filter(pk=run.pk).update(error="Something unexpected happened.", error_code="internal_error")
    assert texts(alice.get(url(run)), "//*[@role='alert']") == ["Something unexpected happened."]


# --- plan again ---------------------------------------------------------------------------------------
AGAIN = "//form[contains(@action, '/again/')]"


def test_a_plan_that_is_not_true_any_more_says_so(alice: Client, feed: Feed) -> None:
    applied(feed, item("1"), item("2"))
    run = planned(feed, item("1", color="Red"), item("2", color="Red"), item("3"))
    assert not tree(alice.get(url(run))).xpath(AGAIN)
    edit("1", color="Blue")
    add_product(id="3")
    (part,) = tree(alice.get(url(run))).xpath("//*[@hx-trigger='load']/@hx-get")
    said = alice.get(part, headers={"HX-Request": "true"})
    assert "2 products of this plan have changed since the plan was made." in text_of(tree(said))
    assert len(tree(said).xpath(AGAIN)) == 1


def test_a_plan_of_other_products_than_changed_is_as_true_as_before(alice: Client, feed: Feed) -> None:
    applied(feed, item("other"))
    run = planned(feed, item("1"))
    edit("other", color="Blue")
    for headers in ({}, {"HX-Request": "true"}):
        said = alice.get(url(run, "edited"), headers=headers)
        assert "No product of this plan has changed since the plan was made." in text_of(tree(said))


def test_ida_plans_it_again(feed: Feed) -> None:
    applied(feed, item("1"))
    run = planned(feed, item("1", color="Red"))
    edit("1", color="Blue")
    ida = browser("ida")
    (form,) = tree(ida.get(url(run, "edited"))).xpath(AGAIN)
    answer = ida.post(form.get("action"), dict(form.form_values()), follow=True)
    again = ImportRun.objects.latest("pk")
    assert answer.redirect_chain == [(url(again), 302)]
    assert (again.file, again.mode, again.status) == (run.file, run.mode, Status.RECEIVED)
    run.refresh_from_db()
    assert run.status == Status.DISCARDED


def test_conflicts_of_an_applied_import_are_planned_again(alice: Client, feed: Feed) -> None:
    applied(feed, item("1"))
    run = planned(feed, item("1", color="Red"))
    edit("1", color="Blue")
    execute(run)
    (form,) = tree(alice.get(url(run))).xpath(AGAIN)
    for _ in range(2):  # a second click gives the same import
        alice.post(form.get("action"), dict(form.form_values()))
    assert ImportRun.objects.filter(pk__gt=run.pk).count() == 1
