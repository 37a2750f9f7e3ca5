"""A feed's source as it is asked: which module speaks its protocol, and what is known of its file."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.module_loading import import_string

from catalog.fetching.addresses import FOLDER, Place, parse_place
from catalog.fetching.credentials import decrypt, origin_of
from catalog.fetching.targets import Fetcher, Found, Known, Login, Spool, Target, default_endpoint
from catalog.models import FeedSource, ImportRun, Status

# Imported when they are needed: their libraries are large, and most processes never fetch.
FETCHERS = {
    "https": "catalog.fetching.http.fetch_http",
    "http": "catalog.fetching.http.fetch_http",
    "sftp": "catalog.fetching.sftp.fetch_sftp",
    "ftp": "catalog.fetching.ftp.fetch_ftp",
    "ftps": "catalog.fetching.ftp.fetch_ftp",
    "s3": "catalog.fetching.s3.fetch_s3",
    FOLDER: "catalog.fetching.folder.fetch_folder",
}
# Which kinds of login each protocol has.
LOGINS = {
    "https": ("none", "password", "token"),
    "http": ("none", "password", "token"),
    "sftp": ("password", "key"),
    "ftp": ("none", "password"),
    "ftps": ("none", "password"),
    "s3": ("none", "password"),
    FOLDER: ("none",),
}
WITH_PATTERN = ("sftp", "ftp", "ftps", "s3", FOLDER)
# A server may give other bytes under the same ETag, so now and then the file is fetched unconditionally.
UNCONDITIONAL_AFTER = timedelta(days=7)


def fetch_from(target: Target, spool: Spool) -> Found:
    fetcher: Fetcher = import_string(FETCHERS[target.place.scheme])
    return fetcher(target, spool)


def target_of_address(address: str) -> Target:
    """An address as the shell gives it, with its login in it where it has one."""
    place = parse_place(address)
    login = Login("password", place.username, place.password) if place.username or place.password else Login()
    bare = Place(place.scheme, place.host, place.port, place.path, place.query)
    return Target(bare, login, endpoint=default_endpoint("") if place.scheme == "s3" else None)


def target_of_source(source: FeedSource, *, conditional: bool = True) -> Target:
    """The source with its credentials. Raises `FetchFailed` when these are of another place."""
    place, endpoint = places_of(source)
    return Target(
        place,
        decrypt(source.credentials, source.login, origin_of(place, endpoint)),
        source.pattern,
        source.marker,
        endpoint,
        source.region,
        source.host_key,
        known_file(source) if conditional else Known(),
        tuple(source.seen) if source.seen else None,
    )


def places_of(source: FeedSource) -> tuple[Place, Place | None]:
    """Where it is, and for a bucket also the endpoint."""
    place = parse_place(source.address)
    if place.scheme != "s3":
        return place, None
    return place, parse_place(source.endpoint) if source.endpoint else default_endpoint(source.region)


def shown_address(source: FeedSource) -> str:
    return parse_place(source.address).shown


def known_file(source: FeedSource) -> Known:
    """What to compare with; nothing if the last file has to be fetched again in any case."""
    facts = source.known
    if not facts or needs_import_again(source):
        return Known()
    if timezone.now() - datetime.fromisoformat(facts["full_at"]) > UNCONDITIONAL_AFTER:
        return Known()
    return Known(**{name: facts[name] for name in ("etag", "last_modified", "name", "size", "modified")})


def last_import(source: FeedSource) -> ImportRun | None:
    return ImportRun.objects.filter(pk=source.known.get("run")).first() if source.known else None


def needs_import_again(source: FeedSource) -> bool:
    """Whether the import of the last file failed through no fault of the file: then the same bytes are new again."""
    run = last_import(source)
    return run is not None and run.status == Status.FAILED and not run.error_code.startswith("feed.")


def facts_of(found: Found, sha256: str, run: ImportRun | None) -> dict[str, Any]:
    """What a source remembers of a file."""
    return {
        "etag": found.etag,
        "last_modified": found.last_modified,
        "name": found.name,
        "size": found.size,
        "modified": found.modified,
        "sha256": sha256,
        "run": run and run.pk,
        "full_at": datetime.now(UTC).isoformat(),
    }
