"""The admin's first page: what needs a person, what is running, what failed, and the state of catalogue and feeds.

Each part is for people who may look at what it shows, and costs the same few queries however much there is.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, F, OuterRef, QuerySet, Subquery, Sum, Window
from django.db.models.functions import Now, RowNumber, TruncDate
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalog.admin.other_markets import missing_by_pair
from catalog.admin.run_page import reading_progress
from catalog.chosen_market import has_several_markets, market_of, markets_of
from catalog.fetching.notices import fetch_facts, fetch_warnings
from catalog.models import CatalogState, Feed, ImportRun, Market, Product, Status
from catalog.models.runs import BUSY, PLANNED
from catalog.version_cache import compute_once, known_value

SHOWN_RUNS = 5
SHOWN_FEEDS = 8
TREND_RUNS = 10
TREND_DAYS = 14
FULL_BAR = 0.05  # a share of invalid items, unless one of the feed's imports had more
RECENT = timedelta(days=7)


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add to the context what the page shows to this person."""
    may_look = request.user.has_perm
    counting = "count" in request.GET

    def of_market(rows: QuerySet[Any], path: str) -> QuerySet[Any]:
        return rows.filter(**{path: market_of(request)}) if has_several_markets(request) else rows

    parts: dict[str, Any] = {}
    if may_look("catalog.view_importrun"):
        runs = of_market(ImportRun.objects.all(), "feed__market")
        parts |= {"imports": _imports_part(runs), "trends": _trends_part(runs)}
    if may_look("catalog.view_product"):
        parts["products"] = _products_part(market_of(request), counting=counting)
        if has_several_markets(request):
            parts["markets"] = markets_of(request)
            parts["missing"] = missing_by_pair(markets_of(request), counting=counting)
    if may_look("catalog.view_importrun") and may_look("catalog.view_feed"):
        parts |= _feeds_part(of_market(Feed.objects.all(), "market"))
    may = {"can_import": may_look("catalog.add_importrun"), "can_add_feed": may_look("catalog.add_feed")}
    return context | parts | may | {"has_parts": bool(parts)}


def count_waiting(request: HttpRequest) -> int:
    """How many plans of the market wait for a person: the number beside *Imports* in the menu."""
    if not request.user.has_perm("catalog.view_importrun"):
        return 0
    waiting = ImportRun.objects.filter(status=Status.REVIEW)
    return (waiting.filter(feed__market=market_of(request)) if has_several_markets(request) else waiting).count()


# --- imports ------------------------------------------------------------------------------------------
@dataclass
class Group:
    """Imports with something in common: the first ones, and the address of the list of all of them."""

    title: Any
    nothing: Any
    runs: list[Any]
    address: str = ""

    @property
    def more(self) -> int:
        return self.runs[0].in_all - len(self.runs) if self.runs else 0


def _imports_part(runs: QuerySet[ImportRun]) -> dict[str, Any]:
    waiting = runs.filter(status=Status.REVIEW).order_by("changed_at", "pk")
    running = _first_runs(runs.filter(status__in=BUSY).order_by("pk"))
    failed = runs.filter(status=Status.FAILED, finished_at__gt=Now() - RECENT).order_by("-finished_at")
    done = runs.filter(status__in=(Status.APPLIED, Status.UNDONE)).order_by("-finished_at")
    for run in running:
        run.progress = reading_progress(run)
    groups = [
        Group(
            _("Needs confirmation"), _("No import needs confirmation."), _first_runs(waiting), "?status__exact=review"
        ),
        Group(_("Running"), _("No import is running."), running),
        Group(_("Failed in the last 7 days"), _("No import failed."), _first_runs(failed), "?status__exact=failed"),
        Group(_("Latest imports"), _("No import has been applied yet."), _first_runs(done)),
    ]
    return {"groups": groups, "is_busy": bool(running)}


def _first_runs(runs: QuerySet[ImportRun]) -> list[Any]:
    """The first ones, each with how many there are in all."""
    shown = runs.select_related("feed").defer("names", "coverage", "metrics", "seconds")
    return list(shown.annotate(in_all=Window(Count("pk")))[:SHOWN_RUNS])


# --- trends -------------------------------------------------------------------------------------------
@dataclass
class Outcome:
    """What became of imports: its colour in the picture, and the statuses that are it."""

    key: str
    label: Any
    statuses: tuple[Status, ...]


OUTCOMES = (
    Outcome("applied", _("applied"), (Status.APPLIED, Status.REDOING)),
    Outcome("open", _("under way"), (Status.RECEIVED, Status.STAGING, Status.REVIEW, Status.APPLYING)),
    Outcome("undone", _("undone"), (Status.UNDOING, Status.UNDONE)),
    Outcome("discarded", _("discarded"), (Status.DISCARDED,)),
    Outcome("failed", _("failed"), (Status.FAILED,)),
)


