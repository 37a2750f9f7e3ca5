"""A refused file leaves a trace, whichever way it came: a row, a number in the digest, and a mail now and then."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.test.client import MULTIPART_CONTENT
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from catalog.errors import FeedRefused, NotAllowed, QuotaReached
from catalog.imports import refused
from catalog.imports.receive import receive
from catalog.imports.refused import readable_start
from catalog.imports.reports.digest import find_failures
from catalog.imports.retention import forget_old
from catalog.models import Feed, ImportRun, RefusedFile, UploadKey
from catalog.tests import api, pages
from catalog.tests.factories import feed_of, item
from notifications.models import Message
from notifications.subscriptions import decline_message, preference_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage")]

HTML = b"<!DOCTYPE html>\n<title>Log in</title>"


@pytest.fixture
def root() -> User:
    """A superuser, who wants to know of failures."""
    return User.objects.create_superuser("root", "root@example.com")


@pytest.fixture
def ida(feed: Feed) -> User:
    return pages.staff("ida")


def refuse(feed: Feed, by: User | None, content: bytes = HTML, name: str = "feed.xml") -> RefusedFile | None:
    """What stays of such a file, which is refused."""
    with pytest.raises(FeedRefused):
        receive(ContentFile(content, name=name), feed=feed, by=by)
    return RefusedFile.objects.first()


def mails() -> list[Message]:
    return list(Message.objects.filter(name="file_refused").order_by("told_at"))


# --- the row ------------------------------------------------------------------------------------------
def by_api(content: bytes, tmp_path: Path) -> None:
    assert api.upload(api.client(User.objects.get(username="ida")), content, name="rubbish.xml").status_code == 400


def by_api_with_a_key(content: bytes, tmp_path: Path) -> None:
    user = User.objects.get(username="ida")
    answer = api.upload(api.client(user), content, name="rubbish.xml", headers={"Idempotency-Key": "monday"})
    assert (answer.status_code, UploadKey.objects.count()) == (400, 0)


def by_form(content: bytes, tmp_path: Path) -> None:
    feed = Feed.objects.get(slug="ounass").pk
    assert pages.upload(pages.browser("ida"), content, "rubbish.xml", feed=feed, mode="update").status_code == 200


def by_shell(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "rubbish.xml").write_bytes(content)
    with pytest.raises(CommandError):
        call_command("import_feed", str(tmp_path / "rubbish.xml"))


@pytest.mark.parametrize(
    "content",
    [HTML, b"", b"\x89PNG\r\n\x1a\n\0\0", gzip.compress(HTML)],
    ids=["page", "nothing", "picture", "packed page"],
)
@pytest.mark.parametrize(
    ("upload", "slug", "name"),
    [(by_api, "api", "ida"), (by_api_with_a_key, "api", "ida"), (by_form, "ounass", "ida"), (by_shell, "main", None)],
)
def test_a_refused_file_leaves_a_row_whichever_way_it_came(
    ida: User, tmp_path: Path, upload: Callable[..., None], slug: str, name: str | None, content: bytes
) -> None:
    upload(content, tmp_path)
    (row,) = RefusedFile.objects.all()
    assert (row.feed and row.feed.slug, row.uploaded_by and row.uploaded_by.username) == (slug, name)
    assert (row.file_name, row.file_size, row.code[:5]) == ("rubbish.xml", len(content), "feed.")
    assert row.sentence.endswith(".")
    assert not ImportRun.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_row_survives_the_transaction_of_an_upload_with_a_key(ida: User, tmp_path: Path) -> None:
    by_api_with_a_key(HTML, tmp_path)
    assert RefusedFile.objects.get().code == "feed.html_page"


def test_the_shells_answer_has_no_id(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "page.xml").write_bytes(HTML)
    with pytest.raises(CommandError):
        call_command("import_feed", str(tmp_path / "page.xml"), "--json")
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["id"] is None
    assert RefusedFile.objects.count() == 1


def test_a_part_that_would_sync_and_a_file_that_is_too_large_leave_rows(ida: User, feed: Feed, settings: Any) -> None:
    settings.FEED_MAX_BYTES = 300
    with pytest.raises(FeedRefused):
        receive(ContentFile(feed_of(item("1", title="x" * 300))), feed=feed, by=ida)
    assert RefusedFile.objects.get().code == "feed.too_large"


def length_only(client: Any, path: str, size: int) -> Any:
    """Say that so many bytes come, and send none: whoever reads them waits for ever."""
    return client.generic("POST", path, b"", content_type=MULTIPART_CONTENT, CONTENT_LENGTH=str(size))


@pytest.mark.parametrize("setting", ["FEED_MAX_BYTES", "UPLOAD_MAX_BYTES_PER_DAY"])
@pytest.mark.parametrize("through", ["the API", "the form"])
def test_a_body_refused_by_its_length_leaves_a_row_of_its_account(
    ida: User, root: User, settings: Any, through: str, setting: str
) -> None:
    setattr(settings, setting, 1000)
    client, path = (pages.browser("ida"), pages.UPLOAD) if through == "the form" else (api.client(ida), api.UPLOAD)
    assert length_only(client, path, 700_000).status_code == 413
    row = RefusedFile.objects.get()
    assert (row.uploaded_by, row.feed, row.file_name, row.start) == (ida, None, "(not read)", "")
    assert 600_000 < row.file_size <= 700_000, "the least that the file has"
    assert (row.code, setting in row.sentence) == ("feed.too_large", True)
    assert [mail.recipient for mail in mails()] == [root]
    assert "(not read)" in pages.browser("alice").get(reverse("admin:catalog_refusedfile_changelist")).content.decode()


def test_a_file_refused_on_its_way_leaves_a_row_with_its_name(ida: User, settings: Any) -> None:
    settings.FEED_MAX_BYTES = 1000
    assert api.upload(api.client(ida), b"x" * 5000, name="../big.xml").status_code == 413
    row = RefusedFile.objects.get()
    assert (row.uploaded_by, row.file_name, row.code) == (ida, "big.xml", "feed.too_large")


def test_a_stranger_s_body_leaves_no_row(db: None, settings: Any) -> None:
    settings.FEED_MAX_BYTES = 1000
    assert length_only(APIClient(), api.UPLOAD, 700_000).status_code == 401
    assert length_only(pages.browser("bob"), pages.UPLOAD, 700_000).status_code == 403
    assert not RefusedFile.objects.exists()


def test_a_row_is_bounded_and_safe_to_show(ida: User, feed: Feed) -> None:
    row = refuse(feed, ida, b"<html>" + "\u202e\0\x1b[31m".encode() * 200, name="a\nb" * 300 + "\u202e.xml")
    assert row
    assert len(row.start.encode()) <= 600
    assert len(row.file_name) == 200
    assert row.start.replace("\n", "").isprintable()
    assert row.file_name.isprintable()


@pytest.mark.parametrize(
    ("start", "text"),
    [
        (b"\xef\xbb\xbf<html>\r\n\tHi", "<html>\n Hi"),
        ("<html>é".encode("utf-16"), "<html>é"),
        (b"caf\xe9 \x00\x7f", "caf· ··"),
        ("عطر".encode()[:-1], "عط·"),
    ],
)
def test_the_first_bytes_are_shown_as_text(start: bytes, text: str) -> None:
    assert readable_start(start) == text


def test_nothing_stays_of_a_file_of_somebody_who_may_not_upload(feed: Feed, root: User) -> None:
    bob = pages.staff("bob")
    with pytest.raises(NotAllowed):
        receive(ContentFile(HTML), feed=feed, by=bob)
    api.upload(api.client(bob), HTML, feed="ounass")
    pages.upload(pages.browser("bob"), HTML, feed=feed.pk, mode="update")
    assert not RefusedFile.objects.exists()
    assert not mails()


def test_a_file_over_the_quota_is_not_a_refused_file(feed: Feed, ida: User, settings: Any) -> None:
    settings.UPLOAD_MAX_OPEN = 1
    receive(ContentFile(feed_of(item("1"))), feed=feed, by=ida)
    with pytest.raises(QuotaReached):
        receive(ContentFile(HTML), feed=feed, by=ida)
    assert not RefusedFile.objects.exists()


def test_the_refusal_is_answered_even_if_it_cannot_be_recorded(
    feed: Feed, ida: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refused, "readable_start", lambda start: 1 / 0)
    assert refuse(feed, ida) is None


def test_many_files_of_one_person_are_few_rows_and_all_counted(
    feed: Feed, ida: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refused, "ROWS_PER_PERSON", 3)
    for _ in range(8):
        refuse(feed, ida)
    refuse(feed, pages.staff("mona"))
    assert list(RefusedFile.objects.filter(uploaded_by=ida).values_list("more", flat=True)) == [5, 0, 0]
    assert RefusedFile.objects.count() == 4


def test_old_rows_go_with_the_files(feed: Feed, ida: User, settings: Any) -> None:
    for days in (91, 89):
        refuse(feed, ida)
        newest = RefusedFile.objects.filter(pk=RefusedFile.objects.values("pk")[:1])
        newest.update(refused_at=timezone.now() - timedelta(days=days))
    assert forget_old()["refused files"] == 1
    assert RefusedFile.objects.count() == 1
    settings.RETENTION_FILES_DAYS = 0
    RefusedFile.objects.update(refused_at=datetime(2000, 1, 1, tzinfo=UTC))
    assert forget_old()["refused files"] == 0


# --- the mail -----------------------------------------------------------------------------------------
def test_a_hundred_refusals_of_one_person_are_one_mail(feed: Feed, ida: User, root: User) -> None:
    for _ in range(100):
        refuse(feed, ida)
    refuse(feed, pages.staff("mona"), name="other.xml")
    first, of_other = mails()
    assert (first.recipient, first.subject) == (root, "[Catalogue] Refused: feed.xml of ida, nothing was imported")
    assert "other.xml of mona" in of_other.subject
    for part in (first.text, first.html):
        assert "The file is an HTML page" in part
        assert reverse("admin:catalog_refusedfile_changelist") in part
    assert "<!DOCTYPE html> <title>Log in</title>" in first.text
    assert "&lt;title&gt;Log in" in first.html
    assert first.last_error == ""


def test_an_hour_later_the_next_mail_counts_the_others(feed: Feed, ida: User, root: User) -> None:
    for _ in range(4):
        refuse(feed, ida)
    RefusedFile.objects.update(refused_at=timezone.now() - timedelta(minutes=61))
    refuse(feed, ida)
    _first, second = mails()
    assert "3 more files of ida were refused since the last mail" in " ".join(second.text.split())


def test_whoever_wants_failures_gets_it_until_they_choose(feed: Feed, ida: User) -> None:
    mona, alice = pages.staff("mona"), pages.staff("alice")
    for user, choices in ((mona, {"import_failed": True}), (alice, {"import_failed": True, "file_refused": False})):
        preference = preference_of(user)
        preference.choices = choices
        preference.save()
    refuse(feed, ida)
    assert [mail.recipient for mail in mails()] == [mona]


def test_who_declined_or_may_not_see_imports_gets_none(feed: Feed, ida: User, root: User) -> None:
    decline_message(root, "file_refused")
    charlie = pages.staff("charlie")
    preference = preference_of(charlie)
    preference.choices = {"file_refused": True}
    preference.save()
    refuse(feed, ida)
    assert not mails()
    assert not RefusedFile.objects.get().was_mailed


# --- the digest ---------------------------------------------------------------------------------------
def test_the_digest_counts_each_refused_file_once(feed: Feed, ida: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refused, "ROWS_PER_PERSON", 2)
    for _ in range(5):
        refuse(feed, ida, name="monday.csv")
    now = timezone.now()
    found = find_failures(now - timedelta(days=1), now + timedelta(seconds=1))["refused_files"]
    assert (len(found), found.more, found.shown[0]["file"], found.shown[0]["by"]) == (5, 3, "monday.csv", "ida")
    assert not find_failures(now - timedelta(days=2), now - timedelta(days=1))["refused_files"]


# --- the list -----------------------------------------------------------------------------------------
LIST = reverse("admin:catalog_refusedfile_changelist")


def test_the_list_of_imports_leads_to_the_refused_files(feed: Feed, ida: User) -> None:
    row = refuse(feed, ida, b"<html><script>alert(1)</script>")
    assert row
    bob = pages.browser("bob")
    assert pages.texts(bob.get(pages.RUNS), "//nav[@class='tabs']/a") == ["Imports", "Refused files 1"]
    shown = pages.text_of(pages.tree(bob.get(LIST)).get_element_by_id("result_list"))
    for part in ("Ounass", "ida", "feed.xml", "31", "The file is an HTML page", "<html><script>alert(1)</script>"):
        assert part in shown
    page = bob.get(reverse("admin:catalog_refusedfile_change", args=[row.pk]))
    assert pages.texts(page, "//pre[@class='start']") == ["<html><script>alert(1)</script>"]


def test_the_list_is_for_people_who_may_look_at_imports(feed: Feed, ida: User) -> None:
    row = refuse(feed, ida)
    assert row
    for address in (LIST, reverse("admin:catalog_refusedfile_change", args=[row.pk])):
        assert pages.browser("charlie").get(address).status_code == 403


def test_nobody_changes_the_list(feed: Feed, ida: User, admin_client: Any) -> None:
    row = refuse(feed, ida)
    assert row
    for page in ("change", "delete"):
        address = reverse(f"admin:catalog_refusedfile_{page}", args=[row.pk])
        assert admin_client.post(address, {"file_name": "x"}).status_code == 403
    assert admin_client.post(reverse("admin:catalog_refusedfile_add"), {}).status_code == 403


def test_a_list_of_many_costs_the_same_queries(feed: Feed, ida: User, django_assert_max_num_queries: Any) -> None:
    for _ in range(10):
        refuse(feed, ida)
    bob = pages.browser("bob")
    with django_assert_max_num_queries(12):
        assert bob.get(LIST).status_code == 200
