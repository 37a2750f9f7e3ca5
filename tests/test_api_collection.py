"""The collection for Postman from a clean database: newman runs it where Node.js is, else a walker of the same file."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from accounts.models import User
from catalog.models import ImportRun, Product, Webhook, WebhookDelivery
from catalog.tests.fetching.servers import serving
from devservers import BASE_DIR
from tests.workers import served_site

pytestmark = pytest.mark.django_db(transaction=True)
COLLECTION = BASE_DIR / "docs" / "api.postman_collection.json"
PASSWORD = "correct horse battery"


@pytest.fixture
def site(queue: str, settings: Any, tmp_path: Path) -> Iterator[str]:
    User.objects.create_superuser("admin", "admin@example.com", PASSWORD)
    with served_site(queue, settings, tmp_path) as site:
        yield site


# --- a walker -------------------------------------------------------------------------------------------
class Walker:
    """Sends the requests of a collection one after the other, and reads of its scripts what `config.postman` writes."""

    def __init__(self, **given: str) -> None:
        made = json.loads(COLLECTION.read_text())
        self.items = [item for folder in made["item"] for item in folder["item"]]
        self.given = given
        self.kept = {one["key"]: one["value"] for one in made["variable"]}
        self.session = requests.Session()
        self.session.trust_env = False
        self.failed: list[str] = []

    def value(self, name: str) -> str:
        return self.given.get(name) or self.kept.get(name, "")

    def filled(self, text: str) -> str:
        return re.sub(r"\{\{(\w+)\}\}", lambda found: self.value(found[1]), text)

    def walk(self) -> list[str]:
        """The names of what was asked for."""
        return [item["name"] for item in self.items if self.go(item)]

    def go(self, item: dict[str, Any]) -> bool:
        scripts = {each["listen"]: "\n".join(each["script"]["exec"]) for each in item["event"]}
        if not self.prepare(scripts.get("prerequest", "")):
            return False
        until = re.search(r"^if \((\[.*\])\.includes\(pm\.response\.json\(\)\.status\)", scripts["test"], re.MULTILINE)
        end = time.monotonic() + 60
        answer = self.send(item["request"])
        while until and answer.json().get("status") not in json.loads(until[1]) and time.monotonic() < end:
            time.sleep(0.3)
            answer = self.send(item["request"])
        self.look(item["name"], scripts["test"], answer)
        return True

    def prepare(self, script: str) -> bool:
        """False if the request is left out."""
        needed = re.search(r'if \(!pm\.variables\.get\("(\w+)"\)\) pm\.execution\.skipRequest', script)
        if needed and not self.value(needed[1]):
            return False
        if "Date.now()" in script:
            root, has_role = self.value("site").removesuffix("/api/v1"), "yes" if self.value("username") else ""
            self.kept |= {"run": str(int(time.time() * 1000)), "root": root, "has_role": has_role}
        if 'set("password"' in script and not self.value("username"):
            run = self.value("run")
            self.kept |= {"username": f"dora{run}", "password": "silk battery staple"}
        return True

    def send(self, request: dict[str, Any]) -> requests.Response:
        url = self.filled(request["url"]["raw"])
        for one in request["url"].get("variable", []):
            url = url.replace(f":{one['key']}/", f"{self.filled(one['value'])}/")
        headers = {one["key"]: self.filled(one["value"]) for one in request["header"] if not one.get("disabled")}
        if "auth" not in request:
            headers["Authorization"] = f"Bearer {self.value('access')}"
        query = {
            one["key"]: self.filled(one["value"]) for one in request["url"].get("query", []) if not one.get("disabled")
        }
        body = request.get("body", {})
        data: Any = self.filled(body["raw"]).encode() if "raw" in body else None
        if "urlencoded" in body:
            data = {one["key"]: self.filled(one["value"]) for one in body["urlencoded"]}
        elif "options" in body:
            headers["Content-Type"] = "application/json"
        return self.session.request(request["method"], url, params=query, headers=headers, data=data, timeout=30)

    def look(self, name: str, script: str, answer: requests.Response) -> None:
        wanted = re.search(r'to\.equal\((?:pm\.variables\.get\("has_role"\) \? (\d+) : )?(\d+)\)', script)
        assert wanted
        status = wanted[1] if wanted[1] and self.value("has_role") else wanted[2]
        if str(answer.status_code) != status:
            self.failed.append(f"{name}: {answer.status_code} instead of {status}: {answer.text[:300]}")
        elif answer.status_code < 400:
            for variable, pattern in re.findall(r'set\("(\w+)", \(pm\.response\.text\(\)\.match\(/(.*)/\) ', script):
                found = re.search(pattern.replace("\\/", "/"), answer.text)
                self.kept[variable] = found[1] if found else ""
            for variable, path in re.findall(r'set\("(\w+)", String\(pm\.response\.json\(\)\.(.*)\)\);', script):
                self.kept[variable] = str(taken(answer.json(), path))


def taken(document: Any, path: str) -> Any:
    for name in re.findall(r"\w+", path):
        document = document[int(name)] if name.isdigit() else document[name]
    return document


# --- runs -----------------------------------------------------------------------------------------------
def test_every_call_of_the_collection_passes_for_somebody_with_every_role(
    site: str, request: pytest.FixtureRequest
) -> None:
    with serving(lambda wire: wire.answer(b"thank you")) as receiver:
        given = {
            "site": f"{site}/api/v1",
            "username": "admin",
            "password": PASSWORD,
            "hook": f"{receiver.url}/hooks",
        }
        try:
            folder: Path = request.getfixturevalue("node_modules")
        except pytest.skip.Exception:
            walker = Walker(**given)
            assert walker.walk()[-1] == "logout"
            assert walker.failed == []
        else:
            variables = [part for name, value in given.items() for part in ("--env-var", f"{name}={value}")]
            command = [str(folder / ".bin" / "newman"), "run", str(COLLECTION), "--color", "off", *variables]
            done = subprocess.run(command, capture_output=True, text=True, timeout=180)
            assert done.returncode == 0, done.stdout
    first, plan, _again, away = ImportRun.objects.order_by("pk")
    assert [run.status for run in (first, plan, away)] == ["applied", "applied", "discarded"]
    assert [step["status"] for step in plan.history if step["by"]] == ["applying", "undoing", "redoing"]
    assert sorted(id.split("-")[0] for id in Product.objects.values_list("id", flat=True)) == ["coat", "dress"]
    webhook = Webhook.objects.get()
    assert (webhook.is_active, WebhookDelivery.objects.get().answer) == (False, "thank you")


def test_the_collection_signs_up_where_nobody_is_named(site: str) -> None:
    walker = Walker(site=f"{site}/api/v1")
    names = walker.walk()
    assert walker.failed == []
    assert (names[0], names[-1]) == ("signup", "logout")
    assert "webhook_page" not in names
    assert Product.objects.get().id.startswith("dress-")
