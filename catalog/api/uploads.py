"""The call that takes in a feed."""

from __future__ import annotations

import hashlib
import re
import time
from contextlib import ExitStack, suppress
from functools import partial
from threading import BoundedSemaphore
from typing import IO, Any, cast

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.core.files.uploadedfile import UploadedFile
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.parsers import DataAndFiles, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.schema import Answer, documented
from accounts.limits import Limit, NotCounted
from accounts.models import ApiKey, Scope
from catalog.api import examples
from catalog.api.idempotency import answer_once
from catalog.api.queries import NoQuery
from catalog.api.serializers import ReceivedSerializer, UploadSerializer
from catalog.errors import FeedRefused
from catalog.imports.permissions import API_FEED, require, require_feed
from catalog.imports.quotas import TOO_LARGE
from catalog.imports.receive import check_length, receive, take_turn, too_large
from catalog.imports.refused import record_unread
from catalog.models import Feed, ImportRun, Mode, Status, UploadKey
from catalog.upload_handler import NamelessFileUploadHandler, file_size, length_of

LONGEST_WAIT_SECONDS = 30
# Each holds a thread of the web server, of which the Dockerfile says how many there are.
MAX_WAITING = 4
POLL_SECONDS, LONGEST_POLL_SECONDS = 0.05, 0.5
WAIT = re.compile(r"\bwait\s*=\s*\"?([0-9]{1,6})\b", re.ASCII)
KEY = re.compile(r"[!-~]{1,200}")

WAITING = BoundedSemaphore(MAX_WAITING)

HEADERS = [
    OpenApiParameter(
        "Prefer",
        str,
        OpenApiParameter.HEADER,
        description="`wait=10` waits at most 10 seconds for the import to be applied. "
        f"The longest wait is {LONGEST_WAIT_SECONDS} seconds. While many wait, the answer comes at once.",
    ),
    OpenApiParameter(
        "Idempotency-Key",
        {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$", "example": "summer-1"},
        OpenApiParameter.HEADER,
        description="A text of your own. An upload that is sent again with it within a day is taken once and gets the "
        "same answer.",
    ),
    OpenApiParameter(
        "Location",
        OpenApiTypes.URI,
        OpenApiParameter.HEADER,
        required=True,
        response=[201, 202],
        description="Where to see how far the import is.",
    ),
    OpenApiParameter(
        "Preference-Applied",
        str,
        OpenApiParameter.HEADER,
        response=[201, 202],
        description="`wait=10` if the call waited, with the longest wait in seconds.",
    ),
]


class _LimitedFile(NamelessFileUploadHandler):
    """A file of the form on its way to the disk, refused at the limit."""

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        if start + len(raw_data) > settings.FEED_MAX_BYTES:
            raise too_large()
        return super().receive_data_chunk(raw_data, start)


class _CountedBody:
    """The body, and how much of it arrived."""

    def __init__(self, body: IO[bytes]) -> None:
        self._body = body
        self.size = 0

    def read(self, size: int = -1) -> bytes:
        data = self._body.read(size)
        self.size += len(data)
        return data


class UploadParser(MultiPartParser):
    """A form with a file, which goes to the disk while it arrives. A file that is too large is not read to its end."""

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None
    ) -> DataAndFiles[Any, Any]:
        request = parser_context["request"]
        length = length_of(request.META)
        on_its_way = _LimitedFile(request._request)
        request.upload_handlers = [on_its_way]
        body = _CountedBody(stream)
        kind, *options = (media_type or "").split(";", 1)
        media_type = ";".join([kind.lower(), *options])  # a boundary is case-sensitive
        try:
            parsed = super().parse(cast(IO[bytes], body), media_type, {**parser_context, "encoding": "utf-8"})
            while body.read(64 * 1024):
                pass
            if body.size < length:
                raise ParseError(f"The body ended after {body.size:,} of {length:,} bytes. Send it again.")
        except Exception as error:
            on_its_way.close()
            if isinstance(error, FeedRefused):
                record_unread(on_its_way.file_name or "", length, by=request.user, refused=error)
            if isinstance(error, SuspiciousOperation):
                raise ParseError(f"The form cannot be read: {error}") from error
            raise
        return parsed


