"""Fetch a feed's file: asked for by a person, a program or the schedule, done by a worker, received as an upload is.

The row is the job. A worker claims it by a lock that ends with its connection; the sweep finds what a lost worker or
a lost message left. Whatever happens, a fetch ends with an outcome and a sentence.
"""

from __future__ import annotations

import logging
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.files.base import File
from django.db import Error, IntegrityError, transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Now
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from kombu.exceptions import OperationalError as BrokerError

from catalog.connections import is_lost
from catalog.errors import CatalogError, FeedRefused, NotPossible, NotStored, QuotaReached
from catalog.feeds.reading.items import check_start
from catalog.fetching.connections import Pace
from catalog.fetching.download import fetched
from catalog.fetching.failures import FetchFailed, FetchRefused, clean_words
from catalog.fetching.notices import announce_quiet, notify_failing, notify_recovered
from catalog.fetching.schedule import lost_call
from catalog.fetching.sources import facts_of, last_import, needs_import_again, target_of_source
from catalog.fetching.targets import StillWritten
from catalog.imports.permissions import require
from catalog.imports.receive import receive
from catalog.imports.work.attempts import attempted, claimed_numbers
from catalog.imports.work.queue import Task
from catalog.models import Feed, FeedSource, Fetch, FetchOutcome, FetchReason, ImportRun, Status
from catalog.models.fetching import BAD_FETCHES, OPEN_FETCHES
from events.log import log_event
from schedule.queue import enqueue_now

log = logging.getLogger(__name__)

FETCH_LOCK = 4  # the first number of an advisory lock, see catalog.imports.work.queue
PAUSES = (timedelta(minutes=1), timedelta(minutes=5))  # after the first try, and after the second
MAX_TRIES = len(PAUSES) + 1
MAX_LOST_WORKERS = 3
# Long enough for a message to arrive: what is due for longer waits for nobody.
UNCLAIMED_AFTER = timedelta(seconds=60)


# --- asking for a fetch -----------------------------------------------------------------------------------


def request_fetch(feed: Feed, *, by: Any, reason: FetchReason) -> Fetch:
    """Have a worker fetch the feed's file now: a new fetch, or the one that waits already.

    Raises `NotAllowed` unless `by` may upload, `NotPossible` for a feed without a source.
    """
    require(by, "catalog.add_importrun")
    _require_source(feed)
    fetch = open_fetch(feed, reason=reason, by=by)
    Fetch.objects.filter(pk=fetch.pk, outcome=FetchOutcome.WAITING).update(next_try_at=Now())
    log_event("fetch_requested", by=by, feed=feed.slug, fetch=fetch.pk, reason=reason.value)
    enqueue_fetch(fetch)
    return fetch


def _require_source(feed: Feed) -> None:
    if not FeedSource.objects.filter(feed=feed).exists():
        raise NotPossible("no_source", f"{feed} has no source to fetch from. A manager can enter one on its page.")


def fetch_when_due(feed_id: int, due: datetime) -> Fetch | None:
    """What the schedule does: a fetch of the feed, which begins within a moment of its own.

    None when there is nothing to do: the sweep was quicker with a call that had been lost.
    """
    with transaction.atomic():
        sources = FeedSource.objects.select_for_update(of=("self",)).select_related("feed", "job__interval")
        source = sources.filter(feed=feed_id).first()
        if source is None:
            PeriodicTask.objects.filter(task=Task.FETCH_DUE, args=f"[{feed_id}]").delete()
            return None
        if source.feed.fetches.filter(reason=FetchReason.SCHEDULE, due_at__gte=due).exists():
            return None
        FeedSource.objects.filter(pk=source.pk).update(called_at=Now())
        delay = spread_seconds(source)
        fetch = open_fetch(source.feed, reason=FetchReason.SCHEDULE, due=due, delay=delay)
        if fetch.tries == 0:
            enqueue_fetch(fetch, delay)
    return fetch


