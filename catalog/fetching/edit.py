"""Change where a feed comes from. For people who may change feeds."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from catalog.errors import NotPossible
from catalog.fetching.addresses import Place, check_place, parse_place
from catalog.fetching.credentials import encrypt, origin_of
from catalog.fetching.schedule import Timing, write_timing
from catalog.fetching.sources import LOGINS, WITH_PATTERN, places_of
from catalog.fetching.targets import Login, default_endpoint
from catalog.imports.permissions import require
from catalog.models import Feed, FeedSource, Fetch
from catalog.models.fetching import OPEN_FETCHES
from events.log import log_event

PERMISSION = "catalog.change_feed"


def save_source(
    feed: Feed,
    *,
    by: Any,
    address: str,
    kind: str = "none",
    login: Login | None = None,
    timing: Timing | None = None,
    keep_timing: bool = False,
    **fields: Any,
) -> FeedSource:
    """Make the feed's source what was entered. `login` is None to keep the credentials that are there.

    Credentials belong to a scheme, host and port: for another one they are forgotten, and so is the host's key.
    Raises `FetchRefused` for an address that is forbidden, `NotPossible` for credentials that are missing.
    """
    require(by, PERMISSION)
    place = parse_place(address)
    check_place(place)
    endpoint = _endpoint(place, fields)
    if kind not in LOGINS[place.scheme]:
        raise NotPossible("no_such_login", f"{place.scheme} has no login of this kind.")
    if place.scheme not in WITH_PATTERN and (fields.get("pattern") or fields.get("marker")):
        raise NotPossible(
            "no_pattern", "A web server has one file at an address: leave the pattern and the marker empty."
        )
    if place.username or place.password:
        login = login or Login("password", place.username, place.password)
        kind = "password"
    origin = origin_of(place, endpoint)
    with transaction.atomic():
        source = FeedSource.objects.select_for_update(of=("self",)).filter(feed=feed).first() or FeedSource(feed=feed)
        bare = Place(place.scheme, place.host, place.port, place.path, place.query).url
        is_elsewhere = source.pk is None or origin != origin_of(*places_of(source))
        if is_elsewhere:
            source.host_key = ""
        if (bare, fields.get("pattern", "")) != (source.address, source.pattern):
            source.known, source.seen, source.failing_since = {}, None, None
        if login and kind != "none":
            source.credentials = encrypt(login, origin)
        elif kind == "none":
            source.credentials = ""
        elif is_elsewhere or not source.credentials or kind != source.login:
            raise NotPossible(
                "credentials_missing",
                "Enter the credentials: those of another address or kind are not used for this one.",
            )
        source.address, source.login = bare, kind
        for name, value in fields.items():
            setattr(source, name, value)
        source.save()
        if not keep_timing:
            write_timing(source, timing)
        log_event("source_changed", by=by, feed=feed.slug, what="saved")
    return source


def _endpoint(place: Place, fields: dict[str, Any]) -> Place | None:
    if place.scheme != "s3":
        return None
    if not fields.get("endpoint"):
        return default_endpoint(fields.get("region", ""))
    endpoint = parse_place(fields["endpoint"])
    if endpoint.scheme not in ("https", "http"):
        raise NotPossible("endpoint", "The endpoint of a bucket is a web address, for example https://s3.example.com.")
    check_place(endpoint)
    fields["endpoint"] = Place(endpoint.scheme, endpoint.host, endpoint.port, endpoint.path).url
    return endpoint


def remove_source(feed: Feed, *, by: Any) -> None:
    """The feed has uploads only from now on. What was fetched stays."""
    require(by, PERMISSION)
    with transaction.atomic():
        source = FeedSource.objects.select_for_update(of=("self",)).filter(feed=feed).first()
        if source is None:
            return
        Fetch.objects.filter(feed=feed, outcome__in=OPEN_FETCHES).delete()
        if source.job:
            source.job.delete()
        source.delete()
        log_event("source_changed", by=by, feed=feed.slug, what="removed")


def keep_host_key(feed: Feed, host_key: str, *, by: Any) -> None:
    """Log in to the server with this key only, which a test has shown and a person has confirmed.

    Raises `NotPossible` for what is no key, and where another one is kept already.
    """
    require(by, PERMISSION)
    from catalog.fetching.sftp import key_fingerprint  # its library is large

    try:
        key_fingerprint(host_key)
    except ValueError as error:
        raise NotPossible("no_host_key", "This is not the key of a server. Test the connection again.") from error
    if not FeedSource.objects.filter(feed=feed, host_key__in=("", host_key)).update(host_key=host_key):
        raise NotPossible("other_host_key", "Another key is kept for this server. Forget that one first.")
    log_event("source_changed", by=by, feed=feed.slug, what="key_kept")


def forget_host_key(feed: Feed, *, by: Any) -> None:
    """Have the next test show the server's key anew."""
    require(by, PERMISSION)
    FeedSource.objects.filter(feed=feed).update(host_key="")
    log_event("source_changed", by=by, feed=feed.slug, what="key_forgotten")


def resume_schedule(feed: Feed, *, by: Any) -> None:
    """Let a schedule go on that has paused itself; a new week of failures may pause it again."""
    require(by, PERMISSION)
    with transaction.atomic():
        sources = FeedSource.objects.select_for_update(of=("self",)).select_related("job")
        source = sources.filter(feed=feed).first()
        if source and source.job:
            source.job.enabled = True
            source.job.last_run_at = timezone.now()
            source.job.save()
            FeedSource.objects.filter(pk=source.pk).update(paused_at=None, failing_since=None, called_at=Now())
            log_event("source_changed", by=by, feed=feed.slug, what="resumed")
