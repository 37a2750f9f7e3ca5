"""Every e-mail that the program sends."""

from pathlib import Path

import pytest

from catalog.models import Feed
from catalog.tests.factories import applied, item
from catalog.tests.pages import browser, staff, texts, tree, url
from devservers import BASE_DIR
from notifications.outbox import tell
from notifications.subscriptions import FAILURE_DIGEST, KINDS, LETTERS, NECESSARY, can_be_stopped

EMAILS = BASE_DIR / "templates" / "emails"
FOLDERS = sorted(path for path in EMAILS.iterdir() if path.is_dir())


def named(folder: Path) -> str:
    return folder.name


def test_every_email_can_be_chosen_or_is_about_one_s_own_account() -> None:
    assert sorted(folder.name for folder in FOLDERS) == sorted([*KINDS, FAILURE_DIGEST, *NECESSARY, *LETTERS])


@pytest.mark.parametrize("folder", FOLDERS, ids=named)
def test_every_email_has_its_three_parts_and_a_way_to_stop_it(folder: Path) -> None:
    assert (folder / "subject.txt").exists()
    has_link = can_be_stopped(folder.name)
    assert ("{% stop_link %}" in (folder / "body.txt").read_text()) == has_link
    assert ("{% block stop %}{% endblock %}" not in (folder / "body.html").read_text()) == has_link


@pytest.mark.parametrize("page", sorted(EMAILS.rglob("*.html")), ids=named)
def test_nothing_in_an_email_goes_unescaped(page: Path) -> None:
    text = page.read_text()
    assert "|safe" not in text
    assert "autoescape off" not in text


# --- from an import to its e-mails --------------------------------------------------------------------
@pytest.mark.django_db
def test_the_page_of_an_import_leads_to_its_emails_and_to_no_others() -> None:
    feed = Feed.objects.create(name="Ounass", slug="ounass")
    run = applied(feed, item("1"))
    for about in (run, f"catalog.importrun:{run.pk}#2", f"catalog.importrun:{run.pk}0"):
        tell([staff("ida")], "import_applied", about, {"run": run})
    (link,) = tree(browser("mona").get(url(run))).xpath("//a[.='E-mails about this']/@href")
    page = browser("mona").get(link)
    assert page.status_code == 200
    assert texts(page, "//td[contains(@class, 'field-address')]") == ["ida@example.com"] * 2


@pytest.mark.django_db
def test_who_may_not_look_at_messages_gets_no_way_to_them() -> None:
    run = applied(Feed.objects.create(name="Ounass", slug="ounass"), item("1"))
    assert not tree(browser("alice").get(url(run))).xpath("//a[.='E-mails about this']")