def open_fetch(
    feed: Feed, *, reason: FetchReason, by: Any = None, due: datetime | None = None, delay: float = 0
) -> Fetch:
    """The feed's fetch that waits or goes on, or a new one: there is one at a time."""
    times = {"due_at": due} if due else {}
    try:
        with transaction.atomic():
            return Fetch.objects.create(
                feed=feed, reason=reason, by=by, next_try_at=timezone.now() + timedelta(seconds=delay), **times
            )
    except IntegrityError:
        fetch = Fetch.objects.filter(feed=feed, outcome__in=OPEN_FETCHES).first()
        return fetch or open_fetch(feed, reason=reason, by=by, due=due, delay=delay)


def spread_seconds(source: FeedSource) -> float:
    """Each feed's own part of a minute, so that forty feeds do not begin in one instant."""
    most = float(settings.FETCH_SPREAD_SECONDS)
    if source.job and source.job.interval:
        most = min(most, source.job.interval.schedule.run_every.total_seconds() / 4)
    return zlib.crc32(source.feed.slug.encode()) % 1000 / 1000 * most


def enqueue_fetch(fetch: Fetch, delay: float = 0) -> None:
    """Have a worker do it after the commit. If the message is lost, the sweep sends it again."""

    def send() -> None:
        try:
            enqueue_now(Task.FETCH.value, args=[fetch.pk], **({"countdown": delay} if delay else {}))
        except BrokerError as error:
            log.error("The broker does not answer; %s waits for the sweep: %s", fetch, error)

    transaction.on_commit(send)


def sweep_fetches() -> int:
    """Enqueue each fetch again that is due, while no worker has claimed it. Returns how many there were.

    A call of the schedule that was lost before it became a fetch is made good. Webhooks are told of quiet feeds.
    """
    announce_quiet()
    for source in FeedSource.objects.filter(job__enabled=True).select_related("job__interval", "job__crontab"):
        if missed := lost_call(source):
            log.warning("The schedule's call for feed %s at %s was lost, and is made good", source.feed_id, missed)
            fetch_when_due(source.feed_id, missed)
    due = Q(outcome=FetchOutcome.WAITING, next_try_at__lt=Now() - UNCLAIMED_AFTER) | Q(outcome=FetchOutcome.FETCHING)
    claimed = claimed_numbers(FETCH_LOCK)
    left = [fetch for fetch in Fetch.objects.filter(due).order_by("pk") if fetch.pk % 2**31 not in claimed]
    for fetch in left:
        enqueue_fetch(fetch)
    return len(left)


@contextmanager
def _claimed(fetch: Fetch) -> Iterator[bool]:
    """Hold the fetch for this connection; False when another worker has it, or it is over, or not due.

    A worker that freezes is cut off as those of imports are, and can then write nothing: its connection is gone, and
    with it the lock, so whoever loses the connection in a long download leaves the fetch to the sweep.
    """
    with attempted(None, FETCH_LOCK, fetch.pk % 2**31, lambda: None) as attempt:
        is_due = Q(outcome=FetchOutcome.FETCHING) | Q(
            outcome=FetchOutcome.WAITING, next_try_at__lte=Now() + timedelta(seconds=1)
        )
        begun = attempt and Fetch.objects.filter(is_due, pk=fetch.pk).update(
            outcome=FetchOutcome.FETCHING, claims=F("claims") + 1, started_at=Coalesce("started_at", Now())
        )
        fetch.refresh_from_db()
        yield bool(begun)


# --- doing it ---------------------------------------------------------------------------------------------


def fetch_here(feed: Feed) -> Fetch:
    """Fetch in this process, with a single try, because somebody waits. Raises `NotPossible` while a worker does it."""
    _require_source(feed)
    row = open_fetch(feed, reason=FetchReason.SHELL)
    Fetch.objects.filter(pk=row.pk, outcome=FetchOutcome.WAITING).update(next_try_at=Now())
    done = fetch(row.pk, last_try=True)
    if done is None or done.is_open:
        raise NotPossible("busy", f"{feed} is being fetched by a worker at this moment. Look at its page.")
    return done