class UploadView(APIView):
    parser_classes = [UploadParser]
    query = NoQuery()
    key_scopes = (Scope.UPLOAD,)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """As the package's, before the body is read. An upload that was taken already needs no more quota."""
        with take_turn():
            super().initial(request, *args, **kwargs)
            user: Any = request.user
            key = request.headers.get("Idempotency-Key", "")
            if not (KEY.fullmatch(key) and UploadKey.objects.filter(user=user, key=key).exists()):
                check_length(file_size(length_of(request.META)), by=user)
            count_upload(request)

    @documented(
        "imports",
        "upload_products",
        {
            202: Answer(ReceivedSerializer, examples.RECEIVED, "It is accepted, and a worker goes on."),
            201: Answer(ReceivedSerializer, {**examples.RECEIVED, "status": "applied"}, "It is applied."),
        },
        errors=(400, 403, 409, 422, 429, 507),
        parameters=HEADERS,
        request={"multipart/form-data": UploadSerializer},
        sent=examples.UPLOAD,
    )
    def post(self, request: Request) -> Response:
        """Upload a feed: XML, CSV, TSV, an Excel workbook or JSON, also in gzip or zip.

        It is read, compared and applied in the background; `url` says how far it is. Some imports wait for a person,
        for example when the file is broken. Everybody with an account may add products; only an approver may change or
        archive them.
        """
        self.query.read(request.query_params)
        key = request.headers.get("Idempotency-Key")
        # An empty key is a mistake: anyone who sends it expects to be protected by it.
        if key is not None and not KEY.fullmatch(key):
            raise ParseError("An Idempotency-Key has 1 to 200 printable ASCII characters and no spaces.")
        # A preference that is not understood is ignored.
        preferred = WAIT.search(request.headers.get("Prefer", ""))
        wait = min(int(preferred[1]), LONGEST_WAIT_SECONDS) if preferred else 0
        files = [file for _name, files in request.FILES.lists() for file in files]
        with ExitStack() as afterwards:
            for file in files:
                afterwards.callback(file.close)  # it is a copy on our disk
            form = UploadSerializer(data=request.data)
            form.is_valid(raise_exception=True)
            if len(files) > 1:
                raise ValidationError({"file": ["Send only one file."]})
            if twice := {name: ["Give it once."] for name, texts in request.POST.lists() if len(texts) > 1}:
                raise ValidationError(twice)
            upload = form.validated_data
            take, render = partial(take_upload, request.user, upload), partial(render_run, request)
            if key is None:
                return render(take(), wait=wait)
            return answer_once(request.user, key, fingerprint_upload(upload), take, render, wait=wait)


def count_upload(request: Request) -> None:
    """Count the upload to the key, or to the person who logged in. What an account may upload in all is a quota."""
    who: Any = request.auth if isinstance(request.auth, ApiKey) else request.user
    with suppress(NotCounted):
        Limit("uploads", settings.UPLOAD_MAX_PER_MINUTE, 60).take(who._meta.label, who.pk)


def take_upload(user: Any, upload: dict[str, Any]) -> ImportRun:
    """Receive the file for the feed that the upload names. Raises `ValidationError` at the field that is wrong."""
    require_feed(user, upload["feed"])
    if upload["feed"] == API_FEED:
        feed, _is_new = Feed.objects.get_or_create(slug=API_FEED, defaults={"name": "API", "mode": Mode.ADD})
    else:
        require(user, "catalog.add_importrun")
        named = Feed.objects.filter(slug=upload["feed"]).first()
        if named is None:
            raise ValidationError({"feed": ["There is no feed with this short name."]})
        feed = named
    try:
        return receive(
            upload["file"],
            feed=feed,
            mode=upload["mode"],
            by=user,
            auto_apply=not (settings.API_UPLOAD_REVIEW or upload["review"]),
            through_api=True,
        )
    except FeedRefused as refused:
        if refused.code == TOO_LARGE:
            raise
        raise ValidationError({"file": [refused.message]}) from refused


def render_run(request: Request, run: ImportRun, *, wait: int = 0) -> Response:
    """The answer about the import, after waiting at most so many seconds while work on it goes on.

    When as many others wait already, it does not wait.
    """
    if wait and not WAITING.acquire(blocking=False):
        wait = 0
    elif wait:
        try:
            wait_for_work(run, wait)
        finally:
            WAITING.release()
    data = ReceivedSerializer(run, context={"request": request}).data
    # A server takes a plain text only, not the serializer's hyperlink.
    headers = {"Location": str(data["url"])} | ({"Preference-Applied": f"wait={wait}"} if wait else {})
    return Response(data, status=201 if run.status == Status.APPLIED else 202, headers=headers)


def wait_for_work(run: ImportRun, seconds: int) -> None:
    end, pause = time.monotonic() + seconds, POLL_SECONDS
    while goes_on(run) and time.monotonic() + pause < end:
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_POLL_SECONDS)
        run.refresh_from_db()


def goes_on(run: ImportRun) -> bool:
    """Whether a worker has the import, or takes it up without waiting for a person."""
    return run.is_busy or (run.status == Status.REVIEW and run.auto_apply and not run.holds)


def fingerprint_upload(upload: dict[str, Any]) -> str:
    """What makes two uploads the same: the bytes and the settings."""
    file: UploadedFile[Any] = upload["file"]
    settings_given = f"{upload['feed']} {upload['mode']} " + ("review " if upload["review"] else "")
    digest = hashlib.sha256(settings_given.encode())
    for chunk in file.chunks():
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()
