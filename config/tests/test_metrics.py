"""What Prometheus reads: true figures, at a port of their own; and rules, dashboard and page that name only them."""

import json
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import promql_parser
import pytest
import yaml
from django.core.files.base import ContentFile
from django.db import InterfaceError
from django.test import Client
from django.utils import timezone
from redis.exceptions import ConnectionError as BrokerAway

from catalog.imports.receive import receive
from catalog.models import Feed, FeedSource, ImportRun, Status
from catalog.tests.factories import applied, feed_of, item
from config import latency, metrics
from config.metrics import CatalogueCollector
from devservers import BASE_DIR

OPS = BASE_DIR / "docs/ops"


class Broker:
    """Has two tasks of imports, one of them of the last priority."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __enter__(self) -> "Broker":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def pipeline(self, **_: Any) -> "Broker":
        return Broker()

    def llen(self, name: str) -> None:
        self.asked.append(name)

    def execute(self) -> list[int]:
        return [int(name in ("celery", "celery\x06\x169")) for name in self.asked]

    def hgetall(self, _name: str) -> dict[bytes, bytes]:
        return {}


def collected() -> dict[tuple[str, ...], float]:
    """Each figure by its metric's name and its labels' values."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in CatalogueCollector().collect()
        for sample in family.samples
    }


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.metrics.Redis.from_url", lambda *_, **__: Broker())


@pytest.mark.django_db
@pytest.mark.usefixtures("broker")
def test_the_figures_are_those_of_the_database_and_the_broker() -> None:
    feed = Feed.objects.create(name="Ounass", slug="ounass")
    before = collected()
    assert before["catalogue_import_waiting_seconds",] == 0
    applied(feed, item("1"))
    run = receive(ContentFile(feed_of(item("2")), "feed.xml"), feed=feed)
    now = timezone.now()
    ImportRun.objects.filter(pk=run.pk).update(changed_at=now - timedelta(minutes=5))
    failing = {"failing_since": now, "last_new_at": now - timedelta(days=3), "expected_hours": 48}
    FeedSource.objects.create(feed=feed, address="https://shop.example/feed.xml", **failing)
    after = collected()
    assert after["catalogue_imports", "applied"] == 1
    assert after["catalogue_imports", Status.RECEIVED] == 1
    assert 299 < after["catalogue_import_waiting_seconds",] < 330
    assert after["catalogue_import_items_per_second", "plan"] > 0
    assert [after["catalogue_feeds_not_arriving", why] for why in ("failing", "quiet", "paused")] == [1, 1, 0]
    assert after["catalogue_queue_length", "celery"] == 2
    assert after["catalogue_queue_length", "mail"] == 0
    queues = {key[1] for key in after if key[0] == "catalogue_queue_length"}
    assert queues == {"celery", "export", "fetch", "mail", "upkeep"}
    assert after["catalogue_database_connections", "active"] >= 1
    assert after["catalogue_up", "database"] == after["catalogue_up", "broker"] == 1


@pytest.mark.django_db
def test_a_broker_that_is_away_costs_its_own_figures_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise BrokerAway

    monkeypatch.setattr("config.metrics.Redis.from_url", refuse)
    figures = collected()
    assert (figures["catalogue_up", "database"], figures["catalogue_up", "broker"]) == (1, 0)
    assert not [names for names in figures if names[0] == "catalogue_queue_length"]
    assert figures["catalogue_database_bytes",] > 0


def test_a_database_that_is_away_is_said_to_be(monkeypatch: pytest.MonkeyPatch, broker: None) -> None:
    def refuse() -> None:
        raise InterfaceError

    monkeypatch.setattr("config.metrics.connection.cursor", refuse)
    figures = collected()
    assert (figures["catalogue_up", "database"], figures["catalogue_up", "broker"]) == (0, 1)


