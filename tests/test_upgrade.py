"""An upgrade while imports go on: the release before works on the new schema until its workers are replaced."""

import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile

import devservers
from catalog.imports.confirm import confirm
from catalog.imports.receive import receive
from catalog.imports.undo import request_undo
from catalog.models import Feed, ImportRun, Product, Status
from catalog.tests.factories import feed_of, item, person
from devservers import BASE_DIR
from tests.workers import arrives, running


def release_before() -> str:
    """The tag of the last release before what is checked out; `""` where there is none, or no repository."""
    command = ["/usr/bin/env", "git", "-C", str(BASE_DIR), "describe", "--tags", "--abbrev=0", "HEAD^"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """A folder with that release."""
    if not (tag := release_before()):
        pytest.skip("There is no release before this one: no tag is in this repository.")
    archive, folder = tmp_path / "before.tar", tmp_path / "before"
    command = ["/usr/bin/env", "git", "-C", str(BASE_DIR), "archive", f"--output={archive}", tag]
    subprocess.run(command, check=True)
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder


@pytest.mark.django_db(transaction=True)
def test_workers_of_the_release_before_go_on_with_the_new_schema(
    queue: str, before: Path, feed: Feed, settings: Any, tmp_path: Path
) -> None:
    """They read, apply and undo what the new release received; what they left, the new workers finish."""
    alice = person("alice", "add_importrun", "confirm_importrun", "undo_importrun")

    def received(number: int) -> ImportRun:
        return receive(ContentFile(feed_of(item(f"{number}"), item("all")), "feed.xml"), feed=feed, by=alice)

    def confirmed(run: ImportRun) -> ImportRun:
        planned = arrives(run, Status.REVIEW)
        confirm(planned, plan_hash=planned.plan_hash, by=alice)
        return planned

    old: dict[str, Any] = {"log": tmp_path / "old.log", "folder": before, "EMBEDDED_DIR": str(devservers.STATE)}
    with running(queue, settings, "-c", "1", **old):
        first, second = received(1), received(2)
        arrives(confirmed(first), Status.APPLIED)
        request_undo(first, by=alice)
        arrives(first, Status.UNDONE)
        arrives(second, Status.REVIEW)
    waiting = received(3)
    with running(queue, settings, "-c", "1", log=tmp_path / "new.log"):
        for run in (second, waiting):
            arrives(confirmed(run), Status.APPLIED)
    assert {*Product.objects.filter(archived_at=None).values_list("id", flat=True)} == {"2", "3", "all"}
