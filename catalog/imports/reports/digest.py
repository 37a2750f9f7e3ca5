"""What went wrong with imports in a stretch of time, for the digest.

Each failure has one time, which never changes, and so is in exactly one of the stretches that follow one another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet

from catalog.feeds.issues import Severity, code_named
from catalog.imports.notices import line, run_url
from catalog.imports.reports.diagnosis import TRENDS
from catalog.models import ImportRun, RunIssue, Status
from catalog.models.runs import BUSY

# So long may an import be at one step; the largest ones need minutes.
STUCK_AFTER = timedelta(hours=1)
# Some mail programs cut a mail off at 100 kB: what does not fit is named by its number, and in the end only counted.
SHOWN = 8
NAMED = 500
SHOWN_FEEDS = 8
SHOWN_ISSUES = 5


def failures(since: datetime, until: datetime) -> dict[str, Any]:
    """What the digest tells of imports, of `since` and later and before `until`."""
    found = {kind: Runs() for kind in ("failed", "refused", "stuck", "held")}
    for run in _concerned(since, until):
        for kind, at in _times(run):
            if since <= at < until:
                found[kind].add(run)
    feeds = _feeds(since, until)
    return {**found, "feeds": feeds[:SHOWN_FEEDS], "more_feeds": max(len(feeds) - SHOWN_FEEDS, 0)}


def _concerned(since: datetime, until: datetime) -> QuerySet[ImportRun]:
    """Every import of which something may be to tell."""
    failed = Q(status=Status.FAILED, finished_at__gte=since, finished_at__lt=until)
    held = Q(planned_at__gte=since, planned_at__lt=until) & ~Q(holds=[])
    stuck = Q(status__in=BUSY, changed_at__gte=since - STUCK_AFTER, changed_at__lt=until - STUCK_AFTER)
    runs = ImportRun.objects.filter(failed | held | stuck).select_related("feed").order_by("pk")
    return runs.defer("history", "names", "coverage")


def _times(run: ImportRun) -> Iterator[tuple[str, datetime]]:
    """When what went wrong with the import: one may be held, and fail when it is applied.

    Stuck is only what still is; what went on meanwhile needs nobody.
    """
    if run.status == Status.FAILED and run.finished_at:
        yield ("refused" if run.error_code.startswith("feed.") else "failed"), run.finished_at
    if run.holds and run.planned_at:
        yield "held", run.planned_at
    if run.status in BUSY:
        yield "stuck", run.changed_at + STUCK_AFTER


@dataclass
class Runs:
    """Some imports: the first ones with their reasons, the others by number. False when there are none."""

    shown: list[dict[str, Any]] = field(default_factory=list)
    named: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, run: ImportRun) -> None:
        self.count += 1
        if len(self.shown) < SHOWN:
            self.shown.append(_shown(run))
        elif len(self.named) < NAMED:
            self.named.append(str(run.pk))

    def __len__(self) -> int:
        return self.count

    @property
    def more(self) -> int:
        return self.count - len(self.shown)

    @property
    def unnamed(self) -> int:
        return self.more - len(self.named)


def _shown(run: ImportRun) -> dict[str, Any]:
    return {
        "run": run,
        "url": run_url(run),
        "file": line(run.file_name),
        "feed": line(run.feed.name),
        "why": run.error or " ".join(hold["message"] for hold in run.holds),
    }


# --- invalid items ------------------------------------------------------------------------------------


def _feeds(since: datetime, until: datetime) -> list[dict[str, Any]]:
    """Each feed that was imported in that time: the errors of its last import beside those of its last one before."""
    now = _last_of_each(ImportRun.objects.filter(planned_at__gte=since, planned_at__lt=until))
    if not now:
        return []
    earlier = ImportRun.objects.filter(planned_at__lt=since, feed__in=[run.feed_id for run in now])
    before = {run.feed_id: run for run in _last_of_each(earlier)}
    counts = _errors([*now, *before.values()])
    found = []
    for run in now:
        previous = before.get(run.feed_id)
        issues = _trends(counts.get(run.pk, {}), counts.get(previous.pk, {}) if previous else {})
        if issues:
            found.append(
                {
                    "feed": line(run.feed.name),
                    "run": run,
                    "url": run_url(run),
                    "issues": issues[:SHOWN_ISSUES],
                    "more": max(len(issues) - SHOWN_ISSUES, 0),
                }
            )
    return found


def _last_of_each(runs: QuerySet[ImportRun]) -> list[ImportRun]:
    """The last import of each feed."""
    last = runs.order_by("feed_id", "-planned_at", "-pk").distinct("feed_id")
    return list(last.select_related("feed").only("invalid", "items", "planned_at", "feed__name"))


_Counts = dict[tuple[str, str], int]


def _errors(runs: list[ImportRun]) -> dict[int, _Counts]:
    """By run, code and attribute, how many items are invalid for it."""
    found: dict[int, _Counts] = {}
    issues = RunIssue.objects.filter(run__in=runs, severity=Severity.ERROR).exclude(code__startswith="feed.")
    for issue in issues:
        found.setdefault(issue.run_id, {})[issue.code, issue.attribute] = issue.count
    return found


def _trends(now: _Counts, before: _Counts) -> list[dict[str, Any]]:
    """New ones first, then those still open, then those resolved; in each the most frequent first."""
    found: list[dict[str, Any]] = [
        {
            "code": code_named(name, Severity.ERROR),
            "attribute": line(attribute, 50),
            "count": now.get((name, attribute), 0),
            "before": before.get((name, attribute), 0),
            "trend": _trend((name, attribute), now, before),
        }
        for name, attribute in {**now, **before}
    ]
    order = list(TRENDS)
    for issue in found:
        issue["shown_trend"] = TRENDS[issue["trend"]]
    return sorted(found, key=lambda issue: (order.index(issue["trend"]), -issue["count"], -issue["before"]))


def _trend(issue: tuple[str, str], now: _Counts, before: _Counts) -> str:
    if issue not in now:
        return "resolved"
    return "open" if issue in before else "new"
