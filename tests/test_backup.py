"""A backup is made while people work, and everything comes back from it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from catalog.imports.apply import apply
from catalog.imports.confirm import confirm
from catalog.imports.local import stage_locally
from catalog.imports.undo import request_undo, undo
from catalog.models import CatalogState, Feed, ImportRun, Product, Status
from catalog.tests.factories import applied, at_once, catalogue, feed_of, item, person, planned, received
from config import backup
from config.backup import make_backup, restore_backup

pytestmark = pytest.mark.django_db(transaction=True)


def lose_everything(settings: Any) -> None:
    """The database's tables and the storage."""
    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    shutil.rmtree(settings.MEDIA_ROOT)


def quiet(_line: str) -> None:
    """Nobody watches."""


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "backup"


def test_a_system_that_has_lost_everything_goes_on_where_it_was(feed: Feed, kept: Path, settings: Any) -> None:
    alice = person("alice", "add_importrun", "confirm_importrun", "undo_importrun")
    first = applied(feed, item("1"), item("2", title="Coat"))
    waiting = planned(feed, item("1", title="Scarf"), item("3"), by=alice)
    late: list[ImportRun] = []

    def upload_meanwhile(line: str) -> None:
        if line.startswith("Dumping"):
            late.append(received(feed, feed_of(item("4")), by=alice))

    make_backup(kept, upload_meanwhile)
    before, version = catalogue(), CatalogState.objects.get().version
    lose_everything(settings)

    assert restore_backup(kept, quiet, replace=True) == []
    assert catalogue() == before
    state = CatalogState.objects.get()
    assert state.version > version + 100_000  # an old answer's tag does not come again
    assert state.known_since == state.version  # what was lost changed products, too
    run = ImportRun.objects.get(pk=waiting.pk)
    assert (run.status, run.plan_hash) == (Status.REVIEW, waiting.plan_hash)
    confirm(run, plan_hash=run.plan_hash, by=alice)
    apply(run)
    assert {*Product.objects.values_list("id", "title")} >= {("1", "Scarf"), ("2", "Coat")}
    request_undo(run, by=alice)
    undo(run)
    assert Product.objects.get(id="1").title != "Scarf"
    stage_locally(late[0])  # its file came after the first look at the files
    assert ImportRun.objects.get(pk=late[0].pk).status != Status.FAILED
    with ImportRun.objects.get(pk=first.pk).file.open() as file:
        assert file.read() == feed_of(item("1"), item("2", title="Coat"))
    make_backup(kept.with_name("next"), quiet)
    restore_backup(kept.with_name("next"), quiet, replace=True)


def test_what_is_there_is_lost_only_if_somebody_says_so(feed: Feed, kept: Path, settings: Any) -> None:
    applied(feed, item("1"))
    call_command("backup", kept)
    applied(feed, item("2"))
    with pytest.raises(CommandError, match="The database has data"):
        call_command("restore", kept)
    assert Product.objects.count() == 2
    settings.SECRET_KEY = "another one, with which no session can be read"
    call_command("restore", kept, replace=True)
    assert Product.objects.count() == 1


def test_other_keys_are_named_with_what_they_cost(kept: Path, settings: Any, feed: Feed) -> None:
    settings.FEED_CREDENTIAL_KEYS = ["of the year before"]
    make_backup(kept, quiet)
    settings.FEED_CREDENTIAL_KEYS = ["new", "of the year before"]
    assert restore_backup(kept, quiet, replace=True) == []
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "new"
    assert restore_backup(kept, quiet, replace=True) == []
    settings.FEED_CREDENTIAL_KEYS, settings.SECRET_KEY_FALLBACKS = ["new"], []
    said = restore_backup(kept, quiet, replace=True)
    assert [line.split(" is another one")[0] for line in said] == ["DJANGO_SECRET_KEY", "FEED_CREDENTIAL_KEYS"]
    assert "of the year before" not in (kept / "backup.json").read_text()


def break_dump(folder: Path) -> None:
    (folder / "database.dump").write_bytes((folder / "database.dump").read_bytes()[:-1])


def lose_file(folder: Path) -> None:
    next(path for path in (folder / "files").rglob("*") if path.is_file()).unlink()


def lose_about(folder: Path) -> None:
    (folder / "backup.json").unlink()


def come_from_later(folder: Path) -> None:
    about = json.loads((folder / "backup.json").read_text())
    about["migrations"].append("catalog.9999_of_next_year")
    (folder / "backup.json").write_text(json.dumps(about))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (break_dump, "changed or damaged"),
        (lose_file, "has 0 files, which are not the 1 that were written"),
        (lose_about, "not a complete backup"),
        (come_from_later, "does not know catalog.9999_of_next_year"),
    ],
)
def test_a_backup_that_cannot_be_trusted_is_refused_before_anything_is_lost(
    spoil: Any, sentence: str, feed: Feed, kept: Path
) -> None:
    applied(feed, item("1"))
    make_backup(kept, quiet)
    spoil(kept)
    with pytest.raises(CommandError, match=sentence):
        call_command("restore", kept, replace=True)
    assert Product.objects.count() == 1


def test_nobody_else_may_work_while_it_is_restored(kept: Path) -> None:
    make_backup(kept, quiet)

    def restore() -> None:
        call_command("restore", kept, replace=True)

    (error,) = at_once(restore)  # this test's own connection is the other one
    assert isinstance(error, CommandError)
    assert "Stop web, workers and beat first" in str(error)


def test_an_unfinished_backup_has_no_name(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.mkdir()
    with pytest.raises(CommandError, match="is there already"):
        call_command("backup", kept)
    with pytest.raises(CommandError, match="could not be written"):
        call_command("backup", Path("/proc/backup"))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(backup, "offer_client_programs", lambda: None)
    with pytest.raises(CommandError, match="There is no pg_dump of PostgreSQL"):
        call_command("backup", kept / "next")
    assert [*kept.iterdir()] == []
