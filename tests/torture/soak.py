"""Everything that people and programs do, for long, while things break: `python -m tests.torture.soak --help`.

Imports in all modes, fetches, calls of the API, edits, undo, exports, mails and webhooks go on in a checkout of their
own, while the blows of the torture come, and these: the web process is killed, a worker's clock jumps by hours, the
storage is away, its disk is full, the mail server is silent, the webhooks' receiver fails. Exit 0 when in the end
nothing was lost or done twice, no invariant is broken, memory stayed flat, and /health-check/ answered in time whenever
its process was up.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import os
import random
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from notifications.tests.postoffice import SILENCE, PostOffice
from tests.signals import end_in_order
from tests.torture.__main__ import own_checkout

HEALTH_SECONDS = 0.5
DISK = "512m"  # files are kept: for 20 minutes, a quarter of it
EVERY_SECONDS = {"blow": 12.0, "upload": 1.5, "read": 0.2, "edit": 3.0, "undo": 9.0, "export": 10.0, "fetch": 7.0}
LASTS_SECONDS = 4.0  # an outage
BOUND_SECONDS = 180.0  # until all is done, after the last blow
GROWTH = 1.25
GROWTH_MB = 30


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.torture.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20, help="(default: 20)")
    parser.add_argument("--items", type=int, default=400, help="of each file (default: 400)")
    parser.add_argument("--health-ms", type=float, default=1000 * HEALTH_SECONDS, help="(default: 500)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="draw the same blows again")
    options = parser.parse_args()
    end_in_order()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder, PostOffice() as office, receiver() as others:
        own_checkout(folder, office)
        os.environ |= {"FETCH_ALLOW": "127.0.0.0/8", "FETCH_PORTS": str(others.server_port), "UPLOAD_MAX_OPEN": "1000"}
        os.environ |= {"UPLOAD_MAX_PER_MINUTE": "1000", "ACCOUNT_SIGNUP_OPEN": "0"}
        import devservers

        with disk(devservers.STATE) as has_disk:
            try:
                devservers.ensure()
                import django

                django.setup()
                return Soak(options, office, others, has_disk).run()
            finally:
                devservers.reset()


@contextmanager
def disk(state: Path) -> Iterator[bool]:
    """A small one under the stored files, where mounting is allowed: whether it was."""
    place = state / "disk"
    place.mkdir(parents=True)
    mount = shutil.which("mount") or ""
    mounted = (
        bool(mount)
        and not subprocess.run(
            [mount, "-t", "tmpfs", "-o", f"size={DISK}", "soak", str(place)], check=False, capture_output=True
        ).returncode
    )
    (state / "media").symlink_to(place)
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run([str(shutil.which("umount")), "--lazy", str(place)], check=False)


# --- the others: a shop whose feed is fetched, and a receiver of webhooks ---------------------------------
class Others(BaseHTTPRequestHandler):
    """GET is the shop's feed, POST a webhook."""

    feed = b""
    is_failing = False
    told: Counter[str] = Counter()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(Others.feed)))
        self.end_headers()
        self.wfile.write(Others.feed)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if not Others.is_failing:
            Others.told[self.headers["webhook-id"]] += 1
        self.send_response(503 if Others.is_failing else 204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


@contextmanager
def receiver() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Others)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


