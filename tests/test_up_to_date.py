"""A command that needs the tables, before anybody has migrated."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest

import devservers
from catalog.tests.factories import feed_of, item
from devservers.processes import processes_of

EMPTY = "app_that_nobody_migrated"


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`manage.py` with these variables and none of the suite's own."""
    taken = {"DATABASE_URL", "DJANGO_SETTINGS_MODULE"}
    kept = {name: value for name, value in os.environ.items() if name not in taken}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=devservers.BASE_DIR,
        env={**kept, "PYTHONWARNINGS": "ignore", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def empty_database() -> Iterator[str]:
    """The address of a database without a table, on the suite's server."""
    server = os.environ.get("DATABASE_URL") or devservers.database_url()
    connection = psycopg2.connect(server)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {EMPTY}")
        cursor.execute(f"CREATE DATABASE {EMPTY}")
        yield urlsplit(server)._replace(path=f"/{EMPTY}").geturl()
        cursor.execute(f"DROP DATABASE {EMPTY} WITH (FORCE)")
    connection.close()


@pytest.mark.parametrize(
    "command",
    [
        "import_feed {feed} --json",
        "export_feed --out {out}",
        "demo_data",
        "ensure_admin",
        "changepassword ann",
        "shell",
    ],
)
def test_on_a_server_of_ones_own_a_command_says_what_to_run(empty_database: str, tmp_path: Path, command: str) -> None:
    feed, out = tmp_path / "feed.xml", tmp_path / "out.xml"
    feed.write_bytes(feed_of(item("1")))
    answer = manage(*command.format(feed=feed, out=out).split(), DATABASE_URL=empty_database)
    said = "error: The database is not up to date. Run `manage.py migrate`, then this command again.\n"
    assert (answer.returncode, answer.stdout, answer.stderr) == (1, "", said)
    assert [*tmp_path.iterdir()] == [feed]


@pytest.mark.skipif(not devservers.enabled(), reason="the servers of a checkout may not be started")
def test_on_the_servers_of_a_checkout_a_command_migrates_first(tmp_path: Path) -> None:
    state, feed = tmp_path / "state", tmp_path / "feed.xml"
    feed.write_bytes(feed_of(item("1")))
    own = {"EMBEDDED_DIR": str(state), "EMBEDDED_FAST": "1", "REDIS_URL": ""}
    try:
        first = manage("import_feed", str(feed), "--json", **own)
        assert (first.returncode, first.stderr.splitlines()[0]) == (0, "The database is brought up to date first.")
        assert json.loads(first.stdout.splitlines()[-1])["status"] == "applied"
        again = manage("export_feed", "--out", "-", **own)
        assert (again.returncode, again.stderr) == (0, "")
        assert "<g:id>1</g:id>" in again.stdout
    finally:
        stopped = subprocess.run(
            [sys.executable, "-m", "devservers", "stop"],
            cwd=devservers.BASE_DIR,
            env={**os.environ, **own},
            capture_output=True,
        )
    assert stopped.returncode == 0
    assert not [*processes_of(str(state))]
