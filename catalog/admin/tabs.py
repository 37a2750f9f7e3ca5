"""The lists of an import's page: paging and filters, and the lists of what is wrong with the file."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from catalog.feeds.issues import Severity, code_named
from catalog.imports.items import items_at
from catalog.imports.reports import diagnosis, downloads, pages
from catalog.imports.reports.changes import MAX_COUNTED_CHANGES
from catalog.imports.reports.coverage import cover_run
from catalog.models import ImportRun

LAST = 2**62  # beyond every key: the last page


class Tab:
    """One list of the page, with its filters. Its state is in the address."""

    key = ""
    label: Any = ""
    filters: tuple[str, ...] = ()
    template = ""

    def is_for(self, run: ImportRun) -> bool:
        """Whether such a run has this list."""
        return True

    def count_rows(self, run: ImportRun) -> int:
        """The number beside the tab's name."""
        raise NotImplementedError

    def context(self, run: ImportRun, request: HttpRequest) -> dict[str, Any]:
        raise NotImplementedError

    def chosen_filters(self, request: HttpRequest) -> dict[str, str]:
        return {name: request.GET[name].replace("\x00", "") for name in self.filters if request.GET.get(name)}

    def page_context(self, request: HttpRequest, rows: pages.Rows[Any], key: str, by: str = "") -> dict[str, Any]:
        """A page of rows with the addresses of its neighbours."""
        chosen = self.chosen_filters(request)
        return {**page_of(request, rows, key, {"tab": self.key, **chosen}, by), "chosen": chosen}


def page_of(
    request: HttpRequest, rows: pages.Rows[Any], key: str, state: dict[str, str], by: str = ""
) -> dict[str, Any]:
    """The page of rows that the address asks for, with the addresses of its neighbours; `state` is in each.

    The rows are in the order of `by`, where it is given, and else of `key`.
    """
    after, before = key_in(request.GET.get("after")), key_in(request.GET.get("before"))
    if by and isinstance(rows, QuerySet):
        page = pages.read_sorted_page(rows, key, by, after=after, before=before)
    else:
        page = pages.read_page(rows, key, after=after, before=before)

    def page_link(**position: int) -> str:
        return "?" + urlencode({**state, **position})

    links = {"first": page_link() if page.has_previous else "", "last": page_link(before=LAST) if page.has_next else ""}
    if page.rows:
        links["previous"] = page_link(before=getattr(page.rows[0], key)) if page.has_previous else ""
        links["next"] = page_link(after=getattr(page.rows[-1], key)) if page.has_next else ""
    return {"rows": page.rows, "links": links}


def key_in(text: str | None) -> int | None:
    """A key from the address; None when it is not a key."""
    return min(int(text), LAST) if text and text.isascii() and text.isdigit() and len(text) < 20 else None


class IssuesTab(Tab):
    """What is wrong, by kind; and for one kind, the items that have it."""

    key = "issues"
    label = _("Issues")
    filters = ("code", "attribute", "severity", "trend", "sort")
    template = "admin/catalog/importrun/_issues.html"

    def count_rows(self, run: ImportRun) -> int:
        return run.issues.count()

    def context(self, run: ImportRun, request: HttpRequest) -> dict[str, Any]:
        chosen = self.chosen_filters(request)
        if "code" not in chosen:
            return self._findings_context(run, chosen)
        code, attribute = chosen["code"], chosen.get("attribute", "")
        context = self.page_context(request, pages.items_with_issue(run, code, attribute), "position")
        items = items_at(run, [place.position for place in context["rows"]])
        context["rows"] = downloads.with_issues(run, items)
        context["finding"] = run.issues.filter(code=code, attribute=attribute).first()
        return context

    def _findings_context(self, run: ImportRun, chosen: dict[str, str]) -> dict[str, Any]:
        """The findings of the chosen severity and trend, and chips with numbers for each."""
        found = diagnosis.diagnose_run(run)
        kinds: list[tuple[str, str, Any]] = [("severity", each.value, each.value.capitalize()) for each in Severity]
        kinds += [("trend", value, capfirst(label)) for value, label in diagnosis.TRENDS.items()]

        def findings_with(filters: dict[str, str]) -> list[diagnosis.Finding]:
            return [
                each
                for each in found.findings
                if filters.get("severity", each.severity) == each.severity
                and filters.get("trend", each.trend) == each.trend
            ]

        chips = []
        for name, value, label in kinds:
            is_chosen = chosen.get(name) == value
            others = {other: text for other, text in chosen.items() if other != name}
            count = len(findings_with(others | {name: value}))
            if count or is_chosen:
                query = urlencode({"tab": self.key, **(others if is_chosen else others | {name: value})})
                chips.append({"label": label, "count": count, "query": f"?{query}", "is_chosen": is_chosen})
        shown = findings_with(chosen)
        if chosen.get("sort") == "count":
            shown = sorted(shown, key=lambda each: -each.count)
        return {"diagnosis": found, "findings": shown, "chips": chips, "chosen": chosen}


class InvalidTab(Tab):
    key = "invalid"
    label = _("Invalid items")
    filters = ("code", "q")
    template = "admin/catalog/importrun/_invalid.html"

    def count_rows(self, run: ImportRun) -> int:
        return run.invalid

    def context(self, run: ImportRun, request: HttpRequest) -> dict[str, Any]:
        chosen = self.chosen_filters(request)
        rows = pages.invalid_items(run)
        if code := chosen.get("code"):
            rows = rows.filter(position__in=run.item_issues.filter(code=code).values("position"))
        if text := chosen.get("q", "").strip():
            rows = rows.filter(Q(product_id__startswith=text) | Q(title__icontains=text))
        context = self.page_context(request, rows, "position")
        context["rows"] = downloads.with_issues(run, context["rows"])
        counted = run.meaning.get("invalid", [])
        context["codes"] = [(code, code_named(code).title, count) for code, count in counted]
        if chosen:
            found = rows.order_by().values("position")[: MAX_COUNTED_CHANGES + 1].count()
            context["found"] = found
            context["is_over"] = found > MAX_COUNTED_CHANGES
        return context


class AttributesTab(Tab):
    """How many items have each attribute, beside the feed's run before."""

    key = "attributes"
    label = _("Attributes")
    template = "admin/catalog/importrun/_attributes.html"

    def count_rows(self, run: ImportRun) -> int:
        return 0  # a number of names says nothing

    def context(self, run: ImportRun, request: HttpRequest) -> dict[str, Any]:
        return {"coverage": cover_run(run)}
