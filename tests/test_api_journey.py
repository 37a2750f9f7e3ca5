"""A stranger goes from signing up to logging out: by curl, as docs/api.md says, and by a client made from /schema/."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from accounts.keys import make_key
from accounts.models import Scope
from catalog.models import ImportRun, Webhook, WebhookDelivery, WebhookEvent
from catalog.tests.conftest import Worker
from catalog.tests.conftest import worker as worker
from catalog.tests.factories import feed_of, item, person
from catalog.tests.webhooks.conftest import hook as hook
from catalog.tests.webhooks.conftest import maria as maria
from catalog.tests.webhooks.conftest import receiver as receiver
from catalog.tests.webhooks.conftest import secrets as secrets
from devservers import BASE_DIR
from tests.workers import ENCRYPTION_KEY

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = BASE_DIR / "docs" / "api.md"
# It formats nothing, and takes XML for the text that it is.
SETTINGS_OF_THE_GENERATOR = (
    "post_hooks: []\ncontent_type_overrides: {application/xml: text/plain, application/x-ndjson: text/plain}\n"
)
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture
def served(live_server: Any, worker: Worker) -> Callable[[Callable[[], Any]], Any]:
    """Do something while the site is up and a worker works; gives what came of it."""

    def during(something: Callable[[], Any]) -> Any:
        done = threading.Event()

        def work() -> None:
            while not done.wait(0.1):
                worker.work()
            connection.close()

        working = threading.Thread(target=work)
        working.start()
        try:
            return something()
        finally:
            done.set()
            working.join()

    return during


def test_what_the_page_says_to_type_leads_from_signup_to_logout(
    served: Callable[..., Any], live_server: Any, tmp_path: Path
) -> None:
    script = "set -euo pipefail\n" + "echo\n".join(BLOCK.findall(PAGE.read_text()))
    command = ["bash", "-c", script]
    environment = {**os.environ, "SITE": f"{live_server.url}/api/v1", "no_proxy": "*"}
    done = served(
        lambda: subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    )
    said = done.stdout
    assert done.returncode == 0, said + done.stderr
    run = ImportRun.objects.get()
    assert (run.status, run.counts["created"], run.counts["invalid"]) == ("applied", 2, 1)
    told = json.loads((tmp_path / "import.json").read_text())
    assert told["counts"] == run.counts
    assert '"price.format"' in said
    assert "bag-1" in said
    pages = [json.JSONDecoder().raw_decode(said, start.start())[0] for start in re.finditer('{"count":', said)]
    found = [
        [(one["id"], one["price"]) for one in page["results"]] for page in pages if "availability" in page["results"][0]
    ]
    assert [("dress-1", "1250.00"), ("shirt-1", "90.000")] in found
    assert [("dress-1", "1250.00")] in found
    assert said.endswith("401\n")
    assert "304\n" in said


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a package that openapi-python-client has made from /schema/, without a warning."""
    folder = tmp_path_factory.mktemp("generated")
    call_command("spectacular", "--file", str(folder / "schema.yaml"))
    (folder / "settings.yaml").write_text(SETTINGS_OF_THE_GENERATOR)
    options = "--path schema.yaml --config settings.yaml --meta none --fail-on-warning --output-path catalogue_client"
    command = [sys.executable, "-m", "openapi_python_client", "generate", *options.split()]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    sys.path.insert(0, str(folder))
    yield "catalogue_client"
    sys.path.remove(str(folder))


class Program:
    """What somebody writes who knows the generated package and nothing else."""

    def __init__(self, package: str) -> None:
        self._package = package

    def named(self, name: str, *arguments: Any, module: str = "", **more: Any) -> Any:
        return getattr(import_module(f"{self._package}{module}"), name)(*arguments, **more)

    def model(self, name: str, **values: Any) -> Any:
        return self.named(name, module=".models", **values)

    def parsed(self, name: str, text: str) -> Any:
        return getattr(import_module(f"{self._package}.models"), name).from_dict(json.loads(text))

    def call(self, client: Any, name: str, *place: Any, status: int = 200, **arguments: Any) -> Any:
        """What the call answers, as the package reads it."""
        module = import_module(f"{self._package}.api.{name}")
        answer = module.sync_detailed(*place, client=client, **arguments)
        assert answer.status_code == status, answer.content
        return answer.parsed

    def reached(self, client: Any, number: int, status: str) -> Any:
        """The import when it has this status."""
        end = time.monotonic() + 60
        while (run := self.call(client, "imports.import_detail", number)).status != status and time.monotonic() < end:
            time.sleep(0.1)
        assert run.status == status
        return run


