"""A backup: the database and the stored files in one folder, consistent with each other, and the way back.

    FOLDER/backup.json      what it is: written last, so that a folder without it is not a backup
    FOLDER/database.dump    PostgreSQL's own format, of one moment
    FOLDER/files/           the stored files, under their names

A stored file never changes, and is there before the row that names it. So the files are copied, then the database is
dumped, then the files that came meanwhile are copied: each file that a dumped row names is there, unless retention
deleted it during the backup.

Neither Valkey's data nor any key is in a backup. What the queue knew is found in the database. Of the keys there are
fingerprints, by which a restore tells what cannot be read or verified with other ones.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.cache import caches
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db import connection, connections
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

from catalog.imports.work.files import stored_names
from devservers.wheels import offer_client_programs

ABOUT, DUMP, FILES = "backup.json", "database.dump", "files"
FORMAT = 1
# Answers that clients and caches keep name a version of the catalogue. No version of before the loss comes again.
VERSIONS_AHEAD = 1_000_000
# What is lost with each key, if the restored system has another one.
KEYS = {
    "DJANGO_SECRET_KEY": (
        "everybody has to log in again, links in mails that were sent are not valid, and no code of an app is right; "
        "name the old one in DJANGO_SECRET_KEY_FALLBACKS"
    ),
    "JWT_SIGNING_KEY": "the API's tokens are no longer valid",
    "FEED_CREDENTIAL_KEYS": "the credentials of feeds' sources cannot be read, and have to be entered again",
}

Say = Callable[[str], None]


class BackupError(Exception):
    """Why a backup was not made or not restored, in a sentence for people."""


# --- making one -----------------------------------------------------------------------------------------
def make_backup(folder: Path, say: Say) -> dict[str, Any]:
    """Write the backup into a folder that is not there yet, and return what `backup.json` says.

    Raises `BackupError`; then nothing has the folder's name.
    """
    if folder.exists():
        raise BackupError(f"{folder} is there already. Name a folder that is not, for example one with the date.")
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        (unfinished / FILES).mkdir(parents=True)
        _copy_files(unfinished / FILES, say)
        at = timezone.now()
        say("Dumping the database …")
        _run([_program("pg_dump"), "--format=custom", "--no-owner", f"--file={unfinished / DUMP}"])
        count, size = _copy_files(unfinished / FILES, say)
        about = {
            "format": FORMAT,
            "made_at": at.isoformat(timespec="seconds"),
            "server": _server_version(),
            "dump_sha256": _hash_of(unfinished / DUMP),
            "files": count,
            "file_bytes": size,
            "migrations": sorted(f"{app}.{name}" for app, name in MigrationLoader(connection).applied_migrations),
            "keys": _fingerprints(),
        }
        (unfinished / ABOUT).write_text(json.dumps(about, indent=2) + "\n")
        os.sync()
        unfinished.rename(folder)
    except OSError as error:
        raise BackupError(f"The backup could not be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return about


def _copy_files(target: Path, say: Say) -> tuple[int, int]:
    """Copy the stored files that are not there yet; return how many there are then, and their bytes."""
    count = total = 0
    for name in stored_names():
        copy = target / name
        try:
            size = default_storage.size(name)
            if not copy.exists() or copy.stat().st_size != size:
                copy.parent.mkdir(parents=True, exist_ok=True)
                with default_storage.open(name) as stored, copy.open("wb") as out:
                    shutil.copyfileobj(stored, out, 1024 * 1024)
        except FileNotFoundError:  # retention was quicker
            copy.unlink(missing_ok=True)
            continue
        count, total = count + 1, total + size
        if count % 1000 == 0:
            say(f"{count:,} files, {total:,} bytes")
    return count, total


# --- the way back ---------------------------------------------------------------------------------------
def restore_backup(folder: Path, say: Say, *, replace: bool) -> list[str]:
    """Put the backup's files and tables where the settings point, migrate them, and return what to know about keys.

    With `replace` the tables that are there are dropped, in the transaction that restores; else there must be no
    people and no products. Raises `BackupError`, and then the tables are as they were.
    """
    about = _read_about(folder)
    _refuse_others()
    if not replace and _has_data():
        raise BackupError("The database has data. Restore into an empty one, or let them be lost with --replace.")
    say("Copying the files …")
    _put_files(folder / FILES)
    say("Restoring the database …")
    _put_tables(folder / DUMP)
    call_command("migrate", verbosity=0, interactive=False)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE catalog_catalogstate SET version = version + %(more)s, known_since = version + %(more)s",
            {"more": VERSIONS_AHEAD},
        )
    caches["default"].clear()  # with the queue of what was lost: what waits is found in the database
    now = _fingerprints()
    return [f"{key} is another one: {lost}." for key, lost in KEYS.items() if not {*about["keys"][key]} <= {*now[key]}]


def _read_about(folder: Path) -> dict[str, Any]:
    try:
        about: dict[str, Any] = json.loads((folder / ABOUT).read_text())
        if about["format"] != FORMAT:
            raise BackupError(f"{folder} has the format {about['format']}, and this release reads {FORMAT}.")
        if about["dump_sha256"] != _hash_of(folder / DUMP):
            raise BackupError(f"{folder / DUMP} is not as it was written: it has been changed or damaged.")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackupError(f"{folder} is not a complete backup: {ABOUT} or {DUMP} is missing or broken.") from error
    found = [path for path in (folder / FILES).rglob("*") if path.is_file()]
    if len(found) != about["files"] or sum(path.stat().st_size for path in found) != about["file_bytes"]:
        raise BackupError(
            f"{folder / FILES} has {len(found):,} files, which are not the {about['files']:,} that were written."
        )
    migrations = MigrationLoader(connection).disk_migrations
    known = {*migrations, *(old for each in migrations.values() for old in each.replaces)}
    if newer := sorted({*about["migrations"]} - {f"{app}.{name}" for app, name in known}):
        raise BackupError(f"The backup is of a newer release: this one does not know {newer[-1]}. Install that one.")
    return about


def _refuse_others() -> None:
    with connection.cursor() as cursor:
        cursor.execute("""
            SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
        """)
        if others := cursor.fetchone()[0]:
            raise BackupError(f"The database is in use by {others} connections. Stop web, workers and beat first.")


def _has_data() -> bool:
    tables = set(connection.introspection.table_names())
    models = [apps.get_model(name) for name in (settings.AUTH_USER_MODEL, "catalog.Product", "catalog.ImportRun")]
    return any(model._meta.db_table in tables and model._default_manager.exists() for model in models)


def _put_files(source: Path) -> None:
    try:
        for path in sorted(path for path in source.rglob("*") if path.is_file()):
            name = path.relative_to(source).as_posix()
            if default_storage.exists(name):
                if default_storage.size(name) == path.stat().st_size:
                    continue
                default_storage.delete(name)
            with path.open("rb") as file:
                default_storage.save(name, File(file))
    except OSError as error:
        raise BackupError(f"The files could not be stored: {error.strerror or error}.") from error


def _put_tables(dump: Path) -> None:
    """Drop what is there and restore the dump in one transaction."""
    connections.close_all()
    restoring = subprocess.Popen(
        [_program("pg_restore"), "--no-owner", "--file=-", str(dump)], stdout=subprocess.PIPE, env=_environment()
    )
    try:
        _run(
            [
                _program("psql"),
                "--quiet",
                "--no-psqlrc",
                "--set=ON_ERROR_STOP=1",
                "--single-transaction",
                "--output=/dev/null",
                "--command=SET client_min_messages = warning; DROP SCHEMA public CASCADE; CREATE SCHEMA public",
                "--file=-",
            ],
            stdin=restoring.stdout,
        )
    finally:
        if restoring.stdout:
            restoring.stdout.close()
        restoring.wait()


# --- PostgreSQL's programs ------------------------------------------------------------------------------
def _program(name: str) -> str:
    """The first such program in the search path that is as new as the server: older ones refuse to work with it."""
    offer_client_programs()
    connection.ensure_connection()
    wanted = connection.cursor().connection.server_version // 10_000
    for folder in os.environ["PATH"].split(os.pathsep):
        if path := shutil.which(name, path=folder):
            version = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
            if (found := re.search(r"\(PostgreSQL\) (\d+)", version)) and int(found[1]) >= wanted:
                return path
    raise BackupError(
        f"There is no {name} of PostgreSQL {wanted} or newer. Install its client programs, for example the package "
        f"postgresql-client-{wanted}."
    )


def _environment() -> dict[str, str]:
    """PostgreSQL's programs learn from here where the database is; nobody sees a password in a list of processes."""
    names = {"dbname": "DATABASE", "host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD"}
    names |= {"sslmode": "SSLMODE", "sslrootcert": "SSLROOTCERT", "sslcert": "SSLCERT", "sslkey": "SSLKEY"}
    parameters = connection.get_connection_params()
    known = {f"PG{names[key]}": str(value) for key, value in parameters.items() if key in names}
    return {**{key: value for key, value in os.environ.items() if not key.startswith("PG")}, **known}


def _run(command: list[str], **options: Any) -> None:
    done = subprocess.run(command, env=_environment(), stderr=subprocess.PIPE, text=True, check=False, **options)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason was given"]
        raise BackupError(f"{Path(command[0]).name} failed: {lines[0]}")


def _server_version() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        return str(cursor.fetchone()[0])


def _hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fingerprints() -> dict[str, list[str]]:
    """By which keys are known again; nobody finds a key from it."""
    keys = {
        "DJANGO_SECRET_KEY": [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS],
        "JWT_SIGNING_KEY": [settings.SIMPLE_JWT["SIGNING_KEY"]],
        "FEED_CREDENTIAL_KEYS": settings.FEED_CREDENTIAL_KEYS,
    }
    return {
        name: [hashlib.sha256(f"backup {name} {key}".encode()).hexdigest()[:16] for key in values]
        for name, values in keys.items()
    }