def test_the_port_is_its_own_and_the_process_ends_when_it_is_told_to() -> None:
    command = [sys.executable, "manage.py", "metrics", "--port", "0"]
    with subprocess.Popen(command, cwd=BASE_DIR, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        address = process.stdout.readline().split()[-1]
        with urllib.request.urlopen(address, timeout=30) as answer:  # noqa: S310 - it is ours
            assert "catalogue_up{" in answer.read().decode()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert address.startswith("http://127.0.0.1:")


# --- the API's calls ---------------------------------------------------------------------------------------


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Counts of this test's own, at the real broker."""
    monkeypatch.setattr("config.latency.KEY", f"test:{uuid4()}")
    monkeypatch.setattr("config.latency._counts", Counter())
    yield
    with latency._broker() as broker:
        broker.delete(latency.KEY)


def buckets_of(call: str) -> dict[str, float]:
    """By the ends of the buckets' names; the sum of seconds is `sum`."""
    return {
        sample.labels.get("le", sample.name.rpartition("_")[2]): sample.value
        for sample in latency.latency_histogram().samples
        if [sample.labels[name] for name in ("call", "method", "answer")] == call.split()
    }


@pytest.mark.django_db
@pytest.mark.usefixtures("counted")
def test_the_times_of_the_api_s_calls_of_all_processes_are_added_up() -> None:
    client = Client()
    client.get("/list-products/")
    client.get("/api/v1/list-products/")  # the same call by its other address
    client.generic("MAKE-UP-A-NAME", "/list-products/")
    for page in ("/health-check/", "/accounts/login/", "/nowhere/"):
        client.get(page)
    latency.send_counts()
    with latency._broker() as broker:  # another process
        broker.hincrby(latency.KEY, "list-products GET 4xx 5.0", 1)
        broker.hincrby(latency.KEY, "list-products GET 4xx sum", 4_000_000)
    found = buckets_of("list-products GET 4xx")
    assert (found["2.5"], found["5.0"], found["+Inf"], found["count"]) == (2, 3, 3, 3)
    assert 4 <= found["sum"] < 8
    calls = {tuple(sample.labels.values())[:3] for sample in latency.latency_histogram().samples}
    assert calls == {("list-products", "GET", "4xx"), ("list-products", "OTHER", "4xx")}


@pytest.mark.usefixtures("counted")
def test_a_process_keeps_its_counts_while_the_broker_is_away(settings: Any) -> None:
    there, settings.REDIS_URL = settings.REDIS_URL, "redis://127.0.0.1:1/0"
    latency._counts.update({"list-products GET 2xx 0.1": 2})
    latency.send_counts()
    latency.send_counts()
    settings.REDIS_URL = there
    latency.send_counts()
    latency.send_counts()
    assert buckets_of("list-products GET 2xx")["+Inf"] == 2


# --- rules, dashboard, page ------------------------------------------------------------------------------

NAMES = {f"catalogue_{name}" for name, *_others in metrics.GAUGES}
NAMES |= {"catalogue_up", "catalogue_queue_length", "catalogue_api_seconds"}
LABELS = {f"catalogue_{name}": set(labels) for name, _says, labels, _statement in metrics.GAUGES} | {
    "catalogue_up": {"part"},
    "catalogue_queue_length": {"queue"},
    "catalogue_api_seconds": {"call", "method", "answer"},
}
PARTS_OF_A_HISTOGRAM = re.compile(r"(catalogue_api_seconds)_(?:bucket|sum|count)")
RULES = yaml.safe_load((OPS / "alerts.yml").read_text())["groups"][0]["rules"]
PANELS = json.loads((OPS / "dashboard.json").read_text())["panels"]
PROMTOOL = shutil.which("promtool")
# What is wrong for half an hour, and the alerts that are about it.
FIGURES = {
    'catalogue_up{part="database"}': "1x60",
    'catalogue_up{part="broker"}': "0x60",
    "catalogue_import_waiting_seconds": "1000x60",
    'catalogue_task_age_seconds{task="schedule.canary"}': "20x60",
    'catalogue_api_seconds_count{call="list-products",method="GET",answer="5xx"}': "0+10x60",
    'catalogue_api_seconds_count{call="list-products",method="GET",answer="2xx"}': "0+90x60",
    "catalogue_message_waiting_seconds": "60x60",
}
FIRING = {"MetricsAway": True, "ImportsWait": True, "BeatOrUpkeepAway": False, "CallsFail": True, "MailsWait": False}
EXPRESSIONS = [rule["expr"] for rule in RULES] + [target["expr"] for panel in PANELS for target in panel["targets"]]


def expected(name: str) -> list[dict[str, Any]]:
    """What promtool is to find of the alert."""
    (rule,) = [rule for rule in RULES if rule["alert"] == name]
    return [{"exp_labels": rule["labels"], "exp_annotations": rule["annotations"]}] if FIRING[name] else []


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_can_be_read_and_names_what_there_is(expression: str) -> None:
    promql_parser.parse(expression)
    expression = PARTS_OF_A_HISTOGRAM.sub(r"\1", expression)
    assert {*re.findall(r"catalogue_\w+", expression)} <= NAMES
    for name, matched in re.findall(r"(catalogue_\w+)\{([^}]*)\}", expression):
        assert {*re.findall(r"(\w+)\s*=", matched)} <= LABELS[name]


def test_the_dashboard_shows_every_metric_and_its_labels() -> None:
    shown = PARTS_OF_A_HISTOGRAM.sub(r"\1", " ".join(target["expr"] for panel in PANELS for target in panel["targets"]))
    assert {*re.findall(r"catalogue_\w+", shown)} == NAMES
    for panel in PANELS:
        (target,) = panel["targets"]
        if target["expr"] in LABELS:
            legend = {*re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])}
            assert legend == LABELS[target["expr"]], panel["title"]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in PANELS]
    assert len({*places}) == len(places)


@pytest.mark.skipif(not PROMTOOL, reason="promtool is not installed: the package prometheus has it")
def test_promtool_takes_the_rules_and_they_fire_when_they_should(tmp_path: Path) -> None:
    """An alert for each part: what Prometheus itself makes of figures."""
    rules = tmp_path / "alerts.yml"
    rules.write_text((OPS / "alerts.yml").read_text())
    (tmp_path / "test.yml").write_text(
        yaml.safe_dump(
            {
                "rule_files": [str(rules)],
                "tests": [
                    {
                        "interval": "1m",
                        "input_series": [{"series": series, "values": values} for series, values in FIGURES.items()],
                        "alert_rule_test": [
                            {"eval_time": "30m", "alertname": name, "exp_alerts": expected(name)} for name in FIRING
                        ],
                    }
                ],
            }
        )
    )
    for command in (["check", "rules", str(rules)], ["test", "rules", str(tmp_path / "test.yml")]):
        run = subprocess.run([str(PROMTOOL), *command], capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout + run.stderr


def test_the_page_lists_every_metric_with_its_labels_and_every_alert() -> None:
    page = (OPS / "README.md").read_text()
    rows = dict(re.findall(r"^\| `(catalogue_\w+)` \|([^|]*)\|", page, re.MULTILINE))
    assert rows.keys() == NAMES
    for name, labels in LABELS.items():
        assert {*re.findall(r"`(\w+)`", rows[name].partition(":")[0])} == labels, name
    alerts = [rule["alert"] for rule in RULES]
    assert re.findall(r"^\| `([A-Z]\w+)` \|", page, re.MULTILINE) == alerts
    assert all(rule["labels"]["severity"] in ("page", "ticket") and rule["annotations"]["summary"] for rule in RULES)
