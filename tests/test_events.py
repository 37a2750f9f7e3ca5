"""docs/events.md lists every event that the program logs, with its fields."""

import ast
import logging
import re
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import transaction
from structlog.contextvars import bound_contextvars

from accounts.mails import request_mail
from accounts.models import User
from accounts.tests.conftest import make_person, post
from catalog.errors import FeedRefused
from catalog.imports.apply import apply
from catalog.imports.confirm import confirm
from catalog.imports.edit import edit_product
from catalog.imports.local import local_queue, stage_locally
from catalog.imports.receive import receive
from catalog.imports.work.queue import fail
from catalog.models import Feed, ImportRun, Product
from catalog.tests.factories import applied, discarded, feed_of, item, planned, received, redone, undone
from devservers import BASE_DIR
from events.log import EVENTS
from notifications.delivery import deliver
from notifications.outbox import write_waiting
from tests.test_docs import sources

IN_ANY = {"request_id", "address", "account", "run_id"}


def documented() -> dict[str, set[str]]:
    """What the page says: the fields of each event, beside some values."""
    page = (BASE_DIR / "docs/events.md").read_text()
    section = page.partition("\n## The events\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|$", section, re.MULTILINE)
    fields = {name: {*re.findall(r"`(\w+)`", said)} for name, said in rows}
    return fields | {"redo": fields["redo"] | fields["apply"]}


def logged() -> dict[str, set[str]]:
    """What the code says: the fields that each event is given by name."""
    found: dict[str, set[str]] = {}
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or ast.unparse(node.func) not in ("log_event", "carry_out"):
                continue
            named = {word.arg: word.value for word in node.keywords if word.arg}
            event = named["step"] if ast.unparse(node.func) == "carry_out" else node.args[0]
            if isinstance(event, ast.Constant):
                given = {*named} - {"by", "level", "to", "step"} if "step" in named else {*named} - {"by", "level"}
                found.setdefault(str(event.value), set()).update(given)
    return found


def test_every_event_of_the_code_is_on_the_page_and_no_other() -> None:
    assert logged().keys() == documented().keys()


@pytest.mark.parametrize("name", sorted(logged()))
def test_the_page_has_the_fields_that_the_code_gives(name: str) -> None:
    assert logged()[name] <= documented()[name] | IN_ANY


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Any:
    caplog.set_level(logging.INFO, EVENTS)
    return lambda: [(record.msg, record.__dict__["fields"]) for record in caplog.records if record.name == EVENTS]


@pytest.mark.django_db(transaction=True)
def test_a_life_is_told_in_events_with_the_fields_of_the_page(lines: Any, settings: Any) -> None:
    feed = Feed.objects.create(name="Ounass", slug="ounass")
    root: User = make_person("root", is_superuser=True)
    run = applied(feed, item("1"), item("2", price="free"), by=root)
    redone(undone(run))
    discarded(planned(feed, item("3"), by=root), by=root)
    failed: ImportRun = planned(feed, item("4"))
    ImportRun.objects.filter(pk=failed.pk).update(status="applying")
    fail(failed, "memory", "Too little.")
    with pytest.raises(FeedRefused):
        receive(ContentFile(b"", "empty.xml"), feed=feed, by=root)
    edit_product(Product.objects.get(id="1"), by=root)
    post("/login/", {"username": "root", "password": "canary"})
    deliver()
    seen = [name for name, _fields in lines() if name not in ("mail", "request")]
    assert seen == [
        *("upload", "plan", "confirm", "apply", "undo_requested", "undo", "redo_requested", "redo"),
        *("upload", "plan", "discard", "upload", "plan", "import_failed", "upload_refused", "edit", "login_refused"),
    ]
    for name, fields in lines():
        assert {*fields} <= documented()[name] | IN_ANY, name
    assert {
        name: fields.get("account") for name, fields in lines() if name in ("upload_refused", "edit", "discard")
    } == {
        "upload_refused": "root",
        "edit": "root",
        "discard": "root",
    }
    assert [fields["run_id"] for name, fields in lines() if name == "apply"] == [run.pk]
    assert "mail" in {name for name, _fields in lines()}
    assert "canary" not in str(lines())


@pytest.mark.django_db(transaction=True)
def test_what_was_done_before_is_not_logged_again(lines: Any) -> None:
    run = applied(Feed.objects.create(name="Ounass", slug="ounass"), item("1"))
    before = len(lines())
    apply(run)  # delivered twice
    assert len(lines()) == before


@pytest.mark.django_db(transaction=True)
def test_a_plan_that_is_rolled_back_is_not_logged(lines: Any) -> None:
    feed = Feed.objects.create(name="Ounass", slug="ounass")
    with transaction.atomic():
        planned(feed, item("1"))
        transaction.set_rollback(True)
    assert "plan" not in {name for name, _fields in lines()}


@pytest.mark.django_db(transaction=True)
def test_an_import_has_the_id_of_the_last_request_for_it(lines: Any) -> None:
    feed, root = Feed.objects.create(name="Ounass", slug="ounass"), make_person("root", is_superuser=True)
    with bound_contextvars(request_id="of-the-upload"):
        run = received(feed, feed_of(item("1")))
    with bound_contextvars(request_id="of-another-import"):
        stage_locally(run)
    with bound_contextvars(request_id="of-the-confirm"), local_queue():
        confirm(run, plan_hash=run.plan_hash, by=root)
    apply(run)
    assert [(name, fields["request_id"], fields["run_id"]) for name, fields in lines()] == [
        ("upload", "of-the-upload", run.pk),
        ("plan", "of-the-upload", run.pk),
        ("confirm", "of-the-confirm", run.pk),
        ("apply", "of-the-confirm", run.pk),
    ]


@pytest.mark.django_db(transaction=True)
def test_a_mail_has_the_id_of_the_request_that_it_comes_from(lines: Any) -> None:
    feed, root = Feed.objects.create(name="Ounass", slug="ounass"), make_person("root", is_superuser=True)
    with bound_contextvars(request_id="of-the-upload"):
        fail(received(feed, feed_of(item("1")), by=root), "memory", "Too little.")
    with bound_contextvars(request_id="of-the-reset"):
        request_mail("password_reset", root.email)
    with bound_contextvars(request_id="of-whoever-enqueued-the-sender"):
        write_waiting()
        deliver()
    mails = {fields["name"]: fields.get("request_id") for name, fields in lines() if name == "mail"}
    assert mails == {"import_failed": "of-the-upload", "password_reset": "of-the-reset"}