def fetch(pk: int, *, last_try: bool = False) -> Fetch | None:
    """Do one try of a fetch. It ends with an outcome, or waits for its next try. None when there is nothing to do."""
    row = Fetch.objects.select_related("feed").filter(pk=pk).first()
    if row is None:
        return None
    with _claimed(row) as is_ours:
        if not is_ours:
            return None
        source = FeedSource.objects.select_related("feed", "job").filter(feed=row.feed_id).first()
        pace = Pace()
        try:
            if source is None:
                raise FetchRefused("no_source", "The feed has no source any more.")
            if row.claims - row.tries > MAX_LOST_WORKERS:
                raise FetchFailed(
                    "worker_lost",
                    f"{MAX_LOST_WORKERS} workers were lost over this file. Check their memory.",
                    again=False,
                )
            _try_once(row, source, pace)
        except (CatalogError, MemoryError) as error:
            _end_badly(row, source, error, pace, last_try=last_try)
        except Exception as error:
            if is_lost(error) or isinstance(error, Error):
                raise
            error_id = uuid.uuid4().hex[:8]
            log.exception("%s of %s failed [%s]", row, row.feed, error_id)
            unexpected = FetchFailed(
                "internal_error",
                f"Something unexpected happened [{error_id}]. If it happens again, pass that number on to the "
                "developers.",
            )
            _end_badly(row, source, unexpected, pace, last_try=last_try)
        row.refresh_from_db()
    return row


def _try_once(row: Fetch, source: FeedSource, pace: Pace) -> None:
    with fetched(target_of_source(source), pace) as (spool, found):
        facts = {"status": found.status, "etag": found.etag, "file_name": found.name, "bytes": spool.size}
        if found.unchanged:
            says = f"{clean_words(found.name, 100)} is the file that was fetched last."
            says = "The server says that the file is unchanged (304)." if found.status == 304 else says
            _finish(row, source, FetchOutcome.UNCHANGED, says + _about_last_import(source), pace, facts)
        elif spool.sha256 == source.known.get("sha256") and not needs_import_again(source):
            known = facts_of(found, spool.sha256, last_import(source))
            says = f"The file has the same bytes as the last one.{_about_last_import(source)}"
            _finish(row, source, FetchOutcome.UNCHANGED, says, pace, facts, known=known)
        else:
            run = None
            if row.claims - row.tries > 1:  # a worker that was lost may have made an import of these bytes
                made = ImportRun.objects.filter(feed=row.feed_id, sha256=spool.sha256, created_at__gte=row.started_at)
                run = made.order_by("-pk").first()
            if run is None:
                # A file that is refused leaves its trace in the fetch, and not as a refused upload.
                check_start(spool.file, settings.FEED_LIMITS, source.feed.file_settings)
                spool.file.seek(0)
                run = receive(File(spool.file, name=found.name or "feed"), feed=source.feed, by=row.by)
            sentence = f"A new file of {spool.size:,} bytes: {str(run).lower()}."
            known = facts_of(found, spool.sha256, run)
            _finish(row, source, FetchOutcome.NEW, sentence, pace, {**facts, "run": run}, known=known)


def _about_last_import(source: FeedSource) -> str:
    run = last_import(source)
    if run is None:
        return ""
    if run.status == Status.FAILED:
        return f" {run} of it failed: {run.error}"
    return f" It is {str(run).lower()}, {run.get_status_display().lower()}."


# --- its end ----------------------------------------------------------------------------------------------


def _finish(
    row: Fetch,
    source: FeedSource | None,
    outcome: FetchOutcome,
    sentence: str,
    pace: Pace,
    facts: dict[str, Any],
    *,
    code: str = "",
    known: dict[str, Any] | None = None,
) -> None:
    """Record the outcome, and what it means for the source, unless another worker took the fetch over."""
    with transaction.atomic():
        mine = Fetch.objects.filter(pk=row.pk, outcome=FetchOutcome.FETCHING, claims=row.claims)
        ended = mine.update(
            outcome=outcome,
            code=code,
            sentence=sentence[:2000],
            finished_at=Now(),
            seconds=round(pace.seconds, 3),
            **facts,
        )
        if not ended:
            return
        row.refresh_from_db()
        log_fetch(row)
        if source is None:
            return
        now = (
            FeedSource.objects.select_for_update(of=("self",))
            .select_related("feed", "job")
            .filter(pk=source.pk)
            .first()
        )
        if now is None or (now.address, now.pattern) != (source.address, source.pattern):
            return  # the source is another one since
        if outcome in BAD_FETCHES:
            _note_failure(now, row)
        else:
            _note_success(now, row, known)


