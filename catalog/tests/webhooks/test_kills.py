"""Senders that are killed, many at once, and calls that were lost: real processes and connections."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from catalog.models import DeliveryStatus, Webhook
from catalog.tasks import deliver_webhooks
from catalog.tests.factories import at_once, wait_until
from catalog.tests.webhooks.conftest import Receiver, time_passes, told
from catalog.webhooks.deliver import MAX_SENDERS, deliver

pytestmark = pytest.mark.django_db(transaction=True)

Hook = Callable[..., Webhook]
SENDER = "import django; django.setup(); from catalog.webhooks.deliver import deliver; deliver()"


def start_sender(folder: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.worker_settings",
        "TEST_DATABASE": str(connection.settings_dict["NAME"]),
        "TEST_MEDIA_ROOT": str(folder),
        "TEST_BROKER": "memory://",
        "TEST_QUEUE": "",
        "TEST_EMAIL_URL": "console:",
        "FETCH_ALLOW": "127.0.0.0/8",
        "FEED_CREDENTIAL_KEYS": ",".join(settings.FEED_CREDENTIAL_KEYS),
    }
    return subprocess.Popen([sys.executable, "-c", SENDER], cwd=settings.BASE_DIR, env=environment)


def test_what_a_killed_sender_had_comes_again_by_the_sweep_in_its_order(
    hook: Hook, receiver: Receiver, tmp_path: Path
) -> None:
    webhook = hook()
    for number in (1, 2, 3):
        told(number)
    process: list[subprocess.Popen[bytes]] = []
    came = threading.Event()

    def die_at_the_second(_wire: Any) -> None:
        if len(receiver.requests) == 2:
            process[0].kill()
            came.set()

    receiver.also = die_at_the_second
    process.append(start_sender(tmp_path))
    assert came.wait(60)
    process[0].wait(10)
    assert webhook.deliveries.filter(status=DeliveryStatus.WAITING).count() == 2
    assert deliver() == 0  # its pause is not over
    time_passes(minutes=1)
    wait_until(lambda: deliver_webhooks() or not webhook.deliveries.filter(status=DeliveryStatus.WAITING).exists())
    assert receiver.numbers() == [1, 2, 2, 3]
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 3


def test_senders_at_once_keep_the_order_of_each_address(hook: Hook, receiver: Receiver) -> None:
    hook("one")
    hook("two")
    for number in range(8):
        told(number)
    senders = [deliver for _sender in range(MAX_SENDERS + 2)]
    assert sum(at_once(*senders)) == 16
    by_path: dict[str, list[int]] = {}
    ids = [request.headers["webhook-id"] for request in receiver.requests]
    assert len({*ids}) == 16
    for webhook in Webhook.objects.all():
        mine = [each.message_id for each in webhook.deliveries.order_by("pk")]
        by_path[webhook.name] = [mine.index(each) for each in ids if each in mine]
    assert by_path == {"one": [*range(8)], "two": [*range(8)]}


def test_so_many_send_and_the_others_leave(hook: Hook, receiver: Receiver) -> None:
    for name in ("a", "b", "c"):
        hook(name)
    told(1)
    busy = threading.Semaphore(0)
    go_on = threading.Event()

    def hold(_wire: Any) -> None:
        busy.release()
        assert go_on.wait(20)

    receiver.also = hold

    def send() -> None:
        deliver()
        connection.close()

    threads = [threading.Thread(target=send) for _ in range(MAX_SENDERS)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert busy.acquire(timeout=20)
    assert deliver() == 0  # mails have the other threads
    go_on.set()
    for thread in threads:
        thread.join(20)
    assert len(receiver.requests) == 3


def test_an_answer_is_noted_though_the_database_was_away_when_it_came(hook: Hook, receiver: Receiver) -> None:
    webhook = hook()
    told(1)
    connection.ensure_connection()
    pid = connection.connection.info.backend_pid

    def cut_off(_wire: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
        connection.close()

    receiver.also = cut_off
    deliver()
    assert webhook.deliveries.get().status == DeliveryStatus.SENT
    assert len(receiver.requests) == 1
