"""Nothing of a feed runs in a page that shows it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from catalog.imports.reading.stage import stage
from catalog.models import Feed, ImportRun, Status
from catalog.tests.factories import applied, execute, feed_of, item, items, planned, received
from catalog.tests.pages import PRODUCTS, RUNS, UPLOAD, active_parts, staff, text_of, tree, url

pytestmark = pytest.mark.django_db


PAYLOADS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)' x='",
    "<svg/onload=alert(1)>",
    "</td></table><iframe src=javascript:alert(1)></iframe>",
    "<a href='javascript:alert(1)'>x</a>",
    "{{7*7}}",
    "{% debug %}",
    "${7*7} #{7*7} @{{constructor}}",
    "javascript:alert(1)",
    '=HYPERLINK("https://example.com")',
    "<!-- --><![CDATA[ <b>",
    "&lt;script&gt;",
]
FREE = ["title", "description", "brand", "color", "size", "gtin", "mpn", "custom_label_0", "shipping_label", "c__heel"]
LINKS = ["link", "image_link", "additional_image_link", "price", "availability", "icon_media_url", "condition"]


def twins(texts_: list[str], harmless: str) -> tuple[list[str], list[str]]:
    """Hostile items and their harmless twins: the same elements with the same faults."""

    def write(n: int, free: str, link: str) -> list[str]:
        return [
            item(f"{free} {n}", **dict.fromkeys(FREE, free), image_link=f"https://www.example.com/{free}"),
            item(f"{n} {free}", **dict.fromkeys([*FREE, *LINKS], link)),
        ]

    hostile = [one for n, text in enumerate(texts_) for one in write(n, text, text)]
    plain = [one for n, _ in enumerate(texts_) for one in write(n, harmless, harmless)]
    return hostile, plain


@pytest.fixture
def pages(alice: Client, feed: Feed) -> Callable[[list[str], str], list[Any]]:
    """Every page that shows anything of an import of these items, before and after it."""

    def read(written: list[str], name: str) -> list[Any]:
        own = Feed.objects.create(name=name, slug=f"own-{Feed.objects.count()}")
        applied(own, *items(len(written)))
        changed = [re.sub(r"<g:id>.*?</g:id>", f"<g:id>{n:05}</g:id>", one) for n, one in enumerate(written, 1)]
        run = received(own, feed_of(*written, *changed), by=staff("alice"))
        ImportRun.objects.filter(pk=run.pk).update(
            file_name=name, history=[{"status": "staging", "at": "x", "by": name}]
        )
        run.refresh_from_db()
        before = [alice.get(url(run)), alice.get(url(run, "live"))]
        stage(run)
        assert run.status == Status.REVIEW, run.error
        at = [{"tab": tab, **more} for tab in ("changes", "issues", "invalid") for more in ({}, {"before": "9" * 18})]
        tabs = [alice.get(url(run), query) for query in at]
        execute(run)
        return [*before, *tabs, alice.get(url(run)), alice.get(RUNS), alice.get(PRODUCTS), alice.get(UPLOAD)]

    return read


def test_nothing_from_a_feed_becomes_part_of_a_page(pages: Callable[[list[str], str], list[Any]]) -> None:
    hostile, plain = twins(PAYLOADS, "word")
    for shown, twin in zip(pages(hostile, " ".join(PAYLOADS)), pages(plain, "word"), strict=True):
        assert not active_parts(shown) - active_parts(twin), shown.request["PATH_INFO"]


@pytest.mark.parametrize("text", PAYLOADS[::3])
def test_markup_in_a_feed_is_shown_as_it_was_written(alice: Client, feed: Feed, text: str) -> None:
    applied(feed, item("1", custom_label_0=text), item("2"))
    run = planned(feed, item("1"), item("2", c__note=text), item(text, price=text))
    shown = text_of(tree(alice.get(url(run)))) + text_of(tree(alice.get(url(run), {"tab": "invalid"})))
    assert shown.count(text) >= 3
