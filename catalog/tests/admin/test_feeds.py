"""Feeds in the admin: how their files are read, with a sentence for each setting that cannot be."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from catalog.fetching.schedule import Timing, next_fetch_at, write_timing
from catalog.models import Feed, FeedSource
from catalog.models.feed import validate_aliases
from catalog.tests.factories import applied, item, planned
from catalog.tests.pages import UPLOAD, text_of, tree, url

pytestmark = pytest.mark.django_db


def rows(*pairs: tuple[str, str]) -> dict[str, list[str]]:
    """A feed's names as its form sends them, with a row that is empty."""
    names, attributes = zip(*pairs, ("", ""), strict=True)
    return {"aliases_name": [*names], "aliases_attribute": [*attributes]}


SETTINGS: dict[str, Any] = {
    "name": "Boutique",
    "slug": "boutique",
    "mode": "update",
    "default_currency": "KWD",
    "base_url": "https://www.example.com/",
    "domain": "Example.com",
    **rows(("artikelnummer", "mpn")),
    "table_encoding": "windows-1256",
}


def saved(client: Client, feed: Feed, **changed: Any) -> str:
    """What the page says after the feed's form was sent."""
    address = reverse("admin:catalog_feed_change", args=[feed.pk])
    page = client.post(address, {**SETTINGS, **changed}, follow=True)
    feed.refresh_from_db()
    return text_of(tree(page))


def test_a_managers_settings_are_how_the_next_file_is_read(mona: Client, feed: Feed) -> None:
    saved(mona, feed)
    run = planned(feed, item("1", link="/silk", price="1.250", mpn=None, artikelnummer="N-7"))
    staged = run.staged.get()
    assert (staged.link, staged.currency, staged.mpn) == ("https://www.example.com/silk", "KWD", "N-7")
    assert {issue.code for issue in run.issues.all()} == {"url.relative", "price.no_currency"}


