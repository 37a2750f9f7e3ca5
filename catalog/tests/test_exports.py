"""Exports that a worker makes: asked for once, made as the list shows it, kept for the person, and ended in words."""

from __future__ import annotations

import csv
import errno
import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import openpyxl
import psycopg2
import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.contrib.auth.models import Group, Permission
from django.core.files.storage import default_storage
from django.db import OperationalError, connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError

from accounts.models import User
from catalog.admin import products as product_pages
from catalog.errors import NotAllowed, QuotaReached
from catalog.exports import export as exports
from catalog.exports import workbook
from catalog.exports.export import (
    EXPORT_LOCK,
    MAX_LOST_WORKERS,
    MAX_OPEN_EXPORTS,
    forget_exports,
    make_export,
    request_export,
    sweep_exports,
)
from catalog.exports.formats import FORMATS
from catalog.exports.rows import product_rows
from catalog.feeds.limits import Limits
from catalog.feeds.reading import workbooks
from catalog.imports.work.attempts import fence_the_silent
from catalog.models import DEFAULT_MARKET, Attempt, Export, ExportStatus, Feed, Market, Product
from catalog.tests.factories import add_product, person
from catalog.tests.pages import EXPORT, browser, messages, staff, text_of, tree
from notifications.models import Message
from notifications.subscriptions import decline_message

pytestmark = pytest.mark.django_db
EXPORTS = reverse("admin:catalog_export_changelist")
LONG = 3  # products that a list has at least to be long here


@pytest.fixture(autouse=True)
def short_limit(monkeypatch: pytest.MonkeyPatch, feed: Feed) -> None:
    monkeypatch.setattr(product_pages, "STREAMED_PRODUCTS", LONG - 1)


@pytest.fixture
def products(feed: Feed) -> list[Product]:
    return [add_product(id=f"{n}", title=("Silk" if n < 4 else "Linen"), feed=feed) for n in range(1, 6)]


@pytest.fixture
def bob(db: None) -> Client:
    return browser("bob")


def asked(client: Client, name: str = "csv", query: str = "") -> Export:
    """The export that the form leads to."""
    answer = client.post(f"{EXPORT}{query}", {"format": list(FORMATS).index(name), "resource": "0"})
    export = Export.objects.first()
    assert export, answer.content
    assert answer["Location"] == page(export)
    return export


def page(export: Export, name: str = "change") -> str:
    return reverse(f"admin:catalog_export_{name}", args=[export.pk])


def made(export: Export) -> Export:
    assert make_export(export.pk)
    export.refresh_from_db()
    return export


def requested(by: User, query: str = "") -> Export:
    return request_export(by=by, market=Market.objects.get(pk=DEFAULT_MARKET), format_name="csv", query=query)


def stored_files(storage: Path) -> list[Path]:
    return [path for path in (storage / "exports").rglob("*") if path.is_file()]


# --- from the list to the file ------------------------------------------------------------------------
def test_a_short_list_is_sent_at_once_and_a_long_one_becomes_a_job(bob: Client, products: list[Product]) -> None:
    assert f"Up to {LONG - 1} products come at once" in text_of(tree(bob.get(EXPORT)))
    short = bob.post(f"{EXPORT}?q=linen", {"format": "0", "resource": "0"})
    assert short.streaming
    assert not Export.objects.exists()
    export = asked(bob, query="?q=silk")
    assert (export.status, export.query, export.by) == (ExportStatus.WAITING, "q=silk", staff("bob"))


