"""The digest of problems: who is due for one, which stretch of time it covers, and that nothing is left out.

Each person's digests follow one another without gap or overlap: from `digested_until` to the last time that was the
person's hour, which then becomes `digested_until`. Other apps register what to collect about a stretch of time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from notifications.models import Digest, Message, Preference, Status
from notifications.outbox import tell
from notifications.subscriptions import FAILURE_DIGEST, preference_of

SHOWN = 20
PERMISSION = "notifications.view_message"

# What went wrong from the first time on and before the second, as named lists for the template.
Collect = Callable[[datetime, datetime], Mapping[str, Any]]


@dataclass(frozen=True)
class Source:
    collect: Collect
    permission: str


SOURCES: list[Source] = []


def register_source(collect: Collect, permission: str) -> None:
    """Put what `collect` finds into the digests of people with the permission. Call it when the app is ready."""
    SOURCES.append(Source(collect, permission))


def begin_now(preference: Preference, before: str) -> None:
    """A digest that is switched on starts from now; earlier problems are not in it."""
    if before == Digest.OFF and preference.digest != Digest.OFF:
        preference.digested_until = timezone.now()


def send_due(now: datetime | None = None) -> int:
    """Write the digest of everybody who is due for one, and return how many there were. Called twice, it writes once.

    A superuser without a preference gets one here, to remember how far the digest went.
    """
    unasked = Q(is_superuser=True, mail_preference=None)
    asked = Q(mail_preference__isnull=False) & ~Q(mail_preference__digest=Digest.OFF)
    readers = get_user_model()._default_manager.filter(unasked | asked, is_active=True).order_by("pk")
    preferences = [
        getattr(reader, "mail_preference", None) or preference_of(reader)
        for reader in readers.select_related("mail_preference")
    ]
    settled = min(now or timezone.now(), settled_until())
    due = [each.pk for each in preferences if last_due(each, settled) > each.digested_until]
    return sum(write_digest(pk, settled) for pk in due)


def settled_until() -> datetime:
    """Everything before this time is committed, or never will be.

    A row carries the time at which its transaction began, and can be seen only after its end. So no stretch of time
    ends later than the oldest open transaction began. The second is for one that is just beginning.
    """
    with connection.cursor() as cursor:
        cursor.execute("""
            SELECT least(clock_timestamp(), min(xact_start)) - interval '1 second'
            FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
        """)
        settled: datetime = cursor.fetchone()[0]
    return settled


@transaction.atomic
def write_digest(pk: int, settled: datetime) -> bool:
    """One person's digest and its watermark, both or neither. False when another beat does it, or nothing happened."""
    preference = (
        Preference.objects.select_for_update(skip_locked=True, of=("self",))
        .select_related("person")
        .filter(pk=pk)
        .first()
    )
    if preference is None or preference.digest == Digest.OFF:
        return False
    since, until = preference.digested_until, last_due(preference, settled)
    if until <= since:
        return False
    Preference.objects.filter(pk=pk).update(digested_until=until)
    person = preference.person
    found: dict[str, Any] = {}
    for source in SOURCES:
        if person.has_perm(source.permission):
            found |= source.collect(since, until)
    if not any(found.values()):
        return False
    context = {**found, "since": since, "until": until, "zone": preference.time_zone}
    with timezone.override(ZoneInfo(preference.time_zone)):  # a template shows each time in the zone that is active
        tell([person], FAILURE_DIGEST, f"{FAILURE_DIGEST}:{until.isoformat()}", context)
    return True


def last_due(preference: Preference, now: datetime) -> datetime:
    """The last time at or before `now` that was the person's hour, on the person's day if weekly, by their own clock.

    If summer time leaves the hour out, it is the one after it; if the hour comes twice, the first one counts.
    """
    zone = ZoneInfo(preference.time_zone)
    day = now.astimezone(zone).date()
    step = 1
    if preference.digest == Digest.WEEKLY:
        day -= timedelta(days=(day.weekday() - preference.weekday) % 7)
        step = 7
    due = _hour_of(day, preference.hour, zone)
    return due if due <= now else _hour_of(day - timedelta(days=step), preference.hour, zone)


def _hour_of(day: date, hour: int, zone: ZoneInfo) -> datetime:
    local = datetime(day.year, day.month, day.day, hour, tzinfo=zone)
    return local.astimezone(ZoneInfo("UTC"))


def undelivered_messages(since: datetime, until: datetime) -> dict[str, Any]:
    """The messages that were given up in that time, and not sent since."""
    given_up = Message.objects.filter(status=Status.FAILED, failed_at__gte=since, failed_at__lt=until)
    shown = list(given_up.order_by("failed_at")[:SHOWN])
    return {"undelivered": shown, "undelivered_count": given_up.count() if len(shown) == SHOWN else len(shown)}
