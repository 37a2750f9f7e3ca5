"""What people are told about fetches: mails, the first page's warnings, and the digest; and webhooks."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, DurationField, ExpressionWrapper, F, Max, OuterRef, Q, Subquery, Value
from django.db.models.functions import Coalesce, Now
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalog.fetching.credentials import why_unreadable
from catalog.fetching.sources import shown_address
from catalog.imports.notices import PERMISSION, one_line
from catalog.models import FeedSource, Fetch, FetchOutcome, WebhookEvent
from catalog.models.fetching import BAD_FETCHES
from catalog.models.webhooks import write_event
from notifications.outbox import about_key, tell, was_told
from notifications.rendering import public_url
from notifications.subscriptions import Kind, recipients_of

MANAGES = "catalog.change_feed"
FAILING, RECOVERED = "feed_failing", "feed_recovered"
KINDS = (
    Kind(
        FAILING,
        _("Feed not fetched"),
        _("Why a feed's file did not arrive, once for each problem."),
        PERMISSION,
        default_for=MANAGES,
    ),
    Kind(
        RECOVERED,
        _("Feed fetched again"),
        _("That a feed arrives again after a problem."),
        PERMISSION,
        default_for=MANAGES,
    ),
)
SHOWN_FEEDS = 20
LATE_AFTER = timedelta(minutes=10)  # the sweep looks each minute


def notify_failing(source: FeedSource, fetch: Fetch) -> None:
    """Once for each problem of a row of failures: another try, or the next day's, is the same problem."""
    people = recipients_of(FAILING, also=fetch.by)
    tell(people, FAILING, f"{_problem(source)}:{fetch.code}", {**_facts(source, fetch), "failed": fetch.outcome})


def notify_recovered(source: FeedSource, fetch: Fetch) -> None:
    """Once, and only if somebody was told of the problem."""
    codes = source.feed.fetches.filter(outcome__in=BAD_FETCHES, finished_at__gte=source.failing_since)
    told = any(
        was_told(FAILING, f"{_problem(source)}:{code}") for code in codes.values_list("code", flat=True).distinct()
    )
    if told:
        tell(recipients_of(RECOVERED), RECOVERED, _problem(source), _facts(source, fetch))


def announce_quiet() -> int:
    """Tell webhooks of each feed that has become quiet, once until it brings something new. How many there were."""
    expected = ExpressionWrapper(Value(timedelta(hours=1)) * F("expected_hours"), DurationField())
    since = Coalesce("last_new_at", "created_at")
    quiet = FeedSource.objects.annotate(since=since, quiet_at=F("since") + expected).filter(quiet_at__lt=Now())
    untold = quiet.filter(Q(quiet_told_at=None) | Q(quiet_told_at__lt=F("since"))).select_related("feed__market")
    with transaction.atomic():
        told = list(untold.select_for_update(of=("self",), skip_locked=True))
        for source in told:
            write_event(WebhookEvent.QUIET, about_key(source.feed), partial(_quiet_facts, source))
        FeedSource.objects.filter(pk__in=[source.pk for source in told]).update(quiet_told_at=Now())
    return len(told)


def _quiet_facts(source: FeedSource) -> dict[str, Any]:
    return {
        "feed": source.feed.slug,
        "market": source.feed.market.code,
        "last_new_at": source.last_new_at and source.last_new_at.astimezone(UTC).isoformat(timespec="seconds"),
        "expected_hours": source.expected_hours,
        "page": feed_url(source.feed_id),
    }


def _problem(source: FeedSource) -> str:
    since = source.failing_since.isoformat() if source.failing_since else ""
    return f"catalog.feed:{source.feed_id}#{since}"


def _facts(source: FeedSource, fetch: Fetch) -> dict[str, Any]:
    return {
        "feed": one_line(source.feed.name),
        "address": one_line(shown_address(source), 300),
        "fetch": fetch,
        "sentence": one_line(fetch.sentence, 500),
        "since": source.failing_since,
        "paused": source.paused_at is not None,
        "pause_days": settings.FETCH_PAUSE_DAYS,
        "url": feed_url(source.feed_id),
    }


def feed_url(feed_id: int) -> str:
    return public_url(reverse("admin:catalog_feed_change", args=[feed_id]))


# --- what needs attention now ---------------------------------------------------------------------------


