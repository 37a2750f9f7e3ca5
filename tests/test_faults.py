"""What befalls processes: a deadly file, too little memory, a wrong clock, odd messages, a kill in an upload."""

import http.client
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.db.models.functions import Now
from django.test.client import BOUNDARY, MULTIPART_CONTENT, Client, encode_multipart

from accounts.models import User
from catalog.imports.apply import apply
from catalog.imports.confirm import confirm
from catalog.imports.reading.processes import count_cores
from catalog.imports.receive import receive
from catalog.imports.sweep import sweep
from catalog.imports.work.queue import CATALOGUE_LOCK, claimed
from catalog.models import Attempt, Feed, ImportRun, Status
from catalog.models.runs import ENDS
from catalog.tests.api import UPLOAD
from catalog.tests.factories import at_once, counts, feed_of, item, items, planned, received, uploaded, wait_until
from notifications.models import Message
from tests.workers import MOST_SECONDS, arrives, running, started

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def worker(queue: str, settings: Any, tmp_path: Path) -> Callable[..., Any]:
    """Run a worker with faults: `worker(TEST_CLOCK="2")`."""

    def run(**faults: str) -> Any:
        name = "-".join([*faults, *faults.values()])
        return running(
            queue,
            settings,
            "-c",
            "2",
            "-n",
            name,
            "-Q",
            "celery,upkeep",
            log=tmp_path / f"{name}.log",
            app="tests.faulty",
            **faults,
        )

    return run


@pytest.fixture
def alice() -> User:
    return User.objects.create_superuser("alice", "alice@example.com", "correct horse battery")


def ended(run: ImportRun) -> ImportRun:
    """The run at its end, with a sweep by beat now and then."""

    def is_over() -> bool:
        sweep()
        run.refresh_from_db()
        return run.status in ENDS

    wait_until(is_over, MOST_SECONDS)
    return run


# --- a file that is too much for its worker -----------------------------------------------------------
def test_a_file_that_costs_each_worker_its_life_fails_and_the_others_go_on(
    worker: Any, feed: Feed, alice: User
) -> None:
    with worker(TEST_POISON="feed.xml") as process:
        poison = uploaded(feed, feed_of(item("poison")))
        fine = [ContentFile(feed_of(item(f"{n}")), "fine.xml") for n in range(3)]
        others = [receive(file, feed=feed, auto_apply=True) for file in fine]
        assert [ended(run).status for run in others] == [Status.APPLIED] * 3
        assert ended(poison).error_code == "worker_lost"
        assert process.poll() is None
    assert poison.error.startswith("3 workers were lost over this import")
    assert Path(poison.file.path).exists()
    assert Message.objects.filter(name="import_failed", about=f"catalog.importrun:{poison.pk}").count() == 1
    assert not Attempt.objects.exists()


def test_too_little_memory_fails_in_words_and_the_worker_goes_on(worker: Any, feed: Feed) -> None:
    limits = {"FEED_MAX_ITEM_BYTES": f"{10**9}", "FEED_MAX_VALUE_CHARS": f"{10**9}"}
    with worker(TEST_MEMORY="48", **limits) as process:
        huge = uploaded(feed, feed_of(item("1", description="x" * 60_000_000)))
        assert ended(huge).error_code == "memory"
        arrives(uploaded(feed, feed_of(item("2"))), Status.REVIEW)
        assert process.poll() is None
    assert "memory was not enough" in huge.error
    assert not Attempt.objects.exists()


# --- a worker that is stopped --------------------------------------------------------------------------
def test_a_worker_whose_processes_are_frozen_stops_in_time_and_gives_its_task_back(
    worker: Any, feed: Feed, tmp_path: Path
) -> None:
    with worker(REMAP_SIGTERM="SIGQUIT") as process:
        for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            os.kill(int(child), signal.SIGSTOP)
        run = uploaded(feed, feed_of(item("1")))
        wait_until(lambda: b" received" in (tmp_path / "REMAP_SIGTERM-SIGQUIT.log").read_bytes(), MOST_SECONDS)
        process.terminate()
        process.wait(15)
    with worker():
        arrives(run, Status.REVIEW)


