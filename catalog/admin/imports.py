"""Imports: their list, and the page where a person reads a plan, confirms it and watches it apply."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.forms.models import model_to_dict
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_POST
from unfold.admin import ModelAdmin
from unfold.decorators import action, display

from catalog.admin.differences import differences, facts
from catalog.admin.tabs import AttributesTab, InvalidTab, IssuesTab, Tab, number, page_of
from catalog.errors import CatalogError, NotAllowed
from catalog.feeds import reference
from catalog.imports import attempts, diagnosis, downloads, review, source, supplements
from catalog.imports.discard import discard
from catalog.imports.holds import SERIOUS, asks_why, repairs_of
from catalog.imports.receive import plan_again
from catalog.imports.undo import changes_by_verdict, prospect, redo, undo
from catalog.models import Change, ImportRun, Mode, Operation, Outcome, Product, Reading, Status
from catalog.models.imports import PLANNED
from catalog.templatetags.catalog import undo_effect

STATUS_COLORS = {
    Status.RECEIVED: "info",
    Status.STAGING: "info",
    Status.REVIEW: "warning",
    Status.APPLYING: "info",
    Status.APPLIED: "success",
    Status.UNDOING: "info",
    Status.UNDONE: "warning",
    Status.REDOING: "info",
    Status.FAILED: "danger",
}


@admin.register(ImportRun)
class ImportRunAdmin(ModelAdmin):
    list_display = [
        "number",
        "feed",
        "file_name",
        "shown_status",
        "shown_items",
        "result",
        "shown_invalid",
        "uploaded_by",
        "created_at",
    ]
    list_display_links = ["number", "file_name"]
    list_filter = ["status", "feed", "mode"]
    list_select_related = ["feed", "uploaded_by"]
    list_per_page = 50
    search_fields = ["file_name", "sha256"]
    actions_list = ["upload"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # an import begins with a file, on the products' page

    def has_change_permission(self, request: HttpRequest, obj: ImportRun | None = None) -> bool:
        return False  # only its operations change a run

    def has_delete_permission(self, request: HttpRequest, obj: ImportRun | None = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("reference/", view(require_GET(self.reference_view)), name="catalog_reference"),
            *(
                path(f"<int:pk>/{name}", view(require_GET(partial(self.download_view, name=name))), name=url_name)
                for name, url_name in DOWNLOADS.items()
            ),
            *(
                path(f"<int:pk>/source/{place}", view(require_GET(self.source_view)), name=f"catalog_importrun_{name}")
                for name, place in PLACES.items()
            ),
            path("<int:pk>/live/", view(require_GET(self.live_view)), name="catalog_importrun_live"),
            path("<int:pk>/confirm/", view(require_POST(self.confirm_view)), name="catalog_importrun_confirm"),
            path("<int:pk>/again/", view(require_POST(self.again_view)), name="catalog_importrun_again"),
            path("<int:pk>/undo/", view(self.undo_view), name="catalog_importrun_undo"),
            path("<int:pk>/redo/", view(require_POST(self.redo_view)), name="catalog_importrun_redo"),
            path("<int:pk>/discard/", view(require_POST(self.discard_view)), name="catalog_importrun_discard"),
        ]
        return [*own, *super().get_urls()]

    # --- the list ---------------------------------------------------------------------------------

    def has_upload_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("catalog.add_importrun"))

    @action(description=_("Import"), icon="upload", permissions=["upload"])
    def upload(self, request: HttpRequest) -> HttpResponse:
        return redirect("admin:catalog_product_import")

    @display(description=_("import"), ordering="id")
    def number(self, run: ImportRun) -> str:
        return f"#{run.pk}"

    @display(description=_("status"), ordering="status", label={s.label: color for s, color in STATUS_COLORS.items()})
    def shown_status(self, run: ImportRun) -> str:
        return run.get_status_display()

    @display(description=_("items"), ordering="items")
    def shown_items(self, run: ImportRun) -> str:
        return f"{run.items:,}"

    @display(description=_("invalid"), ordering="invalid")
    def shown_invalid(self, run: ImportRun) -> str:
        return f"{run.invalid:,}"

    @display(description=_("result"))
    def result(self, run: ImportRun) -> str:
        if run.status not in PLANNED:
            return "–"
        marks = (("+", run.created), ("~", run.changed), ("−", run.archived))
        return "  ".join(f"{mark}{count:,}" for mark, count in marks if count) or "–"

    # --- one import -------------------------------------------------------------------------------

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The import's page: what it is doing, or what it would do, or what it did."""
        run = self._run(request, number(object_id) or 0)
        tabs = {key: tab for key, tab in TABS.items() if tab.is_for(run)}
        tab = tabs.get(request.GET.get("tab", ""), TABS["changes"])
        context = {
            **self.admin_site.each_context(request),
            **_state(run),
            "title": f"{run}: {run.file_name}",
            "opts": self.model._meta,
            "tabs": [(each, each.count(run)) for each in tabs.values()],
            "tab": tab,
            "kept": supplements.kept(run),
            "repairs": repairs_of(run) if run.reading != Reading.STRICT else [],
            "asks_why": asks_why(run),
            "reason_chars": review.REASON_CHARS,
            "holds": [(hold["message"], hold["code"] in SERIOUS) for hold in run.holds],
            "has_error_line": run.status == Status.FAILED and source.place_of_error(run) is not None,
            "can_upload": self.has_upload_permission(request),
            "can_change_feed": request.user.has_perm("catalog.change_feed"),
            "can_confirm": request.user.has_perm("catalog.apply_importrun"),
            "edited": review.edited_since(run) if run.status == Status.REVIEW else 0,
            "plans_again": run.status == Status.APPLIED and run.file and (run.conflict or run.archive_conflict),
            "can_plan": request.user.has_perms(["catalog.add_importrun", "catalog.discard_importrun"]),
            "can_undo": request.user.has_perm("catalog.undo_importrun"),
            "can_discard": request.user.has_perm("catalog.discard_importrun"),
            **(tab.context(run, request) if not run.is_busy else {}),
        }
        return render(request, "admin/catalog/importrun/run.html", context)

    def live_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The moving part of the page, asked for every second while something works on the run."""
        run = self._run(request, pk)
        response = render(request, "admin/catalog/importrun/_live.html", _state(run))
        if not run.is_busy:
            response["HX-Refresh"] = "true"  # there is more to see now than this part
        return response

    def download_view(self, request: HttpRequest, pk: int, name: str) -> StreamingHttpResponse:
        """The run's invalid items or its changes as a file, sent while it is made."""
        run = self._run(request, pk)
        make, content_type = CONTENTS[name]
        response = StreamingHttpResponse(make(run), content_type=content_type)
        response["Content-Disposition"] = f'attachment; filename="import-{run.pk}-{name}"'
        response["X-Content-Type-Options"] = "nosniff"
        return response

    def source_view(self, request: HttpRequest, pk: int, **where: int) -> HttpResponse:
        """An item, an issue's example or an error where it stands in the file: as a part of the page, or by itself."""
        run = self._run(request, pk)
        place = _place(run, **where)
        if place is None:
            raise Http404
        context = {"run": run, "snippet": source.snippet(run, place)}
        if request.headers.get("HX-Request"):
            return render(request, "admin/catalog/importrun/_source.html", context)
        context |= {**self.admin_site.each_context(request), "title": f"{run}: {run.file_name}"}
        return render(request, "admin/catalog/importrun/source.html", context)

    def reference_view(self, request: HttpRequest) -> HttpResponse:
        """Every attribute and every issue, from the tables that the reading itself follows."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": _("Reference"),
            "attributes": reference.attributes(),
            "codes": [(code, reference.severity_of(code)) for code in reference.codes()],
            "introduction": reference.INTRODUCTION,
            "severities": reference.SEVERITIES,
        }
        return render(request, "admin/catalog/reference.html", context)

    def confirm_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        plan_hash, reason = request.POST.get("plan_hash", ""), request.POST.get("reason", "")
        return self._operate(
            request, pk, lambda run: review.confirm(run, plan_hash=plan_hash, by=request.user, reason=reason)
        )

    def discard_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self._operate(request, pk, lambda run: discard(run, by=request.user))

    def again_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Plan the run's file again, and show that."""
        return self._operate(request, pk, lambda run: plan_again(run, by=request.user))

    def undo_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """What an undo would do, each product listed; posted, it is done."""
        run = self._run(request, pk)
        if not request.user.has_perm("catalog.undo_importrun"):
            raise PermissionDenied
        if request.method == "POST":
            seen = request.POST.get("seen", "")
            return self._operate(request, pk, lambda run: undo(run, by=request.user, seen=seen))
        if run.status != Status.APPLIED or not run.has_changes:
            messages.warning(
                request, _("%(run)s cannot be undone: it is not applied, or changed nothing.") % {"run": run}
            )
            return redirect("admin:catalog_importrun_change", run.pk)
        context = {
            **self.admin_site.each_context(request),
            **_state(run),
            **_undo_context(run, request),
            "title": _("Undo %(run)s") % {"run": run},
            "opts": self.model._meta,
        }
        return render(request, "admin/catalog/importrun/undo.html", context)

    def redo_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self._operate(request, pk, lambda run: redo(run, by=request.user))

    def _operate(self, request: HttpRequest, pk: int, operation: Callable[[ImportRun], Any]) -> HttpResponse:
        """Run an operation and show the run again, or the one that it gives instead.

        A refusal is a message there, so a second click is harmless.
        """
        run = self._run(request, pk)
        try:
            run = operation(run) or run
        except NotAllowed as refused:
            raise PermissionDenied from refused
        except CatalogError as refused:
            messages.warning(request, refused.message)
        return redirect("admin:catalog_importrun_change", run.pk)

    def _run(self, request: HttpRequest, pk: int) -> ImportRun:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return get_object_or_404(ImportRun.objects.select_related("feed", "uploaded_by"), pk=pk)


