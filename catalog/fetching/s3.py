"""Objects of an S3 bucket: requests signed by botocore, and sent as all others are, to the entered endpoint only."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from urllib.parse import quote

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from lxml import etree

from catalog.fetching.addresses import Place
from catalog.fetching.failures import FetchFailed, FetchRefused, clean_words
from catalog.fetching.http import Answer, Exchange, Headers, refusal
from catalog.fetching.targets import (
    DEFAULT_REGION,
    MAX_LISTED,
    Found,
    Listed,
    Spool,
    Target,
    choose_file,
    default_endpoint,
    is_known,
    login_refused,
    too_many_files,
)

EMPTY_BODY = hashlib.sha256(b"").hexdigest()
MAX_LIST_BYTES = 8 * 1024 * 1024
MAX_PAGES = MAX_LISTED // 1000 + 1


def fetch_s3(target: Target, spool: Spool) -> Found:
    """The object of this key, or the newest one below the prefix that fits the pattern. Objects appear whole."""
    key = target.place.path
    if target.pattern or not key or key.endswith("/"):
        file = choose_file(_list_objects(target, key, spool), target, whole=not target.marker)
        if is_known(file, target.known):
            return Found(unchanged=True, name=file.name, etag=file.etag)
        key += file.name
    known = target.known if target.known.name == key.rpartition("/")[2] else None
    extra: Headers = [(b"If-None-Match", known.etag.encode("latin-1"))] if known and known.etag else []
    with _exchange(target, key, {}, extra, spool) as answer:
        if answer.status == 304 and extra:
            return Found(unchanged=True, status=304, name=key.rpartition("/")[2])
        if answer.status != 200:
            raise _refused(answer, target)
        spool.announce(answer.length)
        for piece in answer.pieces():
            spool.write(piece)
        return Found(
            name=key.rpartition("/")[2],
            status=200,
            etag=answer.header("etag")[:1000],
            has_end=answer.length is not None or answer.is_chunked,
        )


def _exchange(target: Target, key: str, query: dict[str, str], extra: Headers, spool: Spool) -> Exchange:
    """A signed request to the endpoint, the bucket in the path; without keys one that is not signed."""
    endpoint = target.endpoint or default_endpoint(target.region)
    path = f"{endpoint.path.rstrip('/')}/{target.place.host}/{quote(key, safe='/-_.~')}".rstrip("/" if not key else "")
    text = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in sorted(query.items()))
    headers: Headers = list(extra)
    if target.login.kind == "password":
        place = Place(endpoint.scheme, endpoint.host, endpoint.port, path, text)
        request = AWSRequest("GET", place.url, headers={"x-amz-content-sha256": EMPTY_BODY})
        signer = S3SigV4Auth(
            Credentials(target.login.username, target.login.secret), "s3", target.region or DEFAULT_REGION
        )
        signer.add_auth(request)
        headers += [(name.encode(), str(value).encode()) for name, value in request.headers.items()]
    return Exchange(Place(endpoint.scheme, endpoint.host, endpoint.port, path, text), headers, spool.pace)


def _list_objects(target: Target, prefix: str, spool: Spool) -> Iterator[Listed]:
    query = {"list-type": "2", "prefix": prefix, "delimiter": "/"}
    for _page in range(MAX_PAGES):
        with _exchange(target, "", query, [], spool) as answer:
            if answer.status != 200:
                raise _refused(answer, target)
            parser = etree.XMLPullParser(
                ["start"], resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
            )
            size = 0
            try:
                for piece in answer.pieces():
                    spool.pace.received(len(piece))
                    size += len(piece)
                    if size > MAX_LIST_BYTES:
                        raise FetchRefused("not_s3", "The list of the bucket is too long to be one.")
                    parser.feed(piece)
                page = parser.close()
            except etree.XMLSyntaxError as error:
                raise FetchFailed("not_s3", "The endpoint does not answer as S3 does.", status=answer.status) from error
        for entry in page.iterfind("{*}Contents"):
            name = (entry.findtext("{*}Key") or "").removeprefix(prefix)
            bytes_long = entry.findtext("{*}Size") or "0"
            if not re.fullmatch("[0-9]{1,18}", bytes_long):
                raise FetchFailed("not_s3", "The endpoint does not answer as S3 does.", status=answer.status)
            modified = 0.0
            with suppress(ValueError):
                text = entry.findtext("{*}LastModified") or ""
                modified = datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC).timestamp()
            if name:
                yield Listed(name, int(bytes_long), modified, entry.findtext("{*}ETag") or "")
        token = page.findtext("{*}NextContinuationToken")
        if page.findtext("{*}IsTruncated") != "true" or not token:
            return
        query["continuation-token"] = token
    raise too_many_files()


def _refused(answer: Answer, target: Target) -> FetchFailed:
    """What the endpoint says in its own words; an endpoint that leads elsewhere is not followed."""
    endpoint = target.endpoint or default_endpoint(target.region)
    bucket = clean_words(target.place.host, 100)
    region = clean_words(answer.header("x-amz-bucket-region"), 40)
    status = answer.status
    if 300 <= status < 400 or (status == 400 and region and region != (target.region or DEFAULT_REGION)):
        advice = f"Set the region {region}." if region else "Enter the endpoint that the bucket is at."
        return FetchFailed(
            "redirects", f"The endpoint redirects, which is not followed. {advice}", status=status, again=False
        )
    code = ""
    try:
        root = etree.fromstring(answer.beginning(), etree.XMLParser(resolve_entities=False, no_network=True))
        code = clean_words(root.findtext("{*}Code") or "", 60)
    except (etree.XMLSyntaxError, ValueError):
        pass
    if code == "NoSuchBucket":
        return FetchFailed("no_bucket", f"There is no bucket {bucket} at {endpoint.shown_host}.", status=status)
    if status in (401, 403) or code in ("InvalidAccessKeyId", "SignatureDoesNotMatch"):
        said = f" ({code})" if code else ""
        refused = login_refused(endpoint.shown_host, status)
        return FetchFailed("login", f"{refused.message[:-1]}{said}.", status=status, again=False)
    if status == 404:
        return FetchFailed("http_404", f"The bucket {bucket} has no such object (404).", status=404)
    return refusal(answer, endpoint)
