"""The lists of an import's page: paging and filters, and the lists of what is wrong with the file."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from catalog.imports.items import items_at
from catalog.imports.reports import diagnosis, downloads, pages
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

    def page_context(self, request: HttpRequest, rows: pages.Rows[Any], key: str) -> dict[str, Any]:
        """A page of rows with the addresses of its neighbours."""
        chosen = self.chosen_filters(request)
        return {**page_of(request, rows, key, {"tab": self.key, **chosen}), "chosen": chosen}


def page_of(request: HttpRequest, rows: pages.Rows[Any], key: str, state: dict[str, str]) -> dict[str, Any]:
    """The page of rows that the address asks for, with the addresses of its neighbours; `state` is in each."""
    after, before = key_in(request.GET.get("after")), key_in(request.GET.get("before"))
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
    filters = ("code", "attribute")
    template = "admin/catalog/importrun/_issues.html"

    def count_rows(self, run: ImportRun) -> int:
        return run.issues.count()

    def context(self, run: ImportRun, request: HttpRequest) -> dict[str, Any]:
        chosen = self.chosen_filters(request)
        if "code" not in chosen:
            return {"diagnosis": diagnosis.diagnose_run(run)}
        code, attribute = chosen["code"], chosen.get("attribute", "")
        context = self.page_context(request, pages.items_with_issue(run, code, attribute), "position")
        items = items_at(run, [place.position for place in context["rows"]])
        context["rows"] = downloads.with_issues(run, items)
        context["finding"] = run.issues.filter(code=code, attribute=attribute).first()
        return context


class InvalidTab(Tab):
    key = "invalid"
    label = _("Invalid items")
    template = "admin/catalog/importrun/_invalid.html"

    def count_rows(self, run: ImportRun) -> int:
        return run.invalid

    def context(self, run: ImportRun, request: HttpRequest) -> dict[str, Any]:
        context = self.page_context(request, pages.invalid_items(run), "position")
        context["rows"] = downloads.with_issues(run, context["rows"])
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