# --- the web process ----------------------------------------------------------------------------------
class Web:
    """Serves the site, and is started again when it is gone."""

    def __init__(self, port: int, log: Path) -> None:
        self.port, self._log = port, log
        self.process: subprocess.Popen[bytes] | None = None

    def keep_up(self) -> None:
        if self.process and self.process.poll() is None:
            return
        command = ["manage.py", "runserver", f"127.0.0.1:{self.port}", "--noreload"]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen([sys.executable, *command], stdout=log, stderr=subprocess.STDOUT)

    def end(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()


def watch_health(port: int, answers: Any) -> None:
    """In a process of its own, so that nobody holds up its clock: how long each answer took, until it is killed."""
    while True:
        start = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        with suppress(OSError, http.client.HTTPException):  # killed, or not up yet
            connection.request("GET", "/health-check/", headers={"Host": "localhost"})
            if connection.getresponse().status == http.HTTPStatus.OK:
                answers.send((time.time(), time.monotonic() - start))
        connection.close()
        time.sleep(0.2)


def memory_mb(pid: int) -> float:
    with suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024
    return 0.0


# --- what goes on -------------------------------------------------------------------------------------
class Soak:
    def __init__(self, options: argparse.Namespace, office: PostOffice, others: Any, has_disk: bool) -> None:
        import devservers
        from tests.torture.keeper import Worker

        self.options, self.office, self.others, self.has_disk = options, office, others, has_disk
        self.dice = random.Random(options.seed)  # noqa: S311 - to be drawn again
        self.state = devservers.STATE
        self.web = Web(free_port(), self.state / "web.log")
        self.workers = [Worker("one"), Worker("two")]
        self.processes: list[Any] = [self.web, *self.workers]
        self.accepted: dict[str, int] = {}
        self.done: Counter[str] = Counter()
        self.over = threading.Event()
        self.memory: dict[str, list[tuple[float, float]]] = {}
        self.health: list[float] = []
        self.blows = 0

    def run(self) -> int:
        from django.core.management import call_command

        from catalog.tests.factories import wait_until
        from tests.torture import driver, points

        call_command("migrate", verbosity=0)
        points.prepare()
        driver.quicken()
        points.ARMED.mkdir()
        self.prepare()
        print(f"seed {self.options.seed}", flush=True)
        with ExitStack() as stack:
            for process in self.processes:
                process.keep_up()
                stack.callback(process.end)
            for worker in self.workers:
                worker.wait_until_ready()
            wait_until(lambda: self.call("GET", "/health-check/")[0] == 200, 180)
            answers, ends = multiprocessing.Pipe(duplex=False)
            watcher = multiprocessing.get_context("spawn").Process(target=watch_health, args=(self.web.port, ends))
            watcher.start()
            stack.callback(watcher.kill)
            self.soak(answers)
            return self.verdict()

    def prepare(self) -> None:
        from accounts.keys import make_key
        from accounts.models import Scope, User
        from catalog.models import Feed, FeedSource, Mode
        from catalog.models.webhooks import WebhookEvent
        from catalog.webhooks.edit import make_webhook

        root = self.root = User.objects.create(username="root", email="root@example.com", is_superuser=True)
        for mode in Mode:
            Feed.objects.create(name=mode.value, slug=mode.value, mode=mode)
        shop = Feed.objects.create(name="shop", slug="shop", mode=Mode.UPDATE, auto_apply=True)
        place = f"http://127.0.0.1:{self.others.server_port}"
        FeedSource.objects.create(feed=shop, address=f"{place}/feed.xml")
        make_webhook(by=root, name="all", address=f"{place}/told", events=[WebhookEvent.APPLIED, WebhookEvent.UNDONE])
        self.key = make_key(root, name="soak", scopes=[*Scope], feeds=[], days=1, by=root)
        Others.feed = self.file("shop", 0)

    def file(self, name: str, number: int) -> bytes:
        from catalog.tests.factories import feed_of, item

        some = (f"{name}-{n:05}" for n in range(number % 7, self.options.items))
        return feed_of(*(item(id, price=f"{100 + (number + n) % 50} AED") for n, id in enumerate(some)))

    def call(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
        """0 when there is no answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.web.port, timeout=60)
        named = {"Host": "localhost", **{name.replace("_", "-"): value for name, value in headers.items()}}
        if hasattr(self, "key"):
            named["Authorization"] = f"Api-Key {self.key}"
        try:
            connection.request(method, path, body or None, named)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text[:1] in (b"{", b"[") else text
        except (OSError, http.client.HTTPException, ValueError):
            return 0, None
        finally:
            connection.close()

    def upload(self) -> None:
        """Each file until it is accepted, by one key: whatever breaks meanwhile, it is one import."""
        from django.core.files.uploadedfile import SimpleUploadedFile
        from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

        number = self.done["uploads"]
        mode, key = ("add", "update", "sync")[number % 3], uuid.uuid4().hex
        fields = {"file": SimpleUploadedFile("feed.xml", self.file(mode, number)), "feed": mode, "mode": mode}
        body = encode_multipart(BOUNDARY, fields)
        self.done["uploads"] += 1
        end = time.monotonic() + BOUND_SECONDS
        while time.monotonic() < end:
            status, said = self.call(
                "POST", "/upload-products/", body, Idempotency_Key=key, Content_Type=MULTIPART_CONTENT
            )
            if status in (200, 201, 202):
                self.accepted[key] = said["id"]
                return
            self.done[f"uploads answered {status}"] += 1
            if 400 <= status < 500 and status not in (408, 409, 429):
                raise AssertionError(f"The upload was refused: {status} {said}")
            time.sleep(1)

    def read(self) -> None:
        address = self.dice.choice(("/list-products/?page_size=20", "/filter-options/", "/imports/", "/feeds/"))
        status, _said = self.call("GET", address)
        self.done[f"reading calls answered {status}"] += 1

    def edit(self) -> None:
        from catalog.errors import CatalogError
        from catalog.imports.edit import edit_product
        from catalog.models import Product
        from tests.torture.driver import steadily

        def change() -> None:
            if product := Product.objects.filter(archived_at=None).order_by("?").first():
                product.title = f"Edited {self.done['edits']}"
                with suppress(CatalogError):
                    edit_product(product, by=self.root, fields=["title"])
                self.done["edits"] += 1

        steadily(change)

    def undo(self) -> None:
        if self.accepted:
            status, _said = self.call("POST", f"/imports/{self.dice.choice([*self.accepted.values()])}/undo/")
            self.done[f"undos answered {status}"] += 1

    def export(self) -> None:
        from catalog.errors import CatalogError
        from catalog.exports.export import request_export
        from catalog.models import Market
        from tests.torture.driver import steadily

        def ask() -> None:
            with suppress(CatalogError):
                query = f"q=Edited+{self.done['exports']}" if self.done["exports"] % 2 else ""
                request_export(by=self.root, market=Market.objects.all()[0], format_name="csv", query=query)
                self.done["exports"] += 1

        steadily(ask)

    def fetch(self) -> None:
        Others.feed = self.file("shop", self.done["fetches"])
        status, _said = self.call("POST", "/feeds/shop/fetch/")
        self.done["fetches"] += 1
        self.done[f"fetches answered {status}"] += 1

    def blow(self) -> None:
        """One of those of the torture to a worker, or one of these."""
        from tests.torture.blows import BLOWS
        from tests.torture.driver import steadily

        own: dict[str, Callable[[], None]] = {
            "kill web": self.kill_web,
            "jump a clock": self.jump_clock,
            "storage away": self.storage_away,
            "mail server silent": self.mail_silent,
            "receiver fails": self.receiver_fails,
        }
        if self.has_disk:
            own["full disk"] = self.full_disk
        if not (deck := self.__dict__.setdefault("deck", [])):
            deck.extend(self.dice.sample([*own, *BLOWS], len(own) + len(BLOWS)))
        name = deck.pop()
        self.blows += 1
        self.done[f"blow: {name}"] += 1
        if name in own:
            own[name]()
        elif children := self.dice.choice(self.workers).children():
            with suppress(ProcessLookupError, FileNotFoundError):
                steadily(lambda: BLOWS[name](self.dice.choice(children)))

    def kill_web(self) -> None:
        if self.web.process:
            self.web.process.kill()

    def jump_clock(self) -> None:
        """A worker's, while it is restarted."""
        worker = self.workers[1]
        worker.environment["TEST_CLOCK"] = str(self.dice.choice((-3, -1, 0, 2)))
        worker.end()

    def storage_away(self) -> None:
        for place in (Path("/proc/nowhere"), self.state / "disk"):  # where nobody can make a folder
            (self.state / "other").symlink_to(place)
            (self.state / "other").rename(self.state / "media")
            self.over.wait(LASTS_SECONDS)

    def full_disk(self) -> None:
        filler = self.state / "disk/filler"
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(64 * 1024))
        self.over.wait(LASTS_SECONDS)
        filler.unlink()

    def mail_silent(self) -> None:
        self.office.moods["DATA"] = SILENCE
        self.over.wait(LASTS_SECONDS)
        self.office.moods.clear()

    def receiver_fails(self) -> None:
        Others.is_failing = True
        self.over.wait(LASTS_SECONDS)
        Others.is_failing = False

    # --- the time ---------------------------------------------------------------------------------------

    def soak(self, answers: Any) -> None:
        """Everything at its own pace, each in a thread; and what any installation has: restarts, beat, the sweeps."""
        failures: list[BaseException] = []

        def at_its_pace(act: Callable[[], None], seconds: float) -> None:
            from django.db import connections

            try:
                while not self.over.wait(seconds):
                    act()
            except BaseException as error:
                failures.append(error)
                raise
            finally:
                connections.close_all()

        # In a short time the blows come quicker, so that there are some of each sort.
        paces = EVERY_SECONDS | {"blow": min(EVERY_SECONDS["blow"], 4 * self.options.minutes)}
        threads = [
            threading.Thread(target=at_its_pace, args=(getattr(self, name), seconds), daemon=True)
            for name, seconds in paces.items()
        ]
        for thread in threads:
            thread.start()
        end, next_line = time.monotonic() + 60 * self.options.minutes, 0.0
        try:
            while time.monotonic() < end and not failures:
                self.go_on(answers)
                if time.monotonic() > next_line:
                    next_line = time.monotonic() + 30
                    print(f"{end - time.monotonic():6.0f} s left: {self.report()}", flush=True)
        finally:
            self.over.set()  # else the threads would start the servers again
        while any(thread.is_alive() for thread in threads):
            self.go_on(answers)
        if failures:
            raise failures[0]
        self.settle(answers)

    def go_on(self, answers: Any) -> None:
        import devservers
        from catalog.exports.export import sweep_exports
        from catalog.fetching.fetch import sweep_fetches
        from catalog.imports import sweep
        from catalog.models.webhooks import enqueue_deliveries
        from notifications import outbox
        from tests.torture.driver import steadily

        time.sleep(0.2)
        devservers.start()
        for process in self.processes:
            process.keep_up()
        while answers.poll():
            self.health.append(answers.recv()[1])
        now = time.monotonic()
        if now > self.__dict__.get("next_sweep", 0.0):
            self.next_sweep = now + 1
            for look in (sweep.sweep, sweep_fetches, sweep_exports, outbox.enqueue_delivery, enqueue_deliveries):
                steadily(look)
            watched = {"web": [self.web.process.pid if self.web.process else 0]}
            watched["workers"] = [pid for worker in self.workers for pid in worker.children()]
            for name, pids in watched.items():
                self.memory.setdefault(name, []).append((now, max(map(memory_mb, pids), default=0)))

    def settle(self, answers: Any) -> None:
        """Nothing breaks any more: all that was begun comes to its end."""
        from catalog.models import Export, WebhookDelivery
        from catalog.models.exporting import OPEN_EXPORTS
        from catalog.models.runs import BUSY, ImportRun
        from tests.torture.driver import CALM, is_calm, steadily

        def is_over() -> bool:
            ours = ImportRun.objects.filter(status__in=BUSY) | ImportRun.objects.filter(status="staging")
            waits = (
                ours,
                Export.objects.filter(status__in=OPEN_EXPORTS),
                WebhookDelivery.objects.filter(status="waiting"),
            )
            return is_calm() and not any(each.exists() for each in waits)

        for worker in self.workers:
            worker.thaw()
        looks, end = 0, time.monotonic() + BOUND_SECONDS
        while looks < CALM and time.monotonic() < end:
            self.go_on(answers)
            looks = looks + 1 if steadily(is_over) else 0
        self.is_calm = looks == CALM

    def report(self) -> str:
        return f"{self.done['uploads']} uploads, {len(self.health)} looks at the health, {self.blows} blows"

    def verdict(self) -> int:
        """What was lost, done twice, broken, slow or growing."""
        from catalog.imports import retention
        from catalog.models import Export, ImportRun, WebhookDelivery
        from tests.test_invariants import violations
        from tests.torture import story

        retention.forget_old()
        wrong = [f"{name}: {rows[:3]}" for name, rows in violations().items()]
        if not self.is_calm:
            wrong.append(f"work was left after {BOUND_SECONDS:.0f} s")
        if len(self.accepted) != self.done["uploads"]:
            wrong.append(f"{self.done['uploads'] - len(self.accepted)} uploads were never accepted")
        if len({*self.accepted.values()}) != len(self.accepted):
            wrong.append("two uploads are one import")
        uploaded = ImportRun.objects.exclude(feed__slug="shop")
        if lost := {*self.accepted.values()} - {*uploaded.values_list("pk", flat=True)}:
            wrong.append(f"imports that were accepted are not there: {sorted(lost)}")
        if doubled := uploaded.exclude(pk__in=self.accepted.values()).count():
            wrong.append(f"{doubled} imports are there twice")
        for run in ImportRun.objects.all():
            steps = [step["status"] for step in run.history]
            if run.status not in ("applied", "undone") or steps.count("applied") != 1 or steps.count("undone") > 1:
                wrong.append(f"{run} went {', '.join(steps)} {run.error}")
        # A storage that takes no file ends an export, with a sentence; whatever else breaks does not.
        for export in Export.objects.exclude(status="ready"):
            if export.code not in ("storage.full", "storage.failed"):
                wrong.append(f"{export} is {export.status} {export.code}: {export.sentence}")
        if unsent := story.unsent(self.office):
            wrong.append(f"{len(unsent)} messages that were sent never came")
        if (doubles := story.doubles(self.office)) > 4 * self.blows:
            wrong.append(f"{doubles} mails came twice")
        sent = {delivery.message_id for delivery in WebhookDelivery.objects.filter(status="sent")}
        if missing := sent - {*Others.told}:
            wrong.append(f"{len(missing)} webhooks that were sent never came")
        if (again := sum(Others.told.values()) - len(Others.told)) > 4 * self.blows:
            wrong.append(f"{again} webhooks came again")
        slow = [seconds for seconds in self.health if seconds > self.options.health_ms / 1000]
        if slow:
            wrong.append(
                f"/health-check/ took longer {len(slow)} times of {len(self.health)}, at most {max(slow):.2f} s"
            )
        for name, seen in self.memory.items():
            middle, last = ([mb for _when, mb in seen[len(seen) * a // 3 : len(seen) * (a + 1) // 3]] for a in (1, 2))
            before, after = statistics.median(middle or [0]), statistics.median(last or [0])
            print(f"memory of {name}: {before:.0f} MB, later {after:.0f} MB")
            if after > GROWTH * before + GROWTH_MB:
                wrong.append(f"the memory of {name} grew from {before:.0f} to {after:.0f} MB")
        for what, times in sorted(self.done.items()):
            print(f"{times:6} × {what}")
        if self.health:
            print(
                f"/health-check/: half within {statistics.median(self.health):.3f} s, longest {max(self.health):.3f} s"
            )
        told = f"{sum(Others.told.values())} webhooks, {again} again"
        print(f"{len(self.office.ledger)} mails came, {doubles} again; {told}")
        if not self.has_disk:
            print("No disk was full, because nobody may mount one here.")
        print("\n".join(wrong) if wrong else "Nothing was lost, doubled, broken, slow or growing")
        if wrong:
            print(*(worker.last_words() for worker in self.workers), sep="\n")
        return 1 if wrong else 0


def free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