def log_in(program: Program, site: str) -> str:
    """Sign up and log in; gives the token."""
    words = {"username": "dora", "password": "correct horse battery"}
    signup = program.model("SignupRequest", email="dora@example.com", **words)
    with program.named("Client", site) as stranger:
        program.call(stranger, "accounts.signup", status=201, body=signup)
        return str(program.call(stranger, "accounts.login", body=program.model("LoginRequest", **words)).access)


def upload(program: Program, dora: Any) -> None:
    feed = program.named("File", BytesIO(feed_of(item("a/b"), item("2", brand="Zari"))), "feed.xml", module=".types")
    form = program.model("UploadRequest", file=feed, mode=program.model("ModeEnum", value="add"))
    run = program.call(dora, "imports.upload_products", status=202, body=form)
    assert program.reached(dora, run.id, "applied").counts.created == 2


def read(program: Program, dora: Any) -> None:
    assert program.call(dora, "products.list_products").count == 2
    (found,) = program.call(dora, "products.list_products", brand=["Noor"], min_price="50").results
    assert found.id == "a/b"
    assert program.call(dora, "products.product_detail", "a/b").price == "100.00"
    assert program.call(dora, "products.filter_options").brands == ["Noor", "Zari"]


def follow(program: Program, dora: Any, begin: str) -> None:
    """What changed since: page by page, and then nothing more."""
    first = program.call(dora, "products.product_changes", since=begin, page_size=1)
    second = program.call(dora, "products.product_changes", since=first.cursor, page_size=1)
    assert [row.id for row in (*first.results, *second.results)] == ["2", "a/b"]
    assert (first.results[0].product.brand, first.results[0].state) == ("Zari", "listed")
    assert (second.next_, program.call(dora, "products.product_changes", since=second.cursor).results) == (None, [])


def test_a_client_generated_from_the_schema_goes_the_same_way(
    served: Callable[..., Any], live_server: Any, generated: str
) -> None:
    program = Program(generated)

    def journey() -> None:
        site = f"{live_server.url}/api/v1"
        token = log_in(program, site)
        with program.named("AuthenticatedClient", site, token) as dora:
            begin = program.call(dora, "products.product_changes").cursor
            upload(program, dora)
            read(program, dora)
            follow(program, dora, begin)
            program.call(dora, "accounts.logout")
            program.call(dora, "products.list_products", status=401)

    served(journey)


# --- a machine with a key -------------------------------------------------------------------------------
def confirmed(program: Program, machine: Any) -> Any:
    """Upload a feed whose plan waits, read the plan, and confirm it by its hash; gives the import."""
    feed = program.named("File", BytesIO(feed_of(item("7"))), "feed.xml", module=".types")
    form = program.model("UploadRequest", file=feed, mode=program.model("ModeEnum", value="add"), review=True)
    number = program.call(machine, "imports.upload_products", status=202, body=form).id
    run = program.reached(machine, number, "review")
    plan = program.call(machine, "imports.import_changes", number)
    assert [(row.product_id, row.operation) for row in plan.results] == [("7", "create")]
    body = program.model("ApplyRequest", plan_hash=run.plan_hash)
    program.call(machine, "imports.import_apply", number, status=202, body=body)
    return program.reached(machine, number, "applied")


def test_a_generated_client_with_a_key_confirms_exports_follows_and_reads_webhooks(
    served: Callable[..., Any], live_server: Any, generated: str, settings: Any, hook: Callable[..., Webhook]
) -> None:
    settings.FETCH_ALLOW, settings.FEED_CREDENTIAL_KEYS = "127.0.0.0/8", [ENCRYPTION_KEY]
    program = Program(generated)
    hook(events=[WebhookEvent.REVIEW, WebhookEvent.CHANGED])
    may = ("view_product", "export_product", "view_importrun", "add_importrun", "confirm_importrun")
    alice = person("alice", *may)
    key = make_key(alice, name="till", scopes=Scope.values, feeds=[], days=1, by=alice)

    def journey() -> None:
        with program.named("AuthenticatedClient", f"{live_server.url}/api/v1", key, prefix="Api-Key") as machine:
            begin = program.call(machine, "products.product_changes").cursor
            run = confirmed(program, machine)
            (changed,) = program.call(machine, "products.product_changes", since=begin).results
            assert (changed.id, changed.product.brand) == ("7", "Noor")
            lines = program.call(machine, "products.export_products").splitlines()
            assert [json.loads(line)["id"] for line in lines] == ["7"]
            program.call(machine, "accounts.user", status=403)  # no key opens its owner's account
            review, products = WebhookDelivery.objects.order_by("pk")
            asked = program.parsed("ImportEvent", review.body)
            assert (asked.data.import_, asked.data.plan_hash) == (run.id, run.plan_hash)
            told = program.parsed("ProductsChangedEvent", products.body)
            assert (told.data.import_, told.data.since, told.data.version) == (run.id, 0, changed.version)

    served(journey)
