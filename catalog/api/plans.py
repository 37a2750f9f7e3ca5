"""The calls that read a plan before it is confirmed, and what an undo would do; the operations are the admin's."""

from __future__ import annotations

import re
from dataclasses import asdict
from decimal import Decimal
from typing import Any, ClassVar

from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import APIException, NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from accounts.api.schema import Answer, documented
from accounts.models import Scope
from catalog.api import examples
from catalog.api.imports import ACCEPTED, LOOKING, ImportViewSet, send_file
from catalog.api.openapi import IMPORT_ID
from catalog.api.queries import AnyText, OneOf, Query, shorten_text
from catalog.errors import FeedRefused, NotPossible
from catalog.feeds.issues import Severity
from catalog.imports.confirm import describe_status
from catalog.imports.items import items_at
from catalog.imports.permissions import require
from catalog.imports.receive import plan_again
from catalog.imports.reports import downloads, pages
from catalog.imports.reports.changes import filtered_changes
from catalog.imports.reports.coverage import cover_run
from catalog.imports.undo import changes_by_verdict, keeps_values, prospect, redo_conflicts, request_redo
from catalog.imports.work.files import opened
from catalog.models import Change, ImportRun, Operation, Outcome, Status
from catalog.models.product import SEARCH_CHARS

NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
CODE = OpenApiParameter(
    "code",
    {"type": "string", "minLength": 1, "maxLength": 100, "pattern": r"^[a-z0-9_.]+$", "example": "price.format"},
    OpenApiParameter.PATH,
    description="The code of an issue, as in `issues/`.",
)
VERDICTS = (Outcome.UNDONE.value, Outcome.KEPT.value, Outcome.GONE.value)


class StorageAway(APIException):
    status_code = 503
    default_code = "storage_away"
    default_detail = "The storage of uploaded files does not answer. Try again in half a minute."
    wait = 30


# --- what is asked --------------------------------------------------------------------------------------
@extend_schema_field({"type": "integer", "minimum": 0, "maximum": 10**18 - 1})
class Cursor(serializers.Field[int, str, int, Any]):
    """Where a page begins: `next` of the page before has it."""

    def to_internal_value(self, data: str) -> int:
        if not NUMBER.fullmatch(data):
            raise ValidationError(f'"{shorten_text(data)}" is not a whole number. Take it from `next`.')
        return int(data)


class CursorQuery(Query):
    after = Cursor(default=0, help_text="Only what follows this place, as `next` has it.")


class ChangesQuery(CursorQuery):
    operation = OneOf(Operation.values, default=None, help_text="Only changes of this kind.")
    outcome = OneOf(Outcome.values, default=None, help_text="Only changes with this outcome.")
    product_id = AnyText(default="", max_length=500, help_text="Only the change of this product.")
    field = AnyText(default="", max_length=200, help_text="Only changes that concern this field.")
    q = AnyText(default="", max_length=SEARCH_CHARS, help_text="The beginning of an id, or words of the product.")


class IssueItemsQuery(CursorQuery):
    attribute = AnyText(default="", max_length=200, help_text="Needed where several attributes have the issue.")


class UndoQuery(CursorQuery):
    verdict = OneOf(VERDICTS, default=VERDICTS[0], help_text="Which products to list.")


# --- what is answered -----------------------------------------------------------------------------------
class CursorPageSerializer(serializers.Serializer[Any]):
    next = serializers.URLField(allow_null=True, help_text="The next page.")


class FieldSerializer(serializers.Serializer[Any]):
    operation = serializers.CharField(help_text="As of the change; `keep` where a pin keeps it, or `left_out`.")
    field = serializers.CharField()
    old = serializers.JSONField(help_text="Empty where there is none.")
    new = serializers.JSONField()


class ChangeSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    product_id = serializers.CharField()
    operation = serializers.ChoiceField(Operation.choices)
    outcome = serializers.ChoiceField(Outcome.choices)
    line = serializers.IntegerField(allow_null=True, help_text="The line of the file.")
    changed_fields = FieldSerializer(many=True)


