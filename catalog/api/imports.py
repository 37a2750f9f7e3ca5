"""The calls about imports: how far they are, what is wrong with their files, and what to do with their plans."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_view
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from catalog.api import examples
from catalog.api.openapi import IMPORT_NUMBER, call
from catalog.api.pages import check_page, envelope, pages_of
from catalog.api.queries import PAGING, Query, choice
from catalog.api.serializers import (
    ApplySerializer,
    ImportPageSerializer,
    ImportSerializer,
    IssuePageSerializer,
)
from catalog.imports import confirm
from catalog.imports.discard import discard
from catalog.imports.permissions import visible_imports
from catalog.imports.reports import downloads
from catalog.imports.undo import request_undo
from catalog.models import ImportRun, RunIssue, Status

LIST = Query((choice("status", Status.values, "Only imports in this status."), *PAGING))
ISSUES = Query(PAGING)


class ImportView(APIView):
    """What the calls about imports have in common: an import that is not one's own is not there."""

    query = Query()

    def asked(self, request: Request) -> dict[str, Any]:
        return self.query.read(request.query_params)

    def run(self, request: Request, pk: int) -> ImportRun:
        self.asked(request)
        run = visible_imports(request.user).filter(pk=pk).first()
        if run is None:
            raise NotFound("There is no import of this number.")
        return run


@extend_schema_view(
    get=call(
        "imports",
        "list_imports",
        {200: ImportPageSerializer},
        errors=(400, 404),
        parameters=LIST.described(),
        example=examples.page(examples.IMPORT),
    )
)
class ImportListView(ImportView):
    """Your imports, the newest first; everybody's, for people who may look at imports."""

    query = LIST

    def get(self, request: Request) -> Response:
        asked = self.asked(request)
        runs = visible_imports(request.user)
        if asked["status"]:
            runs = runs.filter(status=asked["status"])
        return Response(_page(request, runs, asked, lambda run: import_(request, run)))


@extend_schema_view(
    get=call(
        "imports",
        "import_detail",
        {200: ImportSerializer},
        place=IMPORT_NUMBER,
        errors=(400, 404),
        example=examples.IMPORT,
    )
)
class ImportDetailView(ImportView):
    """An import: its status, its progress, and what it would do or did."""

    def get(self, request: Request, pk: int) -> Response:
        return Response(import_(request, self.run(request, pk)))


@extend_schema_view(
    get=call(
        "imports",
        "import_issues",
        {200: IssuePageSerializer},
        place=IMPORT_NUMBER,
        errors=(400, 404),
        parameters=ISSUES.described(),
        example=examples.page(examples.ISSUE),
    )
)
class ImportIssuesView(ImportView):
    """What is wrong with the file, the most frequent first: what would do, and where the first five are."""

    query = ISSUES

    def get(self, request: Request, pk: int) -> Response:
        issues = self.run(request, pk).issues.all()
        return Response(_page(request, issues, self.asked(request), issue))


@extend_schema_view(
    get=call(
        "imports",
        "import_invalid_items",
        {200: OpenApiTypes.STR},
        place=IMPORT_NUMBER,
        errors=(400, 404),
        example=examples.INVALID_CSV,
        media_type="text/csv",
    )
)
class InvalidItemsView(ImportView):
    """The items that are not imported, a line for each issue: line, id, code, attribute, what was found, and advice."""

    def get(self, request: Request, pk: int) -> StreamingHttpResponse:
        run = self.run(request, pk)
        return _file(downloads.invalid_csv(run), f"import-{run.pk}-invalid.csv", "text/csv; charset=utf-8")


@extend_schema_view(
    get=call(
        "imports",
        "import_invalid_feed",
        {200: OpenApiTypes.STR},
        place=IMPORT_NUMBER,
        errors=(400, 404),
        example=examples.INVALID_XML,
        media_type="application/xml",
    )
)
class InvalidFeedView(ImportView):
    """The items that are not imported as a feed, each with comments that say what to mend. Then upload it again."""

    def get(self, request: Request, pk: int) -> StreamingHttpResponse:
        run = self.run(request, pk)
        return _file(downloads.invalid_xml(run), f"import-{run.pk}-invalid.xml", "application/xml")