@pytest.mark.parametrize("name", FORMATS)
def test_the_file_is_what_the_list_shows_and_has_the_bytes_of_a_short_one(
    bob: Client, products: list[Product], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = made(asked(bob, name, "?q=silk&o=1"))
    assert (export.status, export.products, export.expected, export.claims) == (ExportStatus.READY, 3, 3, 1)
    answer = bob.get(page(export, "file"))
    content = answer.getvalue()
    assert len(content) == export.file_size
    assert answer["Content-Disposition"].startswith('attachment; filename="products-default-')
    assert answer["X-Content-Type-Options"] == "nosniff"
    monkeypatch.setattr(product_pages, "STREAMED_PRODUCTS", 100)
    at_once = bob.post(f"{EXPORT}?q=silk&o=1", {"format": list(FORMATS).index(name), "resource": "0"}).getvalue()
    if name == "xlsx":  # which says when it was made
        books = [openpyxl.load_workbook(io.BytesIO(each)).active.values for each in (content, at_once)]
        assert [*books[0]] == [*books[1]]
    else:
        assert content == at_once


def test_an_export_is_of_the_market_that_was_chosen(bob: Client, products: list[Product], feed: Feed) -> None:
    market = Market.objects.create(code="sa-ar", name="Saudi Arabia")
    other = Feed.objects.create(name="Saudi", slug="saudi", market=market)
    for n in range(4):
        add_product(id=f"sa{n}", feed=other, market=market)
    export = made(asked(bob, query="?market=sa-ar"))
    rows = csv.DictReader(io.StringIO(bob.get(page(export, "file")).getvalue().decode("utf-8-sig")))
    assert sorted(row["id"] for row in rows) == ["sa0", "sa1", "sa2", "sa3"]


def test_a_double_click_gives_one_job_and_another_choice_gives_another(bob: Client, products: list[Product]) -> None:
    first = asked(bob)
    assert asked(bob) == first
    assert asked(bob, "json") != first
    made(first)
    assert asked(bob).pk > first.pk  # the catalogue may have changed


def test_two_requests_in_one_moment_give_one_job(bob: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one looks before the first is committed."""
    first = requested(staff("bob"))
    looks = iter([None, first])
    monkeypatch.setattr(type(Export.objects.all()), "first", lambda _self: next(looks))
    assert requested(staff("bob")) == first


def test_one_person_has_a_few_open_at_most(bob: Client, products: list[Product]) -> None:
    for n in range(MAX_OPEN_EXPORTS):
        requested(staff("bob"), f"q={n}")
    with pytest.raises(QuotaReached):
        requested(staff("bob"))
    answer = bob.post(EXPORT, {"format": "0", "resource": "0"})
    assert messages(answer) == [
        "5 of your exports are not finished. Wait for one of them, then ask for this one again."
    ]
    assert requested(staff("ida"))


def test_some_rows_alone_cannot_be_asked_for(bob: Client, products: list[Product]) -> None:
    form = {"format": "0", "resource": "0", "export_items": [str(products[0].pk)]}
    assert bob.post(EXPORT, form).context["form"].errors


# --- whose it is --------------------------------------------------------------------------------------
def test_an_export_is_seen_by_its_person_and_by_superusers(bob: Client, products: list[Product]) -> None:
    export = made(asked(bob))
    admin = Client()
    admin.force_login(User.objects.create_superuser("root", "root@example.com"))
    expected = ((bob, 200), (admin, 200), (browser("mona"), 404), (browser("charlie"), 403))
    for name in ("change", "live", "file"):
        for client, status in expected:
            answer = client.get(page(export, name))
            assert answer.status_code == status
            assert answer.getvalue()  # a file is closed at its end
    assert page(export) in bob.get(EXPORTS).content.decode()
    assert page(export) not in browser("mona").get(EXPORTS).content.decode()
    assert "bob" in admin.get(EXPORTS).content.decode()
    assert browser("charlie").get(EXPORTS).status_code == 403


def test_who_may_not_export_any_more_gets_no_file(bob: Client, products: list[Product]) -> None:
    export = made(asked(bob))
    Group.objects.get(name="viewer").permissions.remove(Permission.objects.get(codename="export_product"))
    assert bob.get(page(export, "file")).status_code == 403
    assert bob.get(EXPORT).status_code == 403
    assert bob.get(reverse("admin:catalog_product_changelist")).status_code == 200
    with pytest.raises(NotAllowed):
        requested(User.objects.get(username="bob"))


def test_to_export_one_has_to_be_allowed_to_look(feed: Feed) -> None:
    eve = person("eve", "export_product")
    eve.is_staff = True
    eve.save()
    client = Client()
    client.force_login(eve)
    assert client.get(EXPORT).status_code == 403
    with pytest.raises(NotAllowed):
        requested(eve)


def test_the_right_is_asked_for_again_when_the_worker_comes(bob: Client, products: list[Product]) -> None:
    export = asked(bob)
    staff("bob").groups.clear()
    assert made(export).status == ExportStatus.FAILED
    assert export.sentence == "bob may not do this: it needs the permission catalog.view_product."
    gone = requested(staff("ida"))
    User.objects.filter(username="ida").delete()
    assert made(gone).sentence == "The account that asked for this export was removed."


# --- what people see ----------------------------------------------------------------------------------
def test_the_page_says_how_far_it_is_and_then_where_the_file_is(bob: Client, products: list[Product]) -> None:
    export = asked(bob)
    assert "Waiting for a worker" in text_of(tree(bob.get(page(export))))
    Export.objects.filter(pk=export.pk).update(created_at=timezone.now() - timedelta(minutes=3))
    assert "check that the worker of the queue “export” runs" in text_of(tree(bob.get(page(export, "live"))))
    Export.objects.filter(pk=export.pk).update(status="making", products=12345, expected=20000, claims=2)
    said = text_of(tree(bob.get(page(export, "live"))))
    assert "12,345 of 20,000 products" in said
    assert "The worker was lost. Another one began again." in said
    made(export)
    assert bob.get(page(export, "live"))["HX-Refresh"] == "true"
    ready = tree(bob.get(page(export)))
    assert "5 products are in the file." in text_of(ready)
    assert page(export, "file") in ready.xpath("//a/@href")


def test_a_file_that_is_not_there_is_said_in_words(bob: Client, products: list[Product], storage: Path) -> None:
    export = asked(bob)
    assert bob.get(page(export, "file")).status_code == 404
    made(export)
    (file,) = stored_files(storage)
    file.unlink()
    answer = bob.get(page(export, "file"), follow=True)
    assert messages(answer) == ["The storage does not have the file. Export again."]


def test_the_person_gets_a_mail_with_the_way_to_the_file(bob: Client, products: list[Product]) -> None:
    export = made(asked(bob))
    mail = Message.objects.get(name="export_finished")
    assert (mail.recipient_id, mail.subject) == (staff("bob").pk, "[Catalogue] Your export is ready")
    assert page(export) in mail.text
    assert "5 products in CSV" in mail.text
    decline_message(staff("bob"), "export_finished")
    made(asked(bob))
    assert Message.objects.filter(name="export_finished").count() == 1


# --- what goes wrong ----------------------------------------------------------------------------------
def test_a_full_disk_is_a_sentence_and_leaves_no_half_file(
    bob: Client, products: list[Product], storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_full(_self: Any, name: str, content: Any, max_length: int | None = None) -> str:
        path = storage / name
        path.parent.mkdir(parents=True)
        path.write_bytes(content.read(3))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(type(default_storage._wrapped), "save", is_full)  # type: ignore[attr-defined]
    export = made(asked(bob))
    assert (export.status, export.code, export.file.name) == (ExportStatus.FAILED, "storage.full", "")
    assert export.sentence == (
        "The server has no room left for the file. Nothing of it was kept. Tell whoever looks after the server, then "
        "export again."
    )
    assert stored_files(storage) == []
    mail = Message.objects.get(name="export_finished")
    assert mail.subject == "[Catalogue] Your export failed"
    assert export.sentence in mail.text
    assert export.sentence in text_of(tree(bob.get(page(export))))


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (OSError(errno.EACCES, "Permission denied"), "storage.failed", "cannot store the file: Permission denied"),
        (MemoryError(), "memory", "memory was not enough"),
        (SoftTimeLimitExceeded(), "time_limit", "IMPORT_MAX_SECONDS"),
        (ValueError("odd"), "internal_error", "Something unexpected happened"),
    ],
)
def test_whatever_happens_an_export_ends_in_words(
    bob: Client, products: list[Product], monkeypatch: pytest.MonkeyPatch, error: Exception, code: str, words: str
) -> None:
    def fails(_products: Any) -> Iterator[Any]:
        raise error
        yield

    monkeypatch.setattr(exports, "product_rows", fails)
    export = made(asked(bob))
    assert (export.status, export.code) == (ExportStatus.FAILED, code)
    assert words in export.sentence


def test_a_workbook_that_would_cut_a_text_fails_in_words(bob: Client, products: list[Product]) -> None:
    add_product(id="long", description="x" * 40_000)
    export = made(asked(bob, "xlsx"))
    assert export.code == "export.too_long"
    assert "description of long has 40,000" in export.sentence


def test_a_lost_database_does_not_count_and_the_sweep_goes_on(
    bob: Client, products: list[Product], monkeypatch: pytest.MonkeyPatch, enqueued: list[int]
) -> None:
    def lost(_products: Any) -> Iterator[Any]:
        raise OperationalError("server closed the connection")
        yield

    export = asked(bob)
    with monkeypatch.context() as patched:
        patched.setattr(exports, "product_rows", lost)
        with pytest.raises(OperationalError):
            make_export(export.pk)
    export.refresh_from_db()
    assert (export.status, export.claims) == (ExportStatus.MAKING, 0)
    enqueued.clear()
    assert sweep_exports() == 1
    assert enqueued == [export.pk]
    assert made(export).status == ExportStatus.READY


# --- lost workers -------------------------------------------------------------------------------------
@pytest.fixture
def enqueued(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The keys that the broker got."""
    keys: list[int] = []
    monkeypatch.setattr(exports, "enqueue_now", lambda _task, args: keys.extend(args))
    monkeypatch.setattr("django.db.transaction.on_commit", lambda call, **_: call())
    return keys


@contextmanager
def held_by_another(export: Export) -> Iterator[Any]:
    """Another process has the export."""
    parameters = {**connection.get_connection_params(), "cursor_factory": None}
    other = psycopg2.connect(
        **{k: v for k, v in parameters.items() if k in ("host", "port", "user", "dbname", "password")}
    )
    try:
        other.cursor().execute("SELECT pg_advisory_lock(%s, %s)", [EXPORT_LOCK, export.pk])
        yield other
        with suppress(psycopg2.Error):  # a test may have cut it off
            other.cursor().execute("SELECT pg_advisory_unlock_all()")  # a closed connection lets go only later
    finally:
        other.close()


def test_what_another_worker_has_is_left_to_it(bob: Client, products: list[Product], enqueued: list[int]) -> None:
    export = asked(bob)
    Export.objects.filter(pk=export.pk).update(status="making")
    enqueued.clear()
    with held_by_another(export):
        assert sweep_exports() == 0
        assert make_export(export.pk) is None
    assert enqueued == []
    assert sweep_exports() == 1


def test_a_frozen_worker_is_cut_off_and_the_export_taken_over(
    bob: Client, products: list[Product], enqueued: list[int]
) -> None:
    export = asked(bob)
    Export.objects.filter(pk=export.pk).update(status="making", claims=1)
    with held_by_another(export) as frozen:
        Attempt.objects.create(
            kind=EXPORT_LOCK,
            number=export.pk,
            count=1,
            backend=frozen.info.backend_pid,
            server_started_at=timezone.now(),
            alive_at=timezone.now() - timedelta(minutes=2),
        )
        fence_the_silent()
        assert sweep_exports() == 1
        with pytest.raises(psycopg2.Error):
            frozen.cursor().execute("SELECT 1")
    assert (made(export).status, export.claims) == (ExportStatus.READY, 2)


def test_a_worker_that_was_taken_over_writes_nothing(
    bob: Client, products: list[Product], storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = asked(bob)

    def overtaken(spool: Any) -> str:
        Export.objects.filter(pk=export.pk).update(claims=2)
        return default_storage.save("exports/late", spool)

    monkeypatch.setattr(exports, "_store", overtaken)
    assert made(export).status == ExportStatus.MAKING
    assert stored_files(storage) == []


def test_an_export_that_costs_three_workers_fails_in_words(bob: Client, products: list[Product]) -> None:
    export = asked(bob)
    Export.objects.filter(pk=export.pk).update(status="making", claims=MAX_LOST_WORKERS)
    assert made(export).sentence.startswith("3 workers were lost over this export.")


def test_what_is_over_or_gone_is_not_made_again(bob: Client, products: list[Product]) -> None:
    export = made(asked(bob))
    assert make_export(export.pk) is None
    assert make_export(0) is None
    assert Export.objects.get().claims == 1


def test_a_broker_that_is_away_leaves_the_export_to_the_sweep(
    bob: Client, products: list[Product], monkeypatch: pytest.MonkeyPatch, enqueued: list[int]
) -> None:
    def is_away(*_: Any, **__: Any) -> None:
        raise BrokerError("away")

    with monkeypatch.context() as patched:
        patched.setattr(exports, "enqueue_now", is_away)
        export = asked(bob)
    assert sweep_exports() == 0  # its message may be on its way
    Export.objects.filter(pk=export.pk).update(created_at=timezone.now() - timedelta(minutes=2))
    assert sweep_exports() == 1
    assert enqueued == [export.pk]


# --- what is kept -------------------------------------------------------------------------------------
def test_exports_go_after_their_days(bob: Client, products: list[Product], storage: Path, settings: Any) -> None:
    old, new = made(asked(bob)), made(asked(bob))
    waiting = asked(bob)
    long_ago = timezone.now() - timedelta(days=8)
    Export.objects.filter(pk__in=[old.pk, waiting.pk]).update(finished_at=long_ago)
    settings.RETENTION_EXPORTS_DAYS = 0
    assert forget_exports() == {"exports": 0, "files of lost exports": 0}
    settings.RETENTION_EXPORTS_DAYS = 7
    assert forget_exports() == {"exports": 1, "files of lost exports": 0}
    assert {*Export.objects.all()} == {new, waiting}
    assert len(stored_files(storage)) == 1


def test_a_file_without_a_row_goes_after_a_day(storage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (storage / "exports").mkdir()
    (storage / "exports" / "lost").write_bytes(b"x")
    assert forget_exports()["files of lost exports"] == 0
    monkeypatch.setattr(exports, "ORPHANED", timedelta(days=-1))
    assert forget_exports()["files of lost exports"] == 1
    assert stored_files(storage) == []


# --- workbooks ----------------------------------------------------------------------------------------
def test_what_a_sheet_cannot_hold_is_on_the_next_and_is_read_again(
    products: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Excel's limit is three rows here: a header and two products."""
    monkeypatch.setattr(workbook, "SHEET_ROWS", 3)
    monkeypatch.setattr(workbooks, "MAX_ROW", 3)
    content = io.BytesIO(b"".join(FORMATS["xlsx"].write(product_rows(Product.objects.order_by("id")))))
    assert openpyxl.load_workbook(content).sheetnames == ["Products", "Products 2", "Products 3"]
    rows = list(workbooks.read_sheet(content, Limits()))
    assert [(row.line, row.fields["id"]) for row in rows] == [(2, "1"), (3, "2"), (5, "3"), (6, "4"), (8, "5")]


def test_a_sheet_with_room_left_is_not_gone_on_with(feed: Feed) -> None:
    """A shop's *Products 2* beside its *Products* is another list."""
    book = openpyxl.Workbook()
    book.active.title = "Products"
    for sheet, product_id in ((book.active, "1"), (book.create_sheet("Products 2"), "2")):
        sheet.append(["id", "title"])
        sheet.append([product_id, "Silk"])
    content = io.BytesIO()
    book.save(content)
    assert [row.fields["id"] for row in workbooks.read_sheet(content, Limits())] == ["1"]


@pytest.mark.parametrize(
    "text",
    ["<r><t>a</t></r>", "<r>&</r>", "_x0041_x0042_", "a\rb\r\nc", "_x005F_x000D_", "mailto:a@b.c", "https://x.y"],
)
def test_a_text_that_xlsxwriter_would_take_for_something_else_stays_a_text(text: str) -> None:
    add_product(id="1", title=text)
    content = io.BytesIO(b"".join(FORMATS["xlsx"].write(product_rows(Product.objects.all()))))
    (row,) = workbooks.read_sheet(content, Limits())
    assert row.fields["title"] == text


def test_a_cell_that_is_refused_is_not_left_blank(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Any
) -> None:
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path)
    add_product(id="1")
    monkeypatch.setattr(workbook.Sheet, "write_string", lambda *_: -2)
    with pytest.raises(ValueError, match="refused the cell id"):
        FORMATS["xlsx"].write(product_rows(Product.objects.all()))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_under_a_workbook_is_known_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    def is_full(_self: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("xlsxwriter.Workbook._store_workbook", is_full)
    with pytest.raises(OSError, match="No space left") as full:
        FORMATS["xlsx"].write(iter([]))
    assert full.value.errno == errno.ENOSPC
