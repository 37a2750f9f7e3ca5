"""Periodic work about accounts."""

from celery import shared_task
from django.core.management import call_command

from accounts import sessions


@shared_task(name="accounts.forget_old_logins")
def forget_old_logins() -> None:
    sessions.forget_old_logins()


@shared_task(name="accounts.forget_old_sessions")
def forget_old_sessions() -> None:
    call_command("clearsessions")
