"""What is wrong with a feed, and whether it is getting better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Subquery
from django.utils.translation import gettext_lazy as _

from catalog.feeds.attributes import expected_value
from catalog.feeds.issues import Code, Severity, code_named
from catalog.models import ImportRun, RunIssue, Status

MIN_EARLY_ITEMS = 5_000
MIN_EARLY_SHARE = 0.9

TRENDS = {"new": _("new"), "open": _("still open"), "resolved": _("resolved")}


@dataclass(frozen=True, slots=True)
class Finding:
    """One issue of a run beside the feed's previous run.

    `count` and `share` are of this run's items, `before` is the previous run's count. `trend` is one of `TRENDS`, or ""
    when there is no previous run. A resolved issue has no `pk`. An issue of the file instead of items has no `share`.
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
        return expected_value(self.attribute)

    @property
    def has_items(self) -> bool:
        """Whether it is an issue of items, and not of the file."""
        return bool(self.count) and self.share is not None

    @property
    def shown_trend(self) -> Any:
        return TRENDS.get(self.trend, "")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All findings, the worst first and resolved ones last, compared with the run whose number is `previous`."""

    findings: list[Finding]
    previous: int | None


def diagnose_run(run: ImportRun) -> Diagnosis:
    """The run's issues, each new or still open, and the resolved ones of the feed's previous run.

    The previous run is the last one before this whose plan could be reviewed.
    """
    earlier = ImportRun.objects.filter(feed=run.feed_id, pk__lt=run.pk).exclude(plan_hash="").order_by("-pk")
    rows = list(
        ImportRun.objects.filter(pk=Subquery(earlier.values("pk")[:1])).values_list(
            "pk", "issues__code", "issues__attribute", "issues__severity", "issues__count"
        )
    )
    previous = rows[0][0] if rows else None
    before = {(code, attribute): (severity, count) for _pk, code, attribute, severity, count in rows if code}
    findings = []
    for issue in run.issues.all():
        _severity, count = before.pop((issue.code, issue.attribute), ("", 0))
        trend = ("open" if count else "new") if previous else ""
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
    """The one error that nearly every item has, as soon as so many are read that the rest will hardly differ.

    An attribute that every single item lacks does not count: this may be a supplemental feed, which the plan finds out.
    """
    if run.status != Status.STAGING or run.items < MIN_EARLY_ITEMS:
        return None
    errors = run.issues.filter(severity=Severity.ERROR, count__gte=run.items * MIN_EARLY_SHARE)
    errors = errors.exclude(code__endswith=".missing", count__gte=run.items)
    return errors.order_by("-count", "code", "attribute").first()