# --- downloads ----------------------------------------------------------------------------------------

CONTENTS: dict[str, tuple[Callable[[ImportRun], Iterator[Any]], str]] = {
    "invalid.xml": (downloads.invalid_xml, "application/xml"),
    "invalid.csv": (downloads.invalid_csv, "text/csv; charset=utf-8"),
    "changes.csv": (downloads.changes_csv, "text/csv; charset=utf-8"),
}
# The end of each address, and its name.
DOWNLOADS = {name: f"catalog_importrun_{name.replace('.', '_')}" for name in CONTENTS}


# What stands somewhere in the file: the name of its address, and the end of it.
PLACES = {
    "source_item": "item/<int:position>/",
    "source_example": "issue/<int:issue>/<int:example>/",
    "source_error": "error/",
}


def _place(run: ImportRun, position: int = 0, issue: int = 0, example: int = 0) -> source.Place | None:
    if position:
        return source.place_of_item(get_object_or_404(run.staged, position=position))
    if issue:
        return source.place_of_example(get_object_or_404(run.issues, pk=issue), example)
    return source.place_of_error(run)


# --- what the page shows --------------------------------------------------------------------------------

# What a step of the run's metrics did with the items.
TOOK = {
    "stage": _("read"),
    "plan": _("compared"),
    "apply": _("applied"),
    "undo": _("undone"),
    "redo": _("applied again"),
}
STEPS = (
    (_("Upload"), ()),
    (_("Read and compare"), (Status.RECEIVED, Status.STAGING)),
    (_("Review"), (Status.REVIEW,)),
    (_("Apply"), (Status.APPLYING,)),
    (_("Done"), (Status.APPLIED, Status.UNDOING, Status.UNDONE, Status.REDOING)),
)


