"""The reference page is the tables."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from catalog.feeds import reference
from catalog.feeds.attributes import ATTRIBUTES
from catalog.feeds.issues import CODES
from catalog.models import Feed
from catalog.tests.pages import RUNS, browser, tree

PAGE = Path(settings.BASE_DIR) / "docs" / "reference.md"
ADDRESS = "/admin/catalog/importrun/reference/"


def test_the_documentation_is_what_the_tables_say() -> None:
    """When it fails: `python -m catalog.feeds.reference > docs/reference.md`."""
    assert PAGE.read_text() == reference.as_markdown()


def test_every_attribute_and_every_code_is_on_the_page() -> None:
    names = re.findall(r"^\| `([^`]+)`", PAGE.read_text(), re.MULTILINE)
    assert sorted(names) == sorted([a.name for a in ATTRIBUTES] + [code.name for code in CODES])


def test_every_line_of_a_table_has_its_cells() -> None:
    for line in PAGE.read_text().splitlines():
        if line.startswith("| `"):
            assert line.count("|") in (8, 5), line


@pytest.mark.django_db
def test_the_admins_page_has_an_anchor_for_each(feed: Feed) -> None:
    ids = set(tree(browser("bob").get(ADDRESS)).xpath("//tr/@id"))
    assert ids == {code.name for code in CODES} | {f"attribute-{a.name}" for a in ATTRIBUTES}


@pytest.mark.django_db
def test_it_is_for_those_who_may_see_imports(feed: Feed) -> None:
    answers = {name: browser(name).get(ADDRESS).status_code for name in ("bob", "ida", "alice", "charlie")}
    assert answers == {"bob": 200, "ida": 200, "alice": 200, "charlie": 403}
    assert Client().get(ADDRESS).status_code == 302


@pytest.mark.django_db
def test_the_sidebar_leads_there_and_lights_one_entry(feed: Feed) -> None:
    for address, lit in ((ADDRESS, "Reference"), (RUNS, "Imports")):
        answer = browser("bob").get(address)
        entries = [entry for group in answer.context["sidebar_navigation"] for entry in group["items"]]
        assert [str(entry["title"]) for entry in entries if entry["active"]] == [lit]
        assert ADDRESS in {str(entry["link"]) for entry in entries}
    assert ADDRESS not in browser("charlie").get("/admin/").content.decode()
