"""How much one account may upload: the disk, the workers and the reviewers are there for all of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from catalog.errors import FeedRefused, QuotaReached
from catalog.imports.sql import fetch_row
from catalog.models import ImportRun
from catalog.models.runs import OPEN

TOO_LARGE = "feed.too_large"

ONE_BY_ONE = "SELECT pg_advisory_xact_lock(hashtextextended(%(account)s, 0));"  # in one round trip with what follows
# An account's open imports, the files of its last minute, and the bytes of its last day. A file that is planned again
# counts once.
COUNTS = """
    SELECT
        count(*) FILTER (WHERE status = ANY(%(open)s)),
        count(*) FILTER (WHERE created_at > %(minute_ago)s),
        (
            SELECT coalesce(sum(file_size), 0) FROM (
                SELECT DISTINCT file, file_size FROM catalog_importrun
                WHERE uploaded_by_id = %(by)s AND id <> %(made)s AND created_at > %(day_ago)s
            ) AS files
        )
    FROM catalog_importrun
    WHERE uploaded_by_id = %(by)s AND id <> %(made)s AND (status = ANY(%(open)s) OR created_at > %(minute_ago)s)
"""


def require_quota(by: Any, size: int = 0, *, made: ImportRun | None = None) -> None:
    """Raise `QuotaReached` unless `by` may upload a file of so many bytes now; `FeedRefused` if it never may.

    None is the system, which has no quota. A run that the caller has just `made` of the file is not counted. Call it as
    the last thing in that run's transaction: parallel uploads of one account are then counted one after the other, each
    from here to its commit, and forty at once keep none waiting.
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
    now = timezone.now()
    is_open, in_a_minute, bytes_in_a_day = fetch_row(
        ONE_BY_ONE + COUNTS if made else COUNTS,
        account=f"uploads of {by.pk}",
        by=by.pk,
        made=made.pk if made else 0,
        open=list(OPEN),
        minute_ago=now - timedelta(minutes=1),
        day_ago=now - timedelta(days=1),
    )
    if is_open >= most_open:
        raise QuotaReached(
            "quota.open",
            f"{by} has {most_open:,} open imports, and no account may have more. Wait until some of them end, have "
            "them confirmed or discarded, or raise UPLOAD_MAX_OPEN.",
            wait=300,
        )
    if in_a_minute >= per_minute:
        raise QuotaReached(
            "quota.minute",
            f"{by} has uploaded {per_minute:,} files within a minute, and no account may upload more. Try again in a "
            "minute, or raise UPLOAD_MAX_PER_MINUTE.",
            wait=60,
        )
    if bytes_in_a_day + size > most_bytes:
        raise QuotaReached(
            "quota.bytes",
            f"With this file {by} would have uploaded more than {most_bytes:,} bytes within a day. Try again tomorrow, "
            "or raise UPLOAD_MAX_BYTES_PER_DAY.",
            wait=60 * 60,
        )
