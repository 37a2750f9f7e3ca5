"""What stays of a file that was refused: a row, and a mail to the people who want to know of failures."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.core.files.base import File
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from catalog.connections import is_lost
from catalog.errors import FeedRefused
from catalog.imports.notices import notify_refused
from catalog.imports.sql import execute
from catalog.models import Feed, RefusedFile
from events.log import log_event

log = logging.getLogger(__name__)

THROTTLED = timedelta(hours=1)
ROWS_PER_PERSON = 30  # within that time; what comes on top is counted
START_BYTES = 200
SENTENCE_CHARS = 1000
NAME_CHARS = 200
NOT_READ = "(not read)"


def record_refusal(file: File[bytes], *, feed: Feed, by: Any, refused: FeedRefused) -> None:
    """Keep a trace of the file. Call it outside the transaction that the refusal ends."""

    def facts() -> dict[str, Any]:
        file.seek(0)
        name, start = shown_name(file), readable_start(file.read(START_BYTES))
        return {"feed": feed, "file_name": name, "file_size": file.size, "start": start}

    _record(by, refused, feed, facts)


def record_unread(name: str, size: int, *, by: Any, refused: FeedRefused) -> None:
    """Keep a trace of a file that was refused before it had arrived. Its feed is not known then, often not its name."""
    name = shown_name(File(None, name)) if name else NOT_READ
    _record(by, refused, None, lambda: {"file_name": name, "file_size": size})


def _record(by: Any, refused: FeedRefused, feed: Feed | None, facts: Callable[[], dict[str, Any]]) -> None:
    """The uploader gets the refusal, whatever happens here."""
    log_event("upload_refused", by=by, level=logging.WARNING, feed=feed.slug if feed else "", code=refused.code)
    try:
        why = {"uploaded_by": by, "code": refused.code, "sentence": refused.message[:SENTENCE_CHARS]}
        row = {**facts(), **why}
        with transaction.atomic():
            _add_row(by, row)
    except Exception as error:
        if is_lost(error):
            raise
        log.exception("A refused file of %s could not be recorded", by)


def _add_row(by: Any, facts: dict[str, Any]) -> None:
    """One row for each file, but not without end; one mail, but not for each file."""
    account = f"refused files of {by and by.pk}"
    execute("SELECT pg_advisory_xact_lock(hashtextextended(%(account)s, 0))", account=account)
    of_person = RefusedFile.objects.filter(uploaded_by=by)
    lately = of_person.filter(refused_at__gt=Now() - THROTTLED)
    if lately.count() >= ROWS_PER_PERSON:
        RefusedFile.objects.filter(pk=lately.values("pk")[:1]).update(more=F("more") + 1)
        return
    row = RefusedFile.objects.create(**facts)
    if not lately.filter(was_mailed=True).exists() and notify_refused(row, _count_since_mail(row)):
        RefusedFile.objects.filter(pk=row.pk).update(was_mailed=True)


def _count_since_mail(row: RefusedFile) -> int:
    """How many files of the same person were refused since the last mail about them, without this one."""
    earlier = RefusedFile.objects.filter(uploaded_by=row.uploaded_by, pk__lt=row.pk)
    mailed = earlier.filter(was_mailed=True).first()
    if mailed is None:
        return 0
    unmailed = earlier.filter(pk__gt=mailed.pk).values_list("more", flat=True)
    return mailed.more + sum(1 + more for more in unmailed)


def shown_name(file: File[bytes]) -> str:
    """The uploader's name of the file: data and never a path, in one line."""
    name = (file.name or "").replace("\\", "/").rpartition("/")[2]
    return "".join(c for c in name if c.isprintable())[:NAME_CHARS] or "feed.xml"


def readable_start(start: bytes) -> str:
    """The bytes as text that can be stored and shown: whatever is not readable is a dot."""
    encoding = "utf-16" if start.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    text = start.decode(encoding, "replace").replace("\r\n", "\n").replace("\t", " ")
    return "".join(c if c == "\n" or (c.isprintable() and c != "\ufffd") else "·" for c in text)
