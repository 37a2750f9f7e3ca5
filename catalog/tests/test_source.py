"""An item where it stands in the file: the lines as they were uploaded, whatever the file is packed and written in."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from catalog.imports.reading.stage import stage
from catalog.imports.reports import source
from catalog.imports.reports.source import Place, Snippet, place_of_error, place_of_item, read_snippet
from catalog.models import Feed, ImportRun
from catalog.tests.factories import feed_of, item, items, planned, received
from catalog.tests.pages import active_parts, browser, text_of, texts, tree, url, with_class

pytestmark = pytest.mark.django_db

LONG = item("2", price="12,5O AED").replace("<g:", "\n  <g:").replace("</item>", "\n</item>")


def zipped(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("feed.xml", content)
    return packed.getvalue()


def staged(feed: Feed, content: bytes) -> ImportRun:
    run = received(feed, content)
    stage(run)
    return run


def shown(found: Snippet) -> dict[int, str]:
    assert not found.problem
    return {line.number: "".join(line.parts) for line in found.lines}


def of_item(run: ImportRun, position: int) -> Snippet:
    return read_snippet(run, place_of_item(run.staged.get(position=position)))


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "zip": zipped,
    "UTF-16": lambda content: content.decode().encode("utf-16"),
}


@pytest.mark.parametrize("packed", PACKED)
def test_an_item_is_shown_from_its_first_line_to_its_last(feed: Feed, packed: str) -> None:
    run = staged(feed, PACKED[packed](feed_of(*items(200), LONG, item("3"))))
    found = of_item(run, 201)
    lines = shown(found)
    assert (min(lines), lines[202], lines[max(lines)]) == (202, "<item>", "</item>")
    (marked,) = [line for line in found.lines if line.is_marked]
    assert marked.parts == ["  <g:price>", "12,5O AED", "</g:price>"]
    assert marked.number == run.issues.get(code="price.format").examples[0]["line"]


def test_an_example_is_shown_with_the_item_that_it_is_in(feed: Feed) -> None:
    run = staged(feed, feed_of(*items(3), LONG))
    place = source.place_of_example(run.issues.get(code="price.format"), 0)
    assert place
    assert place.line > 5
    lines = shown(read_snippet(run, place))
    assert (lines[5], lines[max(lines)]) == ("<item>", "</item>")


def test_of_a_file_of_one_line_only_the_item_is_shown(feed: Feed) -> None:
    content = feed_of(*items(2000), item("bad", price="x"), item("after")).replace(b"\n", b"")
    run = staged(feed, content)
    ((number, text),) = shown(of_item(run, 2001)).items()
    assert number == 1
    assert text.startswith("<item><g:id>bad</g:id>")
    assert text.endswith("<g:price>x</g:price><g:availability>in_stock</g:availability></item>")


def test_a_row_is_shown_with_all_its_lines(feed: Feed) -> None:
    rows = ["id,title,price", "1,Dress,9 AED", '2,"Silk', 'dress",x', "3,Coat,9 AED"]
    run = staged(feed, "\r\n".join(rows).encode())
    assert shown(of_item(run, 2)) == {1: "id,title,price", 3: '2,"Silk', 4: 'dress",x'}


@pytest.mark.parametrize("encoding", ["iso-8859-1", "windows-1256"])
def test_text_is_shown_as_it_is_read(feed: Feed, encoding: str) -> None:
    word = {"iso-8859-1": "Café", "windows-1256": "فستان"}[encoding]
    declared = f'<?xml version="1.0" encoding="{encoding}"?>'.encode()
    run = staged(feed, declared + feed_of(item("1", title=word, price="x")).decode().encode(encoding))
    assert word in shown(of_item(run, 1))[2]


def test_the_line_that_an_error_names_is_shown(feed: Feed) -> None:
    run = received(feed, b'id,title\n\n2,"b\n')
    stage(run)
    place = place_of_error(run)
    assert place
    assert shown(read_snippet(run, place))[3] == '2,"b'
    assert place_of_error(planned(feed, item("1"))) is None


def test_a_long_line_is_cut(feed: Feed) -> None:
    run = planned(feed, item("1", description="x" * 100_000, price="x"))
    assert len(shown(of_item(run, 1))[2]) < 5_000


def test_long_items_are_cut(feed: Feed) -> None:
    many = item("1", price="x").replace("</item>", "\n" * 5_000 + "</item>")
    assert len(of_item(planned(feed, many), 1).lines) < 100


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda path: path.unlink(), "The stored file is gone."),
        (lambda path: path.write_bytes(b"<rss>\n</rss>"), "The file has no line 3,000."),
        (lambda path: path.write_bytes(gzip.compress(b"<rss>" + b"\n" * 2_000)[:-9]), "The archive ends too early."),
    ],
)
def test_what_cannot_be_shown_is_said(feed: Feed, spoil: Callable[[Path], None], sentence: str) -> None:
    run = planned(feed, *items(2))
    spoil(Path(run.file.path))
    assert sentence in read_snippet(run, Place(3000)).problem


def test_of_a_file_that_was_swept_nothing_is_shown(feed: Feed) -> None:
    run = planned(feed, item("1", price="x"))
    ImportRun.objects.filter(pk=run.pk).update(file="")
    run.refresh_from_db()
    assert of_item(run, 1).problem == "The stored file is gone."


def test_nobody_waits_for_ever(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    run = planned(feed, item("1", price="x"))
    monkeypatch.setattr(source, "MAX_SECONDS", -1)
    assert "too far down" in of_item(run, 1).problem


# --- the pages ----------------------------------------------------------------------------------------
def places(page: object) -> list[str]:
    return [str(place) for place in tree(page).xpath("//*[@hx-trigger='intersect once']/@hx-get")]


def test_every_example_and_every_item_has_its_lines(feed: Feed) -> None:
    run, bob = staged(feed, feed_of(*items(2, price="x"), LONG)), browser("bob")
    for tab, count in (("issues", 3), ("invalid", 3)):
        found = places(bob.get(url(run), {"tab": tab}))
        assert len(found) == count
        for place in found:
            part = bob.get(place, headers={"HX-Request": "true"})
            assert texts(part, f"//*[{with_class('source')}]//*[{with_class('marked')}]")
            assert "<html" not in part.content.decode()
            assert "Back to the import" in bob.get(place).content.decode()


def test_a_failed_import_shows_where(feed: Feed) -> None:
    run = received(feed, b'id,title\n\n2,"b\n')
    stage(run)
    (place,) = places(browser("bob").get(url(run)))
    assert '2,"b' in text_of(tree(browser("bob").get(place)))


@pytest.mark.parametrize("place", ["item/9/", "issue/0/0/", "issue/999999999/0/", "error/"])
def test_a_place_that_is_not_there_is_not_found(feed: Feed, place: str) -> None:
    run = planned(feed, item("1"))
    assert browser("bob").get(url(run).replace("change/", f"source/{place}")).status_code == 404


def test_no_line_of_a_file_is_for_charlie(feed: Feed) -> None:
    run = planned(feed, item("1", price="x"))
    (place, *_) = places(browser("bob").get(url(run), {"tab": "invalid"}))
    assert browser("charlie").get(place).status_code == 403
    assert browser("bob").post(place).status_code == 405


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{7*7}}</p>"])
def test_lines_are_only_text(feed: Feed, text: str) -> None:
    run = planned(feed, item("1", price=text), item("2", price="plain"))
    bob = browser("bob")
    hostile, plain = (bob.get(url(run).replace("change/", f"source/item/{n}/")) for n in (1, 2))
    assert not active_parts(hostile) - active_parts(plain)
    assert "alert(1)" in text_of(tree(hostile)) or "7*7" in text_of(tree(hostile))


def test_of_a_long_line_without_the_id_its_beginning_is_shown(feed: Feed) -> None:
    content = feed_of(*items(2000), item("bad", price="x")).replace(b"\n", b"").replace(b">bad<", b"> bad <")
    (text,) = shown(of_item(staged(feed, content), 2001)).values()
    assert text.startswith("<rss")


def test_blank_lines_before_a_table_count(feed: Feed) -> None:
    run = staged(feed, b"\n\nid,title,price\n1,Dress,x\n")
    assert shown(of_item(run, 1)) == {3: "id,title,price", 4: "1,Dress,x"}
