"""Imports: their list, and the page where a person reads a plan, confirms it and watches it apply."""

from collections.abc import Callable, Iterator
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.contrib.humanize.templatetags.humanize import intcomma
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST
from unfold.admin import ModelAdmin
from unfold.decorators import action, display

from catalog.admin.markets import FeedsOfMarket, RunList
from catalog.admin.refused import count_refused
from catalog.admin.run_page import NOTHING_IMPORTED, STATUS_COLORS, RunPage, status_label
from catalog.admin.tabs import key_in
from catalog.admin.undo import undo_context
from catalog.errors import CatalogError, NotAllowed
from catalog.feeds import reference
from catalog.imports.ask import ask
from catalog.imports.confirm import confirm, edited_since
from catalog.imports.discard import discard
from catalog.imports.items import items_at
from catalog.imports.leave_out import leave_out, take_again
from catalog.imports.receive import plan_again
from catalog.imports.reports import downloads, source
from catalog.imports.undo import request_redo, request_undo
from catalog.imports.work.files import opened
from catalog.models import ImportRun, Status
from catalog.models.runs import PLANNED


@admin.register(ImportRun)
class ImportRunAdmin(ModelAdmin):
    list_display = [
        "shown_number",
        "feed",
        "file_name",
        "shown_status",
        "shown_items",
        "shown_result",
        "shown_invalid",
        "uploaded_by",
        "created_at",
    ]
    list_display_links = ["shown_number", "file_name"]
    list_filter = ["status", ("feed", FeedsOfMarket), "mode"]
    list_select_related = ["feed", "uploaded_by"]
    list_per_page = 50
    search_fields = ["file_name", "sha256"]
    list_before_template = "admin/catalog/importrun/_lists.html"
    actions_list = ["upload"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # an import starts with a file, on the products' page

    def has_change_permission(self, request: HttpRequest, obj: ImportRun | None = None) -> bool:
        return False  # only its operations change a run

    def has_delete_permission(self, request: HttpRequest, obj: ImportRun | None = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        """The reference, and an import's parts, files and buttons."""

        def page_path(address: str, view: Callable[..., HttpResponseBase], url_name: str, **options: str) -> URLPattern:
            page: URLPattern = path(address, self.admin_site.admin_view(view), options, name=f"catalog_{url_name}")
            return page

        item, example = "source/item/<int:position>/", "source/issue/<int:issue>/<int:example>/"
        return [
            page_path("reference/", require_GET(self.reference_view), "reference"),
            page_path("<int:pk>/live/", require_GET(self.live_view), "importrun_live"),
            page_path("<int:pk>/edited/", require_GET(self.edited_view), "importrun_edited"),
            page_path(f"<int:pk>/{item}", require_GET(self.source_view), "importrun_source_item"),
            page_path(f"<int:pk>/{example}", require_GET(self.source_view), "importrun_source_example"),
            page_path("<int:pk>/source/error/", require_GET(self.source_view), "importrun_source_error"),
            page_path(
                "<int:pk>/invalid.xml", require_GET(self.download_view), "importrun_invalid_xml", name="invalid.xml"
            ),
            page_path(
                "<int:pk>/invalid.csv", require_GET(self.download_view), "importrun_invalid_csv", name="invalid.csv"
            ),
            page_path(
                "<int:pk>/changes.csv", require_GET(self.download_view), "importrun_changes_csv", name="changes.csv"
            ),
            page_path("<int:pk>/file/", require_GET(self.file_view), "importrun_file"),
            page_path("<int:pk>/confirm/", require_POST(self.confirm_view), "importrun_confirm"),
            page_path("<int:pk>/ask/", require_POST(self.ask_view), "importrun_ask"),
            page_path("<int:pk>/leave-out/", require_POST(self.leave_out_view), "importrun_leave_out"),
            page_path("<int:pk>/again/", require_POST(self.again_view), "importrun_again"),
            page_path("<int:pk>/undo/", self.undo_view, "importrun_undo"),
            page_path("<int:pk>/redo/", require_POST(self.redo_view), "importrun_redo"),
            page_path("<int:pk>/discard/", require_POST(self.discard_view), "importrun_discard"),
            *super().get_urls(),
        ]

    # --- the list ---------------------------------------------------------------------------------

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return RunList

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        context = {**(extra_context or {}), "refused_count": count_refused()}
        page: HttpResponse = super().changelist_view(request, context)
        return page

    def has_upload_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("catalog.add_importrun"))

    @action(description=_("Import"), icon="upload", permissions=["upload"])
    def upload(self, request: HttpRequest) -> HttpResponse:
        return redirect("admin:catalog_product_import")

    @display(description=_("import"), ordering="id")
    def shown_number(self, run: ImportRun) -> str:
        return f"#{run.pk}"

    @display(
        description=_("status"),
        ordering="status",
        label={s.label: color for s, color in STATUS_COLORS.items()} | {NOTHING_IMPORTED: "danger"},
    )
    def shown_status(self, run: ImportRun) -> Any:
        return status_label(run)

    @display(description=_("items"), ordering="items")
    def shown_items(self, run: ImportRun) -> str:
        return f"{run.items:,}"

    @display(description=_("invalid"), ordering="invalid")
    def shown_invalid(self, run: ImportRun) -> str:
        return f"{run.invalid:,}"

    @display(description=_("result"))
    def shown_result(self, run: ImportRun) -> str:
        if run.status not in PLANNED:
            return "–"
        marks = (("+", run.created), ("~", run.changed), ("−", run.archived))
        return "  ".join(f"{mark}{count:,}" for mark, count in marks if count) or "–"

    # --- one import -------------------------------------------------------------------------------

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The import's page: what it is doing, or what it would do, or what it did."""
        run = self._find_run(request, key_in(object_id) or 0)
        page = RunPage(run, request.user)
        tab = page.tab_named(request.GET.get("tab", ""))
        context = {
            **self.admin_site.each_context(request),
            "title": f"{run}: {run.file_name}",
            "opts": self.model._meta,
            "run": run,
            "page": page,
            "tab": tab,
            **({} if run.is_busy else tab.context(run, request)),
        }
        return render(request, "admin/catalog/importrun/run.html", context)

    def live_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The moving part of the page, asked for every second while something works on the run."""
        run = self._find_run(request, pk)
        response = render(
            request, "admin/catalog/importrun/_live.html", {"run": run, "page": RunPage(run, request.user)}
        )
        if not run.is_busy:
            response["HX-Refresh"] = "true"  # there is more to see now than this part
        return response

    def edited_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """How much of a plan has aged. Apart from its page, because each product of the plan is looked at for it."""
        run = self._find_run(request, pk)
        edited = edited_since(run) if run.status == Status.REVIEW else 0
        return self._render_part(request, run, "edited", {"edited": edited})

    def download_view(self, request: HttpRequest, pk: int, name: str) -> StreamingHttpResponse:
        """The run's invalid items or its changes as a file, sent while it is made."""
        run = self._find_run(request, pk)
        make, content_type = CONTENTS[name]
        response = StreamingHttpResponse(make(run), content_type=content_type)
        response["Content-Disposition"] = f'attachment; filename="import-{run.pk}-{name}"'
        response["X-Content-Type-Options"] = "nosniff"
        return response

    def file_view(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """The file as it was uploaded, to be saved: whatever it is, no browser shows or runs it here."""
        run = self._find_run(request, pk)
        try:
            opened(run).close()
        except (CatalogError, OSError) as error:
            away = _("The storage of uploaded files does not answer. Try again in a moment.")
            messages.warning(request, getattr(error, "message", away))
            return redirect("admin:catalog_importrun_change", run.pk)
        headers = {
            "Content-Disposition": content_disposition_header(True, run.file_name) or "attachment",
            "Content-Length": str(run.file_size),
            "X-Content-Type-Options": "nosniff",
        }
        return StreamingHttpResponse(downloads.original(run), content_type="application/octet-stream", headers=headers)

    def source_view(self, request: HttpRequest, pk: int, **where: int) -> HttpResponse:
        """An item, an issue's example or an error where it stands in the file: as a part of the page, or by itself."""
        run = self._find_run(request, pk)
        place: source.Place | None
        if "position" in where:
            place = next(map(source.place_of_item, items_at(run, [where["position"]])), None)
        elif "issue" in where:
            place = source.place_of_example(get_object_or_404(run.issues, pk=where["issue"]), where["example"])
        else:
            place = source.place_of_error(run)
        if place is None:
            raise Http404
        return self._render_part(request, run, "source", {"snippet": source.read_snippet(run, place)})

    def _render_part(self, request: HttpRequest, run: ImportRun, name: str, context: dict[str, Any]) -> HttpResponse:
        """What the run's page asks for once it is there: as a part of it, or by itself."""
        part = f"admin/catalog/importrun/_{name}.html"
        context |= {"run": run, "page": RunPage(run, request.user)}
        if request.headers.get("HX-Request"):
            return render(request, part, context)
        context |= {**self.admin_site.each_context(request), "part": part, "title": f"{run}: {run.file_name}"}
        return render(request, "admin/catalog/importrun/part.html", context)

    def reference_view(self, request: HttpRequest) -> HttpResponse:
        """Every attribute and every issue, from the tables that the reading itself follows."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": _("Reference"),
            "attributes": reference.attribute_entries(),
            "codes": reference.sorted_codes(),
            "introduction": reference.INTRODUCTION,
            "severities": reference.SEVERITIES,
        }
        return render(request, "admin/catalog/reference.html", context)

    def confirm_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        plan_hash, reason = request.POST.get("plan_hash", ""), request.POST.get("reason", "")
        return self._run_operation(
            request, pk, lambda run: confirm(run, plan_hash=plan_hash, by=request.user, reason=reason)
        )

    def ask_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        whom, note = request.POST.get("whom", ""), request.POST.get("note", "")

        def ask_person(run: ImportRun) -> None:
            ask(run, whom=whom, note=note, by=request.user)
            messages.success(request, _("%(name)s gets an e-mail.") % {"name": whom})

        return self._run_operation(request, pk, ask_person)

    def leave_out_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Leave a part of the plan out: `12 price` of a change, `12` the change, `* price` the field everywhere.

        `take 12` takes it again. The list stays where it was.
        """
        words = request.POST.get("part", "").split(" ", 1)
        plan_hash = request.POST.get("plan_hash", "")

        def change_plan(run: ImportRun) -> None:
            first, rest = words[0], words[1] if len(words) > 1 else ""
            if first == "take":
                take_again(run, plan_hash=plan_hash, by=request.user, change=key_in(rest) or 0)
                messages.success(request, _("The change is in the plan again."))
                return
            change = None if first == "*" else key_in(first) or 0
            count = leave_out(run, plan_hash=plan_hash, by=request.user, change=change, field=rest)
            where = ngettext("one change", "%(count)s changes", count) % {"count": intcomma(count)}
            if change is not None:
                messages.success(request, _("Left out of the plan."))
            else:
                messages.success(request, _("Left out of %(where)s.") % {"where": where})

        return self._run_operation(request, pk, change_plan, state=request.POST.get("state", ""))

    def discard_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self._run_operation(request, pk, lambda run: discard(run, by=request.user))

    def again_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Plan the run's file again, and show that."""
        return self._run_operation(request, pk, lambda run: plan_again(run, by=request.user))

    def undo_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """What an undo would do, each product listed; posted, it is done."""
        run = self._find_run(request, pk)
        if not request.user.has_perm("catalog.undo_importrun"):
            raise PermissionDenied
        if request.method == "POST":
            seen = request.POST.get("seen", "")
            return self._run_operation(request, pk, lambda run: request_undo(run, by=request.user, seen=seen))
        if run.status != Status.APPLIED or not run.has_changes:
            messages.warning(
                request, _("%(run)s cannot be undone. It is not applied, or it changed nothing.") % {"run": run}
            )
            return redirect("admin:catalog_importrun_change", run.pk)
        context = {
            **self.admin_site.each_context(request),
            **undo_context(run, request),
            "run": run,
            "page": RunPage(run, request.user),
            "title": _("Undo %(run)s") % {"run": run},
            "opts": self.model._meta,
        }
        return render(request, "admin/catalog/importrun/undo.html", context)

    def redo_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self._run_operation(request, pk, lambda run: request_redo(run, by=request.user))

    def _run_operation(
        self, request: HttpRequest, pk: int, operation: Callable[[ImportRun], Any], state: str = ""
    ) -> HttpResponse:
        """Run an operation and show the run again, with the list that `state` names, or the one that it gives instead.

        A refusal is a message there, so a second click is harmless.
        """
        run = self._find_run(request, pk)
        try:
            run = operation(run) or run
        except NotAllowed as refused:
            raise PermissionDenied from refused
        except CatalogError as refused:
            messages.warning(request, refused.message)
        page = reverse("admin:catalog_importrun_change", args=[run.pk])
        return redirect(f"{page}?{QueryDict(state).urlencode()}" if state else page)

    def _find_run(self, request: HttpRequest, pk: int) -> ImportRun:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return get_object_or_404(ImportRun.objects.select_related("feed__market", "uploaded_by"), pk=pk)


# The files to download: what makes each, and its type.
CONTENTS: dict[str, tuple[Callable[[ImportRun], Iterator[Any]], str]] = {
    "invalid.xml": (downloads.invalid_xml, "application/xml"),
    "invalid.csv": (downloads.invalid_csv, "text/csv; charset=utf-8"),
    "changes.csv": (downloads.changes_csv, "text/csv; charset=utf-8"),
}