class ChangePageSerializer(CursorPageSerializer):
    results = ChangeSerializer(many=True)


class ItemIssueSerializer(serializers.Serializer[Any]):
    code = serializers.CharField(source="code.name")
    severity = serializers.ChoiceField([severity.value for severity in Severity])
    attribute = serializers.CharField(allow_blank=True)
    found = serializers.CharField(allow_blank=True)
    advice = serializers.CharField(source="code.advice")


class ItemSerializer(serializers.Serializer[Any]):
    """An item of the file with what is wrong with it."""

    position = serializers.IntegerField(source="item.position")
    line = serializers.IntegerField(source="item.line")
    id = serializers.CharField(source="item.product_id", allow_blank=True)
    title = serializers.CharField(source="item.title", allow_blank=True)
    issues = ItemIssueSerializer(many=True)


class ItemPageSerializer(CursorPageSerializer):
    results = ItemSerializer(many=True)


class CoveredSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    items = serializers.IntegerField(help_text="How many items have it.")
    share = serializers.FloatField(help_text="Of all items, from 0 to 1.")
    change = serializers.FloatField(allow_null=True, help_text="Of the share, since `previous`.")
    need = serializers.CharField()


class CoverageSerializer(serializers.Serializer[Any]):
    attributes = CoveredSerializer(many=True)
    unknown = CoveredSerializer(many=True, help_text="Names in the file that are no attributes.")
    absent = serializers.ListField(child=serializers.CharField(), help_text="What products should have and none has.")
    previous = serializers.IntegerField(allow_null=True, help_text="The number of the import that it is compared with.")


class UndoPreviewSerializer(CursorPageSerializer):
    seen = serializers.CharField(help_text="Send it with the undo: it is refused if the numbers are others by then.")
    undone = serializers.IntegerField(help_text="Products that are taken back.")
    kept = serializers.IntegerField(help_text="Products that stay as they are, because they changed since.")
    gone = serializers.IntegerField(help_text="Products that are no longer in the catalogue.")
    results = ChangeSerializer(many=True)


class RedoPreviewSerializer(serializers.Serializer[Any]):
    applied = serializers.IntegerField(help_text="Changes that are laid over the catalogue again.")
    conflict = serializers.IntegerField(help_text="Changes that are left alone: their products changed since.")
    is_possible = serializers.BooleanField(help_text="Whether the values of what is added again are still kept.")


CHANGE = {
    "id": 71,
    "product_id": "205042570_242",
    "operation": "update",
    "outcome": "proposed",
    "line": 7,
    "changed_fields": [{"operation": "update", "field": "price", "old": "1250.00", "new": "990.00"}],
}
ITEM = {
    "position": 7,
    "line": 7,
    "id": "205042570_242",
    "title": "Silk dress",
    "issues": [
        {
            "code": "price.format",
            "severity": "error",
            "attribute": "price",
            "found": "12,5O",
            "advice": "Write it as 12.50 AED.",
        }
    ],
}
COVERAGE = {
    "attributes": [{"name": "price", "items": 19, "share": 0.95, "change": -0.05, "need": "required"}],
    "unknown": [],
    "absent": ["gtin"],
    "previous": 6,
}
UNDO = {
    "seen": "17-2-0",
    "undone": 17,
    "kept": 2,
    "gone": 0,
    "next": None,
    "results": [{**CHANGE, "outcome": "applied"}],
}
REDO = {"applied": 17, "conflict": 0, "is_possible": True}
CHANGES_CSV = "id,operation,field,old,new\n205042570_242,update,price,1250.00,990.00\n"