@extend_schema_view(
    post=call(
        "imports",
        "import_apply",
        {202: ImportSerializer},
        place=IMPORT_NUMBER,
        errors=(400, 403, 404, 409, 413, 415),
        request=ApplySerializer,
        sent=examples.APPLY,
        example=examples.IMPORT,
    )
)
class ApplyView(ImportView):
    """Let a plan be applied: the one with this hash, once. One that a guard holds needs a reason.

    It needs the permission to confirm imports, as in the admin.
    """

    def post(self, request: Request, pk: int) -> Response:
        run = self.run(request, pk)
        body = ApplySerializer(data=request.data)
        body.is_valid(raise_exception=True)
        confirm.confirm(run, by=request.user, **body.validated_data)
        return Response(import_(request, run), status=202)


@extend_schema_view(
    post=call(
        "imports",
        "import_discard",
        {200: ImportSerializer},
        place=IMPORT_NUMBER,
        errors=(400, 403, 404, 409),
        example=examples.IMPORT,
    )
)
class DiscardView(ImportView):
    """Throw a plan away; the catalogue stays as it is. It needs the permission to discard imports, as in the admin."""

    def post(self, request: Request, pk: int) -> Response:
        run = self.run(request, pk)
        discard(run, by=request.user)
        return Response(import_(request, run))


@extend_schema_view(
    post=call(
        "imports",
        "import_undo",
        {202: ImportSerializer},
        place=IMPORT_NUMBER,
        errors=(400, 403, 404, 409),
        example=examples.IMPORT,
    )
)
class UndoView(ImportView):
    """Take back what an import applied, but for products that changed since. It needs the permission to undo."""

    def post(self, request: Request, pk: int) -> Response:
        run = self.run(request, pk)
        request_undo(run, by=request.user)
        return Response(import_(request, run), status=202)


# --- as they are sent ---------------------------------------------------------------------------------


def import_(request: Request, run: ImportRun) -> dict[str, Any]:
    address = reverse("import", [run.pk], request=request)
    return {
        "id": run.pk,
        "url": address,
        "feed": run.feed.slug,
        "mode": run.mode,
        "status": run.status,
        "file_name": run.file_name,
        "file_size": run.file_size,
        "uploaded_by": run.uploaded_by.username if run.uploaded_by else None,
        "created_at": run.created_at,
        "finished_at": run.finished_at,
        "bytes_read": run.bytes_read,
        "counts": run.counts,
        "plan_hash": run.plan_hash,
        "holds": [{"code": hold["code"], "message": hold["message"]} for hold in run.holds],
        "error": run.error or None,
        "issues_url": f"{address}issues/",
        "invalid_csv_url": f"{address}invalid.csv",
        "invalid_xml_url": f"{address}invalid.xml",
    }


def issue(found: RunIssue) -> dict[str, Any]:
    return {
        "code": found.code,
        "severity": found.severity,
        "attribute": found.attribute,
        "count": found.count,
        "title": found.title,
        "advice": found.advice,
        "examples": [
            {"line": example["line"], "id": example["product_id"], "found": example["found"]}
            for example in found.examples
        ],
    }


def _page(request: Request, rows: Any, asked: dict[str, Any], sent: Callable[[Any], Any]) -> dict[str, Any]:
    count, number, size = rows.count(), asked["page"], asked["page_size"]
    total = pages_of(count, size)
    check_page(number, total)
    found = rows[(number - 1) * size : number * size]
    return envelope(request, [sent(row) for row in found], number=number, total=total, count=count)


def _file(content: Any, name: str, content_type: str) -> StreamingHttpResponse:
    response = StreamingHttpResponse(content, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
