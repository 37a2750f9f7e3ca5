"""The calls about imports: how far they are, what is wrong with their files, and what to do with their plans."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from accounts.api.schema import Answer, documented
from accounts.models import Scope
from catalog.api import examples
from catalog.api.openapi import IMPORT_ID
from catalog.api.pages import Page
from catalog.api.queries import ImportsQuery, NoQuery, PageQuery, Query
from catalog.api.serializers import (
    ApplySerializer,
    ImportPageSerializer,
    ImportSerializer,
    IssuePageSerializer,
    IssueSerializer,
    UndoSerializer,
)
from catalog.imports.confirm import confirm
from catalog.imports.discard import discard
from catalog.imports.permissions import visible_imports
from catalog.imports.reports import downloads
from catalog.imports.undo import request_undo
from catalog.models import ImportRun

LOOKING = (Scope.UPLOAD, Scope.CONFIRM)
IMPORT = Answer(ImportSerializer, examples.IMPORT)
ACCEPTED = Answer(ImportSerializer, examples.IMPORT, "It is accepted, and a worker goes on.")


class ImportViewSet(ViewSet):
    """Your own imports, and everybody's for people who may look at imports. Any other is not found."""

    key_scopes: ClassVar[dict[str, tuple[str, ...]]] = {
        **dict.fromkeys(("list_imports", "retrieve", "issues", "invalid_csv", "invalid_xml"), LOOKING),
        "confirm": (Scope.CONFIRM,),
        "discard": LOOKING,
        "undo": (Scope.CONFIRM,),
    }
    queries: ClassVar[dict[str, Query]] = {"list_imports": ImportsQuery(), "issues": PageQuery()}
    no_query = NoQuery()
    asked: dict[str, Any]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if self.action:  # None for a method that is not allowed
            self.asked = self.queries.get(self.action, self.no_query).read(request.query_params)

    @documented(
        "imports",
        "list_imports",
        {200: Answer(ImportPageSerializer, examples.page(examples.IMPORT))},
        errors=(400, 404),
        parameters=[ImportsQuery()],
    )
    def list_imports(self, request: Request) -> Response:
        """Your imports, newest first; everybody's for people who may look at imports."""
        runs = visible_imports(request.user)
        if self.asked["status"]:
            runs = runs.filter(status=self.asked["status"])
        return self.render_page(request, runs, ImportSerializer)

    @documented("imports", "import_detail", {200: IMPORT}, errors=(400, 404), parameters=[IMPORT_ID])
    def retrieve(self, request: Request, pk: int) -> Response:
        """An import: its status, its progress, and what it would do or did."""
        return self.render_import(request, self.find_import(request, pk))

    @documented(
        "imports",
        "import_issues",
        {200: Answer(IssuePageSerializer, examples.page(examples.ISSUE))},
        errors=(400, 404),
        parameters=[IMPORT_ID, PageQuery()],
    )
    def issues(self, request: Request, pk: int) -> Response:
        """What is wrong with the file, most frequent first, with advice and the first five places."""
        return self.render_page(request, self.find_import(request, pk).issues.all(), IssueSerializer)

    @documented(
        "imports",
        "import_invalid_items",
        {200: Answer(OpenApiTypes.STR, examples.INVALID_CSV, media_type="text/csv")},
        errors=(400, 404),
        parameters=[IMPORT_ID],
    )
    def invalid_csv(self, request: Request, pk: int) -> StreamingHttpResponse:
        """The items that are not imported, one line per issue: line, id, code, severity, attribute, found, advice."""
        run = self.find_import(request, pk)
        return send_file(downloads.invalid_csv(run), f"import-{run.pk}-invalid.csv", "text/csv; charset=utf-8")

    @documented(
        "imports",
        "import_invalid_feed",
        {200: Answer(OpenApiTypes.STR, examples.INVALID_XML, media_type="application/xml")},
        errors=(400, 404),
        parameters=[IMPORT_ID],
    )
    def invalid_xml(self, request: Request, pk: int) -> StreamingHttpResponse:
        """The items that are not imported, as a feed with comments that say what to correct. Then upload it again."""
        run = self.find_import(request, pk)
        return send_file(downloads.invalid_xml(run), f"import-{run.pk}-invalid.xml", "application/xml")

    @documented(
        "imports",
        "import_apply",
        {202: ACCEPTED},
        errors=(400, 403, 404, 409),
        parameters=[IMPORT_ID],
        request=ApplySerializer,
        sent=examples.APPLY,
    )
    def confirm(self, request: Request, pk: int) -> Response:
        """Confirm the plan with this hash, so that a worker applies it once. A plan that a guard holds needs a reason.

        You need the permission to confirm imports, as in the admin.
        """
        run = self.find_import(request, pk)
        body = ApplySerializer(data=request.data)
        body.is_valid(raise_exception=True)
        confirm(run, by=request.user, **body.validated_data)
        return self.render_import(request, run, status=202)

    @documented("imports", "import_discard", {200: IMPORT}, errors=(400, 403, 404, 409), parameters=[IMPORT_ID])
    def discard(self, request: Request, pk: int) -> Response:
        """Discard a plan; the catalogue stays as it is. You need the permission to discard imports, as in the admin."""
        run = self.find_import(request, pk)
        discard(run, by=request.user)
        return self.render_import(request, run)

    @documented(
        "imports",
        "import_undo",
        {202: ACCEPTED},
        errors=(400, 403, 404, 409),
        parameters=[IMPORT_ID],
        request=UndoSerializer,
        sent={"seen": "17-2-0"},
    )
    def undo(self, request: Request, pk: int) -> Response:
        """Undo an applied import, except for products that changed since. You need the permission to undo imports.

        With `seen`, from the preview, it is refused if the numbers are others by then.
        """
        run = self.find_import(request, pk)
        body = UndoSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        request_undo(run, by=request.user, **body.validated_data)
        return self.render_import(request, run, status=202)

    def find_import(self, request: Request, pk: int) -> ImportRun:
        run = visible_imports(request.user).filter(pk=pk).first()
        if run is None:
            raise NotFound("There is no import with this number.")
        return run

    def render_import(self, request: Request, run: ImportRun, status: int = 200) -> Response:
        return Response(ImportSerializer(run, context={"request": request}).data, status=status)

    def render_page(self, request: Request, rows: QuerySet[Any], serializer: type[Any]) -> Response:
        page = Page(self.asked["page"], self.asked["page_size"], rows.count())
        results = serializer(rows[page.bounds], many=True, context={"request": request}).data
        return Response(page.wrap_results(request, results))


def send_file(content: Iterable[Any], name: str, content_type: str) -> StreamingHttpResponse:
    response = StreamingHttpResponse(content, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
