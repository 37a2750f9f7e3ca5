"""Plans that wait: who is told, whom they wait for, and asking somebody by name."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from catalog.errors import NotAllowed, NotPossible
from catalog.imports.ask import NOTE_CHARS, ask
from catalog.imports.confirm import REVIEW_TIME, go_on
from catalog.imports.reports.digest import find_failures
from catalog.models import Feed, ImportRun
from catalog.tests import pages
from catalog.tests.factories import discarded, execute, item, person, planned
from catalog.tests.pages import messages, staff, texts, tree, url
from notifications.digests import send_due
from notifications.models import Message, Preference
from notifications.subscriptions import decline_message

pytestmark = pytest.mark.django_db


def told(name: str = "import_needs_review") -> list[str]:
    return sorted(Message.objects.filter(name=name).values_list("address", flat=True))


@pytest.fixture
def plan(feed: Feed) -> ImportRun:
    """What Ida uploaded, who may not confirm it; Alice and Mona may."""
    for name in ("alice", "bob", "charlie", "mona"):
        staff(name)
    return planned(feed, item("1"), by=staff("ida"))


def ages(run: ImportRun, by: timedelta) -> None:
    run.planned_at = timezone.now() - by
    run.save(update_fields=["planned_at"])


# --- who is told ------------------------------------------------------------------------------------------
def test_who_may_confirm_is_told_once_that_a_plan_waits(plan: ImportRun) -> None:
    for _ in range(3):
        go_on(plan)
    assert told() == ["alice@example.com", "ida@example.com", "mona@example.com"]
    message = Message.objects.filter(name="import_needs_review").first()
    assert message
    assert "Waits for: alice, mona." in message.text
    assert "Waits for: alice, mona." in message.html


def test_who_has_it_on_the_screen_and_may_confirm_it_has_some_minutes_first(feed: Feed) -> None:
    run = planned(feed, item("1"), by=staff("alice"))
    go_on(run)
    assert told() == []
    ages(run, REVIEW_TIME)
    go_on(run)
    assert told() == ["alice@example.com"]


@pytest.mark.parametrize("change", [{"is_active": False}, {"is_staff": False}])
def test_nobody_waits_for_an_uploader_who_cannot_confirm_it_any_more(feed: Feed, change: dict[str, Any]) -> None:
    staff("mona")
    run = planned(feed, item("1"), by=staff("alice"))
    User.objects.filter(username="alice").update(**change)
    go_on(ImportRun.objects.get(pk=run.pk))
    assert "mona@example.com" in told()


def test_nobody_gets_what_they_declined(plan: ImportRun) -> None:
    decline_message(staff("mona"), "import_needs_review")
    go_on(plan)
    assert told() == ["alice@example.com", "ida@example.com"]


@pytest.mark.parametrize(
    ("name", "offered", "chosen"),
    [
        ("bob", 8, set()),
        ("ida", 8, set()),
        ("alice", 9, {"import_failed", "import_needs_review", "import_asked"}),
        ("mona", 9, {"import_failed", "import_needs_review", "import_asked", "feed_failing", "feed_recovered"}),
    ],
)
def test_each_role_starts_with_what_it_can_act_on(name: str, offered: int, chosen: set[str]) -> None:
    boxes = tree(pages.browser(name).get("/admin/my-mail/")).xpath("//input[@name='messages']")
    assert len(boxes) == offered
    assert {box.get("value") for box in boxes if box.get("checked") is not None} - {"file_refused"} == chosen


# --- on the page ------------------------------------------------------------------------------------------
def waits(client: Client, run: ImportRun) -> str:
    return " ".join(texts(client.get(url(run)), "//p[starts-with(normalize-space(), 'Waits for') or strong]"))


def test_the_plan_says_whom_it_waits_for(plan: ImportRun) -> None:
    assert waits(pages.browser("bob"), plan).startswith("Waits for: alice, mona. The plan was made")
    User.objects.filter(username__in=["alice", "mona"]).update(is_active=False)
    assert waits(pages.browser("bob"), plan).startswith("Nobody may confirm imports.")
    assert not tree(pages.browser("ida").get(url(plan))).xpath("//select[@name='whom']")


def test_the_menu_counts_the_plans_that_wait(plan: ImportRun, feed: Feed) -> None:
    badge = "//*[contains(concat(' ', @class, ' '), ' badge ')]"
    planned(feed, item("2"))
    assert texts(pages.browser("bob").get("/admin/"), badge) == ["2 waiting"]
    assert texts(pages.browser("charlie").get("/admin/"), badge) == []
    execute(plan)
    assert texts(pages.browser("bob").get("/admin/"), badge) == ["1 waiting"]
    ImportRun.objects.update(status="discarded")
    assert texts(pages.browser("bob").get("/admin/"), badge) == []


# --- asking -----------------------------------------------------------------------------------------------
def test_somebody_is_asked_by_name_with_a_note_that_stays_with_the_plan(plan: ImportRun) -> None:
    ida = pages.browser("ida")
    page = ida.post(url(plan, "ask"), {"whom": "alice", "note": " The sale\n<b>starts</b> on Friday "}, follow=True)
    assert messages(page) == ["alice gets an e-mail."]
    message = Message.objects.get(name="import_asked")
    assert message.address == "alice@example.com"
    assert message.subject == f"[Catalogue] ida asks you to review {plan}: would be +1"
    assert "“The sale <b>starts</b> on Friday”" in message.text
    assert "<b>starts" not in message.html
    said = " ".join(texts(pages.browser("bob").get(url(plan)), "//p"))
    assert "ida asked alice" in said
    assert "“The sale <b>starts</b> on Friday”" in said


def test_nobody_is_asked_twice_by_one_person(plan: ImportRun) -> None:
    ida, mona = staff("ida"), staff("mona")
    ask(plan, whom="alice", note="", by=ida)
    with pytest.raises(NotPossible, match="You have asked alice already"):
        ask(plan, whom="alice", note="", by=ida)
    ask(plan, whom="alice", note="x" * 9_999, by=mona)
    plan.refresh_from_db()
    assert [(each["by"], len(each["note"])) for each in plan.asked] == [("ida", 0), ("mona", NOTE_CHARS)]
    assert told("import_asked") == ["alice@example.com"] * 2


@pytest.mark.parametrize("whom", ["ida", "bob", "nobody", "", "alice "])
def test_only_who_may_confirm_can_be_asked(plan: ImportRun, whom: str) -> None:
    with pytest.raises(NotPossible, match="Choose somebody else"):
        ask(plan, whom=whom, note="", by=staff("ida"))
    assert told("import_asked") == []


def test_who_declined_such_mails_is_not_asked(plan: ImportRun) -> None:
    decline_message(staff("alice"), "import_asked")
    with pytest.raises(NotPossible, match="declined such e-mails"):
        ask(plan, whom="alice", note="", by=staff("ida"))


def test_nobody_asks_about_a_plan_that_waits_no_longer(plan: ImportRun) -> None:
    discarded(plan)
    with pytest.raises(NotPossible, match="waits for nobody"):
        ask(plan, whom="alice", note="", by=staff("ida"))


def test_who_may_only_look_asks_nobody(plan: ImportRun) -> None:
    with pytest.raises(NotAllowed):
        ask(plan, whom="alice", note="", by=person("vera", "view_importrun"))
    assert pages.browser("bob").post(url(plan, "ask"), {"whom": "alice"}).status_code == 403
    assert not tree(pages.browser("bob").get(url(plan))).xpath("//select[@name='whom']")


# --- the digest -------------------------------------------------------------------------------------------
def test_waiting_plans_stand_in_every_digest_until_they_wait_no_longer(plan: ImportRun) -> None:
    ages(plan, timedelta(days=3))
    now = timezone.now()
    for since in (now - timedelta(days=9), now - timedelta(days=1)):
        assert [each["run"] for each in find_failures(since, now)["waiting"].shown] == [plan]
    assert not find_failures(now - timedelta(days=9), now - timedelta(days=4))["waiting"]
    execute(plan)
    assert not find_failures(now - timedelta(days=9), now)["waiting"]


def test_a_plan_stands_once_in_a_digest_that_says_why_it_is_held(plan: ImportRun) -> None:
    ImportRun.objects.update(holds=[{"code": "guard.archived", "message": "Much."}])
    ages(plan, timedelta(days=3))
    now = timezone.now()
    first = find_failures(now - timedelta(days=9), now)
    assert (len(first["held"]), len(first["waiting"])) == (1, 0)
    second = find_failures(now - timedelta(days=1), now)
    assert (len(second["held"]), len(second["waiting"])) == (0, 1)


def test_the_digest_says_how_long_a_plan_waits(plan: ImportRun) -> None:
    ages(plan, timedelta(days=3, hours=1))
    User.objects.create_superuser("root", "root@example.com", date_joined=timezone.now() - timedelta(days=5))
    assert send_due(timezone.now()) == 1
    message = Message.objects.get(name="failure_digest")
    assert "1 waiting" in message.subject
    for part in (message.text, message.html):
        assert re.search(r"waits for [23](\xa0|&nbsp;)days", part)
    assert Preference.objects.get(person__username="root").digest == "daily"
