"""What is wrong with a feed: against its previous run, and as early as can be said."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.imports.reading.stage import stage
from catalog.imports.reports import diagnosis
from catalog.imports.reports.diagnosis import Finding, diagnose_run, early_verdict
from catalog.models import Feed, ImportRun, RunIssue, Status
from catalog.tests.factories import applied, discarded, feed_of, item, items, planned, received
from catalog.tests.pages import active_parts, browser, buttons, text_of, texts, tree, url, with_class

pytestmark = pytest.mark.django_db

WARNED = {"gtin": "123"}
BAD = {"price": "x"}


def trends(run: ImportRun) -> dict[str, str]:
    return {finding.code.name: finding.trend for finding in diagnose_run(run).findings}


def finding(run: ImportRun, code: str) -> Finding:
    (found,) = [finding for finding in diagnose_run(run).findings if finding.code.name == code]
    return found


def test_a_feeds_first_run_is_compared_with_nothing(feed: Feed, other_feed: Feed) -> None:
    planned(other_feed, item("1", **WARNED))
    run = planned(feed, item("1", **WARNED))
    assert diagnose_run(run).previous is None
    assert trends(run) == {"gtin.length": ""}


def test_an_issue_is_new_still_open_or_resolved(feed: Feed) -> None:
    first = applied(feed, item("1", **WARNED), item("2", mpn="x" * 71))
    second = planned(feed, item("1", **WARNED), item("2", **BAD))
    assert diagnose_run(second).previous == first.pk
    assert trends(second) == {"price.format": "new", "gtin.length": "open", "mpn.too_long": "resolved"}
    resolved = finding(second, "mpn.too_long")
    assert (resolved.count, resolved.before, resolved.attribute) == (0, 1, "mpn")


def test_one_code_is_compared_attribute_by_attribute(feed: Feed) -> None:
    planned(feed, item("1", sale_price="x"))
    run = planned(feed, item("1", old_price="x"))
    found = {(finding.attribute, finding.trend) for finding in diagnose_run(run).findings}
    assert found == {("old_price", "new"), ("sale_price", "resolved")}


def test_a_flawless_run_before_makes_everything_new(feed: Feed) -> None:
    applied(feed, item("1"))
    assert trends(planned(feed, item("1", **WARNED))) == {"gtin.length": "new"}


def test_a_run_that_nobody_could_review_does_not_count(feed: Feed) -> None:
    planned(feed, item("1", **WARNED))
    received(feed, b"<rss><channel/></rss>")
    failed = received(feed, b"<rss>", mode="add")
    ImportRun.objects.filter(pk=failed.pk).update(status=Status.FAILED)
    assert trends(planned(feed, item("2", **WARNED))) == {"gtin.length": "open"}


def test_a_run_that_was_reviewed_and_discarded_counts(feed: Feed) -> None:
    discarded(planned(feed, item("1", **WARNED)))
    assert trends(planned(feed, item("2", **WARNED))) == {"gtin.length": "open"}


def test_a_later_run_does_not_change_what_an_earlier_one_says(feed: Feed) -> None:
    first = planned(feed, item("1", **WARNED))
    planned(feed, item("1", **BAD))
    assert trends(first) == {"gtin.length": ""}


def test_the_comparison_is_one_query(feed: Feed) -> None:
    planned(feed, item("1", **WARNED))
    run = planned(feed, item("1", **BAD))
    with CaptureQueriesContext(connection) as captured:
        diagnose_run(run)
    assert len(captured) == 2  # the run's own issues, and the comparison


def test_a_code_that_is_no_longer_known_is_shown_by_its_name(feed: Feed) -> None:
    before = planned(feed, item("1"))
    RunIssue.objects.create(run=before, code="price.odd", attribute="price", severity="warning", count=3)
    run = planned(feed, item("2"))
    assert finding(run, "price.odd").code.title == "price.odd"
    assert browser("bob").get(url(run), {"tab": "issues"}).status_code == 200


def test_the_page_says_it_all(feed: Feed) -> None:
    before = applied(feed, item("1", **WARNED), item("2", mpn="x" * 71))
    run = planned(feed, item("1", **WARNED), item("2", **BAD))
    page = browser("bob").get(url(run), {"tab": "issues"})
    assert texts(page, f"//span[{with_class('trend')}]") == ["new", "still open", "resolved"]
    assert texts(page, f"//span[{with_class('line')}]") == ["1 · 50.0 %", "1 · 50.0 % · before: 1", "0 · before: 1"]
    links = tree(page).xpath("//a/@href")
    assert {f"{url(before)}?tab=issues", "/admin/catalog/importrun/reference/#price.format"} <= set(links)


# --- the early verdict --------------------------------------------------------------------------------
@pytest.fixture
def reading(feed: Feed) -> ImportRun:
    """A run of which 6,000 items were read; 5,500 of them have the same error."""
    run = received(feed, b"<rss/>")
    ImportRun.objects.filter(pk=run.pk).update(status=Status.STAGING, items=6000, invalid=5500)
    RunIssue.objects.create(run=run, code="gtin.length", attribute="gtin", severity="warning", count=6000)
    RunIssue.objects.create(run=run, code="price.format", attribute="price", severity="error", count=5500)
    run.refresh_from_db()
    return run


def test_one_error_on_nearly_every_item_is_said_while_reading_goes_on(reading: ImportRun) -> None:
    alice = browser("alice")
    page = alice.get(url(reading))
    (said,) = tree(page).xpath("//*[@role='alert']")
    assert "Nearly every item has the same error: The value is not an amount of money." in text_of(said)
    assert "5,500 of the first 6,000 items" in text_of(said)
    assert "Write it as 155.00 AED" in text_of(said)
    assert "Stop this import" in buttons(page)
    assert "same error" in alice.get(url(reading, "live")).content.decode()


@pytest.mark.parametrize(
    ("items_read", "count", "status"),
    [(4999, 4999, "staging"), (6000, 5399, "staging"), (6000, 6000, "review"), (6000, 6000, "failed")],
)
def test_nothing_is_said_too_early_or_too_late(reading: ImportRun, items_read: int, count: int, status: str) -> None:
    reading.items, reading.status = items_read, status
    reading.issues.filter(code="price.format").update(count=count)
    assert early_verdict(reading) is None


@pytest.mark.parametrize(("count", "said"), [(6000, ""), (5999, "title.missing")])
def test_what_every_item_lacks_may_be_a_supplement(reading: ImportRun, count: int, said: str) -> None:
    RunIssue.objects.create(run=reading, code="title.missing", attribute="title", severity="error", count=count)
    reading.issues.filter(code="price.format").delete()
    assert getattr(early_verdict(reading), "code", "") == said


def test_a_real_feed_gets_its_verdict_while_it_is_read(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "MIN_EARLY_ITEMS", 10)
    monkeypatch.setattr("catalog.imports.reading.stage.BATCH_ITEMS", 5)
    said: list[str] = []
    run = received(feed, feed_of(*items(20, price="x")))
    stage(run, lambda run: said.append(getattr(early_verdict(run), "code", "")))
    assert said[:3] == ["", "price.format", "price.format"]


def test_hostile_values_are_only_text(feed: Feed) -> None:
    planned(feed, item("1", color="x" * 101))
    plain = planned(feed, item("1", price="x"))
    hostile = planned(feed, item("1", price='"><script>alert(1)</script>'), mode="add")
    bob = browser("bob")
    pages = [active_parts(bob.get(url(run), {"tab": "issues"})) for run in (plain, hostile)]
    assert pages[0].keys() == pages[1].keys()
