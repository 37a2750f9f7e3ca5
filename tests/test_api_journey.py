"""A stranger goes from signing up to logging out: by curl, as docs/api.md says, and by a client made from /schema/."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from django.db import connection

from catalog.models import ImportRun, Product
from catalog.tests.conftest import Worker
from catalog.tests.conftest import worker as worker
from catalog.tests.factories import feed_of, item
from config.embedded import BASE_DIR

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = BASE_DIR / "docs" / "api.md"
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
    environment = {**os.environ, "SITE": live_server.url, "no_proxy": "*"}
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


def test_a_client_made_from_the_schema_goes_the_same_way(served: Callable[..., Any], live_server: Any) -> None:
    api = schemathesis.openapi.from_url(f"{live_server.url}/schema/")

    def call(method: str, path: str, status: int, token: str = "", **parts: Any) -> Any:
        headers = {"Authorization": f"Bearer {token}"} | parts.pop("headers", {})
        case = api[path][method].Case(headers=headers, **parts)
        answer = case.call()
        assert answer.status_code == status, answer.text
        case.operation.validate_response(answer)
        return answer.json() if answer.content else None

    def journey() -> None:
        password = {"password": "correct horse battery"}
        call("POST", "/signup/", 201, body={"username": "dora", "email": "dora@example.com", **password})
        token = call("POST", "/login/", 200, body={"username": "dora", **password})["access"]
        content = feed_of(item("1"))
        form = {"file": content, "mode": "add"}
        upload = call(
            "POST", "/upload-products/", 201, token, headers={"Prefer": "wait=20"}, body=form,
            media_type="multipart/form-data",
        )  # fmt: skip
        place = {"id": upload["id"]}
        assert call("GET", "/imports/{id}/", 200, token, path_parameters=place)["counts"]["created"] == 1
        assert call("GET", "/list-products/", 200, token, query={"brand": ["Noor"]})["count"] == 1
        assert call("GET", "/product-detail/{id}/", 200, token, path_parameters={"id": "1"})["currency"] == "AED"
        assert call("GET", "/filter-options/", 200, token)["brands"] == ["Noor"]
        call("POST", "/logout/", 200, token)
        call("GET", "/list-products/", 401, token)

    served(journey)
    assert Product.objects.count() == 1
