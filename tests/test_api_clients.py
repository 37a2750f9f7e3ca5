"""A machine's whole way by a client in TypeScript: made from /schema/, checked by the compiler, and run by Node.js."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from accounts.keys import make_key
from accounts.models import Scope
from catalog.models import ImportRun, WebhookEvent
from catalog.tests.factories import person
from catalog.webhooks.edit import make_webhook
from devservers import BASE_DIR
from tests.test_api_machine import MACHINE_MAY
from tests.workers import ENCRYPTION_KEY, free_port, served_site

OPTIONAL = ["--default-non-nullable=false"]  # what has a default may be left out
CHECKED = "--target es2022 --module nodenext --strict --noUncheckedIndexedAccess --skipLibCheck --noEmitOnError"


def run_in(folder: Path, *command: str, **more: str) -> str:
    environment = {**os.environ, **more, "no_proxy": "*"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def journey(node_modules: Path, tmp_path: Path) -> Path:
    """The folder with journey.js, which the compiler has checked against the description."""
    folder = tmp_path / "client"
    folder.mkdir()
    (folder / "node_modules").symlink_to(node_modules)
    for name in ("package.json", "journey.ts"):
        shutil.copy(BASE_DIR / "tests" / "clients" / name, folder)
    call_command("spectacular", "--file", str(folder / "schema.yaml"))
    programs = folder / "node_modules" / ".bin"
    run_in(folder, str(programs / "openapi-typescript"), "schema.yaml", "-o", "schema.d.ts", *OPTIONAL)
    run_in(folder, str(programs / "tsc"), *CHECKED.split(), "journey.ts")
    return folder


@pytest.mark.django_db(transaction=True)
def test_a_client_in_typescript_goes_the_whole_way(journey: Path, queue: str, settings: Any, tmp_path: Path) -> None:
    settings.FETCH_ALLOW, settings.FEED_CREDENTIAL_KEYS = "127.0.0.0/8", [ENCRYPTION_KEY]
    alice, port = person("alice", *MACHINE_MAY), free_port()
    address, events = f"http://127.0.0.1:{port}/", [WebhookEvent.CHANGED]
    _webhook, secret = make_webhook(by=person("maria", "add_webhook"), name="ts", address=address, events=events)
    key = make_key(alice, name="ts", scopes=Scope.values, feeds=[], days=1, by=alice)
    with served_site(queue, settings, tmp_path) as site:
        given = {"SITE": f"{site}/api/v1", "KEY": key, "WEBHOOK_SECRET": secret, "HOOK_PORT": str(port)}
        said = json.loads(run_in(journey, str(shutil.which("node")), "journey.js", **given))
    run = ImportRun.objects.get()
    assert (run.status, said) == ("applied", {"import": run.pk, "cursor": "default.1", "told": 1})
