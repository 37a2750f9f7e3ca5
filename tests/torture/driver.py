"""Runs imports, disturbs them, and compares."""

from __future__ import annotations

import random
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from django.core.management import call_command
from django.db import Error, connection

import devservers
from catalog.connections import is_lost
from catalog.imports import retention, sweep
from catalog.imports.work import attempts
from catalog.imports.work.queue import AFTER_UPLOADS
from catalog.models import Attempt, CatalogState, Feed, ImportRun
from catalog.models.runs import ENDS
from notifications import outbox
from notifications.models import Message
from notifications.models import Status as MailStatus
from notifications.tests.postoffice import PostOffice
from tests.torture import points, restarts, story
from tests.torture.blows import BLOWS, broker
from tests.torture.keeper import QUEUES, Worker

BOUND = 120  # seconds until each step of an import must have ended, whatever came upon it
EVERY = 1  # seconds, and a minute in an installation
CALM = 4  # looks in a row at which nothing goes on: what a worker has taken from its queue is not seen
TRIES = (
    3  # of a blow at a point that nobody came by: where the undo is asked for before the clean-up, that does nothing
)
Answer = TypeVar("Answer")


def torture(options: Namespace, office: PostOffice) -> int:
    """Disturb so many imports. Returns the exit code."""
    call_command("migrate", verbosity=0)
    points.prepare()
    quicken()
    points.ARMED.mkdir()
    print(f"seed {options.seed}", flush=True)
    worker = Worker()
    try:
        return Torture(options, worker, office).run()
    finally:
        worker.end()


def quicken() -> None:
    """What waits for two minutes waits for two seconds here, so that 200 imports take minutes."""
    attempts.MAX_SILENCE_SECONDS, sweep.WAITING_TIME, retention.ORPHANED = 3, timedelta(seconds=2), timedelta()


@dataclass
class Blow:
    """What comes upon an import: at a point of its work, or after so many seconds."""

    name: str
    point: str = ""
    moment: float = 0.0
    came: bool = False

    def __str__(self) -> str:
        return f"{self.name}: {self.point or f'after {self.moment:.2f} s'}{'' if self.came else ' (it did not come)'}"