def test_an_import_that_is_killed_in_the_shell_leaves_no_process(queue: str, settings: Any, tmp_path: Path) -> None:
    if count_cores() < 2:
        pytest.skip("one core needs no other process")
    file = tmp_path / "big.xml"
    file.write_bytes(feed_of(*items(30_000)))
    with started(["manage.py", "import_feed", str(file)], b"is new", queue, settings, tmp_path / "log") as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        wait_until(lambda: len(children.read_text().split()) >= 2, MOST_SECONDS)
        pids = [int(pid) for pid in children.read_text().split()]
        process.terminate()
        assert process.wait(20) == -signal.SIGTERM
        wait_until(lambda: not any(Path(f"/proc/{pid}/fd").exists() for pid in pids))


# --- a wrong clock ------------------------------------------------------------------------------------
def test_workers_whose_clocks_are_four_hours_apart_work_together(worker: Any, feed: Feed) -> None:
    ours = received(feed, feed_of(item("ours")))
    ImportRun.objects.update(changed_at=Now() - timedelta(hours=1))
    with claimed(ours) as free, ExitStack() as stack:
        assert free
        for hours in ("2", "-2"):
            stack.enter_context(worker(TEST_CLOCK=hours))
        for _ in range(4):
            current_app.send_task("catalog.sweep")
        run = uploaded(feed, feed_of(*items(600)), auto_apply=True)
        arrives(run, Status.APPLIED)
        assert Attempt.objects.get(run=ours).count == 1  # nobody took over, or cut this connection off
    ours.refresh_from_db()
    assert ours.status == Status.RECEIVED
    assert counts(run) == {"items": 600, "created": 600}
    assert all(0 <= seconds < 60 for seconds in run.seconds.values())
    steps = [step["at"] for step in run.history]
    assert steps == sorted(steps)
    assert ImportRun.objects.filter(pk=run.pk, planned_at__lt=Now(), finished_at__lt=Now()).exists()


