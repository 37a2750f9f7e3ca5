"""The call that takes a feed in."""

from __future__ import annotations

import hashlib
import re
import time
from contextlib import ExitStack
from functools import partial
from typing import IO, Any, cast

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.core.files.uploadedfile import UploadedFile
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema_view
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.parsers import DataAndFiles, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from catalog.api import examples
from catalog.api.idempotency import once
from catalog.api.openapi import call
from catalog.api.queries import Query
from catalog.api.serializers import ReceivedSerializer, UploadSerializer
from catalog.errors import FeedRefused
from catalog.imports.permissions import API_FEED, require
from catalog.imports.receive import TOO_LARGE, receive, too_large
from catalog.models import Feed, ImportRun, Mode, Status
from catalog.upload_handler import NamelessFileUploadHandler

KIB = 1024
# What a form may have around its file: names, other fields and boundaries.
AROUND_THE_FILE = 64 * KIB
LONGEST_WAIT = 30
WHOLE = re.compile(r"[0-9]{1,15}", re.ASCII)
WAIT = re.compile(r"\bwait\s*=\s*\"?([0-9]{1,6})\b", re.ASCII)
KEY = re.compile(r"[!-~]{1,200}")
POLL_SECONDS = (0.05, 0.5)

HEADERS = [
    OpenApiParameter(
        "Prefer",
        str,
        OpenApiParameter.HEADER,
        description=f"`wait=10` waits up to so many seconds, at most {LONGEST_WAIT}, for the import to be applied.",
    ),
    OpenApiParameter(
        "Idempotency-Key",
        {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$", "example": "summer-1"},
        OpenApiParameter.HEADER,
        description="A text of your own: sent again with it within a day, the upload is taken once and answered alike.",
    ),
    OpenApiParameter(
        "Location",
        OpenApiTypes.URI,
        OpenApiParameter.HEADER,
        required=True,
        response=[201, 202],
        description="Where the import tells how far it is.",
    ),
    OpenApiParameter(
        "Preference-Applied",
        str,
        OpenApiParameter.HEADER,
        response=[201, 202],
        description="`wait=10` when it was waited for, and for how long at most.",
    ),
]


class _LimitedFile(NamelessFileUploadHandler):
    """A file of the form on its way to the disk, cut off at the limit."""

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        if start + len(raw_data) > settings.FEED_MAX_BYTES:
            raise too_large()
        return super().receive_data_chunk(raw_data, start)


class _Counted:
    """The body, and how much of it came."""

    def __init__(self, body: IO[bytes]) -> None:
        self._body = body
        self.size = 0

    def read(self, size: int = -1) -> bytes:
        data = self._body.read(size)
        self.size += len(data)
        return data


class UploadParser(MultiPartParser):
    """A form with a file, which goes to the disk while it comes in. What is too large is not read to its end."""

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None
    ) -> DataAndFiles[Any, Any]:
        request = parser_context["request"]
        claimed = request.META.get("CONTENT_LENGTH", "")
        length = int(claimed) if WHOLE.fullmatch(claimed) else 0
        if length > settings.FEED_MAX_BYTES + AROUND_THE_FILE:
            raise too_large()
        on_its_way = _LimitedFile(request._request)
        request.upload_handlers = [on_its_way]
        body = _Counted(stream)
        kind, *options = (media_type or "").split(";", 1)
        media_type = ";".join([kind.lower(), *options])  # a boundary means its capitals
        try:
            parsed = super().parse(cast(IO[bytes], body), media_type, {**parser_context, "encoding": "utf-8"})
            while body.read(64 * KIB):
                pass
            if body.size < length:
                raise ParseError(f"The body ended after {body.size:,} of {length:,} bytes. Send it again.")
        except Exception as error:
            on_its_way.close()
            if isinstance(error, SuspiciousOperation):
                raise ParseError(f"The form cannot be read: {error}") from error
            raise
        return parsed


