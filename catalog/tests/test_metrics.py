"""What each step of an import cost: measured, kept, and shown."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from catalog.imports.local import stage_locally
from catalog.imports.reading import chunks
from catalog.imports.work.metrics import Meter, together
from catalog.models import Feed, ImportRun
from catalog.tests.factories import applied, feed_of, items, planned, received
from catalog.tests.pages import browser, texts, url, with_class

pytestmark = pytest.mark.django_db

FIGURES = {"seconds", "items_per_second", "database_seconds", "peak_rss_mb"}


def believable(figures: dict[str, float], items: int) -> bool:
    took = items / figures["items_per_second"]
    fits = abs(figures["seconds"] - took) <= 0.001  # it is rounded
    return fits and 0 < figures["database_seconds"] <= figures["seconds"] and 20 < figures["peak_rss_mb"] < 2000


def test_each_step_says_what_it_cost(feed: Feed) -> None:
    run = applied(feed, *items(500))
    run.refresh_from_db()
    assert set(run.metrics) == {"stage", "plan", "apply"}
    assert {step: figures["seconds"] for step, figures in run.metrics.items()} == run.seconds
    assert all(set(figures) == FIGURES for figures in run.metrics.values())
    assert [step for step, figures in run.metrics.items() if not believable(figures, 500)] == [], run.metrics


def test_a_file_in_chunks_says_what_all_of_them_cost(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "PIECE_BYTES", 50_000)
    run = received(feed, feed_of(*items(1000)))
    stage_locally(run)
    assert run.in_chunks
    assert believable(run.metrics["stage"], 1000)


def test_of_several_processes_time_is_added_and_memory_is_the_largest() -> None:
    costs = [{"database_seconds": 1.5, "peak_rss_mb": 80.0}, {}, {"database_seconds": 0.5, "peak_rss_mb": 95.0}]
    assert together(costs) == {"database_seconds": 2.0, "peak_rss_mb": 95.0}
    assert together([]) == {"database_seconds": 0, "peak_rss_mb": 0}


def test_the_time_of_the_database_is_not_the_time_of_the_program() -> None:
    with Meter() as meter:
        time.sleep(0.1)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.05)")
    assert 0.05 <= meter.database < 0.1
    assert meter.seconds >= 0.15


def test_memory_that_was_given_back_was_needed_all_the_same() -> None:
    with Meter() as meter:
        before = meter.figures(1)["peak_rss_mb"]
        much = bytearray(200 * 1024 * 1024)
        del much
    assert meter.figures(1)["peak_rss_mb"] > min(before + 90, 190)


def test_the_shell_tells_it_beside_the_seconds(feed: Feed, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "feed.xml").write_bytes(feed_of(*items(3)))
    call_command("import_feed", str(tmp_path / "feed.xml"), "--feed", "ounass", "--dry-run", "--json")
    answer: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(answer["seconds"]) == {"stage", "plan", "apply"}
    assert {step: set(figures) for step, figures in answer["metrics"].items()} == {"stage": FIGURES, "plan": FIGURES}


def test_the_page_has_a_table_of_it(feed: Feed) -> None:
    run = applied(feed, *items(3))
    ImportRun.objects.filter(pk=run.pk).update(
        metrics={"stage": dict.fromkeys(FIGURES, 12.5), "apply": dict.fromkeys(FIGURES, 1234.5)}
    )
    page = browser("bob").get(url(run))
    assert texts(page, f"//details[{with_class('took')}]/summary") == ["read in 12 s, applied in 20 min 34 s"]
    rows = texts(page, f"//details[{with_class('took')}]//tbody/tr")
    assert [row.split()[-1] for row in rows] == ["MB", "MB"]
    assert rows[1].startswith("applied1,234.500")


def test_a_plan_says_already_what_reading_cost(feed: Feed) -> None:
    page = browser("bob").get(url(planned(feed, *items(3))))
    (summary,) = texts(page, f"//details[{with_class('took')}]/summary")
    assert summary.startswith("read in ")
