"""Uploading a feed in the admin: who may, what the form says, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client
from django.urls import NoReverseMatch, reverse

from catalog.models import Feed, ImportRun, Mode, Status
from catalog.tests.factories import feed_of, items, received
from catalog.tests.pages import PRODUCTS, RUNS, UPLOAD, browser, text_of, texts, tree, upload, url, with_class

pytestmark = pytest.mark.django_db

CONTENT = feed_of(*items(2))


def test_an_upload_becomes_an_import_and_opens_its_page(ida: Client, feed: Feed) -> None:
    answer = upload(ida, CONTENT, "summer.xml", feed=feed.pk, mode="sync")
    run = ImportRun.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, url(run))
    assert (run.status, run.feed, run.mode, run.file_name) == (Status.RECEIVED, feed, Mode.SYNC, "summer.xml")
    assert str(run.uploaded_by) == "ida"


def test_the_form_is_complete_without_a_format(ida: Client, feed: Feed) -> None:
    assert upload(ida, CONTENT, feed=feed.pk, mode="update", format="").status_code == 302
    assert upload(ida, CONTENT, feed=feed.pk, mode="update").status_code == 302


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            b"<!DOCTYPE html><html><body>Log in</body></html>",
            "The file is an HTML page, often the login or error page of the shop.",
        ),
        (b"\x89PNG\r\n\x1a\n" * 9, "The file is a PNG picture."),
        (b"%PDF-1.7" * 9, "Upload the product feed itself: XML (RSS or Atom), CSV, TSV, an Excel workbook or JSON."),
        (b"PK\x03\x04" * 9, "The archive ends too early."),
        (b"", "The file is empty."),
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


def test_the_form_starts_from_the_feed_of_the_last_import(ida: Client, feed: Feed, other_feed: Feed) -> None:
    received(feed, CONTENT)
    received(other_feed, CONTENT, mode="sync")
    Feed.objects.create(name="Brand new", slug="brand-new")
    page = ida.get(UPLOAD)
    assert texts(page, "//select[@name='feed']/option[@selected]") == ["Outlet"]
    assert (
        [radio.get("value") for radio in tree(page).xpath("//input[@name='mode'][@checked]")]
        == [other_feed.mode]
        != ["sync"]
    )


def test_the_first_form_starts_from_the_first_feed(ida: Client, feed: Feed) -> None:
    page = ida.get(UPLOAD)
    assert [radio.get("value") for radio in tree(page).xpath("//input[@name='mode'][@checked]")] == [feed.mode]


@pytest.mark.parametrize(("name", "way"), [("mona", 1), ("ida", 0)])
def test_without_a_feed_there_is_nothing_to_fill_in(db: None, name: str, way: int) -> None:
    page = browser(name).get(UPLOAD)
    assert "There are no feeds yet" in page.content.decode()
    assert not tree(page).xpath("//input[@type='file']")
    assert len(tree(page).xpath("//form//a[@href=$add]", add=reverse("admin:catalog_feed_add"))) == way


def test_the_same_file_sent_twice_is_one_import(ida: Client, feed: Feed) -> None:
    first, second = (upload(ida, CONTENT, feed=feed.pk, mode="update") for _ in range(2))
    assert first["Location"] == second["Location"]
    assert ImportRun.objects.count() == 1


def test_nothing_is_imported_past_the_plan() -> None:
    with pytest.raises(NoReverseMatch):
        reverse("admin:catalog_product_process_import")
