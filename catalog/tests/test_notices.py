"""What people are told about imports: once, in good words, and nothing that a feed could have put there."""

import csv
import io
import re
from typing import Any

import pytest
from django.core.files.base import ContentFile

from accounts.models import User
from catalog.imports import notices
from catalog.imports.apply import apply
from catalog.imports.confirm import confirm, go_on
from catalog.imports.local import import_locally
from catalog.imports.reading.stage import stage
from catalog.imports.receive import receive
from catalog.imports.sweep import sweep
from catalog.imports.undo import redo, request_redo, request_undo, undo
from catalog.imports.work.queue import fail
from catalog.models import Feed, ImportRun
from catalog.tests.factories import applied, edit, execute, feed_of, item, items, planned, received
from notifications.models import Message
from notifications.subscriptions import decline_message, preference_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def root() -> User:
    """A superuser, who is told of everything."""
    return User.objects.create_superuser("root", "root@example.com")


def told(name: str = "", **filters: Any) -> list[Message]:
    chosen = Message.objects.order_by("told_at", "address").filter(**filters)
    return list(chosen.filter(name=name) if name else chosen)


def only(name: str) -> Message:
    (message,) = told(name)
    assert message.last_error == ""
    return message


def repaired(feed: Feed, **options: Any) -> ImportRun:
    """An import that its repair holds for a person."""
    run = received(feed, feed_of(item("1", title="Silk & dress")).replace(b"&amp;", b"&"), **options)
    stage(run)
    assert run.holds
    return run


# --- applied ------------------------------------------------------------------------------------------
def test_who_follows_imports_is_told_once_what_came_in(feed: Feed, root: User) -> None:
    run = applied(feed, *items(3), item("bad", price="free"))
    apply(run)
    message = only("import_applied")
    assert message.recipient == root
    assert message.subject == f"[Catalogue] {run} applied: +3, 1 invalid"
    for part in (message.text, message.html):
        assert f"http://localhost:8000/admin/catalog/importrun/{run.pk}/change/" in part
        assert "added 3 products" in part
        assert "The value is not an amount of money" in part
        assert "feed.xml" in part


def test_the_facts_of_added_products_are_there(feed: Feed, root: User) -> None:
    applied(feed, item("205042570_242", title="Silk dress", brand="Noor", price="1250.00 AED"))
    for part in (only("import_applied").text, only("import_applied").html):
        for fact in ("205042570_242", "Silk dress", "Noor", "1,250.00 AED", "https://www.example.com/1"):
            assert fact in part


def test_the_ids_of_the_rest_are_there(feed: Feed, root: User) -> None:
    applied(feed, item("changed"), item("gone"), item("edited"))
    run = planned(feed, item("changed", title="Other"), item("edited", title="Other"), item("", price="x"), mode="sync")
    edit("edited", title="By hand")
    execute(run)
    text = told("import_applied")[-1].text
    assert re.search(r"CHANGED \(1\)\n  changed\n", text)
    assert re.search(r"ARCHIVED \(1\)\n  gone\n", text)
    assert re.search(r"LEFT ALONE, EDITED SINCE THE PLAN \(1\)\n  edited\n", text)
    assert re.search(r"INVALID, NOT IMPORTED \(1\)\n  \(no id\)\n", text)


def test_what_an_add_left_as_it_was_is_there(feed: Feed, root: User) -> None:
    applied(feed, item("old"))
    applied(feed, item("old"), item("new"), mode="add")
    assert re.search(r"EXISTING, LEFT AS THEY ARE \(1\)\n  old\n", told("import_applied")[-1].text)


def test_a_long_file_is_not_searched_to_its_end(feed: Feed, root: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "SEARCHED_ITEMS", 1)
    applied(feed, item("old"))
    applied(feed, item("new"), item("old"), mode="add")
    assert "EXISTING, LEFT AS THEY ARE (1)\n  Too far down" in told("import_applied")[-1].text


def test_every_added_product_is_in_the_attached_table(feed: Feed, root: User) -> None:
    applied(feed, *items(25, title="=cmd()"))
    message = only("import_applied")
    assert "And 5 more. All of them are in the attached table." in message.text
    (file,) = message.attachments
    rows = list(csv.DictReader(io.StringIO(file["text"].removeprefix("\ufeff"))))
    assert [row["id"] for row in rows] == [f"{n:05}" for n in range(1, 26)]
    assert rows[0] == {
        "id": "00001",
        "title": "'=cmd()",
        "brand": "Noor",
        "price": "100.00",
        "currency": "AED",
        "link": "https://www.example.com/1",
    }


