"""What is wrong with a feed, and whether it is getting better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Subquery
from django.utils.translation import gettext_lazy as _

from catalog.feeds.attributes import expected
from catalog.feeds.issues import Code, Severity, code_named
from catalog.models import ImportRun, RunIssue, Status

EARLY_ITEMS = 5_000
EARLY_SHARE = 0.9

TRENDS = {"new": _("new"), "open": _("still open"), "resolved": _("resolved")}


@dataclass(frozen=True, slots=True)
class Finding:
    """One issue of a run beside the feed's previous run.

    `count` and `share` are of this run's items, `before` is the previous run's count. `trend` is one of `TRENDS`, or ""
    when there is no previous run, and `pk` is None of what is resolved.
    """

    code: Code
    attribute: str
    severity: str
    count: int
    share: float | None
    examples: list[dict[str, Any]]
    before: int = 0
    trend: str = ""
    pk: int | None = None

    @property
    def expected(self) -> str:
        return expected(self.attribute)

    @property
    def has_items(self) -> bool:
        """Whether it is items that have it, and not the file."""
        return bool(self.count) and self.share is not None

    @property
    def shown_trend(self) -> Any:
        return TRENDS.get(self.trend, "")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All findings, the worst first and resolved ones last. `previous` is the run they are compared with, by number."""

    findings: list[Finding]
    previous: int | None


def diagnose(run: ImportRun) -> Diagnosis:
    """The run's issues, each new or still open, and those of the feed's previous run that are resolved."""
    previous, before = _before(run)
    findings = []
    for issue in run.issues.all():
        _severity, count = before.pop((issue.code, issue.attribute), ("", 0))
        trend = ("open" if count else "new") if previous else ""
        # Of the items; what is in the file and not in an item has none.
        share = None if issue.code.startswith("feed.") else min(issue.count / max(run.items, 1), 1)
        code = code_named(issue.code, issue.severity)
        findings.append(
            Finding(code, issue.attribute, issue.severity, issue.count, share, issue.examples, count, trend, issue.pk)
        )
    for (name, attribute), (severity, count) in before.items():
        findings.append(Finding(code_named(name, severity), attribute, severity, 0, 0, [], count, "resolved"))
    findings.sort(key=lambda f: (f.trend == "resolved", Severity(f.severity).rank, -f.count, -f.before))
    return Diagnosis(findings, previous)


def early_verdict(run: ImportRun) -> RunIssue | None:
    """The one error that nearly every item has, as soon as so many were read that the rest will hardly differ.

    What every single item lacks may be what a supplemental feed does not speak of; the plan will tell.
    """
    if run.status != Status.STAGING or run.items < EARLY_ITEMS:
        return None
    errors = run.issues.filter(severity=Severity.ERROR, count__gte=run.items * EARLY_SHARE)
    errors = errors.exclude(code__endswith=".missing", count__gte=run.items)
    return errors.order_by("-count", "code", "attribute").first()


def _before(run: ImportRun) -> tuple[int | None, dict[tuple[str, str], tuple[str, int]]]:
    """The feed's last run before this one whose plan could be reviewed, and its issues: one query."""
    earlier = ImportRun.objects.filter(feed=run.feed_id, pk__lt=run.pk).exclude(plan_hash="").order_by("-pk")
    rows = list(
        ImportRun.objects.filter(pk=Subquery(earlier.values("pk")[:1])).values_list(
            "pk", "issues__code", "issues__attribute", "issues__severity", "issues__count"
        )
    )
    counts = {(code, attribute): (severity, count) for _pk, code, attribute, severity, count in rows if code}
    return (rows[0][0] if rows else None), counts