def _state(run: ImportRun) -> dict[str, Any]:
    """What both the page and its moving part need."""
    current = next((i for i, (_label, statuses) in enumerate(STEPS) if run.status in statuses), None)
    return {
        "run": run,
        "status_color": STATUS_COLORS.get(Status(run.status), "default"),
        "steps": [
            {"label": label, "done": current is not None and i < current, "current": i == current}
            for i, (label, _statuses) in enumerate(STEPS)
        ],
        "progress": _progress(run),
        "took": [{"label": label, **run.metrics[step]} for step, label in TOOK.items() if step in run.metrics],
        "issues": list(run.issues.all()[:5]) if run.is_busy else [],
        "sign": attempts.sign_of(run) if run.is_busy else None,
        "attempts": attempts.ATTEMPTS,
        "early": diagnosis.early_verdict(run),
        "reason": next((step["reason"] for step in run.history if "reason" in step), ""),
        # The worker that applies does so for the one who confirmed.
        "who": next((step["by"] for step in reversed(run.history) if step["by"]), ""),
    }


def _progress(run: ImportRun) -> dict[str, Any]:
    """Numbers of the reading: share, items a second, seconds left."""
    started = next((h["at"] for h in reversed(run.history) if h["status"] == Status.STAGING), None)
    if not run.is_busy or not started:
        return {}
    seconds = max((timezone.now() - (parse_datetime(started) or timezone.now())).total_seconds(), 0.001)
    share = run.bytes_read / max(run.file_size, 1)
    return {
        "percent": round(share * 100),
        "per_second": round(run.items / seconds),
        "seconds_left": round(seconds / share - seconds) if share else None,
    }


