"""Senders that are killed, frozen or cut off in the middle: real processes, and the mail server says when.

A start of such a process takes a second, which is what these tests take their time for.
"""

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import connection

from notifications.delivery import deliver
from notifications.models import Message, Outage, Status
from notifications.tests.conftest import time_passes
from notifications.tests.postoffice import SILENCE, PostOffice

pytestmark = pytest.mark.django_db(transaction=True)

Tell = Callable[..., Message]
SENDER = """
import time, django
django.setup()
from notifications.delivery import deliver
while True:
    deliver()
    time.sleep(0.02)
"""


@contextmanager
def sender(office: PostOffice, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that sends what is due from the test's database."""
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.worker_settings",
        "TEST_DATABASE": str(connection.settings_dict["NAME"]),
        "TEST_MEDIA_ROOT": str(folder),
        "TEST_BROKER": "memory://",
        "TEST_QUEUE": "",
        "TEST_EMAIL_URL": f"smtp://127.0.0.1:{office.port}",
        "DEFAULT_FROM_EMAIL": settings.DEFAULT_FROM_EMAIL,
    }
    process = subprocess.Popen([sys.executable, "-c", SENDER], cwd=settings.BASE_DIR, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


class Moment:
    """A mood that does something once, and lets the test wait for it."""

    def __init__(self, do: Callable[[], Any], answer: str | None = None) -> None:
        self.do, self.answer, self.came = do, answer, threading.Event()

    def __call__(self) -> str | None:
        if self.came.is_set():
            return None
        self.do()
        self.came.set()
        return self.answer

    def wait(self) -> None:
        assert self.came.wait(30)


def state(message: Message) -> str:
    message.refresh_from_db()
    return message.status


# --- killed -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("command", "deliveries"),
    [
        ("MAIL", 1),  # claimed, and nothing sent
        ("TAKEN", 2),  # the server has it, and its answer is lost
    ],
)
def test_a_message_of_a_killed_sender_is_sent_by_the_next(
    alice: AbstractUser, told: Tell, office: PostOffice, tmp_path: Path, command: str, deliveries: int
) -> None:
    message = told(alice)
    with sender(office, tmp_path) as process:
        office.moods[command] = moment = Moment(process.kill, SILENCE)
        moment.wait()
        process.wait(10)
    assert (state(message), message.attempts) == (Status.WAITING, 1)
    sent = deliver_in_the_end()
    assert (sent, state(message)) == (1, Status.SENT)
    assert office.taken() == [("alice@example.com", str(message.pk))] * deliveries
    assert len({mail["Message-ID"] for mail in office.ledger}) == 1


def test_a_sender_killed_before_it_noted_the_answer_costs_one_second_delivery(
    alice: AbstractUser, told: Tell, office: PostOffice, tmp_path: Path
) -> None:
    message = told(alice)
    with sender(office, tmp_path) as process:
        # The answer comes, to somebody who will never read it.
        office.moods["TAKEN"] = moment = Moment(lambda: process.send_signal(signal.SIGSTOP))
        moment.wait()
    assert state(message) == Status.WAITING
    assert deliver_in_the_end() == 1
    assert office.taken() == [("alice@example.com", str(message.pk))] * 2
    assert len({mail["Message-ID"] for mail in office.ledger}) == 1
    assert state(message) == Status.SENT


def test_however_often_senders_are_killed_each_message_arrives(
    alice: AbstractUser, told: Tell, office: PostOffice, tmp_path: Path
) -> None:
    messages = [told(alice, about=f"dress:{number}") for number in range(30)]
    chance = random.Random(7)  # noqa: S311
    lost_answers = 0
    for _kill in range(4):
        with sender(office, tmp_path) as process:
            command = killed_at_random(office, process, chance)
            process.wait(30)
        lost_answers += command() == "TAKEN"
        office.moods.clear()
        time_passes(minutes=10)
    deliver_in_the_end()
    keys = [key for _to, key in office.taken()]
    assert set(keys) == {str(message.pk) for message in messages}
    assert len(keys) == len(messages) + lost_answers
    assert {state(message) for message in messages} == {Status.SENT}


def killed_at_random(
    office: PostOffice, process: "subprocess.Popen[bytes]", chance: random.Random
) -> Callable[[], str]:
    """Kill the process at one of its next commands. What is returned says at which, when it is done."""
    left, at = chance.randint(1, 24), ""

    def step(command: str) -> str | None:
        nonlocal left, at
        left -= 1
        if left:
            return None
        process.kill()
        at = command
        return SILENCE

    for command in ("MAIL", "RCPT", "DATA", "TAKEN"):
        office.moods[command] = partial(step, command)
    return lambda: at


def deliver_in_the_end() -> int:
    """Sweep until nothing waits. What a killed sender's connection held the database lets go of in a moment."""
    sent = 0
    for _sweep in range(20):
        time_passes(minutes=10)
        sent += deliver()
        if not Message.objects.filter(status=Status.WAITING).exists():
            break
    return sent


# --- frozen, cut off, at the same time ----------------------------------------------------------------
def test_a_frozen_sender_keeps_its_message_to_itself(
    alice: AbstractUser, told: Tell, office: PostOffice, tmp_path: Path
) -> None:
    message = told(alice)
    with sender(office, tmp_path) as process:
        office.moods["MAIL"] = frozen = Moment(lambda: process.send_signal(signal.SIGSTOP))
        frozen.wait()
        for _hour in range(3):
            time_passes(hours=1)
            assert deliver() == 0
        office.moods["QUIT"] = done = Moment(lambda: None)
        process.send_signal(signal.SIGCONT)
        done.wait()
    assert office.taken() == [("alice@example.com", str(message.pk))]
    assert (state(message), message.attempts) == (Status.SENT, 1)


def test_an_answer_is_noted_though_the_database_was_away_when_it_came(
    alice: AbstractUser, told: Tell, office: PostOffice
) -> None:
    message = told(alice)
    office.moods["TAKEN"] = Moment(cutting_off())
    assert deliver() == 1
    time_passes(days=1)
    assert deliver() == 0
    assert (state(message), len(office.ledger)) == (Status.SENT, 1)


def cutting_off() -> Callable[[], None]:
    """What ends this thread's connection to the database, called from another one."""
    connection.ensure_connection()
    pid = connection.connection.info.backend_pid

    def cut_off() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
        connection.close()

    return cut_off


def at_once(senders: int) -> int:
    """How many messages so many senders took together."""
    counts: list[int] = []

    def send() -> None:
        counts.append(deliver())
        connection.close()

    threads = [threading.Thread(target=send) for _ in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return sum(counts)


def test_senders_at_once_share_the_work(alice: AbstractUser, told: Tell, office: PostOffice) -> None:
    messages = [told(alice, about=f"dress:{number}") for number in range(24)]
    assert at_once(4) == 24
    assert sorted(key for _to, key in office.taken()) == sorted(str(message.pk) for message in messages)


def test_one_of_many_senders_asks_a_server_that_was_away(alice: AbstractUser, told: Tell, office: PostOffice) -> None:
    told(alice)
    office.moods["CONNECT"] = "421 Closed"
    at_once(4)  # nobody knows yet
    assert Outage.objects.get().tries == 1
    before = office.heard("CONNECT")
    time_passes(minutes=2)
    at_once(4)
    assert office.heard("CONNECT") == before + 1