def test_settings_may_be_empty(mona: Client, feed: Feed) -> None:
    saved(mona, feed, default_currency="", base_url="", domain="", **rows())
    assert (feed.name, feed.base_url, feed.domain, feed.aliases) == ("Boutique", "", "", {})


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("base_url", "www.example.com", "Write a whole web address"),
        ("base_url", "ftp://example.com/", "Write a whole web address"),
        ("domain", "https://example.com", "Write only the domain, for example example.com"),
        ("domain", "example", "Write only the domain, for example example.com"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_with_a_sentence(
    mona: Client, feed: Feed, field: str, value: str, sentence: str
) -> None:
    assert sentence in saved(mona, feed, **{field: value})
    assert feed.name != "Boutique"


@pytest.mark.parametrize(
    ("name", "attribute", "sentence"),
    [
        ("artikelnummer", "part", '"part", for "artikelnummer", is not an attribute.'),
        ("artikelnummer", "", "is not an attribute."),
        ("title", "description", '"title" is an attribute itself and cannot stand for another.'),
        ("x:artikelnummer", "mpn", '"x:artikelnummer" is not the name of an element or column.'),
        ("", "mpn", '"" is not the name of an element'),
        ("{urn:x}mpn", "mpn", "is not the name of an element"),
        ("<mpn>", "mpn", "is not the name of an element"),
        ("a\x01", "mpn", "is not the name of an element"),
    ],
)
def test_a_name_that_cannot_be_is_refused_with_a_sentence(
    mona: Client, feed: Feed, name: str, attribute: str, sentence: str
) -> None:
    assert sentence in saved(mona, feed, **rows((name, attribute)))
    assert feed.name != "Boutique"


@pytest.mark.parametrize("aliases", [["mpn"], "mpn", {"a": ["mpn"]}, {" mpn": "mpn"}])
def test_what_is_no_object_of_names_is_refused(aliases: Any) -> None:
    with pytest.raises(ValidationError):
        validate_aliases(aliases)


def test_a_name_stands_in_one_row(mona: Client, feed: Feed) -> None:
    assert '"nummer" stands here twice.' in saved(mona, feed, **rows(("nummer", "mpn"), ("nummer", "gtin")))
    assert feed.name != "Boutique"


def test_a_feeds_names_are_rows_and_stay_as_they_are(mona: Client, feed: Feed) -> None:
    saved(mona, feed, **rows(("Artikel-Nr. &", "mpn"), ("b", "gtin")))
    assert feed.aliases == {"Artikel-Nr. &": "mpn", "b": "gtin"}
    page = tree(mona.get(reverse("admin:catalog_feed_change", args=[feed.pk])))
    assert page.xpath("//input[@name='aliases_name']/@value") == ["Artikel-Nr. &", "b", "", "", ""]
    assert page.xpath("//select[@name='aliases_attribute']/option[@selected]/@value")[:2] == ["mpn", "gtin"]
    (form,) = page.xpath("//form[@id='feed_form']")
    sent: dict[str, list[str]] = {}
    for name, value in form.form_values():
        sent.setdefault(name, []).append(value)
    mona.post(reverse("admin:catalog_feed_change", args=[feed.pk]), sent)
    feed.refresh_from_db()
    assert feed.aliases == {"Artikel-Nr. &": "mpn", "b": "gtin"}


def test_half_a_character_in_a_name_can_be_shown() -> None:
    with pytest.raises(ValidationError) as refused:
        validate_aliases({"a\ud800": "mpn", "b": "\udc00"})
    assert [message.encode() for message in refused.value.messages]


def test_each_wrong_name_has_its_sentence(mona: Client, feed: Feed) -> None:
    said = saved(mona, feed, **rows(("a", "b"), ("price", "mpn")))
    assert '"b", for "a", is not an attribute.' in said
    assert '"price" is an attribute itself' in said


# --- how it is ----------------------------------------------------------------------------------------
def page_of(client: Client, feed: Feed) -> Any:
    page = client.get(reverse("admin:catalog_feed_change", args=[feed.pk]))
    assert page.status_code == 200
    return page


def panel(page: Any, title: str) -> str:
    (found,) = tree(page).xpath(f"//section[@aria-labelledby='{title}-title']")
    return text_of(found)


def test_a_feeds_page_says_how_it_is(ida: Client, feed: Feed) -> None:
    first = applied(feed, item("1", gtin="123"), item("2"))
    second = applied(feed, item("1", gtin="123"), item("3", price="many AED"))
    waiting = planned(feed, item("1", gtin="123"), item("4", price="many AED"), item("5"))
    page = page_of(ida, feed)
    how = panel(page, "health")
    assert how.startswith("How it is products 2 invalid items in the last file 33.3 % plans that wait 1")
    assert f"Waits #{waiting.pk} Confirming will" in how
    assert "Next fetch none: by uploads only" in how
    links = tree(page).xpath("//section[@aria-labelledby='health-title']//a/@href")
    assert f"{UPLOAD}?feed={feed.pk}" in links
    bars = tree(page).xpath("//*[@class='over-time']/a/@href")
    assert bars == [f"{url(run)}?tab=invalid" for run in (first, second, waiting)]
    issues = [text_of(row) for row in tree(page).xpath("//section[@aria-labelledby='open-title']//tbody/tr")]
    assert f"#{first.pk}" in next(row for row in issues if "gtin" in row)
    assert f"#{second.pk}" in next(row for row in issues if "price" in row)
    assert issues.index(next(row for row in issues if "gtin" in row)) == 0


def test_a_feed_without_imports_says_so(bob: Client, feed: Feed) -> None:
    page = page_of(bob, feed)
    assert panel(page, "health") == (
        "How it is products 0 plans that wait 0 Last file none yet Next fetch none: by uploads only"
    )
    assert not tree(page).xpath("//section[@aria-labelledby='invalid-title' or @aria-labelledby='open-title']")


def test_a_feeds_page_asks_as_often_for_many_imports_as_for_few(bob: Client, feed: Feed) -> None:
    def queries() -> int:
        page_of(bob, feed)
        with CaptureQueriesContext(connection) as captured:
            page_of(bob, feed)
        return len(captured)

    applied(feed, item("1", gtin="123"))
    one = queries()
    for _ in range(4):
        applied(feed, item("1", gtin="123"))
    assert queries() == one <= 20


@pytest.mark.parametrize(
    ("minutes", "enabled", "within"),
    [(30, True, timedelta(minutes=30)), (30, False, None), (0, True, timedelta(days=1))],
)
def test_the_next_fetch_is_when_the_schedule_says(
    minutes: int, enabled: bool, within: timedelta | None, feed: Feed
) -> None:
    source = FeedSource.objects.create(feed=feed, address="https://feeds.example.com/a.xml")
    write_timing(source, Timing(minutes=minutes, time_zone="Asia/Dubai"))
    assert source.job
    source.job.enabled = enabled
    at = next_fetch_at(source)
    if within is None:
        assert at is None
    else:
        assert at
        assert timezone.now() < at <= timezone.now() + within
