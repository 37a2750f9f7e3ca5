"""Whether mail gets out, in sentences for whoever looks after it."""

from datetime import datetime, timedelta

from django.db.models import Count, Min
from django.db.models.functions import Now
from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from notifications.models import Message, Outage, Status

PATIENCE = timedelta(minutes=5)  # the sweep looks each minute
RECENT = timedelta(days=7)


def sentences() -> list[str]:
    """What is wrong now and in the last days; nothing while mail gets out."""
    outage = Outage.objects.first()
    return [sentence for sentence in (_of(outage) if outage else _delay(), _undelivered(), _parked()) if sentence]


def _of(outage: Outage) -> str:
    waiting = Message.objects.filter(status=Status.WAITING).count()
    held_up = ngettext("%(count)s message waits", "%(count)s messages wait", waiting) % {"count": waiting}
    said = _("No mail has got out since %(since)s. %(reason)s") % {
        "since": _time(outage.since),
        "reason": outage.reason,
    }
    then = _("the next attempt is at %s, or when a message is sent again.") % _time(outage.next_try)
    return f"{said.rstrip('.')}. {held_up}; {then}"


def _delay() -> str:
    late = Message.objects.due().filter(next_try__lt=Now() - PATIENCE).order_by()
    found = late.aggregate(count=Count("pk"), since=Min("next_try"))
    if not found["count"]:
        return ""
    text = ngettext(
        "%(count)s message has waited for a sender since %(since)s. See that the worker for mail and beat run.",
        "%(count)s messages have waited for a sender, the first of them since %(since)s. "
        "See that the worker for mail and beat run.",
        found["count"],
    )
    return text % {"count": found["count"], "since": _time(found["since"])}


def _undelivered() -> str:
    count = Message.objects.filter(status=Status.FAILED, told_at__gt=Now() - RECENT).count()
    if not count:
        return ""
    return ngettext(
        "%(count)s message of the last 7 days was not delivered.",
        "%(count)s messages of the last 7 days were not delivered.",
        count,
    ) % {"count": count}


def _parked() -> str:
    count = Message.objects.filter(status=Status.PARKED, failed_at__gt=Now() - RECENT).count()
    if not count:
        return ""
    return ngettext(
        "%(count)s message was two days too late to be sent unasked, and is parked: send it again if it still matters.",
        "%(count)s messages were two days too late to be sent unasked, and are parked: send again those that matter.",
        count,
    ) % {"count": count}


def _time(moment: datetime) -> str:
    return formats.date_format(timezone.localtime(moment), "j M, H:i")
