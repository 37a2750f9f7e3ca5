"""What Prometheus reads: true figures, at a port of their own; and rules, dashboard and page that name only them."""

import json
import re
import signal
import subprocess
import sys
import urllib.request
from datetime import timedelta
from typing import Any

import promql_parser
import pytest
import yaml
from django.core.files.base import ContentFile
from django.db import InterfaceError
from django.utils import timezone
from redis.exceptions import ConnectionError as BrokerAway

from catalog.imports.receive import receive
from catalog.models import Feed, FeedSource, ImportRun, Status
from catalog.tests.factories import applied, feed_of, item
from config import metrics
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


# --- rules, dashboard, page ------------------------------------------------------------------------------

NAMES = {f"catalogue_{name}" for name, *_others in metrics.GAUGES} | {"catalogue_up", "catalogue_queue_length"}
LABELS = {f"catalogue_{name}": set(labels) for name, _says, labels, _statement in metrics.GAUGES} | {
    "catalogue_up": {"part"},
    "catalogue_queue_length": {"queue"},
}
RULES = yaml.safe_load((OPS / "alerts.yml").read_text())["groups"][0]["rules"]
PANELS = json.loads((OPS / "dashboard.json").read_text())["panels"]
EXPRESSIONS = [rule["expr"] for rule in RULES] + [target["expr"] for panel in PANELS for target in panel["targets"]]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_can_be_read_and_names_what_there_is(expression: str) -> None:
    promql_parser.parse(expression)
    assert {*re.findall(r"catalogue_\w+", expression)} <= NAMES
    for name, matched in re.findall(r"(catalogue_\w+)\{([^}]*)\}", expression):
        assert {*re.findall(r"(\w+)\s*=", matched)} <= LABELS[name]


def test_the_dashboard_shows_every_metric_and_its_labels() -> None:
    shown = " ".join(target["expr"] for panel in PANELS for target in panel["targets"])
    assert {*re.findall(r"catalogue_\w+", shown)} == NAMES
    for panel in PANELS:
        (target,) = panel["targets"]
        if target["expr"] in LABELS:
            legend = {*re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])}
            assert legend == LABELS[target["expr"]], panel["title"]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in PANELS]
    assert len({*places}) == len(places)


def test_the_page_lists_every_metric_with_its_labels_and_every_alert() -> None:
    page = (OPS / "README.md").read_text()
    rows = dict(re.findall(r"^\| `(catalogue_\w+)` \|([^|]*)\|", page, re.MULTILINE))
    assert rows.keys() == NAMES
    for name, labels in LABELS.items():
        assert {*re.findall(r"`(\w+)`", rows[name].partition(":")[0])} == labels, name
    alerts = [rule["alert"] for rule in RULES]
    assert re.findall(r"^\| `([A-Z]\w+)` \|", page, re.MULTILINE) == alerts
    assert all(rule["labels"]["severity"] in ("page", "ticket") and rule["annotations"]["summary"] for rule in RULES)
