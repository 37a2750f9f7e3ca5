"""What went wrong with imports in a stretch of time, and which plans wait, for the digest.

Each failure has one time, which never changes, so it is in exactly one of the stretches that follow one another.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum
from django.urls import reverse

from catalog.feeds.issues import Severity, code_named
from catalog.imports.notices import one_line, run_url
from catalog.imports.reports.diagnosis import TRENDS
from catalog.models import ImportRun, RefusedFile, RunIssue, Status
from catalog.models.runs import BUSY
from notifications.rendering import public_url

# An import should not take longer than this for one step; the largest ones need minutes.
STUCK_AFTER = timedelta(hours=1)
# Some mail programs cut a mail off at 100 kB: the imports that do not fit are listed by number, and then only counted.
SHOWN_RUNS = 7
NUMBERED_RUNS = 500
SHOWN_FILES = 4
SHOWN_FEEDS = 8
SHOWN_ISSUES = 5

ErrorCounts = dict[tuple[str, str], int]  # by code and attribute


def find_failures(since: datetime, until: datetime) -> dict[str, Any]:
    """What the digest says about imports, from `since` on and before `until`."""
    failed = Q(status=Status.FAILED, finished_at__gte=since, finished_at__lt=until)
    held = Q(planned_at__gte=since, planned_at__lt=until) & ~Q(holds=[])
    stuck = Q(status__in=BUSY, changed_at__gte=since - STUCK_AFTER, changed_at__lt=until - STUCK_AFTER)
    runs = ImportRun.objects.filter(failed | held | stuck).select_related("feed").order_by("pk")
    lists = {kind: RunList() for kind in ("failed", "refused", "stuck", "held")}
    for run in runs.defer("history", "names", "coverage"):
        # One import may be held, and later fail when it is applied. It is stuck only if it still is.
        times: dict[str, datetime] = {}
        if run.status == Status.FAILED and run.finished_at:
            times["refused" if run.error_code.startswith("feed.") else "failed"] = run.finished_at
        if run.holds and run.planned_at:
            times["held"] = run.planned_at
        if run.status in BUSY:
            times["stuck"] = run.changed_at + STUCK_AFTER
        for kind, at in times.items():
            if since <= at < until:
                lists[kind].add(run)
    lists["waiting"] = _waiting_plans(since, until)
    feeds = _feeds_with_errors(since, until)
    refused_files = _refused_files(since, until)
    return {
        **lists,
        "refused_files": refused_files,
        "feeds": feeds[:SHOWN_FEEDS],
        "more_feeds": max(len(feeds) - SHOWN_FEEDS, 0),
    }


def _waiting_plans(since: datetime, until: datetime) -> RunList:
    """The plans that were made by then and still wait for a person, but for those listed as held; the oldest first."""
    waiting = RunList()
    is_listed = ~Q(holds=[]) & Q(planned_at__gte=since)
    runs = ImportRun.objects.filter(~is_listed, status=Status.REVIEW, planned_at__lt=until)
    for run in runs.select_related("feed").order_by("planned_at").defer("history", "names", "coverage"):
        waiting.add(run)
    return waiting


@dataclass
class RefusedFiles:
    """Files that were refused when they were uploaded: the last ones, and how many. False when there are none."""

    shown: list[dict[str, Any]]
    count: int
    url: str

    def __len__(self) -> int:
        return self.count

    @property
    def more(self) -> int:
        return self.count - len(self.shown)


def _refused_files(since: datetime, until: datetime) -> RefusedFiles:
    files = RefusedFile.objects.filter(refused_at__gte=since, refused_at__lt=until)
    total = files.aggregate(rows=Count("pk"), more=Sum("more", default=0))
    shown = [
        {
            "file": one_line(file.file_name),
            "feed": one_line(file.feed.name) if file.feed else "",
            "by": one_line(str(file.uploaded_by or "")),
            "refused_at": file.refused_at,
            "why": one_line(file.sentence, 200),
        }
        for file in files.select_related("feed", "uploaded_by")[:SHOWN_FILES]
    ]
    url = public_url(reverse("admin:catalog_refusedfile_changelist"))
    return RefusedFiles(shown, total["rows"] + total["more"], url)


@dataclass
class RunList:
    """Some imports: the first ones with their reasons, the next ones by number. False when there are none."""

    shown: list[dict[str, Any]] = field(default_factory=list)
    named: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, run: ImportRun) -> None:
        self.count += 1
        if len(self.shown) < SHOWN_RUNS:
            facts = {"run": run, "url": run_url(run), "file": one_line(run.file_name), "feed": one_line(run.feed.name)}
            why = run.error or " ".join(hold["message"] for hold in run.holds)
            self.shown.append({**facts, "why": why})
        elif len(self.named) < NUMBERED_RUNS:
            self.named.append(str(run.pk))

    def __len__(self) -> int:
        return self.count

    @property
    def more(self) -> int:
        return self.count - len(self.shown)

    @property
    def unnamed(self) -> int:
        return self.more - len(self.named)


# --- invalid items ------------------------------------------------------------------------------------


def _feeds_with_errors(since: datetime, until: datetime) -> list[dict[str, Any]]:
    """Each feed that was imported in that time: the errors of its last import, beside those of the last one before."""
    now = _last_of_each_feed(ImportRun.objects.filter(planned_at__gte=since, planned_at__lt=until))
    if not now:
        return []
    earlier = ImportRun.objects.filter(planned_at__lt=since, feed__in=[run.feed_id for run in now])
    before = {run.feed_id: run for run in _last_of_each_feed(earlier)}
    errors: dict[int, ErrorCounts] = {}
    rows = RunIssue.objects.filter(run__in=[*now, *before.values()], severity=Severity.ERROR)
    for row in rows.exclude(code__startswith="feed."):
        errors.setdefault(row.run_id, {})[row.code, row.attribute] = row.count
    found = []
    for run in now:
        previous = before.get(run.feed_id)
        issues = compare_errors(errors.get(run.pk, {}), errors.get(previous.pk, {}) if previous else {})
        if issues:
            facts = {"feed": one_line(run.feed.name), "run": run, "url": run_url(run)}
            more = max(len(issues) - SHOWN_ISSUES, 0)
            found.append({**facts, "issues": issues[:SHOWN_ISSUES], "more": more})
    return found


def _last_of_each_feed(runs: QuerySet[ImportRun]) -> list[ImportRun]:
    last = runs.order_by("feed_id", "-planned_at", "-pk").distinct("feed_id")
    return list(last.select_related("feed").only("invalid", "items", "planned_at", "feed__name"))


def compare_errors(now: ErrorCounts, before: ErrorCounts) -> list[dict[str, Any]]:
    """New errors first, then those still open, then those resolved; in each the most frequent first."""
    found: list[dict[str, Any]] = []
    for name, attribute in {**now, **before}:
        count, earlier = now.get((name, attribute), 0), before.get((name, attribute), 0)
        trend = "resolved" if not count else "open" if earlier else "new"
        facts = {"code": code_named(name, Severity.ERROR), "attribute": one_line(attribute, 50)}
        found.append({**facts, "count": count, "before": earlier, "trend": trend, "shown_trend": TRENDS[trend]})
    order = list(TRENDS)
    return sorted(found, key=lambda issue: (order.index(issue["trend"]), -issue["count"], -issue["before"]))
