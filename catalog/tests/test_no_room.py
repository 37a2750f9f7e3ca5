"""A server that cannot keep a file says so, and keeps nothing of it."""

import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile

from accounts.models import User
from catalog.errors import NotStored
from catalog.imports.receive import receive
from catalog.models import Feed, ImportRun
from catalog.tests import api, pages
from catalog.tests.factories import feed_of, item

BIG = feed_of(item("1", description="x" * 3_000_000))  # more than a form keeps in memory
NO_ROOM = "The server has no room left for the file. Nothing was imported."
CONTENT = feed_of(item("1"))


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uploads on their way go where the kernel has no room for anything."""
    monkeypatch.setattr("catalog.upload_handler.tempfile.TemporaryFile", lambda **_: Path("/dev/full").open("w+b"))  # noqa: SIM115


@pytest.fixture
def ten_megabytes() -> Iterator[None]:
    """No file of this process may become larger."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_the_api_says_that_an_upload_found_no_room_on_its_way(feed: Feed, alice: User, full_disk: None) -> None:
    response = api.upload(api.client(alice), BIG)
    assert response.status_code == 507
    assert response.json()["detail"].startswith(NO_ROOM)
    assert not ImportRun.objects.exists()


def test_the_form_says_that_an_upload_found_no_room_on_its_way(feed: Feed, full_disk: None) -> None:
    response = pages.upload(pages.browser("ida"), BIG, feed=feed.pk, mode="sync")
    assert response.status_code == 200
    assert NO_ROOM in response.content.decode()
    assert not ImportRun.objects.exists()


def test_who_needs_no_room_on_the_way_uploads_meanwhile(feed: Feed, full_disk: None) -> None:
    assert pages.upload(pages.browser("ida"), CONTENT, feed=feed.pk, mode="sync").status_code == 302


def test_what_found_no_room_where_it_is_kept_leaves_nothing(feed: Feed, storage: Path, ten_megabytes: None) -> None:
    huge = feed_of(item("1", description="x" * 20_000_000))
    with pytest.raises(NotStored, match="cannot store the file: File too large"):
        receive(ContentFile(huge, "huge.xml"), feed=feed)
    assert [path for path in storage.rglob("*") if path.is_file()] == []
    assert receive(ContentFile(CONTENT, "small.xml"), feed=feed)


def test_a_storage_that_takes_nothing_is_named(feed: Feed, alice: User, settings: Any) -> None:
    settings.MEDIA_ROOT = "/proc/nowhere"
    response = api.upload(api.client(alice), CONTENT)
    assert response.status_code == 507
    assert response.json()["detail"].startswith("The server cannot store the file: ")
    assert not ImportRun.objects.exists()
