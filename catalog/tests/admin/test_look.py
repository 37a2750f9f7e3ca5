"""What the upload form says of a file before it is uploaded."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from catalog.imports.look import LOOKED_AT_BYTES
from catalog.models import Feed, ImportRun, Market, RefusedFile
from catalog.tests.factories import applied, feed_of, item
from catalog.tests.pages import UPLOAD, staff, text_of, tree

pytestmark = pytest.mark.django_db
LOOK = reverse("admin:catalog_product_look")
CSV = "id;title;price;Farbe\n7;Seidenkleid;10,00 EUR;rot\n".encode("utf-16")


def looked(client: Client, feed: Feed, head: bytes, *, name: str = "a.xml", whole: bool = True) -> Any:
    address = f"{LOOK}?feed={feed.pk}&name={name}&whole={int(whole)}"
    answer = client.post(address, head, content_type="application/octet-stream")
    assert answer.status_code == 200
    return tree(answer)


def said(page: Any) -> dict[str, str]:
    rows = page.xpath("(//table)[1]//tr")
    return {text_of(row[0]): text_of(row[1]) for row in rows}


def test_the_first_bytes_say_what_the_file_is(ida: Client, feed: Feed) -> None:
    many = feed_of(*(item(str(place), shade="light") for place in range(3000)))
    page = looked(ida, feed, many[:LOOKED_AT_BYTES], whole=False)
    facts = said(page)
    assert facts["Format"] == "XML, UTF-8"
    assert {"id", "title", "price"} <= {*facts["Known names"].split(", ")}
    assert facts["Unknown names"] == "shade"
    assert "Silk dress" in text_of(page.xpath("//details[@open]")[0])
    assert not ImportRun.objects.exists()


@pytest.mark.parametrize(
    ("head", "format_said"),
    [
        (gzip.compress(feed_of(item("1")), mtime=0), "XML, UTF-8, packed"),
        (CSV, "a table of text, UTF-16"),
        (b'[{"id": "1", "title": "Silk"}]', "JSON, UTF-8"),
    ],
)
def test_each_format_is_recognised(head: bytes, format_said: str, ida: Client, feed: Feed) -> None:
    page = looked(ida, feed, head)
    assert said(page)["Format"].startswith(format_said)
    assert page.xpath("//details")


@pytest.mark.parametrize(
    ("head", "sentence"),
    [(b"%PDF-1.7", "a PDF document"), (b"", "The file is empty."), (b"<html><body>Log in", "an HTML page")],
)
def test_what_is_no_feed_is_said_at_once(head: bytes, sentence: str, ida: Client, feed: Feed) -> None:
    page = looked(ida, feed, head)
    assert sentence in text_of(page)
    assert not RefusedFile.objects.exists()


def test_a_workbook_waits_for_its_end(ida: Client, feed: Feed) -> None:
    page = looked(ida, feed, b"PK\x03\x04" + b"\0" * 22 + b"\x13\0\0\0[Content_Types].xml", whole=False)
    assert said(page) == {"Format": "an Excel workbook", "Note": "A workbook is read once all of it is there."}


def test_the_feed_whose_products_have_the_ids_is_likely(ida: Client, feed: Feed) -> None:
    other = Feed.objects.create(name="Other", slug="other")
    applied(other, item("1"), item("2"))
    page = looked(ida, feed, feed_of(item("1"), item("2"), item("3")))
    assert said(page)["Likely feed"].startswith("Other 2 of the first 3 ids are products of this feed.")
    assert page.xpath("//button/@data-feed") == [str(other.pk)]
    assert not looked(ida, other, feed_of(item("1"))).xpath("//button")


def test_a_files_name_says_which_feed_it_was_for(ida: Client, feed: Feed) -> None:
    run = applied(feed, item("1"))
    page = looked(ida, feed, feed_of(item("7")), name=run.file_name)
    assert "The last file of this name was for this feed." in said(page)["Likely feed"]


def test_the_currency_says_which_market_is_likely(ida: Client, feed: Feed) -> None:
    Market.objects.create(code="sa", name="Saudi Arabia", currency="SAR")
    page = looked(ida, feed, feed_of(item("7", price="5 SAR")), name="new.xml")
    assert said(page)["Likely market"] == "Saudi Arabia"


def test_a_hostile_file_adds_nothing_to_the_page(ida: Client, feed: Feed) -> None:
    page = looked(ida, feed, feed_of(item("1", title="<script>alert(1)</script>")))
    assert not page.xpath("//script")
    assert "<script>alert(1)</script>" in text_of(page)


@pytest.mark.parametrize("name", ["bob", "charlie"])
def test_who_may_not_upload_looks_at_no_file(name: str, client: Client, feed: Feed) -> None:
    client.force_login(staff(name))
    address = f"{LOOK}?feed={feed.pk}"
    assert client.post(address, b"<rss>", content_type="application/octet-stream").status_code == 403
    assert client.get(address).status_code in (403, 405)


@pytest.mark.parametrize("feed_asked", ["", "0", "x", "99999999999999999999"])
def test_an_unknown_feed_is_not_found(feed_asked: str, ida: Client) -> None:
    answer = ida.post(f"{LOOK}?feed={feed_asked}", b"<rss>", content_type="application/octet-stream")
    assert answer.status_code == 404


def test_without_a_script_the_form_is_a_form(ida: Client, feed: Feed) -> None:
    (form,) = tree(ida.get(UPLOAD)).xpath("//form[@data-look]")
    assert form.get("enctype") == "multipart/form-data"
    assert form.xpath(".//button[@type='submit'][not(@disabled)]")
    assert form.xpath(".//*[contains(@class, 'sending')][@hidden]")
