"""How much one account may upload: the disk, the workers and the reviewers are there for all of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Sum
from django.utils import timezone

from catalog.errors import FeedRefused, QuotaReached
from catalog.imports.sql import execute
from catalog.models import ImportRun
from catalog.models.runs import OPEN

TOO_LARGE = "feed.too_large"


def require_quota(by: Any, size: int = 0) -> None:
    """Raise `QuotaReached` unless `by` may upload a file of so many bytes now; `FeedRefused` if it never may.

    None is the system, which has no quota.
    """
    if by is None:
        return
    most_open, most_bytes, per_minute = (
        settings.UPLOAD_MAX_OPEN,
        settings.UPLOAD_MAX_BYTES_PER_DAY,
        settings.UPLOAD_MAX_PER_MINUTE,
    )
    if size > most_bytes:
        raise FeedRefused(
            TOO_LARGE,
            f"The file is larger than the {most_bytes:,} bytes that an account may upload in a day. Split the feed, "
            "or raise UPLOAD_MAX_BYTES_PER_DAY.",
        )
    runs, now = ImportRun.objects.filter(uploaded_by=by).order_by(), timezone.now()
    if runs.filter(status__in=OPEN).count() >= most_open:
        raise QuotaReached(
            "quota.open",
            f"{by} has {most_open:,} open imports, and no account may have more. Wait until some of them end, have "
            "them confirmed or discarded, or raise UPLOAD_MAX_OPEN.",
            wait=300,
        )
    if runs.filter(created_at__gt=now - timedelta(minutes=1)).count() >= per_minute:
        raise QuotaReached(
            "quota.minute",
            f"{by} has uploaded {per_minute:,} files within a minute, and no account may upload more. Try again in a "
            "minute, or raise UPLOAD_MAX_PER_MINUTE.",
            wait=60,
        )
    # A stored file that is planned again counts once.
    files = runs.filter(created_at__gt=now - timedelta(days=1)).values("file", "file_size").distinct()
    if (files.aggregate(bytes=Sum("file_size"))["bytes"] or 0) + size > most_bytes:
        raise QuotaReached(
            "quota.bytes",
            f"With this file {by} would have uploaded more than {most_bytes:,} bytes within a day. Try again tomorrow, "
            "or raise UPLOAD_MAX_BYTES_PER_DAY.",
            wait=60 * 60,
        )


def take_quota(by: Any, size: int = 0) -> None:
    """As `require_quota`, in a transaction: parallel uploads of one account are counted one after the other."""
    if by is not None:
        execute("SELECT pg_advisory_xact_lock(hashtextextended(%(account)s, 0))", account=f"uploads of {by.pk}")
        require_quota(by, size)
