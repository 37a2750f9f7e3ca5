"""The catalogue's own pages: plain sentences, everything escaped, nothing forgotten, usable without eyes or mouse."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project
from django.contrib.staticfiles import finders
from django.test import Client

from catalog.models import DEFAULT_MARKET, Feed, ImportRun, Market, RunIssue
from catalog.templatetags.catalog import effect, percent, product_url
from catalog.tests.factories import applied, feed_of, item, items, planned, received
from catalog.tests.pages import UPLOAD, browser, text_of, tree, upload, url, with_class

TEMPLATES = sorted(Path(project.BASE_DIR, "templates").rglob("[!.]*.html"))
HOOKS = {"verdict", "old", "new"}  # said about a part for those who look for it, not for its looks
PAGES = [
    path for path in TEMPLATES if {"admin", "unfold"} & {*path.relative_to(project.BASE_DIR).parts}
]  # mails and errors bring their own looks
every_template = pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
every_page = pytest.mark.parametrize("template", PAGES, ids=lambda path: path.stem)


# --- words --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("created", "changed", "archived", "will", "did", "do"),
    [
        (1, 0, 0, "will add 1 product", "added 1 product", "add 1 product"),
        (2, 0, 0, "will add 2 products", "added 2 products", "add 2 products"),
        (0, 8611, 0, "will change 8,611 products", "changed 8,611 products", "change 8,611 products"),
        (0, 0, 1, "will archive 1 product", "archived 1 product", "archive 1 product"),
        (1, 1, 0, "will add 1 and change 1 products", "added 1 and changed 1 products", "add 1 and change 1 products"),
        (3, 2, 0, "will add 3 and change 2 products", "added 3 and changed 2 products", "add 3 and change 2 products"),
        (0, 0, 0, "will change no products", "changed no products", "change no products"),
    ],
)  # fmt: skip
def test_a_plan_is_spoken_of_in_a_sentence(
    created: int, changed: int, archived: int, will: str, did: str, do: str
) -> None:
    run = ImportRun(created=created, changed=changed, archived=archived)
    assert (effect(run, "will"), effect(run, "did"), effect(run, "do")) == (will, did, do)


def test_three_things_are_listed_with_commas() -> None:
    assert effect(ImportRun(created=1240, changed=2, archived=1), "will") == (
        "will add 1,240, change 2 and archive 1 products"
    )


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0.0 %"), (1, "100.0 %"), (0.125, "12.5 %"), (0.001, "0.1 %"), (0.00099, "< 0.1 %"), (1e-9, "< 0.1 %")],
)
def test_what_is_more_than_nothing_is_never_shown_as_nothing(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("id_", "part"), [("a/b", "a_2Fb"), ("..", "_2E_2E"), (".", "_2E"), ("_2E", "_5F2E"), ("1", "1")]
)
def test_an_id_has_an_address_that_a_browser_keeps(id_: str, part: str) -> None:
    assert product_url(id_, Market(pk=DEFAULT_MARKET)).split("/")[-3] == part


# --- source -------------------------------------------------------------------------------------------
@every_template
def test_no_template_turns_escaping_off(template: Path) -> None:
    source = re.sub(
        r'<script data-[\w="-.]+ type="application/json">', "", template.read_text()
    )  # data, which is not run
    assert not re.search(r"\|\s*safe|autoescape|safeseq|mark_safe|<script|javascript:| on\w+=", source)


@every_page
def test_every_class_has_a_rule(template: Path) -> None:
    """The theme's stylesheet is fixed, so that a class that neither it nor ours knows does nothing."""
    found = [finders.find(sheet) for sheet in ("catalog/admin.css", "unfold/css/styles.css")]
    sheets = "".join(Path(path).read_text() for path in found if path)
    source = re.sub(r"{%.*?%}|{{.*?}}", " ", template.read_text())
    used = {name for value in re.findall(r'\bclass="([^"]*)"', source) for name in value.split()}
    assert not {name for name in used - HOOKS if not re.search(rf"\.{re.escape(name)}(?![\w-])", sheets)}


@every_page
def test_every_sentence_can_be_translated(template: Path) -> None:
    source = re.sub(
        r"{#.*?#}|{% blocktrans.*?endblocktrans %}|{%.*?%}|{{.*?}}|<[^>]*>", " ", template.read_text(), flags=re.S
    )
    assert not re.search(r"[A-Za-z]{2,}", re.sub(r"&\w+;", "", source))


# --- rendered -----------------------------------------------------------------------------------------
@pytest.fixture
def alice(feed: Feed) -> Client:
    return browser("alice")


def review(feed: Feed) -> ImportRun:
    applied(feed, *items(3))
    every_kind = [
        item("00001", title="Silk gown", price="90.00 AED"),
        item("00002"),
        item("new"),
        item("bad", price="?"),
    ]
    return planned(feed, *every_kind, mode="sync")


@pytest.fixture
def parts(alice: Client, feed: Feed) -> dict[str, Any]:
    """The part of each page that is ours, by the page's name."""
    run = review(feed)
    pages = {tab: alice.get(url(run), {"tab": tab}) for tab in ("changes", "issues", "invalid")}
    pages["waiting"] = alice.get(url(received(feed, feed_of(item("later")))))
    pages["upload"] = alice.get(UPLOAD)
    pages["refused"] = upload(alice, b"<html>", feed=feed.pk, mode="update")
    ours = f"//div[{with_class('run')}]|//form[{with_class('upload')}]"
    return {name: tree(page).xpath(ours)[0] for name, page in pages.items()}


@pytest.mark.django_db
def test_the_pages_hold_to_what_assistive_technology_needs(parts: dict[str, Any]) -> None:
    for name, part in parts.items():
        ids = Counter(part.xpath(".//@id"))
        assert not [one for one, count in ids.items() if count > 1], name
        assert not part.xpath(".//img[not(@alt)]"), name
        assert not part.xpath(".//th[not(@scope)]"), name
        assert not part.xpath(".//progress[not(@aria-label)]|.//nav[not(@aria-label)]"), name
        assert all(text_of(control) for control in part.xpath(".//button|.//a|.//summary")), name
        labelled = set(part.xpath(".//label/@for"))
        fields = part.xpath(".//select|.//textarea|.//input[not(@type='hidden')]")
        assert all(field.get("aria-label") or field.get("id") in labelled for field in fields), name


@pytest.mark.django_db
def test_what_changes_by_itself_is_announced_but_not_every_second(parts: dict[str, Any]) -> None:
    (spoken,) = parts["waiting"].xpath(".//*[@aria-live='polite']")
    assert not spoken.xpath("ancestor-or-self::*[@hx-get]|.//*[@hx-get]")


@pytest.mark.django_db
def test_every_page_has_one_title(parts: dict[str, Any]) -> None:
    assert {name: len(part.xpath(".//h1")) for name, part in parts.items()} == dict.fromkeys(parts, 1)


def test_an_issue_whose_code_is_gone_is_shown_by_its_name() -> None:
    issue = RunIssue(code="gone.code", severity="warning")
    assert (issue.title, issue.advice) == ("gone.code", "")
