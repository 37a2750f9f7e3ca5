"""Mails about accounts on their way: a real mail server, and a sender that is killed."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from accounts.mails import write_requested
from accounts.models import User
from accounts.tests.conftest import log_in, post
from notifications.models import Message, Status
from notifications.tests.conftest import office
from notifications.tests.postoffice import PostOffice
from notifications.tests.test_kills import Moment, deliver_in_the_end, sender

__all__ = ["office"]  # a fixture


def reset_body(mail: Any) -> dict[str, str]:
    """The call's body in the text of a mail that arrived."""
    text = mail.get_payload()[0].get_payload(decode=True).decode()
    return dict(json.loads(text.partition("-d '")[2].partition("'")[0]))


@pytest.mark.django_db(transaction=True)
def test_a_reset_whose_sender_was_killed_arrives_under_one_message_id(
    carl: User, office: PostOffice, tmp_path: Path
) -> None:
    post("/password/reset/", {"email": "carl@example.com"})
    write_requested()
    with sender(office, tmp_path) as process:
        # The server has the mail, and nobody reads its answer.
        office.moods["TAKEN"] = moment = Moment(lambda: process.send_signal(signal.SIGSTOP))
        moment.wait()
    message = Message.objects.get()
    assert (message.status, message.attempts) == (Status.WAITING, 1)
    assert deliver_in_the_end() == 1
    assert [str(mail["Message-ID"]) for mail in office.ledger] == [f"<{message.pk}@shop.example>"] * 2
    new = {"new_password1": "a better horse battery", "new_password2": "a better horse battery"}
    answers = [post("/password/reset/confirm/", {**reset_body(mail), **new}).status_code for mail in office.ledger]
    assert answers == [200, 400]  # each key would do, and one does
    log_in(password="a better horse battery")


@pytest.mark.django_db(transaction=True)
def test_a_request_is_written_once_by_two_workers(carl: User) -> None:
    post("/password/reset/", {"email": "carl@example.com"})
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM accounts_mailrequest")
        assert cursor.fetchone() == (1,)
    write_requested()
    write_requested()
    assert Message.objects.count() == 1
