"""Whether mail is sent as it should be, in sentences for the people who look after it."""

from datetime import datetime, timedelta

from django.db.models import Count, Min
from django.db.models.functions import Now
from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from notifications.models import Message, Outage, Status

LATE_AFTER = timedelta(minutes=5)  # the sweep looks each minute
RECENT = timedelta(days=7)


def mail_warnings() -> list[str]:
    """What is wrong now, and what went wrong in the last days; empty while mail is sent."""
    outage = Outage.objects.first()
    warnings = [_outage_warning(outage) if outage else _delay_warning()]
    failed = Message.objects.filter(status=Status.FAILED, told_at__gt=Now() - RECENT).count()
    if failed:
        text = ngettext(
            "%(count)s message of the last 7 days was not delivered.",
            "%(count)s messages of the last 7 days were not delivered.",
            failed,
        )
        warnings.append(text % {"count": failed})
    parked = Message.objects.filter(status=Status.PARKED, failed_at__gt=Now() - RECENT).count()
    if parked:
        text = ngettext(
            "%(count)s message is parked, because it was two days late. Send it again if it still matters.",
            "%(count)s messages are parked, because they were two days late. Send again those that still matter.",
            parked,
        )
        warnings.append(text % {"count": parked})
    return [warning for warning in warnings if warning]


def _outage_warning(outage: Outage) -> str:
    waiting = Message.objects.filter(status=Status.WAITING).count()
    held_up = ngettext("%(count)s message waits", "%(count)s messages wait", waiting) % {"count": waiting}
    problem = _("No mail was sent since %(since)s. %(reason)s") % {
        "since": _short_time(outage.since),
        "reason": outage.reason,
    }
    then = _("the next attempt is at %s, or when you send a message again.") % _short_time(outage.next_try)
    return f"{problem.rstrip('.')}. {held_up}; {then}"


def _delay_warning() -> str:
    late = Message.objects.due().filter(next_try__lt=Now() - LATE_AFTER).order_by()
    found = late.aggregate(count=Count("pk"), since=Min("next_try"))
    if not found["count"]:
        return ""
    text = ngettext(
        "%(count)s message has waited to be sent since %(since)s. Check that beat and the mail worker run.",
        "%(count)s messages wait to be sent, the first since %(since)s. Check that beat and the mail worker run.",
        found["count"],
    )
    return text % {"count": found["count"], "since": _short_time(found["since"])}


def _short_time(moment: datetime) -> str:
    return formats.date_format(timezone.localtime(moment), "j M, H:i")