# --- odd messages -------------------------------------------------------------------------------------
class Pickled:
    """What, unpickled, leaves a file behind."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.trace),)


def test_messages_that_make_no_sense_harm_nobody(worker: Any, feed: Feed, tmp_path: Path) -> None:
    run = received(feed, feed_of(item("1")))
    with worker() as process:
        current_app.send_task("catalog.what_a_release_before_this_one_had", args=[run.pk])
        for odd in ([], [run.pk, "more"], ["x"], [None], [10**9], [{"x": "y" * 10_000_000}]):
            current_app.send_task("catalog.stage", args=odd)
        current_app.send_task("catalog.stage", args=[Pickled(tmp_path / "trace")], serializer="pickle")
        current_app.send_task("catalog.stage", args=[run.pk])
        arrives(run, Status.REVIEW)
        assert process.poll() is None
    assert not (tmp_path / "trace").exists()


# --- uploads ------------------------------------------------------------------------------------------
def test_a_web_process_killed_in_an_upload_leaves_nothing_of_it(
    queue: str, settings: Any, alice: User, tmp_path: Path
) -> None:
    login = Client().post("/login/", {"username": "alice", "password": "correct horse battery"}, "application/json")
    headers = {"Authorization": f"Bearer {login.json()['access']}", "Content-Type": MULTIPART_CONTENT}
    (tmp_path / "tmp").mkdir()
    port = free_port()
    command = ["manage.py", "runserver", f"127.0.0.1:{port}", "--noreload"]
    log = tmp_path / "web.log"
    with ExitStack() as stack:
        web = stack.enter_context(
            started(command, b"Quit the server", queue, settings, log, TMPDIR=str(tmp_path / "tmp"))
        )
        wait_until(lambda: answers(port), MOST_SECONDS)
        with closing(http.client.HTTPConnection("127.0.0.1", port)) as whole:
            whole.request("POST", UPLOAD, form(feed_of(item("1"))), headers)
            assert whole.getresponse().status == 202
        body = form(feed_of(item("2", description="x" * 40_000_000)))
        half = stack.enter_context(closing(http.client.HTTPConnection("127.0.0.1", port)))
        half.putrequest("POST", UPLOAD)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            half.putheader(name, value)
        half.endheaders(body[: len(body) // 2])  # more than lies between here and there: the most of it is read
        web.send_signal(signal.SIGKILL)
        web.wait(10)
    run = ImportRun.objects.get()
    assert Path(run.file.path).read_bytes() == feed_of(item("1"))
    kept = [path for path in Path(settings.MEDIA_ROOT).rglob("*") if path.is_file()]
    assert kept == [Path(run.file.path)]
    assert [*(tmp_path / "tmp").iterdir()] == []


def form(content: bytes) -> bytes:
    return encode_multipart(BOUNDARY, {"file": SimpleUploadedFile("feed.xml", content)})


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_imports_behind_the_catalogue_s_lock_take_no_worker_and_are_applied_in_order(
    queue: str, settings: Any, tmp_path: Path, feed: Feed
) -> None:
    first, second = (planned(feed, item(name)) for name in ("1", "2"))
    with running(queue, settings, "--concurrency=1", log=tmp_path / "worker.log"):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s, 0)", [CATALOGUE_LOCK])
            for run in (first, second):
                confirm(run, plan_hash=run.plan_hash, by=None)
            arrives(uploaded(feed, feed_of(item("3"))), Status.REVIEW)
            time.sleep(3)
            assert not ImportRun.objects.filter(status=Status.APPLIED).exists()
            cursor.execute("SELECT pg_advisory_unlock(%s, 0)", [CATALOGUE_LOCK])
            released = time.monotonic()
        arrives(first, Status.APPLIED)
        arrives(second, Status.APPLIED)
    assert time.monotonic() - released < 30
    assert first.finished_at
    assert second.finished_at
    assert first.finished_at < second.finished_at


def test_of_many_imports_behind_the_lock_only_the_next_one_looks_often(feed: Feed, monkeypatch: Any) -> None:
    """Thirty that all looked every five seconds, and called the next one each time, kept the workers from it."""
    runs = [planned(feed, item(name)) for name in ("1", "2", "3")]
    for run in runs:
        confirm(run, plan_hash=run.plan_hash, by=None)
    calls: list[tuple[int, int]] = []
    monkeypatch.setattr(
        "celery.current_app.send_task", lambda _name, args, **more: calls.append((*args, more.get("countdown", 0)))
    )

    def look() -> None:
        for run in [*runs, *runs]:
            apply(run)

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, 0)", [CATALOGUE_LOCK])
        assert at_once(look) == [None]
        cursor.execute("SELECT pg_advisory_unlock(%s, 0)", [CATALOGUE_LOCK])
    first, second, third = (run.pk for run in runs)
    assert calls == [(first, 5), (second, 60), (third, 60)]
    calls.clear()
    apply(runs[2])
    assert calls == [(first, 0)], "it is free now, and the first one's turn"
    apply(runs[0])
    assert (second, 0) in calls
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, 0)", [CATALOGUE_LOCK])
        assert at_once(lambda: apply(runs[1])) == [None]
        cursor.execute("SELECT pg_advisory_unlock(%s, 0)", [CATALOGUE_LOCK])
    assert calls[-1] == (second, 5), "it is next now, and does not wait for its minute"


def test_an_import_whose_storage_is_away_for_seconds_goes_on(
    queue: str, settings: Any, tmp_path: Path, feed: Feed
) -> None:
    run = uploaded(feed, feed_of(*items(50)))
    media, aside = Path(settings.MEDIA_ROOT), tmp_path / "aside"
    media.rename(aside)
    media.mkdir()
    with running(queue, settings, "--concurrency=1", log=tmp_path / "worker.log"):
        wait_until(lambda: ImportRun.objects.exclude(next_try_at=None).exists(), MOST_SECONDS)
        time.sleep(6)
        run.refresh_from_db()
        assert (run.status, run.error) == (Status.RECEIVED, "")
        media.rmdir()
        aside.rename(media)
        back = time.monotonic()
        arrives(run, Status.REVIEW)
    assert time.monotonic() - back < 20


def test_a_call_that_meets_a_worker_about_to_let_go_is_not_swallowed(feed: Feed, monkeypatch: Any) -> None:
    run = planned(feed, item("1"))
    calls: list[tuple[str, int]] = []
    monkeypatch.setattr("celery.current_app.send_task", lambda name, args, **_: calls.append((name, *args)))
    with claimed(run):
        confirm(run, plan_hash=run.plan_hash, by=None)
        assert at_once(lambda: apply(run)) == [None]  # the call for it comes, and finds the run claimed
        assert calls == [("catalog.apply", run.pk)]
    assert calls == [("catalog.apply", run.pk)] * 2