class PlanViewSet(ImportViewSet):
    """What a plan says, page by page. Each page costs the same, however long the plan is."""

    key_scopes: ClassVar[dict[str, tuple[str, ...]]] = {
        **ImportViewSet.key_scopes,
        **dict.fromkeys(("changes", "issue_items", "invalid", "coverage", "changes_csv", "original"), LOOKING),
        **dict.fromkeys(("preview_undo", "preview_redo", "redo"), (Scope.CONFIRM,)),
        "again": (Scope.UPLOAD,),
    }
    queries: ClassVar[dict[str, Query]] = {
        "changes": ChangesQuery(),
        "issue_items": IssueItemsQuery(),
        "invalid": CursorQuery(),
        "preview_undo": UndoQuery(),
    }

    @documented(
        "imports",
        "import_changes",
        {200: Answer(ChangePageSerializer, {"next": None, "results": [CHANGE]})},
        errors=(400, 404),
        parameters=[IMPORT_ID, ChangesQuery()],
    )
    def changes(self, request: Request, pk: int) -> Response:
        """What the plan would do to each product, or did, field by field. Filters and texts are those of the page.

        Once the import has ended, a new product has no fields here: its values are those of the product.
        """
        run = self.find_import(request, pk)
        chosen = {name: value or "" for name, value in self.asked.items() if name != "after"}
        rows, _corrected = filtered_changes(run, **chosen)
        page = pages.read_page(rows, "id", after=self.asked["after"])
        return Response(self.wrap(request, page, "id", render_changes(run, page.rows)))

    @documented(
        "imports",
        "import_issue_items",
        {200: Answer(ItemPageSerializer, {"next": None, "results": [ITEM]})},
        errors=(400, 404),
        parameters=[IMPORT_ID, CODE, IssueItemsQuery()],
    )
    def issue_items(self, request: Request, pk: int, code: str) -> Response:
        """The items that have this issue, each with all of its issues, as long as they are kept."""
        run, attribute = self.find_import(request, pk), self.asked["attribute"]
        having = [*run.issues.filter(code=code).values_list("attribute", flat=True).order_by("attribute")]
        if not having:
            raise NotFound("The file does not have this issue.")
        if not attribute and len(having) > 1:
            raise ValidationError({"attribute": [f"Say which one: {', '.join(having)}."]})
        page = pages.read_page(
            pages.items_with_issue(run, code, attribute or having[0]), "position", after=self.asked["after"]
        )
        items = downloads.with_issues(run, items_at(run, [place.position for place in page.rows]))
        return Response(self.wrap(request, page, "position", ItemSerializer(items, many=True).data))

    @documented(
        "imports",
        "import_invalid",
        {200: Answer(ItemPageSerializer, {"next": None, "results": [ITEM]})},
        errors=(400, 404),
        parameters=[IMPORT_ID, CursorQuery()],
    )
    def invalid(self, request: Request, pk: int) -> Response:
        """The items that are not imported, each with its issues, as long as they are kept."""
        run = self.find_import(request, pk)
        page = pages.read_page(pages.invalid_items(run), "position", after=self.asked["after"])
        items = ItemSerializer(downloads.with_issues(run, page.rows), many=True).data
        return Response(self.wrap(request, page, "position", items))

    @documented(
        "imports",
        "import_coverage",
        {200: Answer(CoverageSerializer, COVERAGE)},
        errors=(400, 404),
        parameters=[IMPORT_ID],
    )
    def coverage(self, request: Request, pk: int) -> Response:
        """How many items have each attribute, beside the feed's import before."""
        return Response(CoverageSerializer(cover_run(self.find_import(request, pk))).data)

    @documented(
        "imports",
        "import_undo_preview",
        {200: Answer(UndoPreviewSerializer, UNDO)},
        errors=(400, 404, 409),
        parameters=[IMPORT_ID, UndoQuery()],
    )
    def preview_undo(self, request: Request, pk: int) -> Response:
        """What an undo would do now: its numbers, and the products of one of them. It needs the permission to undo."""
        run = self.find_import(request, pk)
        require(request.user, "catalog.undo_importrun")
        if run.status != Status.APPLIED:
            raise NotPossible("not_applied", f"{run} cannot be undone: {describe_status(run)}")
        numbers = prospect(run)
        rows = changes_by_verdict(run, self.asked["verdict"])
        page = pages.read_page(rows, "id", after=self.asked["after"])
        listed = self.wrap(request, page, "id", render_changes(run, page.rows))
        return Response({"seen": str(numbers), **asdict(numbers), **listed})

    @documented(
        "imports",
        "import_redo_preview",
        {200: Answer(RedoPreviewSerializer, REDO)},
        errors=(400, 404, 409),
        parameters=[IMPORT_ID],
    )
    def preview_redo(self, request: Request, pk: int) -> Response:
        """What applying an undone import again would do now. It needs the permission to undo."""
        run = self.find_import(request, pk)
        require(request.user, "catalog.undo_importrun")
        if run.status != Status.UNDONE:
            raise NotPossible("not_undone", f"{run} cannot be applied again: {describe_status(run)}")
        conflicts = redo_conflicts(run)
        data = {"applied": run.undone - conflicts, "conflict": conflicts, "is_possible": keeps_values(run)}
        return Response(RedoPreviewSerializer(data).data)

    @documented("imports", "import_redo", {202: ACCEPTED}, errors=(400, 404, 409), parameters=[IMPORT_ID])
    def redo(self, request: Request, pk: int) -> Response:
        """Apply an import again that was undone. You need the permission to undo imports."""
        run = self.find_import(request, pk)
        request_redo(run, by=request.user)
        return self.render_import(request, run, status=202)

    @documented("imports", "import_plan_again", {202: ACCEPTED}, errors=(400, 404, 409, 429), parameters=[IMPORT_ID])
    def again(self, request: Request, pk: int) -> Response:
        """Plan the file again, on the catalogue as it is now: the answer is the new import.

        A plan that waits is discarded for it. You need the permissions to upload and, for that, to discard.
        """
        return self.render_import(request, plan_again(self.find_import(request, pk), by=request.user), status=202)

    @documented(
        "imports",
        "import_changes_csv",
        {200: Answer(OpenApiTypes.STR, CHANGES_CSV, media_type="text/csv")},
        errors=(400, 404),
        parameters=[IMPORT_ID],
    )
    def changes_csv(self, request: Request, pk: int) -> StreamingHttpResponse:
        """All changes of the plan, one line per field: id, operation, field, old, new."""
        run = self.find_import(request, pk)
        return send_file(downloads.changes_csv(run), f"import-{run.pk}-changes.csv", "text/csv; charset=utf-8")

    @documented(
        "imports",
        "import_file",
        {200: Answer(OpenApiTypes.BINARY, examples.UPLOAD["file"], media_type="application/octet-stream")},
        errors=(400, 404, 503),
        parameters=[IMPORT_ID],
    )
    def original(self, request: Request, pk: int) -> StreamingHttpResponse:
        """The file as it was uploaded."""
        run = self.find_import(request, pk)
        try:
            opened(run).close()  # what is no longer there is refused before the answer begins
        except FeedRefused as refused:
            raise NotFound(refused.message, code=refused.code) from refused
        except OSError as error:
            raise StorageAway from error
        response = send_file(downloads.original(run), "feed", "application/octet-stream")
        response["Content-Disposition"] = content_disposition_header(True, run.file_name) or "attachment"
        response["Content-Length"] = str(run.file_size)
        return response

    def wrap(self, request: Request, page: pages.Page[Any], key: str, results: Any) -> dict[str, Any]:
        last = getattr(page.rows[-1], key) if page.rows and page.has_next else None
        address = request.build_absolute_uri()
        return {"next": replace_query_param(address, "after", last) if last else None, "results": results}


def render_changes(run: ImportRun, changes: list[Change]) -> Any:
    listed = [
        {
            "id": change.pk,
            "product_id": change.product_id,
            "operation": change.operation,
            "outcome": change.outcome,
            "line": change.line,
            "changed_fields": [
                {"operation": operation, "field": field, "old": as_json(old), "new": as_json(new)}
                for operation, field, old, new in rows
            ],
        }
        for change, rows in downloads.fields_of(run, changes)
    ]
    return ChangeSerializer(listed, many=True).data


def as_json(value: Any) -> Any:
    """Amounts are texts, as everywhere."""
    return str(value) if isinstance(value, Decimal) else value