class ChangesTab(Tab):
    key = "changes"
    label = _("Changes")
    filters = ("operation", "outcome", "product_id")
    template = "admin/catalog/importrun/_changes.html"

    def count(self, run: ImportRun) -> int:
        changes = run.created + run.changed + run.archived + run.conflict + run.archive_conflict + run.pinned
        return 0 if run.status == Status.DISCARDED else changes

    def context(self, run: ImportRun, request: HttpRequest) -> dict[str, Any]:
        chosen = self.chosen(request)
        context = self.page(request, review.changes(run, **chosen), "id")
        context["rows"] = _with_products(run, context["rows"])
        context["outcomes"] = _outcome_counts(run)
        context["operations"] = [
            (value, label, count)
            for value, label, count in _operation_counts(run)
            if count or chosen.get("operation") == value
        ]
        return context


class MissingTab(Tab):
    """The feed's products that are not in the file, of a run that archives them."""

    key = "missing"
    label = _("Missing from the file")
    template = "admin/catalog/importrun/_missing.html"

    def is_for(self, run: ImportRun) -> bool:
        return run.mode == Mode.SYNC

    def count(self, run: ImportRun) -> int:
        return 0 if run.status == Status.DISCARDED else run.archived + run.archive_conflict

    def context(self, run: ImportRun, request: HttpRequest) -> dict[str, Any]:
        context = self.page(request, review.changes(run, operation=Operation.ARCHIVE), "id")
        context["rows"] = _with_products(run, context["rows"])
        context["missing"] = self.count(run)
        context["before"] = review.sync_before(run)
        return context


def _operation_counts(run: ImportRun) -> list[tuple[str, Any, int]]:
    """What the chips over the list say: the run's own counts. Only the few that return are counted in the table."""
    if run.status == Status.DISCARDED:
        return []
    restored = run.changes.filter(operation=Operation.RESTORE).exclude(outcome=Outcome.CONFLICT).count()
    numbers = {
        Operation.CREATE: run.created,
        Operation.UPDATE: run.changed - restored,
        Operation.RESTORE: restored,
        Operation.ARCHIVE: run.archived,
        Operation.KEEP: run.pinned,
    }
    return [(operation.value, operation.label, number) for operation, number in numbers.items()]


def _outcome_counts(run: ImportRun) -> list[tuple[str, Any, int]]:
    """What became of the changes, where it is not the usual."""
    numbers = {
        Outcome.CONFLICT: (_("Left alone"), run.conflict + run.archive_conflict),
        Outcome.UNDONE: (_("Undone"), run.undone),
        Outcome.KEPT: (_("Not undone: changed since"), run.kept),
        Outcome.GONE: (_("Not undone: gone"), run.gone),
    }
    return [(outcome.value, label, number) for outcome, (label, number) in numbers.items() if number]


_HINTS = {
    Operation.ARCHIVE: _("It is not in the file any more. It is kept in the archive and can come back."),
    Operation.RESTORE: _("It comes back from the archive as it was."),
}


