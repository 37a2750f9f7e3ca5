"""Products that are exported as a feed and imported again change nothing."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from catalog.exports.formats import FORMATS
from catalog.feeds.reading.items import read_items
from catalog.imports.reading.stage import stage
from catalog.models import Feed, ImportRun, Product, Status
from catalog.tests.factories import add_product, applied, catalogue, counts, edit, execute, item, items, received
from catalog.tests.pages import EXPORT, browser
from samples import iter_feed

pytestmark = pytest.mark.django_db

Export = Callable[[Feed], bytes]


@pytest.fixture
def by_command(tmp_path: Path) -> Export:
    def export(feed: Feed) -> bytes:
        call_command("export_feed", "--feed", feed.slug, "--out", str(tmp_path / "out.xml"))
        return (tmp_path / "out.xml").read_bytes()

    return export


@pytest.fixture
def by_hand() -> Export:
    """Through the form of the products' page, filtered to the feed."""

    def export(feed: Feed) -> bytes:
        choice = {"format": list(FORMATS).index("feed"), "resource": "0"}
        answer = browser("bob").post(f"{EXPORT}?feed__id__exact={feed.pk}", choice)
        assert answer["Content-Type"] == "application/xml"
        assert answer["Content-Disposition"].endswith('.xml"')
        return answer.getvalue()

    return export


@pytest.fixture(params=["by_command", "by_hand"])
def export(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def imported(feed: Feed, content: bytes, mode: str) -> ImportRun:
    run = received(feed, content, mode=mode)
    stage(run)
    assert run.status == Status.REVIEW, run.error
    return run


every_mode = pytest.mark.parametrize("mode", ["update", "sync"])


@every_mode
@pytest.mark.parametrize("profile", ["clean", "bad"])
def test_a_catalogue_exported_and_imported_changes_nothing(
    feed: Feed, other_feed: Feed, export: Export, mode: str, profile: str
) -> None:
    execute(imported(feed, b"".join(iter_feed(items=300, seed=3, profile=profile)), "update"))
    applied(other_feed, item("of another feed"))
    before = catalogue()
    run = imported(feed, export(feed), mode)
    assert counts(run) == {"items": len(before) - 1, "unchanged": len(before) - 1}
    assert catalogue() == before


EVERYTHING = {
    "title": "A & B <i> ]]> «été» فستان 👗",
    "description": " two\nlines\tand more ",
    "price": "1.250 KWD",
    "sale_price": "1.2 KWD",
    "additional_image_link": ["https://www.example.com/2.jpg", "https://www.example.com/a,b.jpg"],
    "color": ["Red", "Blue"],
    "gender": "Herren",
    "adult": "no",
    "quantity": "0",
    "gtin": "04006381333931",
    "c__heel": "7 cm",
    "shipping_label": ["a", "b"],
}


@every_mode
def test_every_kind_of_value_survives(feed: Feed, export: Export, mode: str) -> None:
    applied(feed, item("1", **EVERYTHING), item("2", price="1299 JPY"), item("a/b?c&d", price="0.10 AED"))
    assert counts(imported(feed, export(feed), mode)) == {"items": 3, "unchanged": 3}


@every_mode
def test_what_people_edited_survives(feed: Feed, export: Export, mode: str) -> None:
    applied(feed, *items(3))
    edit(
        "00001",
        price=Decimal("12.5"),
        adult=False,
        quantity=0,
        extra={"note": "by hand", "size (EU)": "38", "rss:title": "x"},
    )
    edit("00002", description="", additional_image_link=["https://www.example.com/9.jpg"])
    assert counts(imported(feed, export(feed), mode)) == {"items": 3, "unchanged": 3}


def test_names_that_no_element_can_have_are_not_lost(feed: Feed, other_feed: Feed, export: Export) -> None:
    extra = {"size (EU)": "38", "Größe 1": ["a", "b"], "rss:title": "x", "": {"a": "1"}}
    applied(feed, *items(2))
    edit("00001", extra=extra)
    content = export(feed)
    edit("00001", extra={})
    execute(imported(feed, content, "update"))
    assert Product.objects.get(id="00001").extra == extra


def test_archived_products_are_not_in_the_feed(feed: Feed, by_command: Export) -> None:
    applied(feed, *items(3))
    applied(feed, *items(2), mode="sync")
    content = by_command(feed)
    assert len(list(read_items(io.BytesIO(content)))) == 2
    assert counts(imported(feed, content, "sync")) == {"items": 2, "unchanged": 2}


def test_without_a_feed_all_products_are_written(feed: Feed, other_feed: Feed, tmp_path: Path) -> None:
    applied(feed, item("1"))
    applied(other_feed, item("2"))
    call_command("export_feed", "--out", str(tmp_path / "all.xml"))
    with (tmp_path / "all.xml").open("rb") as content:
        assert len(list(read_items(content))) == 2


def test_a_feed_can_be_written_to_standard_output(feed: Feed, capfdbinary: Any) -> None:
    applied(feed, item("1"))
    call_command("export_feed", "--out", "-")
    assert b"<g:id>1</g:id>" in capfdbinary.readouterr().out


def test_an_unknown_feed_and_a_bad_place_are_reported(feed: Feed, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no feed 'nope'") as wrong:
        call_command("export_feed", "--feed", "nope", "--out", str(tmp_path / "x"))
    assert wrong.value.returncode == 2
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("export_feed", "--out", str(tmp_path / "no" / "x"))


def test_a_large_catalogue_is_exported_in_little_memory(feed: Feed, tmp_path: Path) -> None:
    Product.objects.bulk_create(
        Product(id=f"{n:06}", title="Silk", description="x" * 2000, price=1, currency="AED", feed=feed)
        for n in range(8000)
    )
    tracemalloc.start()
    call_command("export_feed", "--out", str(tmp_path / "all.xml"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (tmp_path / "all.xml").stat().st_size > 16_000_000
    assert peak < 16_000_000


def test_what_xml_cannot_hold_does_not_stop_the_export(feed: Feed, export: Export) -> None:
    add_product(id="1", title="a\x0bb", price=1, currency="AED", feed=feed, extra={"a b": "\x01"})
    (raw,) = read_items(io.BytesIO(export(feed)))
    assert raw.fields["title"] == "a\ufffdb"


def test_charlie_may_not_export(feed: Feed) -> None:
    client: Client = browser("charlie")
    assert client.post(EXPORT, {"format": "3", "resource": "0"}).status_code == 403
