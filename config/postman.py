"""The API as a collection for Postman: every call, in an order that leads from signing up to logging out.

python -m config.postman > docs/api.postman_collection.json

The calls are those of /schema/, with their descriptions and parameters; `STEPS` says in which order, with which values,
and what they have to answer. `newman run` goes them all. Without `username` and `password` it signs up, and what takes
a role has to be refused; with those of somebody who has every role, it has to work.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

FORMAT = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
VARIABLES = {
    "site": "http://127.0.0.1:8000/api/v1",
    "username": "",
    "password": "",
    "hook": "http://127.0.0.1:8099/",
}
FORM, BOUNDARY = "application/x-www-form-urlencoded", "feed"
CSRF_FIELD = '/name="csrfmiddlewaretoken" value="([^"]+)"/'
HEAD = "id,title,description,link,image link,price,availability,brand,condition"
ROW = "{0}-{{{{run}}}},{0} of silk,A {0},https://www.example.com/1,https://www.example.com/1.jpg,{1},in stock,Noor,new"
SIGNED_UP = {"username": "dora{{run}}", "email": "dora{{run}}@example.com", "password": "correct horse battery"}
WEBHOOK = {"name": "run {{run}}", "address": "{{hook}}", "events": "products.changed"}
# Each run has a number, so that it finds nobody and nothing of an earlier one.
BEGIN = [
    'pm.collectionVariables.set("run", String(Date.now()));',
    'pm.collectionVariables.set("root", pm.variables.get("site").replace(/\\/api\\/v1\\/?$/, ""));',
    'pm.collectionVariables.set("has_role", pm.variables.get("username") ? "yes" : "");',
]
WITHOUT_NAME = [
    'if (!pm.variables.get("username")) {',
    '    pm.collectionVariables.set("username", "dora" + pm.variables.get("run"));',
    '    pm.collectionVariables.set("password", "silk battery staple");',
    "}",
]


@dataclass(frozen=True)
class Step:
    """One request: a call of the schema by its operation, or, with `page`, a page of the site.

    `refused` is what somebody without a role gets. `keep` puts what was answered into variables: a path into the JSON,
    or a pattern in the text. `until` asks again until the import has one of these statuses. `needs` names a variable
    without which it is left out.
    """

    folder: str
    call: str
    status: int = 200
    refused: int = 0
    about: str = ""
    place: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    begin: list[str] = field(default_factory=list)
    keep: dict[str, str] = field(default_factory=dict)
    checks: dict[str, str] = field(default_factory=dict)
    until: tuple[str, ...] = ()
    needs: str = ""
    page: str = ""

    @property
    def name(self) -> str:
        return f"{self.call}: {self.about}" if self.about else self.call


def upload_of(*rows: str, **fields: str) -> str:
    """A form with a file, written out: a collection cannot bring a file along."""
    head = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name="
    parts = [f'{head}"{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()]
    file = f'{head}"file"; filename="feed.csv"\r\nContent-Type: text/csv\r\n\r\n'
    return "".join([*parts, file, "\r\n".join([HEAD, *rows]), f"\r\n--{BOUNDARY}--\r\n"])


IMPORT, PLAN, AGAIN = ({"id": f"{{{{{name}}}}}"} for name in ("import", "plan", "again"))
WITH_KEY = {"Authorization": "Api-Key {{key}}"}
BY_ROLE: dict[str, Any] = {"refused": 403}
STEPS = [
    Step("1 An account", "signup", 201, body=SIGNED_UP, begin=BEGIN),
    Step("1 An account", "verify_email", 400, body={"key": "not-a-key"}, about="a wrong key"),
    Step("1 An account", "resend_email", body={"email": SIGNED_UP["email"]}),
    Step(
        "1 An account",
        "login",
        about="of the new account",
        body={"username": SIGNED_UP["username"], "password": SIGNED_UP["password"]},
        keep={"access": "access", "refresh": "refresh"},
    ),
    Step("1 An account", "login_second_factor", 401, about="not asked for", body={"challenge": "x", "code": "123456"}),
    Step("1 An account", "auth_protected_check"),
    Step(
        "1 An account",
        "token_refresh",
        body={"refresh": "{{refresh}}"},
        keep={"access": "access", "refresh": "refresh"},
    ),
    Step(
        "1 An account", "user", checks={"it is the new account": 'json.username === "dora" + pm.variables.get("run")'}
    ),
    Step("1 An account", "user_change", body={"first_name": "Dora"}),
    Step("1 An account", "password_reset", body={"email": SIGNED_UP["email"]}),
    Step(
        "1 An account",
        "password_reset_confirm",
        400,
        about="a wrong link",
        body={"uid": "1", "token": "x", "new_password1": "silk battery", "new_password2": "silk battery"},
    ),
    Step(
        "1 An account",
        "password_change",
        body={
            "old_password": SIGNED_UP["password"],
            "new_password1": "silk battery staple",
            "new_password2": "silk battery staple",
        },
    ),
    Step(
        "1 An account",
        "login",
        begin=WITHOUT_NAME,
        body={"username": "{{username}}", "password": "{{password}}"},
        keep={"access": "access"},
    ),
    Step("2 An upload", "product_changes", about="where to begin", keep={"cursor": "cursor"}),
    Step(
        "2 An upload",
        "upload_products",
        202,
        headers={"Idempotency-Key": "first-{{run}}"},
        body=upload_of(ROW.format("dress", "1250.00 AED"), ROW.format("bag", "free"), mode="add"),
        keep={"import": "id"},
    ),
    Step(
        "2 An upload",
        "import_detail",
        place=IMPORT,
        until=("applied", "review"),
        checks={
            "one is new and one invalid": "json.counts.created === 1 && json.counts.invalid === 1",
            "it has a plan": "json.plan_hash.length === 64",
        },
    ),
    Step(
        "2 An upload",
        "list_imports",
        checks={"it is there": 'String(json.results[0].id) === pm.variables.get("import")'},
    ),
    Step("2 An upload", "import_issues", place=IMPORT, keep={"code": "results[0].code"}),
    Step(
        "2 An upload",
        "import_issue_items",
        place={**IMPORT, "code": "{{code}}"},
        checks={"the bag is among them": 'json.results.some((row) => row.id === "bag-" + pm.variables.get("run"))'},
    ),
    Step("2 An upload", "import_invalid", place=IMPORT, checks={"it is one": "json.results.length === 1"}),
    Step("2 An upload", "import_invalid_items", place=IMPORT),
    Step("2 An upload", "import_invalid_feed", place=IMPORT),
    Step("2 An upload", "import_coverage", place=IMPORT),
    Step("2 An upload", "import_file", place=IMPORT),
    Step(
        "3 A plan",
        "upload_products",
        202,
        about="that waits",
        body=upload_of(ROW.format("coat", "900.00 AED"), mode="add", review="true"),
        keep={"plan": "id"},
    ),
    Step("3 A plan", "import_detail", about="waits", place=PLAN, until=("review",), keep={"hash": "plan_hash"}),
    Step(
        "3 A plan",
        "import_changes",
        place=PLAN,
        checks={"the coat is new": 'json.results[0].product_id === "coat-" + pm.variables.get("run")'},
    ),
    Step("3 A plan", "import_changes_csv", place=PLAN),
    Step("3 A plan", "import_apply", 202, place=PLAN, body={"plan_hash": "{{hash}}"}, **BY_ROLE),
    Step("3 A plan", "import_detail", about="applied", place=PLAN, until=("applied",), needs="has_role"),
    Step("3 A plan", "import_undo_preview", place=PLAN, keep={"seen": "seen"}, **BY_ROLE),
    Step("3 A plan", "import_undo", 202, place=PLAN, body={"seen": "{{seen}}"}, **BY_ROLE),
    Step("3 A plan", "import_detail", about="undone", place=PLAN, until=("undone",), needs="has_role"),
    Step("3 A plan", "import_redo_preview", place=PLAN, **BY_ROLE),
    Step("3 A plan", "import_redo", 202, place=PLAN, **BY_ROLE),
    Step("3 A plan", "import_detail", about="applied again", place=PLAN, until=("applied",), needs="has_role"),
    Step("3 A plan", "import_plan_again", 202, place=PLAN, keep={"again": "id"}, **BY_ROLE),
    Step(
        "3 A plan",
        "import_detail",
        about="planned again",
        place=AGAIN,
        until=("review", "applied"),
        keep={"status": "status"},
        needs="again",
    ),
    Step(
        "3 A plan",
        "upload_products",
        202,
        about="to be thrown away",
        body=upload_of(ROW.format("hat", "90.00 AED"), mode="add", review="true"),
        keep={"again": "id"},
    ),
    Step("3 A plan", "import_detail", about="to be thrown away", place=AGAIN, until=("review",)),
    Step("3 A plan", "import_discard", place=AGAIN, **BY_ROLE),
    Step(
        "4 The catalogue",
        "product_changes",
        query={"since": "{{cursor}}"},
        checks={"the dress is among them": 'json.results.some((row) => row.id === "dress-" + pm.variables.get("run"))'},
    ),
    Step("4 The catalogue", "product_changes", about="as lines", query={"since": "{{cursor}}", "format": "jsonl"}),
    Step(
        "4 The catalogue",
        "export_products",
        query={"search": "{{run}}"},
        checks={
            "each line is a product": 'text.trim().split("\\n").every((line) => JSON.parse(line).brand === "Noor")'
        },
        **BY_ROLE,
    ),
    Step(
        "4 The catalogue",
        "list_products",
        query={"brand": "Noor", "sort_by": "created_at", "order": "desc"},
        checks={"there are some": "json.count > 0"},
    ),
    Step("4 The catalogue", "product_detail", place={"id": "dress-{{run}}"}),
    Step("4 The catalogue", "product_detail_by_query", query={"id": "dress-{{run}}"}),
    Step("4 The catalogue", "filter_options", checks={"the brand is there": 'json.brands.includes("Noor")'}),
    Step("4 The catalogue", "markets"),
    Step("5 Feeds", "list_feeds", **BY_ROLE),
    Step("5 Feeds", "fetch_feed", 409, about="without a source", place={"slug": "api"}, **BY_ROLE),
    Step("5 Feeds", "feed_fetches", place={"slug": "api"}, **BY_ROLE),
    Step("5 Feeds", "feed_fetch_detail", 404, about="of none", place={"slug": "api", "id": "999999999"}, **BY_ROLE),
    Step("6 A key", "account_login_page", page="GET accounts/login/", keep={"csrf": CSRF_FIELD}),
    Step(
        "6 A key",
        "account_login",
        page="POST accounts/login/",
        body={"csrfmiddlewaretoken": "{{csrf}}", "username": "{{username}}", "password": "{{password}}"},
        checks={"somebody is logged in": "!/id=.login-form/.test(text)"},
    ),
    Step("6 A key", "account_keys_page", page="GET accounts/keys/", keep={"csrf": CSRF_FIELD}),
    Step(
        "6 A key",
        "make_key",
        page="POST accounts/keys/",
        body={"csrfmiddlewaretoken": "{{csrf}}", "make": "1", "name": "run {{run}}", "scopes": "read", "days": "30"},
        keep={"key": "/<code>(opm_[^<]+)</", "csrf": CSRF_FIELD, "key_number": '/name="revoke" value="(\\d+)"/'},
    ),
    Step("6 A key", "list_products", about="with the key", headers=WITH_KEY),
    Step("6 A key", "upload_products", 403, about="with a key that is for reading", headers=WITH_KEY, body=upload_of()),
    Step(
        "6 A key",
        "revoke_key",
        page="POST accounts/keys/",
        body={"csrfmiddlewaretoken": "{{csrf}}", "revoke": "{{key_number}}"},
    ),
    Step("6 A key", "list_products", 401, about="with the key that is revoked", headers=WITH_KEY),
    Step(
        "7 A webhook",
        "webhook_page",
        page="GET admin/catalog/webhook/add/",
        needs="has_role",
        keep={"csrf": CSRF_FIELD},
    ),
    Step(
        "7 A webhook",
        "make_webhook",
        about="or be told that the address is of this network",
        page="POST admin/catalog/webhook/add/",
        needs="has_role",
        body={**WEBHOOK, "csrfmiddlewaretoken": "{{csrf}}"},
        keep={
            "secret": "/(whsec_[A-Za-z0-9+/=]+)/",
            "webhook": "/webhook\\/(\\d+)\\//",
            "csrf": CSRF_FIELD,
        },
        checks={"its secret is shown, or why there is none": "/whsec_|FETCH_ALLOW|network/.test(text)"},
    ),
    Step(
        "7 A webhook",
        "test_webhook",
        page="POST admin/catalog/webhook/{{webhook}}/test/",
        needs="secret",
        body={"csrfmiddlewaretoken": "{{csrf}}"},
        keep={"csrf": CSRF_FIELD},
        checks={"it says what was answered": "/answered|No answer|accepted|connect/i.test(text)"},
    ),
    Step(
        "7 A webhook",
        "switch_webhook_off",
        page="POST admin/catalog/webhook/{{webhook}}/change/",
        needs="secret",
        body={**WEBHOOK, "csrfmiddlewaretoken": "{{csrf}}"},
    ),
    Step("8 The end", "logout"),
]


def make_collection(schema: dict[str, Any]) -> dict[str, Any]:
    """The steps in their folders, each with what the schema says about its call."""
    calls = {
        call["operationId"]: (path, method, call)
        for path, methods in schema["paths"].items()
        for method, call in methods.items()
    }
    folders: dict[str, list[dict[str, Any]]] = {}
    for step in STEPS:
        request = page_request(step) if step.page else call_request(step, *calls[step.call])
        item: dict[str, Any] = {"name": step.name, "request": request}
        skip = [f'if (!pm.variables.get("{step.needs}")) pm.execution.skipRequest();'] if step.needs else []
        if begin := [*skip, *step.begin]:
            item["event"] = [script("prerequest", begin)]
        item.setdefault("event", []).append(script("test", test_lines(step)))
        folders.setdefault(step.folder, []).append(item)
    return {
        "info": {"name": schema["info"]["title"], "description": schema["info"]["description"], "schema": FORMAT},
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{access}}", "type": "string"}]},
        "variable": [{"key": key, "value": value} for key, value in VARIABLES.items()],
        "item": [{"name": name, "item": items} for name, items in folders.items()],
    }


def script(listens: str, lines: list[str]) -> dict[str, Any]:
    return {"listen": listens, "script": {"type": "text/javascript", "exec": lines}}


def test_lines(step: Step) -> list[str]:
    """What has to be answered, and what is kept of it."""
    wanted = f'pm.variables.get("has_role") ? {step.status} : {step.refused}' if step.refused else str(step.status)
    lines = [f'pm.test("status", () => pm.expect(pm.response.code).to.equal({wanted}));']
    keeps = [f'pm.collectionVariables.set("{name}", {taken(what)});' for name, what in step.keep.items()]
    checks = [
        f"pm.test({json.dumps(title)}, () => {{ {source_of(code)}pm.expect({code}).to.be.true; }});"
        for title, code in step.checks.items()
    ]
    if step.until:
        lines.append(f"if ({json.dumps([*step.until, 'failed'])}.includes(pm.response.json().status)) {{")
        in_time = f"pm.expect({json.dumps(step.until)}).to.include(pm.response.json().status)"
        lines += [f'    pm.test("{" or ".join(step.until)}", () => {in_time});']
        lines += [f"    {line}" for line in (*keeps, *checks)]
        again = "setTimeout(() => {}, 500); pm.execution.setNextRequest(pm.info.requestName);"
        return [*lines, f"}} else {{ {again} }}"]
    if keeps or checks:
        lines += ["if (pm.response.code < 400) {", *(f"    {line}" for line in (*keeps, *checks)), "}"]
    return lines


def taken(what: str) -> str:
    """What is kept, in JavaScript: a path into the JSON, or the part of the text that a pattern has in brackets."""
    if what.startswith("/"):
        return f'(pm.response.text().match({what}) || [])[1] || ""'
    return f"String(pm.response.json().{what})"


def source_of(code: str) -> str:
    return "const json = pm.response.json(); " if "json." in code else "const text = pm.response.text(); "


def call_request(step: Step, path: str, method: str, call: dict[str, Any]) -> dict[str, Any]:
    parameters = call.get("parameters", [])
    written = re.sub(r"\{(\w+)\}", r":\1", path)
    places = [one["name"] for one in parameters if one["in"] == "path"]
    request: dict[str, Any] = {
        "method": method.upper(),
        "url": {
            "raw": "{{site}}" + written,
            "host": ["{{site}}"],
            "path": written.strip("/").split("/") + ([""] if written.endswith("/") else []),
            "variable": [{"key": name, "value": step.place[name]} for name in places],
            "query": [given(one, step.query) for one in parameters if one["in"] == "query"],
        },
        "description": call["description"],
        "header": [given(one, step.headers) for one in parameters if one["in"] == "header"],
    }
    listed = {one["key"] for one in request["header"]}
    request["header"] += [{"key": name, "value": value} for name, value in step.headers.items() if name not in listed]
    if not call["security"] or "Authorization" in step.headers:
        request["auth"] = {"type": "noauth"}
    if isinstance(step.body, str):
        request["header"].append({"key": "Content-Type", "value": f"multipart/form-data; boundary={BOUNDARY}"})
        request["body"] = {"mode": "raw", "raw": step.body}
    elif step.body is not None:
        raw = json.dumps(step.body, indent=2, ensure_ascii=False)
        request["body"] = {"mode": "raw", "raw": raw, "options": {"raw": {"language": "json"}}}
    return request


def page_request(step: Step) -> dict[str, Any]:
    """A form of the site, as a browser sends it."""
    method, path = step.page.split()
    url = {"raw": "{{root}}/" + path, "host": ["{{root}}"], "path": path.split("/")}
    accept = [{"key": "Accept", "value": "text/html"}, {"key": "Referer", "value": "{{root}}/" + path}]
    request: dict[str, Any] = {"method": method, "url": url, "header": accept, "auth": {"type": "noauth"}}
    if step.body:
        fields = [{"key": name, "value": value} for name, value in step.body.items()]
        request["body"] = {"mode": "urlencoded", "urlencoded": fields}
    return request


def given(parameter: dict[str, Any], values: dict[str, str]) -> dict[str, Any]:
    """A parameter as the step gives it. Others are listed, and sent only when somebody ticks them."""
    name = parameter["name"]
    example = str(parameter["schema"].get("default", parameter["schema"].get("example", "")))
    about = {"key": name, "value": values.get(name, example), "description": parameter.get("description", "")}
    return about if name in values else {**about, "disabled": True}


def calls_in(made: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(method, path) of every call in a collection, the path as the schema writes it."""
    for folder in made["item"]:
        for item in folder["item"]:
            request = item["request"]
            if request["url"]["host"] == ["{{site}}"]:
                path = request["url"]["raw"].removeprefix("{{site}}")
                yield request["method"], re.sub(r":(\w+)", r"{\1}", path)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")
    import django

    django.setup()
    from drf_spectacular.generators import SchemaGenerator

    schema = SchemaGenerator().get_schema(request=None, public=True)
    print(json.dumps(make_collection(schema), indent=1, ensure_ascii=False))