@pytest.mark.parametrize(("limit", "value"), [("ATTACHED_PRODUCTS", 24), ("ATTACHED_CHARS", 500)])
def test_what_is_too_much_for_a_mail_is_on_the_page(
    feed: Feed, root: User, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(notices, limit, value)
    applied(feed, *items(25))
    message = only("import_applied")
    assert message.attachments == []
    assert "too many to attach" in message.text


def test_ten_thousand_products_are_one_mail_of_less_than_100_kb(feed: Feed, root: User) -> None:
    """And so are ten thousand of the longest titles, ids and links."""
    longest = {"title": "x" * 5000, "brand": "y" * 500, "link": f"https://www.example.com/{'z' * 450}"}
    applied(feed, *items(100, **longest), *(item(f"{n:0100}", price="x") for n in range(100)))
    message = only("import_applied")
    assert len(message.html.encode()) + len(message.text.encode()) < 100_000


def test_the_facts_cost_as_many_queries_however_many_products(
    feed: Feed, root: User, django_assert_max_num_queries: Any
) -> None:
    run = applied(feed, *items(60), *(item(f"bad{n}", price="x") for n in range(60)))
    Message.objects.all().delete()
    with django_assert_max_num_queries(20):
        notices.notify_applied(run)
    assert told()


def test_an_import_that_did_nothing_is_told_only_to_who_uploaded_it(feed: Feed, root: User, alice: User) -> None:
    applied(feed, item("1"))
    Message.objects.all().delete()
    applied(feed, item("1"), by=alice)
    assert [message.recipient for message in told()] == [alice]


# --- failed, held -------------------------------------------------------------------------------------
def test_a_failure_says_why_and_that_nothing_was_written(feed: Feed, root: User) -> None:
    run = received(feed, feed_of(*items(2))[:-40], mode="sync")
    stage(run)
    message = only("import_failed")
    assert message.subject.startswith(f"[Catalogue] {run} failed: feed.xml")
    assert run.error in message.text
    for part in (message.text, message.html):
        assert "the catalogue is as it was before" in part
        assert "upload it again" in part


def test_a_plan_that_something_holds_is_told_of_once(feed: Feed, root: User) -> None:
    run = repaired(feed)
    for _ in range(3):
        go_on(run)
    message = only("import_needs_review")
    assert message.subject == f"[Catalogue] {run} needs review: would be +1"
    assert run.holds[0]["message"] in message.text


def test_who_follows_is_told_of_a_held_plan_though_the_worker_was_lost(feed: Feed, root: User) -> None:
    run = repaired(feed)
    ImportRun.objects.update(changed_at="2026-01-01T00:00Z")
    sweep()
    assert told("import_needs_review", about=f"catalog.importrun:{run.pk}")


def test_a_plan_that_nothing_holds_is_told_of_while_nobody_has_it_on_the_screen(feed: Feed, root: User) -> None:
    go_on(planned(feed, item("1"), by=root))
    assert told() == []
    run = planned(feed, item("2"))
    go_on(run)
    assert only("import_needs_review").subject == f"[Catalogue] {run} needs review: would be +1"


def test_a_trial_in_the_shell_asks_nobody_to_look(feed: Feed, root: User) -> None:
    broken = feed_of(item("1", title="Silk & dress")).replace(b"&amp;", b"&")
    import_locally(ContentFile(broken, "feed.xml"), feed=feed, dry_run=True)
    assert told() == []
    import_locally(ContentFile(broken, "feed.xml"), feed=feed)
    assert only("import_needs_review")


# --- who ----------------------------------------------------------------------------------------------
def supplier() -> User:
    """Uploads through the API and is no staff."""
    return User.objects.create_user("supplier", "supplier@example.com")


def by_supplier(feed: Feed, person: User) -> ImportRun:
    run = planned(feed, item("1"))
    ImportRun.objects.filter(pk=run.pk).update(uploaded_by=person)
    run.refresh_from_db()
    return execute(run)


def test_an_uploader_who_is_not_staff_is_told_without_a_link_to_the_admin(feed: Feed) -> None:
    run = by_supplier(feed, supplier())
    message = only("import_applied")
    assert f"Through the API: http://localhost:8000/imports/{run.pk}/" in message.text
    assert message.address == "supplier@example.com"
    assert "/admin/" not in message.text + message.html


def test_who_declined_is_told_nothing(feed: Feed, root: User) -> None:
    person = supplier()
    for one in (root, person):
        decline_message(one, "import_applied")
    by_supplier(feed, person)
    assert told() == []


def test_staff_are_told_what_they_asked_for_and_may_look_at(feed: Feed, bob: User, charlie: User) -> None:
    for person in (bob, charlie):
        person.is_staff = True
        person.save()
        preference = preference_of(person)
        preference.choices = {"import_applied": True}
        preference.save()
    applied(feed, item("1"))
    assert [message.recipient for message in told()] == [bob]  # charlie may not look at imports


# --- what a feed could put there ------------------------------------------------------------------------
NASTY = '<img src=x onerror="alert(1)"></td>\r\nBcc: eve@example.com\u202e{{ run }} {% now %}'


def test_nothing_of_a_feed_gets_beyond_its_place(feed: Feed, root: User) -> None:
    Feed.objects.update(name=NASTY)
    feed.refresh_from_db()
    file = ContentFile(feed_of(item("1", title=NASTY, brand=NASTY), item("<b>2</b>", price="<i>")), name=NASTY)
    run = receive(file, feed=feed)
    stage(run)
    confirm(run, plan_hash=run.plan_hash, by=None, reason="No item is valid")
    apply(run)
    message = only("import_applied")
    assert "<img" not in message.html
    assert "<b>2" not in message.html
    assert "&lt;img src=x" in message.html
    assert "\nBcc" not in message.text
    assert "\u202e" not in message.text + message.html
    assert "\n" not in message.subject


@pytest.mark.parametrize("link", ["javascript:alert(1)", "https://example.com/\n1", "https://e.com/" + "x" * 600])
def test_a_link_that_is_none_is_no_link(link: str) -> None:
    product = {"id": "1", "title": "", "brand": "", "price": None, "currency": "", "link": link}
    assert notices._product_facts(product)["link"] == ""


def test_an_import_does_not_fail_because_of_its_mail(
    feed: Feed, root: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(notices, "_added_products", lambda run, most: list(Feed.objects.raw("SELECT nonsense")))
    applied(feed, item("1"))
    assert told() == []
    assert "could not be gathered" in caplog.text


def test_no_message_loads_anything(feed: Feed, root: User) -> None:
    applied(feed, *items(2))
    repaired_run = repaired(feed)
    go_on(repaired_run)
    for message in told():
        assert not re.search(r"<(img|link|script|iframe|object|form)|@import|url\(", message.html)


# --- undone -------------------------------------------------------------------------------------------
def undone(run: ImportRun) -> ImportRun:
    request_undo(run, by=None)
    undo(run)
    return run


def test_an_undo_says_what_it_took_back_and_what_it_had_to_leave(feed: Feed, root: User) -> None:
    run = applied(feed, *items(3))
    edit("00002", title="By hand")
    undone(run)
    message = only("import_undone")
    assert message.subject == f"[Catalogue] {run} undone: 2 taken back, 1 kept"
    assert re.search(r"KEPT, BECAUSE THEY HAVE CHANGED SINCE \(1\)\n  00002\n", message.text)


def test_each_time_an_import_is_applied_or_undone_is_told(feed: Feed, root: User) -> None:
    run = undone(applied(feed, item("1")))
    request_redo(run, by=None)
    redo(run)
    undone(run)
    assert [message.subject.removeprefix(f"[Catalogue] {run} ") for message in told()] == [
        "applied: +1",
        "undone: 1 taken back",
        "applied again: +1",
        "undone: 1 taken back",
    ]


def test_an_undo_that_failed_is_told(feed: Feed, root: User) -> None:
    run = applied(feed, item("1"))
    request_undo(run, by=None)
    fail(run, "internal_error", "Something unexpected happened.")
    assert only("import_failed").subject.startswith(f"[Catalogue] {run} could not be undone")
