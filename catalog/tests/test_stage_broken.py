"""Files that are not well-formed: read as they are meant, item by item if need be, and never applied unseen."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction

from catalog.errors import FeedRefused
from catalog.imports.confirm import go_on
from catalog.imports.reading.stage import BATCH_ITEMS, stage
from catalog.imports.work.queue import fail
from catalog.models import Feed, ImportRun, Product, Reading, Status
from catalog.tests.conftest import Worker
from catalog.tests.factories import (
    applied,
    catalogue,
    counts,
    discarded,
    execute,
    feed_of,
    item,
    items,
    received,
    uploaded,
)
from catalog.tests.pages import browser, buttons, heading, text_of, tree, url, with_class

CROSSED = item("2").replace("</g:title>", "</title>")


def with_ampersand(id: str) -> str:
    return item(id, title="%").replace("%", "R & B")


def staged(feed: Feed, content: bytes, **options: object) -> ImportRun:
    run = received(feed, content, **options)
    stage(run)
    return run


def repaired(feed: Feed, **options: object) -> ImportRun:
    return staged(feed, feed_of(item("1"), with_ampersand("2")), **options)


def salvaged(feed: Feed, **options: object) -> ImportRun:
    return staged(feed, feed_of(item("1"), CROSSED, item("3")), **options)


# --- how it is read -----------------------------------------------------------------------------------
def test_a_well_formed_file_is_read_as_it_is_and_held_by_nothing(feed: Feed) -> None:
    run = staged(feed, feed_of(item("1")))
    assert (run.reading, run.holds) == (Reading.STRICT, [])


def test_a_repaired_file_says_what_was_repaired_and_waits(feed: Feed) -> None:
    run = repaired(feed)
    assert (run.status, run.reading, run.bytes_read) == (Status.REVIEW, Reading.REPAIRED, run.file_size)
    assert counts(run) == {"items": 2, "created": 2}
    issue = run.issues.get()
    assert (issue.code, issue.attribute, issue.severity, issue.count) == (
        "feed.repaired.bare_ampersand",
        "",
        "warning",
        1,
    )
    assert issue.examples == [{"line": 3, "product_id": "", "found": "& B"}]
    (hold,) = run.holds
    assert hold["code"] == "feed.repaired"
    assert "1 × An & is not escaped (line 3)" in hold["message"]
    assert run.staged.get(product_id="2").title == "R & B"


def test_a_salvaged_file_names_the_items_that_are_lost(feed: Feed) -> None:
    run = salvaged(feed)
    assert (run.status, run.reading) == (Status.REVIEW, Reading.SALVAGED)
    assert counts(run) == {"items": 3, "created": 2, "invalid": 1}
    lost = run.staged.get(state="invalid")
    assert (lost.product_id, lost.line, lost.position) == ("2", 3, 2)
    ((code, attribute, found, line),) = lost.issues
    assert (code, attribute, line) == ("item.not_well_formed", "", 3)
    assert found.startswith("Line 3: <item><g:id>2</g:id><g:title>Silk dress</title>")
    issue = run.issues.get()
    assert (issue.code, issue.severity, issue.count) == ("item.not_well_formed", "error", 1)
    (hold,) = run.holds
    assert hold["code"] == "feed.salvaged"
    assert "its items were read one by one. Left out: 1 of 3 not well-formed (line 3)." in hold["message"]


def test_each_way_of_reading_starts_over(feed: Feed) -> None:
    many = BATCH_ITEMS + 100
    content = feed_of(*items(many, pattern="x" * 101), with_ampersand("a"), CROSSED)
    run = staged(feed, content)
    assert run.reading == Reading.SALVAGED
    assert counts(run) == {"items": many + 2, "created": many + 1, "invalid": 1}
    assert run.staged.count() == many + 2
    assert dict(run.issues.values_list("code", "count")) == {
        "pattern.too_long": many,
        "feed.repaired.bare_ampersand": 1,
        "item.not_well_formed": 1,
    }


def test_what_cannot_be_saved_fails_with_line_column_and_hint(feed: Feed) -> None:
    run = staged(feed, feed_of(CROSSED))
    assert (run.status, run.error_code, run.holds) == (Status.FAILED, "feed.not_well_formed", [])
    assert run.error.startswith("Line 2, column")
    assert "left open" in run.error
    assert not run.staged.exists()


def test_an_item_that_is_too_large_is_left_out_and_the_others_are_read(feed: Feed, settings: Any) -> None:
    settings.FEED_LIMITS = replace(settings.FEED_LIMITS, item_bytes=200_000)
    run = staged(feed, feed_of(item("1"), item("2", pattern=["x"] * 20_000), item("3")))
    assert (run.status, run.reading) == (Status.REVIEW, Reading.SALVAGED)
    assert counts(run) == {"items": 3, "created": 2, "invalid": 1}
    assert [issue.code for issue in run.issues.all()] == ["item.too_large"]
    assert "read one by one. Left out: 1 of 3 over a limit (line 3)." in run.holds[0]["message"]


@pytest.mark.parametrize("where", ["before", "behind"])
@pytest.mark.parametrize("size", [400_000, 750_000])
@pytest.mark.parametrize(
    "form", ["<description>%s</description>", "<description><![CDATA[%s]]></description>", "<!--%s-->"]
)
def test_an_item_that_is_too_large_costs_no_sync(feed: Feed, settings: Any, where: str, size: int, form: str) -> None:
    applied(feed, item("1"), item("2"), item("3"))
    settings.FEED_LIMITS = replace(settings.FEED_LIMITS, item_bytes=200_000)
    text, id = form % ("x" * size), "<g:id>2</g:id>"
    large = f"<item>{text}{id}</item>" if where == "before" else f"<item>{id}{text}</item>"
    run = staged(feed, feed_of(item("1"), large), mode="sync")
    assert (run.status, run.reading) == (Status.REVIEW, Reading.SALVAGED)
    assert counts(run) == {"items": 2, "unchanged": 1, "invalid": 1, "archived": 1}
    assert "Left out: 1 of 2 over a limit" in run.holds[0]["message"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content[: -len("</item></channel></rss>")],
        lambda content: content.replace(b"</channel>", b""),
        lambda content: content.replace(b"<g:id>2</g:id>", b""),
        lambda content: content.replace(b"<g:title>Silk dress</g:title>", b"<g:title>Silk dress</title>"),
    ],
    ids=["cut off", "without an end", "without an id", "not well-formed"],
)
def test_a_sync_never_archives_what_may_only_be_unread(feed: Feed, settings: Any, spoil: Any) -> None:
    applied(feed, item("1"), item("2"), item("3"))
    settings.FEED_LIMITS = replace(settings.FEED_LIMITS, item_bytes=200_000)
    large = f"<item><g:id>2</g:id><x>{'x' * 400_000}</x></item>"
    run = staged(feed, spoil(feed_of(item("3", title="Belt"), large, item("1")).rstrip()), mode="sync")
    assert (run.status, run.error_code) == (Status.FAILED, "feed.salvage_in_sync")


@pytest.mark.parametrize("size", range(190_000, 420_000, 10_000))
def test_an_item_is_too_large_wherever_the_chunks_end(feed: Feed, settings: Any, size: int) -> None:
    settings.FEED_LIMITS = replace(settings.FEED_LIMITS, item_bytes=200_000)
    run = staged(feed, feed_of(item("1"), item("2", pattern="x" * (size - 2000)), item("3", pattern="y" * 150_000)))
    assert (run.items, run.invalid) == (3, int(size > 202_000))


FOREIGN = '<m:item xmlns:m="urn:menu"><m:id>9</m:id></m:item>\n<item xmlns="urn:menu"><id>8</id></item>'


@pytest.mark.parametrize("more", ["", with_ampersand("3"), CROSSED])
def test_an_item_of_another_namespace_is_none_and_is_counted(feed: Feed, more: str) -> None:
    run = staged(feed, feed_of(FOREIGN, item("1"), FOREIGN, more))
    assert run.reading == list(Reading)[["", with_ampersand("3"), CROSSED].index(more)]
    assert run.items == 1 + bool(more)
    issue = run.issues.get(code="feed.foreign_item")
    assert (issue.count, issue.severity) == (4, "notice")
    assert [(example["line"], example["found"]) for example in issue.examples] == [
        (2, "{urn:menu}item"),
        (3, "{urn:menu}item"),
        (5, "{urn:menu}item"),
        (6, "{urn:menu}item"),
    ]


def test_an_item_over_another_limit_costs_only_itself(feed: Feed, settings: Any) -> None:
    applied(feed, item("1"), item("2"))
    settings.FEED_LIMITS = replace(settings.FEED_LIMITS, attributes=30)
    run = staged(feed, feed_of(item("1"), item("2", pattern=["x"] * 30)), mode="sync")
    assert (run.status, run.reading) == (Status.REVIEW, Reading.STRICT)
    assert counts(run) == {"items": 2, "unchanged": 1, "invalid": 1}
    assert dict(run.issues.values_list("code", "severity")) == {"item.too_many_attributes": "error"}


VEHICLE = (
    "<item><g:id>1</g:id><g:vin>WVWZZZ1JZXW000001</g:vin><g:store_code>7</g:store_code><g:model>Fabia</g:model>"
    "<g:year>2021</g:year><g:mileage>42000 km</g:mileage><g:price>100.00 AED</g:price></item>"
)
ARTICLE = "<item><title>News</title><link>https://www.example.com/1</link><pubDate>x</pubDate><guid>7</guid></item>"
ENTRY = (
    '<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>urn:1</id><title>News</title><updated>2026-11-22</updated>'
    "</entry></feed>"
)
OTHER_KINDS = {
    "vehicles": (feed_of(VEHICLE), "feed.vehicles", "vehicle ads"),
    "vehicles with titles": (
        feed_of(VEHICLE.replace("<g:vin>", "<title>Fabia</title><g:vin>")),
        "feed.vehicles",
        "ads",
    ),
    "vehicles in a table": (b"id,vin,model,year,mileage\n1,WVW,Fabia,2021,42000 km\n", "feed.vehicles", "vehicle ads"),
    "a blog": (feed_of(ARTICLE, ARTICLE.replace("7", "8")), "feed.articles", "a blog"),
    "a blog with contents": (
        feed_of(ARTICLE.replace("<guid>", '<c:encoded xmlns:c="urn:c">x</c:encoded><guid>')),
        "feed.articles",
        "a blog",
    ),
    "a blog in Atom": (ENTRY.encode(), "feed.articles", "a blog"),
    "a broken blog": (feed_of(ARTICLE.replace("News", "R & B")), "feed.articles", "a blog"),
}


@pytest.mark.parametrize(("content", "code", "what"), OTHER_KINDS.values(), ids=OTHER_KINDS)
def test_a_feed_of_another_kind_is_called_what_it_is(feed: Feed, content: bytes, code: str, what: str) -> None:
    run = staged(feed, content)
    assert (run.status, run.error_code) == (Status.FAILED, code)
    assert what in run.error
    assert not run.changes.exists()


def test_a_feed_that_brings_something_is_none_of_another_kind(feed: Feed) -> None:
    applied(feed, item("7"))
    run = staged(feed, feed_of(ARTICLE))  # the texts of a product that exists
    assert (run.status, run.changed) == (Status.REVIEW, 1)
    vehicle = item("1", vin="W", model="Fabia", year="2021", mileage="1 km")
    assert staged(feed, feed_of(vehicle)).created == 1
    assert staged(feed, feed_of("<item><g:id>x</g:id><title>News</title></item>")).status == Status.REVIEW


def test_other_refusals_are_final(feed: Feed) -> None:
    run = staged(feed, b"<rss><channel><title>none</title></channel></rss>")
    assert (run.status, run.error_code, run.reading) == (Status.FAILED, "feed.no_items", Reading.STRICT)


DOCTYPES = [b"\n<!DOCTYPE rss>", b"Warning <!DOCTYPE rss>", b"x <!DOCTYPE rss>\n<?xml version='1.0'?>"]


@pytest.mark.parametrize("before", DOCTYPES)
def test_a_doctype_is_never_repaired_away(feed: Feed, before: bytes) -> None:
    try:
        code = staged(feed, before + feed_of(with_ampersand("1"))).error_code
    except FeedRefused as at_the_door:
        code = at_the_door.code
    assert code == "feed.doctype"


def test_a_file_with_something_before_it_may_be_uploaded(feed: Feed) -> None:
    run = staged(feed, b"<b>Notice</b>: x in y.php\n<?xml version='1.0'?>" + feed_of(item("1")))
    assert (run.reading, run.staged.get().line) == (Reading.REPAIRED, 3)


@pytest.mark.parametrize(
    "after",
    [b"\n<br />\n<b>Notice</b>: x in y.php<br />\n", b"<script>a && b</script>", b"</rss>", b"<!-- cached -- x -->"],
)
def test_what_stands_after_the_end_is_dropped_and_a_sync_is_possible(feed: Feed, after: bytes) -> None:
    applied(feed, item("1"), item("2"))
    run = staged(feed, feed_of(item("1")).rstrip() + after, mode="sync")
    assert (run.status, run.reading) == (Status.REVIEW, Reading.REPAIRED)
    assert counts(run) == {"items": 1, "unchanged": 1, "archived": 1}
    issue = run.issues.get()
    assert (issue.code, issue.count) == ("feed.repaired.junk_after", 1)
    assert issue.examples[0]["found"] in " ".join(after.decode().split())
    assert "Other content comes after the XML" in run.holds[0]["message"]


def test_the_likeliest_encoding_stands_on_the_page_with_both_readings(feed: Feed) -> None:
    titles = ["Sarı elbise", "Kadın eşarp", "Kırmızı çanta", "Yeşil şal"]
    content = feed_of(*(item(str(n), title=title) for n, title in enumerate(titles))).decode().encode("windows-1254")
    run = staged(feed, content)
    assert run.staged.get(position=1).title == "Sarý elbise"
    issue = run.issues.get(code="feed.encoding_likely")
    assert (issue.count, issue.severity, len(issue.examples)) == (3, "warning", 3)
    readings = "windows-1252: “Sarý elbise”, windows-1254: “Sarı elbise”"
    assert issue.examples[0] == {"line": 2, "product_id": "", "found": readings}
    assert readings in run.holds[0]["message"]
    assert readings in text_of(tree(browser("bob").get(url(run))))

    discarded(run)
    feed.table_encoding = "windows-1254"
    feed.save()
    again = staged(feed, content)
    assert [item.title for item in again.staged.order_by("position")] == titles
    assert (again.reading, again.issues.filter(code="feed.encoding_likely").exists()) == (Reading.REPAIRED, False)


# --- who decides --------------------------------------------------------------------------------------
@pytest.mark.parametrize("broken", [repaired, salvaged])
def test_it_never_applies_by_itself(feed: Feed, broken: object) -> None:
    run = broken(feed, auto_apply=True)  # type: ignore[operator]
    go_on(run)
    run.refresh_from_db()
    assert run.status == Status.REVIEW
    assert not Product.objects.exists()


def test_it_waits_even_where_nothing_would_change(feed: Feed) -> None:
    applied(feed, item("1"), item("2", title="R & B"))
    before = catalogue()
    run = repaired(feed)
    go_on(run)
    assert (run.status, run.has_changes) == (Status.REVIEW, False)
    execute(run)
    assert catalogue() == before


@pytest.mark.parametrize("broken", [repaired, salvaged])
def test_a_person_may_confirm_it(feed: Feed, broken: object) -> None:
    execute(broken(feed))  # type: ignore[operator]
    assert Product.objects.count() == 2


def test_a_repaired_sync_archives_and_a_salvaged_one_is_refused(feed: Feed) -> None:
    applied(feed, *(item(n) for n in "123"))
    assert counts(repaired(feed, mode="sync"))["archived"] == 1
    before = catalogue()
    run = salvaged(feed, mode="sync")
    assert (run.status, run.error_code) == (Status.FAILED, "feed.salvage_in_sync")
    assert "mode update" in run.error
    assert not run.changes.exists()
    assert catalogue() == before


def test_a_held_import_may_be_discarded(feed: Feed) -> None:
    run = salvaged(feed)
    discarded(run)
    assert not Product.objects.exists()


def test_the_database_knows_the_ways_of_reading(feed: Feed) -> None:
    run = repaired(feed)
    with pytest.raises(IntegrityError, match="importrun_reading_known"), transaction.atomic():
        ImportRun.objects.filter(pk=run.pk).update(reading="guessed")
    fail(run, "x", "y")


@pytest.mark.django_db(transaction=True)
def test_a_worker_leaves_it_to_a_person(feed: Feed, worker: Worker) -> None:
    run = uploaded(feed, feed_of(with_ampersand("1")), auto_apply=True)
    assert worker.work() == ["catalog.stage"]
    run.refresh_from_db()
    assert (run.status, run.reading) == (Status.REVIEW, Reading.REPAIRED)


# --- the shell ----------------------------------------------------------------------------------------
def test_the_shell_leaves_it_in_review_and_says_why(
    db: None, storage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "broken.xml"
    file.write_bytes(feed_of(item("1"), with_ampersand("2")))
    call_command("import_feed", str(file), "--json")
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (answer["status"], answer["error"], answer["counts"]["created"]) == ("review", None, 2)
    assert [hold["code"] for hold in answer["holds"]] == ["feed.repaired"]
    assert not Product.objects.exists()
    call_command("import_feed", str(file), "--feed", "other")
    said = capsys.readouterr().out
    assert "needs confirmation: 2 items" in said
    assert "An & is not escaped (line 3)" in said


def test_a_dry_run_of_a_broken_file_is_discarded(
    db: None, storage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "broken.xml"
    file.write_bytes(feed_of(item("1"), CROSSED))
    call_command("import_feed", str(file), "--dry-run", "--json")
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (answer["status"], [hold["code"] for hold in answer["holds"]]) == ("discarded", ["feed.salvaged"])


# --- the page -----------------------------------------------------------------------------------------
def card(run: ImportRun, query: str = "") -> str:
    page = browser("alice").get(url(run) + query)
    return " ".join(text_of(section) for section in tree(page).xpath(f"//section[{with_class('holds')}]"))


def test_the_page_says_what_was_repaired(feed: Feed) -> None:
    run = repaired(feed)
    said = card(run)
    assert "This import is held for review" in said
    assert "An & is not escaped 1 line 3: & B" in said
    issues = browser("alice").get(url(run) + "?tab=issues")
    assert "feed.repaired.bare_ampersand" in issues.content.decode()
    execute(run)
    assert "was held for review" in card(run)


def test_the_page_says_what_was_lost(feed: Feed) -> None:
    run = salvaged(feed)
    assert "Left out: 1 of 3 not well-formed (line 3)." in card(run)
    invalid = browser("alice").get(url(run) + "?tab=invalid").content.decode()
    assert "The item is not well-formed XML" in invalid
    assert "Line 3: &lt;item&gt;" in invalid


def test_a_plan_without_changes_can_be_confirmed_all_the_same(feed: Feed) -> None:
    applied(feed, item("1"), item("2", title="R & B"))
    page = browser("alice").get(url(repaired(feed)))
    assert heading(page) == "Confirming will change no products."
    assert "Confirm: change no products" in buttons(page)


def test_a_well_formed_file_has_no_card(feed: Feed) -> None:
    assert card(staged(feed, feed_of(item("1")))) == ""
