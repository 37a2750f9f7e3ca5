"""Receive a file: store it and have it read."""

from __future__ import annotations

import hashlib
import logging
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from catalog.errors import FeedRefused, NotPossible, NotStored
from catalog.feeds.reading.items import check_start
from catalog.feeds.write import part_of
from catalog.imports.confirm import describe_status
from catalog.imports.discard import discard
from catalog.imports.permissions import require, require_upload, require_upload_by_api, visible_imports
from catalog.imports.quotas import TOO_LARGE, require_quota
from catalog.imports.refused import record_refusal, record_unread, shown_name
from catalog.imports.sql import execute
from catalog.imports.work.queue import Task, enqueue
from catalog.models import Feed, ImportRun, Mode, Status
from catalog.models.runs import OPEN
from events.log import log_event

log = logging.getLogger(__name__)

LONGEST_TURN_SECONDS = 1
_TURN = BoundedSemaphore()


@contextmanager
def take_turn() -> Iterator[None]:
    """What keeps the processor busy in an upload: one at a time, so that forty at once do not hold up the other pages
    of their web process. Storing does not, and may take minutes. Nobody waits long for one that does."""
    is_alone = _TURN.acquire(timeout=LONGEST_TURN_SECONDS)
    try:
        yield
    finally:
        if is_alone:
            _TURN.release()


def receive(
    file: File[bytes],
    *,
    feed: Feed,
    mode: str = "",
    by: Any = None,
    auto_apply: bool | None = None,
    through_api: bool = False,
) -> ImportRun:
    """Store the file, make its run and have a worker read it.

    `mode` and `auto_apply` are the feed's unless given. The same bytes with the same settings while an earlier run is
    open give that run, not a second one. Raises `FeedRefused` when a look at the first bytes is enough to refuse it,
    which leaves a `RefusedFile`: roll no transaction back for it. Raises `NotAllowed` when `by` may not upload, or asks
    for `auto_apply` and may not confirm; `through_api` has a rule of its own. Raises `QuotaReached` when `by` has
    uploaded as much as an account may.
    """
    mode = Mode(mode or feed.mode)
    if through_api:
        require_upload_by_api(by, feed=feed.slug, mode=mode)
    else:
        require_upload(by, applying=bool(auto_apply))
    require_quota(by)
    try:
        auto_apply = feed.auto_apply if auto_apply is None else auto_apply
        visible = visible_imports(by) if through_api else ImportRun.objects.all()
        return _take_file(file, by, visible, feed=feed, mode=mode, auto_apply=auto_apply)
    except FeedRefused as refused:
        record_refusal(file, feed=feed, by=by, refused=refused)
        raise


def check_length(size: int, *, by: Any) -> None:
    """Refuse an upload of at least so many bytes, before any of them is read. Raises as `receive` does."""
    try:
        if size > settings.FEED_MAX_BYTES:
            raise too_large()
        require_quota(by, size)
    except FeedRefused as refused:
        record_unread("", size, by=by, refused=refused)
        raise


def _take_file(
    file: File[bytes], by: Any, visible: QuerySet[ImportRun], *, feed: Feed, mode: Mode, auto_apply: bool
) -> ImportRun:
    """Look at the file and store it: its run, which is the open one of `visible` if there is one like it."""
    with take_turn():
        start = check_start(file, settings.FEED_LIMITS, feed.file_settings)
    if mode == Mode.SYNC and (whole := part_of(start.content.head)):
        raise FeedRefused(
            "feed.part_in_sync",
            f"The file holds only the invalid items of {whole[:40]}: sync would archive all other products of the "
            "feed. Import it in the mode update, which adds and changes products.",
        )
    file.seek(0)
    same = {"feed": feed, "mode": mode, "auto_apply": auto_apply}
    content = _Hashed(file)
    name = f"feeds/{timezone.now():%Y/%m}/{uuid.uuid4()}"
    try:
        name = _store(name, content)
        with take_turn(), transaction.atomic():
            if run := _open_run(visible, content.sha256, **same):
                enqueue(Task.STAGE, run)
                return run
            stored = {"file": name, "file_size": content.size_read, "sha256": content.sha256}
            run = ImportRun.objects.create(**same, **stored, file_name=shown_name(file), uploaded_by=by)
            enqueue(Task.STAGE, run)
            require_quota(by, content.size_read, made=run)
            _log_upload(run, by)
            name = ""
            return run
    finally:
        if name:
            with suppress(OSError):  # what stays behind goes in a day
                default_storage.delete(name)


def _store(name: str, content: File[bytes]) -> str:
    """Store the file, on the disk and not only in its cache, and return its name. Other storages promise that."""
    try:
        name = default_storage.save(name, content)
        with suppress(NotImplementedError), Path(default_storage.path(name)).open("rb") as stored:
            os.fsync(stored.fileno())
    except ConnectionError:
        raise  # it was the uploader's
    except OSError as error:
        log.error("A file could not be stored", exc_info=error)
        raise NotStored(error) from error
    return name


def too_large() -> FeedRefused:
    limit = settings.FEED_MAX_BYTES
    return FeedRefused(TOO_LARGE, f"The file is larger than {limit:,} bytes. Split the feed, or raise FEED_MAX_BYTES.")


def plan_again(run: ImportRun, *, by: Any) -> ImportRun:
    """Compare the run's file with the catalogue as it is now: a new import of the stored file, for a person to confirm.

    A plan that waits for confirmation is thrown away for it. Raises `NotPossible` while something works on the run,
    `NotAllowed` when `by` may not upload, or may not discard the plan that waits, `QuotaReached` as `receive` does.
    """
    require(by, "catalog.add_importrun")
    if run.is_busy:
        raise NotPossible("busy", f"{run} cannot be planned again: {describe_status(run)}")
    if not run.file:
        raise NotPossible("file_gone", f"The file of {run} was deleted after its time. Upload it again.")
    with transaction.atomic():
        if run.status == Status.REVIEW:
            discard(run, by=by)
        if again := _open_run(ImportRun.objects.all(), run.sha256, feed=run.feed, mode=run.mode, auto_apply=False):
            enqueue(Task.STAGE, again)
            return again
        same = {name: getattr(run, name) for name in ("feed", "mode", "file", "file_name", "file_size", "sha256")}
        again = ImportRun.objects.create(**same, auto_apply=False, uploaded_by=by)
        enqueue(Task.STAGE, again)
        require_quota(by, made=again)
        _log_upload(again, by)
    return again


def _log_upload(run: ImportRun, by: Any) -> None:
    log_event("upload", by=by, run_id=run.pk, feed=run.feed.slug, mode=run.mode, bytes=run.file_size)


def _open_run(among: QuerySet[ImportRun], sha256: str, **settings_of_run: Any) -> ImportRun | None:
    """The open run of the same bytes with the same settings. A second upload waits for the first to be committed."""
    execute("SELECT pg_advisory_xact_lock(hashtextextended(%(sha256)s, 0))", sha256=sha256)
    return among.filter(sha256=sha256, status__in=OPEN, **settings_of_run).first()


class _Hashed(File):  # type: ignore[type-arg]
    """The upload, hashed and measured while the storage writes it."""

    def __init__(self, file: File[bytes]) -> None:
        super().__init__(file.file, name="feed")
        self._source = file
        self.size_read = 0
        self._digest = hashlib.sha256()

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        while chunk := self._source.read(chunk_size or self.DEFAULT_CHUNK_SIZE):
            self.size_read += len(chunk)
            if self.size_read > settings.FEED_MAX_BYTES:
                raise too_large()
            self._digest.update(chunk)
            yield chunk

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()
