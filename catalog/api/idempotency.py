"""Uploads that are sent again with the same `Idempotency-Key`: taken once, and given the same answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Protocol

from django.db import connection, transaction
from django.db.models.functions import Now
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.response import Response

from catalog.errors import FeedRefused
from catalog.models import ImportRun, UploadKey

KEPT = timedelta(days=1)


class StillRunning(APIException):
    """The first upload with the key has no answer yet."""

    status_code = 409
    default_code = "upload_running"
    default_detail = "An upload with this Idempotency-Key is still running. Ask again in some seconds."
    wait = 5


class OtherUpload(APIException):
    status_code = 422
    default_code = "key_used"
    default_detail = "This Idempotency-Key was used for another upload. Use a new key for a new upload."


class RenderRun(Protocol):
    def __call__(self, run: ImportRun, *, wait: int = 0) -> Response: ...


def answer_once(
    user: Any, key: str, fingerprint: str, take_upload: Callable[[], ImportRun], render_run: RenderRun, *, wait: int = 0
) -> Response:
    """The answer to the user's upload with this key: the one given before, if the fingerprint is the same.

    The import and the memory of its key are one transaction: after a crash there are both, or neither. What a refused
    file leaves is committed, and its key is not remembered.
    """
    with _hold_alone(f"{user.pk} {key}"):
        UploadKey.objects.filter(created_at__lt=Now() - KEPT).delete()
        known = UploadKey.objects.filter(user=user, key=key).first()
        if known and known.fingerprint != fingerprint:
            raise OtherUpload
        if known:
            return Response(known.answer, status=known.status, headers={"Location": known.answer["url"]})
        refusal: Exception | None = None
        with transaction.atomic():
            try:
                run = take_upload()
            except (FeedRefused, ValidationError) as error:
                refusal = error
            else:
                answer = render_run(run)
                UploadKey.objects.create(
                    user=user, key=key, fingerprint=fingerprint, status=answer.status_code, answer=answer.data
                )
        if refusal:
            raise refusal
        if wait:
            answer = render_run(run, wait=wait)
            UploadKey.objects.filter(user=user, key=key).update(status=answer.status_code, answer=answer.data)
        return answer


@contextmanager
def _hold_alone(name: str) -> Iterator[None]:
    """Raise `StillRunning` while another connection holds the same name. A crash releases it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [name])
        if not cursor.fetchone()[0]:
            raise StillRunning
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [name])
