"""Background work about accounts. A mail is asked for by an address or an id; what it says is found when it is sent."""

import logging
from smtplib import SMTPException
from typing import Any

from celery import shared_task
from kombu.exceptions import OperationalError as BrokerError

from accounts import mails, sessions
from accounts.models import User
from schedule.queue import enqueue_now

log = logging.getLogger(__name__)

_MAIL: dict[str, Any] = {"autoretry_for": (OSError, SMTPException), "retry_backoff": 30, "max_retries": 6}


def ask_for(task: str, *arguments: str) -> bool:
    """Ask a worker; false when the broker does not answer. Takes as long whoever the arguments are about."""
    try:
        enqueue_now(f"accounts.{task}", args=arguments)
    except BrokerError:
        log.exception("The broker does not answer; nobody was asked for %s", task)
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
    for user in User.objects.filter(pk=user_id):  # nobody, when the account is gone already
        mails.send_password_changed(user)


@shared_task(name="accounts.forget_old_logins")
def forget_old_logins() -> None:
    sessions.forget_old()