@extend_schema_view(
    post=call(
        "imports",
        "upload_products",
        {202: ReceivedSerializer, 201: ReceivedSerializer},
        errors=(400, 403, 409, 413, 415, 422, 507),
        parameters=HEADERS,
        request={"multipart/form-data": UploadSerializer},
        sent=examples.UPLOAD,
        example=examples.RECEIVED,
        other_examples={201: {**examples.RECEIVED, "status": "applied"}},
    )
)
class UploadView(APIView):
    """Take in a feed: XML, CSV or TSV, also in gzip or zip.

    It is read, compared and applied in the background, and `url` says how far it is. Something may hold it for a
    person, as a file that is broken. Who has an account may add products; to change or archive some needs an approver.
    """

    parser_classes = [UploadParser]

    def post(self, request: Request) -> Response:
        Query().read(request.query_params)
        key = _key_of(request)
        files = [file for _name, files in request.FILES.lists() for file in files]
        with ExitStack() as afterwards:
            for file in files:
                afterwards.callback(file.close)  # the copy of it that was made on the way
            form = UploadSerializer(data=request.data)
            form.is_valid(raise_exception=True)
            if len(files) > 1:
                raise ValidationError({"file": ["Send one file, and not several."]})
            if twice := {name: ["Give it once."] for name, texts in request.POST.lists() if len(texts) > 1}:
                raise ValidationError(twice)
            return _answer(request, form.validated_data, key)


def _answer(request: Request, upload: dict[str, Any], key: str) -> Response:
    take, tell, wait = partial(_take, request, upload), partial(_tell, request), _wait_of(request)
    if not key:
        return tell(take(), wait=wait)
    return once(request.user, key, _fingerprint(upload), take, tell, wait=wait)


def _take(request: Request, upload: dict[str, Any]) -> ImportRun:
    try:
        return receive(
            upload["file"],
            feed=_feed(request, upload["feed"]),
            mode=upload["mode"],
            by=request.user,
            auto_apply=not settings.API_UPLOAD_REVIEW,
            through_api=True,
        )
    except FeedRefused as refused:
        if refused.code == TOO_LARGE:
            raise
        raise ValidationError({"file": [refused.message]}) from refused


def _feed(request: Request, slug: str) -> Feed:
    if slug == API_FEED:
        return Feed.objects.get_or_create(slug=slug, defaults={"name": "API", "mode": Mode.ADD})[0]
    require(request.user, "catalog.add_importrun")
    feed = Feed.objects.filter(slug=slug).first()
    if feed is None:
        raise ValidationError({"feed": ["There is no feed with this short name."]})
    return feed


def _tell(request: Request, run: ImportRun, *, wait: int = 0) -> Response:
    """The answer about the import; it is waited for so many seconds at most, while something goes on with it."""
    _wait_for(run, wait)
    address = reverse("import", [run.pk], request=request)
    data = {"id": run.pk, "status": run.status, "url": address}
    headers = {"Location": address} | ({"Preference-Applied": f"wait={wait}"} if wait else {})
    return Response(data, status=201 if run.status == Status.APPLIED else 202, headers=headers)


def _wait_for(run: ImportRun, seconds: int) -> None:
    end, (pause, longest) = time.monotonic() + seconds, POLL_SECONDS
    while _goes_on(run) and time.monotonic() + pause < end:
        time.sleep(pause)
        pause = min(pause * 2, longest)
        run.refresh_from_db()


def _goes_on(run: ImportRun) -> bool:
    goes_on_alone = run.status == Status.REVIEW and run.auto_apply and not run.holds
    return run.is_busy or goes_on_alone


def _wait_of(request: Request) -> int:
    """The seconds of `Prefer: wait=…`; a preference that is not understood is none."""
    match = WAIT.search(request.headers.get("Prefer", ""))
    return min(int(match[1]), LONGEST_WAIT) if match else 0


def _key_of(request: Request) -> str:
    """The upload's key, or `""` for none. An empty one is a mistake: whoever sends it means to be protected by it."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not KEY.fullmatch(key):
        raise ParseError("An Idempotency-Key has 1 to 200 plain ASCII characters and no blanks.")
    return key or ""


def _fingerprint(upload: dict[str, Any]) -> str:
    """What makes two uploads the same: the bytes and the settings."""
    file: UploadedFile[Any] = upload["file"]
    digest = hashlib.sha256(f"{upload['feed']} {upload['mode']} ".encode())
    for chunk in file.chunks():
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()