def _trends_part(runs: QuerySet[ImportRun]) -> dict[str, Any]:
    """For each of the last days how many imports had which outcome, their items, and the share of invalid ones.

    Heights are from 0 to 1, beside the largest of their row.
    """
    today = timezone.localdate()
    days = [today - timedelta(days=back) for back in reversed(range(TREND_DAYS))]
    begin = timezone.make_aware(datetime.combine(days[0], time()))
    lately = runs.filter(created_at__gte=begin).order_by().annotate(day=TruncDate("created_at"))
    counted = lately.values_list("day", "status").annotate(Count("pk"), Sum("items"), Sum("invalid"))
    found: dict[Any, dict[str, tuple[int, int, int]]] = defaultdict(dict)
    for day, status, *numbers in counted:
        found[day][status] = tuple(numbers)
    rows = [_day_of(day, found[day]) for day in days]
    most = {name: max(row[name] for row in rows) for name in ("imports", "items", "share")}
    for row in rows:
        row["heights"] = {name: row[name] / most[name] if most[name] else 0 for name in most}
        for each in row["outcomes"]:
            each["height"] = each["number"] / most["imports"] if most["imports"] else 0
    legend = [
        {
            "outcome": outcome,
            "number": sum(row["outcomes"][place]["number"] for row in rows),
            "address": _list_address(days[0], today, outcome.statuses),
        }
        for place, outcome in enumerate(OUTCOMES)
    ]
    items, invalid = (sum(row[name] for row in rows) for name in ("items", "invalid"))
    return {
        "days": rows,
        "legend": legend,
        "imports": sum(row["imports"] for row in rows),
        "items": items,
        "share": invalid / items if items else 0,
        "address": _list_address(days[0], today),
    }


def _day_of(day: date, found: dict[str, tuple[int, int, int]]) -> dict[str, Any]:
    outcomes = [
        {
            "outcome": outcome,
            "number": sum(found.get(status, (0, 0, 0))[0] for status in outcome.statuses),
            "address": _list_address(day, day, outcome.statuses),
        }
        for outcome in OUTCOMES
    ]
    imports, items, invalid = (sum(numbers[place] for numbers in found.values()) for place in range(3))
    row = {"day": day, "address": _list_address(day, day), "outcomes": outcomes, "imports": imports, "items": items}
    return row | {"invalid": invalid, "share": invalid / items if items else 0}


def _list_address(first: date, last: date, statuses: tuple[Status, ...] = ()) -> str:
    """The list of the imports that were uploaded from one day to another."""
    begin, end = (timezone.make_aware(datetime.combine(day, time())) for day in (first, last + timedelta(days=1)))
    query = {"created_at__gte": begin.isoformat(), "created_at__lt": end.isoformat()}
    if statuses:
        query |= {"status__in": ",".join(statuses)} if len(statuses) > 1 else {"status__exact": statuses[0].value}
    return "?" + urlencode(query)


# --- products -----------------------------------------------------------------------------------------
def _products_part(market: Market, *, counting: bool) -> dict[str, Any]:
    """The market's active products by availability, the largest count first, counted once for each version of them.

    Counting a million takes a second or more. The page does not wait for that: it asks for itself again, `counting`.
    """

    def count_products() -> dict[str, int]:
        products = Product.objects.in_market(market.pk).active().order_by()
        counted = products.values_list("availability").annotate(count=Count("pk"))
        return dict(sorted(counted, key=lambda pair: -pair[1]))

    version = CatalogState.current(market.pk)
    if counting:
        numbers = compute_once(market.pk, version, "availability", count_products)
    else:
        numbers = known_value(market.pk, version, "availability")
    if numbers is None:
        return {"is_counted": False}
    labels = dict(Product._meta.get_field("availability").choices or ())
    total = sum(numbers.values())
    return {
        "is_counted": True,
        "total": total,
        "availability": [
            {"value": value, "label": labels.get(value, _("Not given")), "count": count, "share": count / total}
            for value, count in numbers.items()
        ],
    }


# --- feeds --------------------------------------------------------------------------------------------
def _feeds_part(of_market: QuerySet[Feed]) -> dict[str, Any]:
    """Which feeds do not arrive. Of those with the latest imports, which was applied last, and their invalid items.

    Each share comes with the height of its bar, from 0 to 1; the oldest is first.
    """
    applied = ImportRun.objects.filter(feed=OuterRef("pk"), status=Status.APPLIED).order_by("-finished_at")
    feeds: Any = of_market.select_related("source").annotate(last=Subquery(applied.values("pk")[:1]))
    every = list(feeds.annotate(**fetch_facts("pk")).order_by(F("last").desc(nulls_last=True), "name"))
    found = every[:SHOWN_FEEDS]
    last = ImportRun.objects.defer("history", "names", "coverage", "metrics").in_bulk([feed.last for feed in found])

    place = Window(RowNumber(), partition_by="feed", order_by="-pk")
    planned = ImportRun.objects.filter(feed__in=found, status__in=PLANNED, items__gt=0)
    latest = planned.annotate(place=place).filter(place__lte=TREND_RUNS).order_by("pk")
    shares: dict[int, list[float]] = defaultdict(list)
    for feed_id, items, invalid in latest.values_list("feed", "items", "invalid"):
        shares[feed_id].append(invalid / items)

    rows = []
    for feed in found:
        highest = max([FULL_BAR, *shares[feed.pk]])
        bars = [(share, share / highest) for share in shares[feed.pk]]
        rows.append({"feed": feed, "last": last.get(feed.last), "bars": bars})
    return {"feeds": rows, "fetch_warnings": fetch_warnings(every)}