def _with_products(run: ImportRun, changes: list[Change]) -> list[dict[str, Any]]:
    """Each change with the product as it would be, or is: three queries for the whole page."""
    products = Product.objects.in_bulk([change.product_id for change in changes])
    positions = [change.position for change in changes if change.operation == Operation.CREATE and change.position]
    staged = {item.position: item for item in run.staged.filter(position__in=positions)}
    rows = []
    for change in changes:
        item: Any = staged.get(change.position or 0)
        if item is None and not _is_somebody_elses(change):
            item = products.get(change.product_id)
        rows.append(_row(change, item) | {"in_catalogue": change.product_id in products})
    return rows


def _row(change: Change, item: Any) -> dict[str, Any]:
    """A change as the lists show it."""
    currency = item.currency if item else ""
    is_new = change.operation == Operation.CREATE
    if is_new:
        fields = list(facts(model_to_dict(item) | {"id": change.product_id}, currency)) if item else []
    else:
        fields = list(differences(change, currency))
    usual = change.outcome in (Outcome.PROPOSED, Outcome.APPLIED, Outcome.PINNED)
    return {
        "change": change,
        "item": item,
        "fields": fields,
        "is_new": is_new,
        "kind": change.operation,
        "label": change.get_operation_display(),
        "badge": "" if usual else change.get_outcome_display(),
        "headings": (_("Old"), _("New")),
        "hint": "" if fields else _HINTS.get(Operation(change.operation), ""),
    }


def _is_somebody_elses(change: Change) -> bool:
    """The product that exists is not the one of the plan: it was created by another import in between."""
    return change.operation == Operation.CREATE and change.outcome == Outcome.CONFLICT


# --- the undo's page ----------------------------------------------------------------------------------

# Of each verdict: its name among the counts, and its colour.
BUCKETS = {
    Outcome.UNDONE: (_("taken back"), "good"),
    Outcome.KEPT: (_("kept: changed since"), "warn"),
    Outcome.GONE: (_("could not: gone"), "bad"),
}
# What the inverse of each operation is called, and the colour it has in lists.
_INVERSE = {
    Operation.CREATE: (_("Removed"), Operation.ARCHIVE),
    Operation.UPDATE: (_("Changed back"), Operation.UPDATE),
    Operation.ARCHIVE: (_("Back from the archive"), Operation.RESTORE),
    Operation.RESTORE: (_("Archived again"), Operation.ARCHIVE),
}
_WHY_NOT = {
    Outcome.KEPT: _("It was edited, or changed by a later import, and stays as it is now."),
    Outcome.GONE: _("It is not in the catalogue any more."),
}


def _undo_context(run: ImportRun, request: HttpRequest) -> dict[str, Any]:
    """What an undo would do: its numbers, and a page of the products of one of them."""
    numbers = prospect(run)
    buckets = [
        {"name": verdict.value, "label": label, "color": color, "count": getattr(numbers, verdict.value)}
        for verdict, (label, color) in BUCKETS.items()
    ]
    chosen = request.GET.get("bucket", "")
    if chosen not in BUCKETS:
        chosen = next((bucket["name"] for bucket in buckets if bucket["count"]), Outcome.UNDONE)
    found = changes_by_verdict(run, chosen) if getattr(numbers, chosen) else Change.objects.none()
    page = page_of(request, found, "id", {"bucket": chosen})
    if chosen == Outcome.UNDONE:
        for change in page["rows"]:
            change.before, change.after = change.after, change.before
    rows = [_undo_row(row, Outcome(chosen)) for row in _with_products(run, page["rows"])]
    return {
        "prospect": numbers,
        "sentence": _("Undo this import? %(what)s.") % {"what": undo_effect(numbers, "will")},
        "buckets": buckets,
        "chosen": chosen,
        "rows": rows,
        "links": page["links"],
    }


def _undo_row(row: dict[str, Any], verdict: Outcome) -> dict[str, Any]:
    """What becomes of one product: its change the other way round, or why it stays."""
    if verdict != Outcome.UNDONE:
        return row | {"hint": _WHY_NOT[verdict], "badge": ""}
    label, kind = _INVERSE[Operation(row["change"].operation)]
    return row | {"label": label, "kind": kind, "headings": (_("Now"), _("Then")), "hint": ""}


TABS: dict[str, Tab] = {
    tab.key: tab for tab in (ChangesTab(), MissingTab(), IssuesTab(), InvalidTab(), AttributesTab())
}
