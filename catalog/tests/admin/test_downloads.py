"""Files of a run: the invalid items as a feed that can be corrected and uploaded again, issues and changes as CSV."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from catalog.errors import FeedRefused
from catalog.exports.formats import feed_xml
from catalog.feeds.cleaning.check import Rules, check_item
from catalog.feeds.reading.items import read_items
from catalog.imports.local import local_queue
from catalog.imports.reading.stage import stage
from catalog.imports.receive import receive
from catalog.imports.reports import downloads
from catalog.models import Feed, ImportRun, Product, StagedItem
from catalog.spreadsheet import FORMULA_STARTS
from catalog.tests.factories import applied, counts, execute, feed_of, item, items, planned, received
from catalog.tests.pages import browser, messages, tree, upload, url

pytestmark = pytest.mark.django_db

PAGES = ["invalid_xml", "invalid_csv", "changes_csv"]
every_page = pytest.mark.parametrize("page", PAGES)


def download(client: Client, run: ImportRun, page: str) -> bytes:
    answer: Any = client.get(url(run, page))
    return b"".join(answer.streaming_content)


def rows(content: bytes) -> list[list[str]]:
    """The lines of a CSV after its header."""
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))[1:]


# --- invalid items ------------------------------------------------------------------------------------
BAD = [
    item("1", price="12,5O AED", gender="Herren", color="{{color}}", c__heel="7 cm"),
    item("2", title=None, description="a -- b", sale_price="5 USD"),
    item("3", link="ftp://www.example.com/--/3"),
]


def test_the_error_file_holds_the_invalid_items_and_nothing_else(bob: Client, feed: Feed) -> None:
    run = planned(feed, *items(2), *BAD)
    found = [raw.fields for raw in read_items(io.BytesIO(download(bob, run, "invalid_xml")))]
    assert [fields["{http://base.google.com/ns/1.0}id"] for fields in found] == ["1", "2", "3"]


def test_each_bad_value_stands_where_it_stood(bob: Client, feed: Feed) -> None:
    content = download(bob, planned(feed, *BAD), "invalid_xml").decode()
    for element in (
        "<g:price>12,5O AED</g:price>",
        "<g:gender>Herren</g:gender>",
        "<g:color>{{color}}</g:color>",
        "<c:heel>7 cm</c:heel>",
        "<g:sale_price>5 USD</g:sale_price>",
        "<link>ftp://www.example.com/--/3</link>",
    ):
        assert element in content


def test_a_comment_says_what_is_wrong_and_what_to_do(bob: Client, feed: Feed) -> None:
    content = download(bob, planned(feed, *BAD), "invalid_xml").decode()
    assert (
        "<!-- error price.format (price): The value is not an amount of money. Found: 12,5O AED. "
        "Write it as 155.00 AED: digits, a point, the currency. -->"
    ) in content
    assert "<!-- In the file this was line 2. -->" in content


def test_the_error_file_read_again_has_the_same_items_and_issues(bob: Client, feed: Feed) -> None:
    first = planned(feed, *BAD)
    second = received(feed, download(bob, first, "invalid_xml"))
    stage(second)

    def told(run: ImportRun) -> list[Any]:
        hidden = ("run_id", "line", "issues")
        rows = run.staged.order_by("position").values()
        # The lines are others in another file, and the elements may stand in another order.
        issues = [sorted(issue[:3] for issue in row["issues"]) for row in rows]
        return [issues, [{k: v for k, v in row.items() if k not in hidden} for row in rows]]

    assert told(second) == told(first)


def test_a_corrected_error_file_brings_the_rest_in(bob: Client, feed: Feed) -> None:
    run = applied(feed, *items(3), *BAD)
    content = download(bob, run, "invalid_xml").decode()
    for wrong, right in (
        ("12,5O AED", "12.50 AED"),
        ("<g:id>2</g:id>", "<g:id>2</g:id><g:title>Dress</g:title>"),
        ("ftp://", "https://"),
    ):
        content = content.replace(wrong, right)
    again = received(feed, content.encode())
    stage(again)
    execute(again)
    assert counts(again) == {"items": 3, "created": 3}


@pytest.mark.parametrize("wrapped", [bytes, gzip.compress, lambda content: content.decode().encode("utf-16")])
def test_the_error_file_is_refused_in_sync_whose_rest_it_would_archive(
    bob: Client, feed: Feed, wrapped: Callable[[bytes], bytes]
) -> None:
    run = applied(feed, *items(3), *BAD)
    content = wrapped(download(bob, run, "invalid_xml").replace(b'encoding="UTF-8"', b""))
    feed.mode = "sync"
    feed.save()
    with pytest.raises(FeedRefused, match=f"only the invalid items of {run}: sync would archive") as refused:
        received(feed, content)
    assert refused.value.code == "feed.part_in_sync"
    assert received(feed, content, mode="update").mode == "update"


def test_the_upload_form_says_what_the_error_file_is_good_for(bob: Client, feed: Feed) -> None:
    content = download(bob, planned(feed, *BAD), "invalid_xml")
    answer = upload(browser("ida"), content, feed=feed.pk, mode="sync")
    assert "Import it in the mode update, which adds and changes products." in answer.content.decode()
    assert ImportRun.objects.count() == 1


def test_a_whole_feed_is_no_part(feed: Feed) -> None:
    applied(feed, *items(3))
    export = b"".join(feed_xml(Product.objects.all()))
    assert counts(execute_sync(feed, export)) == {"items": 3, "unchanged": 3}


def execute_sync(feed: Feed, content: bytes) -> ImportRun:
    run = received(feed, content, mode="sync")
    stage(run)
    return execute(run)


@pytest.mark.parametrize("text", ["-->", "--", "a-", "--><g:id>x</g:id><!--", "]]>", "<!--", "\u202e\ufffe", "&amp;"])
def test_no_value_breaks_out_of_its_comment(bob: Client, feed: Feed, text: str) -> None:
    run = planned(feed, item("1", price="1 AED"))
    StagedItem.objects.filter(run=run).update(
        state="invalid", issues=[["price.format", "price", text]], title=f"a{text}", product_id=f"1{text}"
    )
    ImportRun.objects.filter(pk=run.pk).update(file_name=f"{text}.xml")
    run.refresh_from_db()
    (raw,) = read_items(io.BytesIO(b"".join(downloads.invalid_xml(run))))
    read = check_item(raw, Rules())
    assert (read.id, read.values["title"]) == (f"1{text}".replace("\ufffe", "\ufffd"), read.values["title"])
    assert len(raw.fields) == len({*raw.fields})


def test_an_issue_may_have_a_line_of_its_own(bob: Client, feed: Feed) -> None:
    run = planned(feed, item("1", price="x"))
    StagedItem.objects.filter(run=run).update(
        issues=[["price.format", "price", "x", 7], ["title.missing", "title", ""]]
    )
    found = rows(download(bob, run, "invalid_csv"))
    assert [row[:3] for row in found] == [["7", "1", "price.format"], ["2", "1", "title.missing"]]
    assert bob.get(url(run), {"tab": "invalid"}).status_code == 200


@every_page
def test_a_code_that_is_no_longer_known_does_not_stop_it(bob: Client, feed: Feed, page: str) -> None:
    run = planned(feed, item("1", price="x"))
    StagedItem.objects.filter(run=run).update(issues=[["price.odd", "price", "x"]])
    assert (b"price.odd" in download(bob, run, page)) == (page != "changes_csv")
    assert bob.get(url(run), {"tab": "invalid"}).status_code == 200


def test_issues_as_csv_are_a_line_each(bob: Client, feed: Feed) -> None:
    found = rows(download(bob, planned(feed, item("1"), item("2", price="x", gender="Herren")), "invalid_csv"))
    assert found == [
        ["3", "2", "price.format", "error", "price", "x", "Write it as 155.00 AED: digits, a point, the currency."],
        ["3", "2", "gender.unknown", "warning", "gender", "Herren", "Use one of: male, female, unisex."],
    ]


# --- changes ------------------------------------------------------------------------------------------
def test_changes_as_csv_are_a_line_for_each_field(bob: Client, feed: Feed) -> None:
    applied(feed, item("1", color="Red", c__heel="7"), item("2"), item("3", price="1.250 KWD"))
    changed = item("1", color="Blue", c__heel="8", shipping_label=["a", "b"], price="120 AED")
    run = planned(feed, changed, item("3", price="1.255 KWD"), mode="sync")
    assert rows(download(bob, run, "changes_csv")) == [
        ["1", "update", "price", "100.00", "120.00"],
        ["1", "update", "color", "Red", "Blue"],
        ["1", "update", "c:heel", "7", "8"],
        ["1", "update", "shipping_label", "", '["a", "b"]'],
        ["3", "update", "price", "1.25", "1.255"],
        ["2", "archive", "", "", ""],
    ]


def test_a_new_product_is_a_line_for_each_value_until_it_is_swept(bob: Client, feed: Feed) -> None:
    run = planned(feed, item("1", adult="no", additional_image_link=["https://e.com/1", "https://e.com/2"]))
    found = rows(download(bob, run, "changes_csv"))
    assert ["1", "create", "price", "", "100.00"] in found
    assert ["1", "create", "adult", "", "no"] in found
    assert ["1", "create", "additional_image_link", "", "https://e.com/1,https://e.com/2"] in found
    run.staged.all().delete()
    assert rows(download(bob, run, "changes_csv")) == [["1", "create", "", "", ""]]


# --- both ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("start", FORMULA_STARTS)
def test_no_cell_is_a_formula(bob: Client, feed: Feed, start: str) -> None:
    text = f"{start}1+1"
    run = planned(feed, item("1"), item("2"))
    StagedItem.objects.filter(run=run, position=1).update(
        state="invalid", product_id=text, issues=[["price.format", "price", text]]
    )
    StagedItem.objects.filter(run=run, position=2).update(title=text, extra={"x": text})
    cells = [cell for page in ("invalid_csv", "changes_csv") for row in rows(download(bob, run, page)) for cell in row]
    assert f"'{text}" in cells
    assert not [cell for cell in cells if cell.startswith(FORMULA_STARTS)]


@every_page
def test_a_download_is_a_file_and_never_a_page(bob: Client, feed: Feed, page: str) -> None:
    run = planned(feed, *BAD)
    ImportRun.objects.filter(pk=run.pk).update(file_name='"\r\nX: y/../<script>.xml')
    answer = bob.get(url(run, page))
    assert answer.streaming
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Disposition"] == f'attachment; filename="import-{run.pk}-{page.replace("_", ".")}"'
    assert answer["Content-Type"].split(";")[0] == ("application/xml" if page.endswith("xml") else "text/csv")


@every_page
def test_who_may_download(feed: Feed, page: str) -> None:
    run = planned(feed, *BAD)
    statuses = {name: browser(name).get(url(run, page)).status_code for name in ("bob", "ida", "alice", "charlie")}
    assert statuses == {"bob": 200, "ida": 200, "alice": 200, "charlie": 403}
    assert Client().get(url(run, page)).status_code == 302
    assert browser("alice").post(url(run, page)).status_code == 405
    assert browser("alice").get(reverse(f"admin:catalog_importrun_{page}", args=[10**9])).status_code == 404


@every_page
def test_a_run_without_rows_gives_a_file_without_rows(bob: Client, feed: Feed, page: str) -> None:
    run = received(feed, b"<rss/>")
    content = download(bob, run, page)
    assert b"<item>" not in content if page.endswith("xml") else rows(content) == []


@every_page
def test_a_long_download_comes_page_by_page(
    bob: Client, feed: Feed, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = planned(feed, *items(60), *(item(f"x{n}", price="x") for n in range(60)))
    whole = download(bob, run, page)
    monkeypatch.setattr(downloads, "PAGE_ROWS", 7)
    with CaptureQueriesContext(connection) as captured:
        assert download(bob, run, page) == whole
    assert len(captured) < 40
    assert max(len(query["sql"]) for query in captured) < 20_000


def test_the_buttons_are_on_the_tabs(bob: Client, feed: Feed) -> None:
    run = planned(feed, item("0"), *BAD)

    def links(tab: str) -> set[str]:
        return {page for page in PAGES if url(run, page) in tree(bob.get(url(run), {"tab": tab})).xpath("//a/@href")}

    assert (links("invalid"), links("changes")) == ({"invalid_xml", "invalid_csv"}, {"changes_csv"})


# --- the file itself ----------------------------------------------------------------------------------
def named(feed: Feed, name: str, content: bytes = feed_of(item("1"))) -> ImportRun:
    """An import of a file that its uploader calls so."""
    with local_queue():
        return receive(ContentFile(content, name), feed=feed)


@pytest.mark.parametrize(
    "content",
    [feed_of(item("1")), gzip.compress(feed_of(item("1"))), b"id,title\n1,<script>"],
    ids=["xml", "packed", "table"],
)
def test_the_file_comes_back_as_it_was_uploaded(bob: Client, feed: Feed, content: bytes) -> None:
    run = named(feed, "feed.html", content)
    answer: Any = bob.get(url(run, "file"))
    assert b"".join(answer.streaming_content) == content
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Disposition"] == 'attachment; filename="feed.html"'
    assert url(run, "file") in bob.get(url(run)).content.decode()


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ('a";\r\nSet-Cookie: x=1.xml', 'attachment; filename="a\\";Set-Cookie: x=1.xml"'),
        ("../../etc/passwd", 'attachment; filename="passwd"'),
        ("عطور.xml", "attachment; filename*=utf-8''%D8%B9%D8%B7%D9%88%D8%B1.xml"),
    ],
)
def test_the_name_of_the_file_is_only_a_name(bob: Client, feed: Feed, name: str, header: str) -> None:
    assert bob.get(url(named(feed, name), "file"))["Content-Disposition"] == header


def test_only_who_may_look_at_imports_gets_the_file(feed: Feed) -> None:
    run = received(feed, feed_of(item("1")))
    answers = {name: browser(name).get(url(run, "file")).status_code for name in ("bob", "ida", "charlie")}
    assert answers == {"bob": 200, "ida": 200, "charlie": 403}
    assert Client().get(url(run, "file")).status_code == 302


@pytest.mark.parametrize("lose", [lambda run: run.file.delete(), lambda run: run.file.storage.delete(run.file.name)])
def test_a_file_that_is_gone_is_said_to_be(bob: Client, feed: Feed, lose: Callable[[ImportRun], None]) -> None:
    run = planned(feed, item("1"))
    lose(run)
    answer = bob.get(url(run, "file"), follow=True)
    assert messages(answer) == ["The stored file is gone. Upload it again."]