def fetch_facts(feed: str) -> dict[str, Subquery]:
    """For a query, of the feed in this column: its last failure in words, and when its open fetch was to begin."""
    fetches = Fetch.objects.filter(feed=OuterRef(feed))
    return {
        "last_failure": Subquery(fetches.filter(outcome__in=BAD_FETCHES).values("sentence")[:1]),
        "waiting_since": Subquery(fetches.filter(outcome=FetchOutcome.WAITING).values("next_try_at")[:1]),
    }


def fetch_warnings(feeds: Iterable[Any]) -> list[dict[str, Any]]:
    """Of these feeds, which have their source and their `fetch_facts`, those that do not arrive; each with why."""
    now = timezone.now()
    with_source = [feed for feed in feeds if hasattr(feed, "source")]
    found = [{"feed": feed, "sentence": source_warning(feed.source, feed, now)} for feed in with_source]
    return sorted((each for each in found if each["sentence"]), key=lambda each: str(each["feed"]))


def source_warning(source: FeedSource, facts: Any, now: datetime) -> str:
    """What is wrong with the source now, in a sentence; `""` while all is well. `facts` has its `fetch_facts`."""
    if facts.waiting_since and facts.waiting_since < now - LATE_AFTER:
        text = _("A fetch waits since %(since)s. Check that the worker of the queue “fetch” runs.")
        return text % {"since": _short(facts.waiting_since)}
    if unreadable := why_unreadable(source.credentials):
        return f"{unreadable} {_('Set the key again, or enter the credentials anew.')}"
    why = f" {facts.last_failure}" if facts.last_failure else ""
    if source.paused_at:
        return _("The schedule is paused after %(days)s days of failures.%(why)s") % {
            "days": settings.FETCH_PAUSE_DAYS,
            "why": why,
        }
    if source.failing_since:
        return _("It was not fetched since %(since)s.%(why)s") % {"since": _short(source.failing_since), "why": why}
    if source.quiet_from and source.quiet_from < now:
        return quiet_sentence(source)
    return ""


def quiet_sentence(source: FeedSource) -> str:
    hours = source.expected_hours
    if source.last_new_at is None:
        return _("It is quiet: no file came yet, and one was expected within %(hours)s hours.") % {"hours": hours}
    return _("It is quiet: nothing new since %(since)s, and a new file was expected within %(hours)s hours.") % {
        "since": _short(source.last_new_at),
        "hours": hours,
    }


def _short(moment: datetime) -> str:
    return f"{timezone.localtime(moment):%-d %b, %H:%M}"


# --- the digest -----------------------------------------------------------------------------------------


def find_fetch_failures(since: datetime, until: datetime) -> dict[str, Any]:
    """The feeds that could not be fetched in that time, and those that became quiet in it."""
    bad = Fetch.objects.filter(outcome__in=BAD_FETCHES, finished_at__gte=since, finished_at__lt=until)
    counted = bad.order_by().values("feed").annotate(count=Count("pk"), last=Max("pk"))
    numbers = {row["last"]: row["count"] for row in counted}
    lasts = Fetch.objects.filter(pk__in=numbers).select_related("feed").order_by("feed__name")
    paused = set(FeedSource.objects.filter(paused_at__gte=since, paused_at__lt=until).values_list("feed", flat=True))
    unfetched = [
        {
            "feed": one_line(last.feed.name),
            "url": feed_url(last.feed_id),
            "count": numbers[last.pk],
            "why": one_line(last.sentence, 300),
            "paused": last.feed_id in paused,
        }
        for last in lasts
    ]
    hour = timedelta(hours=1)
    expected = ExpressionWrapper(Value(hour) * F("expected_hours"), DurationField())
    quiet_at, began_at = F("last_new_at") + expected, F("created_at") + expected
    became_quiet = FeedSource.objects.annotate(quiet_at=quiet_at, began_at=began_at).filter(
        Q(quiet_at__gte=since, quiet_at__lt=until) | Q(last_new_at=None, began_at__gte=since, began_at__lt=until)
    )
    quiet = [
        {"feed": one_line(each.feed.name), "url": feed_url(each.feed_id), "why": quiet_sentence(each)}
        for each in became_quiet.select_related("feed").order_by("feed__name")
    ]
    return {
        "unfetched": unfetched[:SHOWN_FEEDS],
        "more_unfetched": max(len(unfetched) - SHOWN_FEEDS, 0),
        "quiet_feeds": quiet[:SHOWN_FEEDS],
        "more_quiet": max(len(quiet) - SHOWN_FEEDS, 0),
    }
