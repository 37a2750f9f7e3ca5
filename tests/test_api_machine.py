"""A machine with a key goes its way by docs/how-to/connect-a-machine.sh, and webhooks are verified as the page says.

The site is served for real, and a worker of its own does the work.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook as Standard

from accounts.keys import make_key
from accounts.models import Scope
from catalog.models import ImportRun, Product, WebhookDelivery, WebhookEvent
from catalog.tests.factories import applied, items, person
from catalog.webhooks.edit import make_webhook
from devservers import BASE_DIR
from tests.workers import ENCRYPTION_KEY, free_port, served_site

SCRIPT = BASE_DIR / "docs" / "how-to" / "connect-a-machine.sh"
WEBHOOKS = (BASE_DIR / "docs" / "webhooks.md").read_text()
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
MACHINE_MAY = ("view_product", "export_product", "view_importrun", "add_importrun", "confirm_importrun")


def snippet(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", WEBHOOKS, re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.mark.django_db(transaction=True)
def test_a_machine_goes_its_way_by_the_script(queue: str, feed: Any, settings: Any, tmp_path: Path) -> None:
    settings.FETCH_ALLOW, settings.FEED_CREDENTIAL_KEYS = "127.0.0.0/8", [ENCRYPTION_KEY]
    applied(feed, *items(3))
    alice, port = person("alice", *MACHINE_MAY), free_port()
    maria = person("maria", "add_webhook")
    address, events = f"http://127.0.0.1:{port}/", [WebhookEvent.CHANGED]
    _webhook, secret = make_webhook(by=maria, name="machine", address=address, events=events)
    key = make_key(alice, name="machine", scopes=Scope.values, feeds=[], days=1, by=alice)
    with served_site(queue, settings, tmp_path) as site:
        given = {"SITE": f"{site}/api/v1", "KEY": key, "WEBHOOK_SECRET": secret, "HOOK_PORT": str(port)}
        environment = {**os.environ, **given, "no_proxy": "*"}
        command = ["bash", str(SCRIPT)]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    run = ImportRun.objects.latest("pk")
    id = Product.objects.get(id__startswith="dress-").id
    lines = done.stdout.splitlines()
    assert lines[0] == "loaded 3 products"
    assert lines[1] == f"{site}/api/v1/imports/{run.pk}/ waits for review"
    assert lines[2:4] == [f"create {id}", "applied"]
    told = json.loads(lines[4])["data"]
    assert (told["import"], told["since"], told["version"]) == (run.pk, 1, 2)
    assert lines[5:] == [f"listed {id} at version 2"]
    assert (tmp_path / "machine" / "cursor").read_text() == "default.2\n"
    assert [step["by"] for step in run.history if step["status"] == "applying"] == ["alice"]
    assert WebhookDelivery.objects.get().status == "sent"


def test_the_script_verifies_as_the_page_says() -> None:
    assert snippet("python").split("\n\n\n")[1] in SCRIPT.read_text()


# --- the snippets of the page -----------------------------------------------------------------------------
BODY = '{"type":"products.changed","data":{"market":"é"}}'
# What is changed about a genuine delivery: nothing, or something after which nobody may take it.
CASES: dict[str, dict[str, str]] = {
    "genuine": {},
    "two signatures": {"signature": "v1,AAAA {signature}"},
    "another body": {"body": BODY + " "},
    "another id": {"id": "msg_2"},
    "another time": {"timestamp": "{earlier}"},
    "no signature that is known": {"signature": "v1a,AAAA"},
    "old": {"sent": "-400"},
}


def delivery(changed: dict[str, str]) -> dict[str, Any]:
    """What arrives, signed by a stranger's library."""
    moment = int(time.time()) + int(changed.get("sent", "0"))
    signature = Standard(SECRET).sign("msg_1", datetime.fromtimestamp(moment, UTC), BODY)
    headers = {
        "webhook-id": changed.get("id", "msg_1"),
        "webhook-timestamp": changed.get("timestamp", str(moment)).format(earlier=moment - 1),
        "webhook-signature": changed.get("signature", "{signature}").format(signature=signature),
    }
    return {"headers": headers, "body": changed.get("body", BODY)}


TAKEN = {name: name in ("genuine", "two signatures") for name in CASES}


def test_the_python_of_the_page_takes_what_is_genuine_and_nothing_else() -> None:
    names: dict[str, Any] = {}
    exec(snippet("python"), names)  # noqa: S102 - ours
    verify = names["verify"]
    arrived = {name: delivery(changed) for name, changed in CASES.items()}
    assert {name: verify(SECRET, one["headers"], one["body"].encode()) for name, one in arrived.items()} == TAKEN


@pytest.mark.skipif(shutil.which("node") is None, reason="There is no Node.js.")
def test_the_javascript_of_the_page_takes_what_is_genuine_and_nothing_else() -> None:
    show = """
        const [secret, arrived] = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
        const taken = ([name, one]) => [name, verify(secret, one.headers, Buffer.from(one.body))];
        console.log(JSON.stringify(Object.fromEntries(Object.entries(arrived).map(taken))));
    """
    given = json.dumps([SECRET, {name: delivery(changed) for name, changed in CASES.items()}])
    command = [str(shutil.which("node")), "-e", snippet("js") + show]
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == TAKEN
