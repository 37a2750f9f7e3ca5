"""How a feed is: what its page says above its settings, in a few queries however much there is."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from catalog.models import CatalogState, Feed, ImportRun, Product, RunIssue, Status
from catalog.models.runs import PLANNED
from catalog.version_cache import compute_once

SHOWN_IMPORTS = 30
SHOWN_ISSUES = 10
FULL_BAR = 0.05  # a share of invalid items, unless an import had more


def feed_health(request: HttpRequest, feed: Feed) -> dict[str, Any]:
    """Products, the last file, invalid items over time, the issues by age, and the plan that waits."""
    may = request.user.has_perm
    runs = feed.runs.defer("names", "coverage", "metrics", "history").order_by("-pk")
    planned = list(runs.filter(status__in=PLANNED, items__gt=0)[:SHOWN_IMPORTS])
    highest = max([FULL_BAR, *(run.invalid / run.items for run in planned)])
    bars = [
        {"run": run, "share": run.invalid / run.items, "height": run.invalid / run.items / highest}
        for run in reversed(planned)
    ]
    market: Any = feed.market_id
    version = CatalogState.current(market)
    products = Product.objects.active().filter(market=market, feed=feed).order_by()
    return {
        "feed": feed,
        "key": str(feed.pk),
        "products": compute_once(market, version, f"products of {feed.pk}", products.count),
        "last": runs.first(),
        "waiting": list(runs.filter(status=Status.REVIEW)[:5]),
        "bars": bars,
        "issues": _issues_by_age(planned) if planned else [],
        "can_import": may("catalog.add_importrun"),
        "can_view_products": may("catalog.view_product"),
        "can_view_imports": may("catalog.view_importrun"),
    }


def _issues_by_age(planned: list[ImportRun]) -> list[dict[str, Any]]:
    """The issues of the newest of these imports, the oldest first: since when each is in every one of them."""
    newest, *earlier = planned
    issues = list(newest.issues.all())
    found = RunIssue.objects.filter(run__in=[run.pk for run in planned]).order_by()
    had = {(run, code, attribute) for run, code, attribute in found.values_list("run", "code", "attribute")}
    rows: list[dict[str, Any]] = []
    for issue in issues:
        since = newest
        for run in earlier:
            if (run.pk, issue.code, issue.attribute) not in had:
                break
            since = run
        # With as many imports as are looked at, it may be older.
        is_older = since.pk == planned[-1].pk and len(planned) == SHOWN_IMPORTS
        rows.append({"issue": issue, "run": newest, "since": since, "is_older": is_older})
    return sorted(rows, key=lambda row: (row["since"].pk, -row["issue"].count))[:SHOWN_ISSUES]
