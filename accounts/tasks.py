"""Background work about accounts. A task gets an address or an id; the mail is written when it is sent."""

import logging
from smtplib import SMTPException
from typing import Any

from celery import shared_task
from django.core.management import call_command
from kombu.exceptions import OperationalError as BrokerError

from accounts import mails, sessions
from accounts.models import User
from schedule.queue import enqueue_now

log = logging.getLogger(__name__)

_MAIL: dict[str, Any] = {"autoretry_for": (OSError, SMTPException), "retry_backoff": 30, "max_retries": 6}


def enqueue_mail(task: str, *arguments: str) -> bool:
    """Enqueue a task; false when the broker does not answer. The time does not depend on whom it is about."""
    try:
        enqueue_now(f"accounts.{task}", args=arguments)
    except BrokerError:
        log.exception("The broker does not answer; %s was not enqueued", task)
        return False
    return True


@shared_task(name="accounts.mail_password_reset", **_MAIL)
def mail_password_reset(address: str) -> None:
    mails.send_password_reset(address)


@shared_task(name="accounts.mail_confirmation", **_MAIL)
def mail_confirmation(address: str) -> None:
    mails.send_confirmation(address)


@shared_task(name="accounts.mail_already_known", **_MAIL)
def mail_already_known(address: str) -> None:
    mails.send_already_known(address)


@shared_task(name="accounts.mail_password_changed", **_MAIL)
def mail_password_changed(user_id: str) -> None:
    for user in User.objects.filter(pk=user_id):  # none if the account is gone
        mails.send_password_changed(user)


@shared_task(name="accounts.forget_old_logins")
def forget_old_logins() -> None:
    sessions.forget_old_logins()


@shared_task(name="accounts.forget_old_sessions")
def forget_old_sessions() -> None:
    call_command("clearsessions")