class Torture:
    def __init__(self, options: Namespace, worker: Worker, office: PostOffice) -> None:
        self._options = options
        self._dice = random.Random(options.seed)  # noqa: S311 - to be drawn again
        self._victims = random.Random(options.seed)  # noqa: S311 - apart, for how many are asked for depends on the time
        self._decks: dict[str, list[str]] = {}
        self._worker = worker
        self._office = office
        self._seconds: float = BOUND
        self._next_sweep = 0.0
        self._came: list[Blow] = []
        self._mails = self._doubles = 0

    def run(self) -> int:
        self._worker.keep_up()
        self._worker.wait_until_ready()
        expected, _doubles = self._live([])
        if wrong := story.unlike_itself(expected):
            print(f"The import that nobody disturbed is wrong: {wrong}", self._worker.last_words(), sep="\n")
            return 1
        failures = sum(self._is_wrong(number, expected) for number in range(1, self._options.runs + 1))
        print(f"{self._options.runs - failures} of {self._options.runs} imports ended as one that nobody disturbs")
        if self._options.restarts:
            failures += self._restart()
        self._report()
        return 1 if failures else 0

    def _is_wrong(self, number: int, expected: dict[str, Any]) -> bool:
        """Disturb one import, and say what came of it."""
        blows = self._draw_blows()
        start = time.monotonic()
        for _ in range(TRIES):
            found, doubles = self._live(blows)
            wrong = story.differences(expected, found)
            missed = [f"nobody came by: {blow.point}" for blow in blows if blow.point and not blow.came]
            if wrong or not missed:
                break
        wrong += missed
        seconds = time.monotonic() - start
        if doubles > 2 * len(blows):  # each costs both children their lives at most, and their mails an answer
            wrong.append(f"mails that came twice: {doubles}")
        verdict = "WRONG" if wrong else "ok"
        print(f"{number:4} {verdict:5} {seconds:5.1f} s  {'; '.join(map(str, blows))}", flush=True)
        if wrong:
            print("\n".join(f"       {line}" for line in wrong), self._worker.last_words(), sep="\n", flush=True)
        self._came += [blow for blow in blows if blow.came]
        return bool(wrong)

    # --- what happens -------------------------------------------------------------------------------------

    def _draw_blows(self) -> list[Blow]:
        """One or two, but not such that the only worker is none any more."""
        chosen = [name for name in BLOWS if self._options.blow in name]
        names = {self._draw(chosen)}
        if self._dice.random() < 0.3:
            names.add(self._draw(chosen))
        if any("freeze" in name for name in names) and any("broker" in name for name in names):
            # Celery comes back to its broker when each of its children has taken what was on its way to it: a frozen
            # one never does. Of several workers the others go on.
            names = {name for name in names if "broker" not in name}
        return [self._placed(name) for name in sorted(names)]

    def _placed(self, name: str) -> Blow:
        if self._options.point or self._dice.random() < 0.7:
            return Blow(name, point=self._draw([name for name in points.POINTS if self._options.point in name]))
        return Blow(name, moment=self._dice.uniform(0, self._seconds))

    def _draw(self, cards: list[str]) -> str:
        """One at random, and none again before all of them had their turn."""
        deck = self._decks.setdefault(cards[0], [])
        if not deck:
            deck.extend(self._dice.sample(cards, len(cards)))
        return deck.pop()

    def _live(self, blows: list[Blow]) -> tuple[dict[str, Any], int]:
        """What came of an import of a catalogue's second day, of its undo and redo; and how many mails came twice."""
        feed, version = steadily(self._first_day)
        for blow in blows:
            if blow.point:
                points.arm(blow.point, blow.name)
        start = time.monotonic()
        deal = self._dealer(blows, start)
        run = steadily(lambda: story.second_day(feed, self._options.items))
        found: dict[str, Any] = {}
        self._go_through("imported", run, deal, found)
        for step in story.AFTERWARDS:
            steadily(lambda: self._ask(step, run))  # noqa: B023 - called at once
            self._go_through(step.name, run, deal, found)
        self._seconds = min(self._seconds, time.monotonic() - start)
        self._calm_down(blows)
        found |= steadily(lambda: story.end_of(run, version))
        found["messages that were not sent"] = steadily(lambda: story.unsent(self._office))
        doubles = story.doubles(self._office)
        self._mails, self._doubles = self._mails + len(self._office.ledger), self._doubles + doubles
        return found, doubles

    def _first_day(self) -> tuple[Feed, int]:
        story.nothing_so_far()
        feed = story.first_day(self._options.items)
        self._office.ledger.clear()
        return feed, CatalogState.objects.get().version

    def _ask(self, step: story.Step, run: ImportRun) -> None:
        """Once, though the answer may be lost."""
        run.refresh_from_db()
        if run.status == step.before:
            step.ask(run, by=None)

    def _go_through(self, name: str, run: ImportRun, deal: Callable[[], None], found: dict[str, Any]) -> None:
        self.go_on_until(lambda: story.status(run) in ENDS, deal)
        found |= {f"{what}, {name}": value for what, value in steadily(lambda: story.catalogue_after(run)).items()}

    def _dealer(self, blows: list[Blow], start: float) -> Callable[[], None]:
        """What deals the blows whose moment has come."""

        def deal() -> None:
            passed = time.monotonic() - start
            for blow in [each for each in blows if not each.point and not each.came and passed > each.moment]:
                if children := self._worker.children():
                    blow.came = True
                    with suppress(ProcessLookupError, FileNotFoundError):
                        BLOWS[blow.name](self._victims.choice(children))

        return deal

    def _calm_down(self, blows: list[Blow]) -> None:
        """Whoever was frozen or called twice may still try, and the last mail be sent."""
        self._worker.thaw()
        came = points.disarm()
        for blow in blows:
            blow.came = blow.came or blow.point in came
        looks = 0

        def is_over() -> bool:
            nonlocal looks
            looks = looks + 1 if is_calm() else 0
            return looks == CALM

        self.go_on_until(is_over, lambda: None)

    def go_on_until(self, is_over: Callable[[], bool], deal: Callable[[], None]) -> None:
        end = time.monotonic() + BOUND
        while not steadily(is_over) and time.monotonic() < end:
            self._go_on(deal)

    def _go_on(self, deal: Callable[[], None]) -> None:
        """What is up in any installation: servers, worker, and beat with its sweeps."""
        time.sleep(0.2)
        with suppress(Error):
            deal()
        devservers.start()
        self._worker.keep_up()
        if time.monotonic() > self._next_sweep:
            self._next_sweep = time.monotonic() + EVERY
            steadily(sweep.sweep)
            outbox.enqueue_delivery()

    # --- restarts -----------------------------------------------------------------------------------------

    def _restart(self) -> bool:
        """Stop and start the worker again and again while imports come in. Whether that did any harm."""
        steadily(story.nothing_so_far)
        self._office.ledger.clear()
        runs = []
        for number in range(self._options.restarts):
            runs.append(restarts.another_import(number))
            for _ in range(self._dice.randrange(4)):
                self._go_on(lambda: None)
            self._worker.restart()
        self.go_on_until(lambda: all(story.status(run) in ENDS for run in runs), lambda: None)
        self._calm_down([])
        wrong = restarts.harm(runs, self._office)
        print(f"{'WRONG' if wrong else 'ok':5} {len(runs)} imports while the worker was restarted as often")
        print("".join(f"       {line}\n" for line in wrong), end="", flush=True)
        return bool(wrong)

    def _report(self) -> None:
        """What was done to the imports, and where."""
        by_name = Counter(blow.name for blow in self._came)
        by_point = Counter(blow.point or "at any moment" for blow in self._came)
        print(f"{len(self._came)} blows came:")
        for name, times in [*sorted(by_name.items()), *sorted(by_point.items())]:
            print(f"{times:6} × {name}")
        missed = [name for name in points.POINTS if self._options.point in name and name not in by_point]
        if missed:
            print(f"No blow came at: {'; '.join(missed)}")
        print(f"{self._mails} mails came, {self._doubles} of them a second time under their Message-ID")


def is_calm() -> bool:
    """Nobody is at work or called for, and no message waits."""
    calls = 1
    with broker() as server:
        # Each priority has a list of its own, named by the queue, kombu's separator and the priority.
        lists = [name for queue in QUEUES for name in (queue, f"{queue}\x06\x16{AFTER_UPLOADS}")]
        calls = sum(server.llen(name) for name in lists)
    waiting = Message.objects.filter(status=MailStatus.WAITING)
    return not (calls or waiting.exists() or Attempt.objects.exists())


def steadily(call: Callable[[], Answer]) -> Answer:
    """What the call returns, also when the database was away meanwhile."""
    end = time.monotonic() + BOUND
    while True:
        try:
            return call()
        except Error as error:
            if not is_lost(error) or time.monotonic() > end:
                raise
            connection.close()
            devservers.start()