def _end_badly(row: Fetch, source: FeedSource | None, error: Exception, pace: Pace, *, last_try: bool) -> None:
    """Wait for the next try, or end the fetch as failed or refused."""
    if isinstance(error, MemoryError):
        error = FetchFailed("memory", "The worker's memory was not enough.")
    if not isinstance(error, CatalogError):
        raise error
    if isinstance(error, StillWritten) and source:
        FeedSource.objects.filter(pk=source.pk).update(seen=list(error.seen))
    is_refused = isinstance(error, FeedRefused | FetchRefused)
    again = getattr(error, "again", isinstance(error, NotStored | QuotaReached))
    may_try_again = again and not is_refused and not last_try and row.tries + 1 < MAX_TRIES
    status = getattr(error, "status", None)
    facts = {"tries": F("tries") + 1, "status": status}
    if not may_try_again:
        outcome = FetchOutcome.REFUSED if is_refused else FetchOutcome.FAILED
        _finish(row, source, outcome, error.message, pace, facts, code=error.code)
        return
    pause = pause_before(row, source, getattr(error, "wait", None))
    with transaction.atomic():
        mine = Fetch.objects.filter(pk=row.pk, outcome=FetchOutcome.FETCHING, claims=row.claims)
        waits = mine.update(
            outcome=FetchOutcome.WAITING,
            code=error.code,
            sentence=error.message[:2000],
            next_try_at=Now() + pause,
            seconds=round(pace.seconds, 3),
            **facts,
        )
        if waits:
            row.refresh_from_db()
            log_fetch(row)
            enqueue_fetch(row, pause.total_seconds())


def log_fetch(row: Fetch) -> None:
    """The end of a try: of the last one the fetch's outcome, of another one that it waits."""
    log_event(
        "fetch",
        by=row.by,
        level=logging.INFO if row.outcome in (FetchOutcome.NEW, FetchOutcome.UNCHANGED) else logging.WARNING,
        run_id=row.run_id,
        feed=row.feed.slug,
        fetch=row.pk,
        reason=row.reason,
        outcome=row.outcome,
        code=row.code,
        bytes=row.bytes,
        seconds=row.seconds,
        tries=row.tries,
    )


def pause_before(row: Fetch, source: FeedSource | None, wait: int | None) -> timedelta:
    """How long to wait for the next try: longer each time, as the server asks, and within a short interval."""
    pause = PAUSES[min(row.tries, len(PAUSES) - 1)]
    if source and source.job and source.job.interval:
        pause = min(pause, source.job.interval.schedule.run_every * (row.tries + 1) / 4)
    return max(pause, timedelta(seconds=wait or 0))


def _note_success(source: FeedSource, row: Fetch, known: dict[str, Any] | None) -> None:
    if source.failing_since:
        notify_recovered(source, row)
    source.failing_since = None
    source.seen = None
    if known:
        source.known = known
    if row.outcome == FetchOutcome.NEW:
        source.last_new_at = row.finished_at
    source.save(update_fields=["failing_since", "seen", "known", "last_new_at"])


def _note_failure(source: FeedSource, row: Fetch) -> None:
    """Say so once for each problem; after days of nothing else, the schedule pauses itself."""
    if source.failing_since is None:
        source.failing_since = row.finished_at
        source.save(update_fields=["failing_since"])
    days = settings.FETCH_PAUSE_DAYS
    has_failed_for_long = days and row.finished_at - source.failing_since > timedelta(days=days)  # type: ignore[operator]
    if has_failed_for_long and source.job and source.job.enabled:
        source.job.enabled = False
        source.job.save()
        source.paused_at = row.finished_at
        source.save(update_fields=["paused_at"])
        log_event("source_changed", level=logging.WARNING, feed=source.feed.slug, what="paused")
    notify_failing(source, row)
