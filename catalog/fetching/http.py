"""Files from web servers: one connection per hop, what is sent decided here. Webhooks post by the same way."""

from __future__ import annotations

import base64
import re
import ssl
import time
import zlib
from collections.abc import Iterable, Iterator
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote, urljoin

import httpcore
from django.conf import settings

from catalog.feeds.limits import too_large_unpacked, too_tightly_packed
from catalog.feeds.reading.archives import RATIO_COUNTS_FROM
from catalog.fetching.addresses import Place, parse_place
from catalog.fetching.connections import Pace, connect, describe_break, tls_context, with_tls
from catalog.fetching.failures import FetchFailed, FetchRefused, clean_words
from catalog.fetching.targets import PIECE_BYTES, Found, Spool, Target, login_refused

MAX_REDIRECTS = 5
REDIRECTS = frozenset((301, 302, 303, 307, 308))
MAX_WAIT_SECONDS = 60 * 60
# How long to look for bytes behind an answer that ended.
TRAILING_SECONDS = 0.25
ERROR_BYTES = 4096

Headers = list[tuple[bytes, bytes]]


class _Stream(httpcore.NetworkStream):
    """A connection that is held to the pace. Headers may have so many bytes."""

    def __init__(self, connection: Any, pace: Pace) -> None:
        self._connection = connection
        self._pace = pace
        self._head: bytes | None = b""
        self._head_bytes = 0
        self.received = 0

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._connection.settimeout(self._pace.remaining)
        try:
            data: bytes = self._connection.recv(max_bytes)
        except (OSError, ValueError) as error:
            self._pace.check()
            raise FetchFailed("broke_off", f"The connection broke off: {describe_break(error)}.") from error
        self._pace.check()
        if self._head is not None:
            self._count_headers(data)
        else:
            self.received += len(data)
        return data

    def _count_headers(self, data: bytes) -> None:
        """Count all that comes before the body, also the answers in between that a server may send (1xx)."""
        self._head = (self._head or b"") + data
        while end := re.search(rb"\r?\n\r?\n", self._head):
            self._head_bytes += end.end()
            is_final = not re.match(rb"HTTP/1\.[01] 1\d\d", self._head)
            self._head = self._head[end.end() :]
            if is_final:
                self.received = len(self._head)
                break
        else:
            is_final = False
        if self._head_bytes + (0 if is_final else len(self._head)) > settings.FETCH_MAX_HEADER_BYTES:
            raise FetchRefused(
                "headers_too_large",
                f"The headers of the answer have more than {settings.FETCH_MAX_HEADER_BYTES:,} bytes, which "
                "FETCH_MAX_HEADER_BYTES allows.",
            )
        if is_final:
            self._head = None

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            while buffer:
                self._connection.settimeout(self._pace.remaining)
                buffer = buffer[self._connection.send(buffer) :]
        except (OSError, ValueError) as error:
            self._pace.check()
            raise FetchFailed("broke_off", f"The connection broke off: {describe_break(error)}.") from error

    def has_more(self) -> bool:
        """Whether anything follows within a moment."""
        self._connection.settimeout(TRAILING_SECONDS)
        try:
            return bool(self._connection.recv(1))
        except (OSError, ValueError):
            return False

    def close(self) -> None:
        self._connection.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = with_tls(self._connection, ssl_context, server_hostname or "", self._pace)
        self._connection = secured
        return self

    def get_extra_info(self, info: str) -> Any:
        return None


class _Backend(httpcore.NetworkBackend):
    """Dials the checked address of one place, and nothing else."""

    def __init__(self, place: Place, pace: Pace) -> None:
        self._place = place
        self._pace = pace
        self.stream: _Stream | None = None

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        self.stream = _Stream(connect(self._place, self._pace), self._pace)
        return self.stream

    def connect_unix_socket(self, *_args: Any, **_options: Any) -> httpcore.NetworkStream:
        raise NotImplementedError

    def sleep(self, seconds: float) -> None:
        raise NotImplementedError


class Answer:
    """The head of an answer, and its body as it comes over the wire."""

    def __init__(self, response: httpcore.Response, stream: _Stream) -> None:
        self.status: int = response.status
        self._response = response
        self._stream = stream
        self._headers: dict[str, list[str]] = {}
        for name, value in response.headers:
            self._headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1").strip())

    def header(self, name: str) -> str:
        return ", ".join(self._headers.get(name, []))

    @property
    def length(self) -> int | None:
        text = self._headers.get("content-length", [""])[0]
        return int(text) if text.isascii() and text.isdecimal() and not self.is_chunked else None

    @property
    def is_chunked(self) -> bool:
        return "chunked" in self.header("transfer-encoding").lower()

    def pieces(self) -> Iterator[bytes]:
        """The body. Raises `FetchFailed` when it is shorter or longer than the headers say."""
        taken = 0
        try:
            for piece in self._response.iter_stream():
                taken += len(piece)
                yield piece
        except (httpcore.RemoteProtocolError, httpcore.NetworkError) as error:
            expected = "" if self.length is None else f" after {taken:,} of {self.length:,} bytes"
            raise FetchFailed(
                "cut_off", f"The answer broke off{expected}. Nothing is kept.", status=self.status
            ) from error
        if self.length is not None and (self._stream.received > self.length or self._stream.has_more()):
            raise FetchFailed(
                "longer", f"The answer is longer than the {self.length:,} bytes that it announced.", status=self.status
            )

    def beginning(self) -> bytes:
        """The first bytes of a refusal's body; whatever can be had of it."""
        body = b""
        try:
            for piece in self._response.iter_stream():
                body += piece
                if len(body) >= ERROR_BYTES:
                    break
        except Exception:
            return body
        return body


class Exchange:
    """One request and its answer, over a connection of its own. Use it in a `with`.

    It asks for what is at the address, or, with a `body`, posts that there.
    """

    def __init__(
        self,
        place: Place,
        headers: Headers,
        pace: Pace,
        context: ssl.SSLContext | None = None,
        body: bytes | None = None,
    ) -> None:
        self._place = place
        self._headers = headers
        self._body = body
        self._backend = _Backend(place, pace)
        self._pace = pace
        self._pool = httpcore.ConnectionPool(
            ssl_context=context or tls_context(), network_backend=self._backend, http2=False, retries=0
        )

    def __enter__(self) -> Answer:
        place = self._place
        default = place.port == (443 if place.scheme == "https" else 80)
        host = place.shown_host if default else f"{place.shown_host}:{place.port}"
        url = httpcore.URL(
            scheme=place.scheme.encode(),
            host=place.host.encode(),
            port=place.port,
            target=(place.path + (f"?{place.query}" if place.query else "")).encode("ascii"),
        )
        headers = [(b"Host", host.encode()), *self._headers, (b"Connection", b"close")]
        if self._body is None:
            request = httpcore.Request("GET", url, headers=headers)
        else:
            headers.append((b"Content-Length", str(len(self._body)).encode()))
            request = httpcore.Request("POST", url, headers=headers, content=self._body)
        try:
            response = self._pool.handle_request(request)
        except (httpcore.RemoteProtocolError, httpcore.LocalProtocolError, httpcore.NetworkError) as error:
            self.__exit__()
            self._pace.check()
            raise FetchFailed(
                "not_http", f"{place.shown_host} did not answer as a web server does: {clean_words(error, 100)}."
            ) from error
        except BaseException:
            self.__exit__()
            raise
        assert self._backend.stream is not None  # noqa: S101 # there is an answer
        return Answer(response, self._backend.stream)

    def __exit__(self, *_error: object) -> None:
        if self._backend.stream:
            self._backend.stream.close()
        self._pool.close()


def fetch_http(target: Target, spool: Spool) -> Found:
    """Fetch the file, by at most five redirects, unless the server says that it is the known one.

    Each redirect's address is checked as the first one was. Credentials, and what is known of the file, go to the
    first address's scheme, host and port only.
    """
    place = target.place
    asks_if_changed = bool(target.known.etag or target.known.last_modified)
    for _hop in range(MAX_REDIRECTS + 1):
        is_first_host = place.origin == target.place.origin
        with Exchange(place, _headers_for(target, is_first_host=is_first_host), spool.pace) as answer:
            if answer.status in REDIRECTS:
                place = _redirected(place, answer)
                continue
            if answer.status == 304 and asks_if_changed and is_first_host:
                return Found(unchanged=True, status=304, etag=answer.header("etag"))
            if answer.status not in (200, 203):
                raise refusal(answer, place)
            spool.announce(answer.length)
            _keep_body(answer, spool)
            spool.pace.check()
            disposition = re.search(r'filename="?([^";]+)', answer.header("content-disposition"))
            name = disposition[1] if disposition else unquote(place.path).rpartition("/")[2]
            return Found(
                name=clean_words(name, 200),
                status=answer.status,
                etag=answer.header("etag")[:1000] if is_first_host else "",
                last_modified=answer.header("last-modified")[:100] if is_first_host else "",
                has_end=answer.length is not None or answer.is_chunked or bool(answer.header("content-encoding")),
            )
    raise FetchFailed("redirects", f"The address leads on more than {MAX_REDIRECTS} times.", again=False)


def user_agent() -> bytes:
    return f"OunassProductManagement/{settings.VERSION}".encode()


def _headers_for(target: Target, *, is_first_host: bool) -> Headers:
    headers = [
        (b"User-Agent", user_agent()),
        (b"Accept", b"*/*"),
        (b"Accept-Encoding", b"gzip"),
    ]
    if not is_first_host:
        return headers
    login, known = target.login, target.known
    if login.kind == "password":
        pair = base64.b64encode(f"{login.username}:{login.secret}".encode())
        headers.append((b"Authorization", b"Basic " + pair))
    elif login.kind == "token":
        headers.append((b"Authorization", f"Bearer {login.secret}".encode("latin-1")))
    if known.etag:
        headers.append((b"If-None-Match", known.etag.encode("latin-1")))
    if known.last_modified:
        headers.append((b"If-Modified-Since", known.last_modified.encode("latin-1")))
    return headers


def _redirected(place: Place, answer: Answer) -> Place:
    location = answer.header("location")
    if not location:
        raise FetchFailed("redirects", "The server leads on without saying where.", status=answer.status, again=False)
    try:
        address = urljoin(place.url, location.strip(" \t").replace(" ", "%20"))
    except ValueError as error:
        raise FetchRefused("address", f"The server leads on to what is no address: {clean_words(error)}.") from error
    following = parse_place(address)  # a login in it is nobody's that was entered here
    if following.scheme not in ("http", "https"):
        raise FetchRefused(
            "forbidden_scheme", f"The server leads on to an address with {following.scheme}:, which is forbidden there."
        )
    if place.scheme == "https" and following.scheme == "http":
        raise FetchRefused("downgrade", "The server leads on from https to http, where anybody can read and change it.")
    return Place(following.scheme, following.host, following.port, following.path, following.query)


def refusal(answer: Answer, place: Place) -> FetchFailed:
    """What an answer other than the file means, and what to do about it."""
    status, host = answer.status, place.shown_host
    if status in (401, 407):
        return login_refused(host, status)
    if status == 403:
        return FetchFailed(
            "http_403",
            f"{host} does not let us have the file (403). Check the login and its rights.",
            status=403,
            again=False,
        )
    if status == 404:
        return FetchFailed("http_404", f"{host} has no file at this address (404).", status=404)
    if status == 410:
        return FetchFailed(
            "http_410",
            f"{host} says that the file is gone for good (410). Enter its new address.",
            status=410,
            again=False,
        )
    if status in (408, 425, 429) or status >= 500:
        wait = seconds_to_wait(answer)
        asked = f" It asks to wait for {wait:,} seconds." if wait else ""
        what = "has had too many requests (429)" if status == 429 else f"has a problem of its own ({status})"
        return FetchFailed(f"http_{status}", f"{host} {what}.{asked}", status=status, wait=wait)
    if status == 304:
        return FetchFailed(
            "http_304", f"{host} says that the file is unchanged, which was not asked (304).", status=304
        )
    return FetchFailed(f"http_{status}", f"{host} answered with the status {status}, not with a file.", status=status)


def seconds_to_wait(answer: Answer) -> int | None:
    """How long the server asks us to leave it alone, an hour at most."""
    text = answer.header("retry-after")
    if text.isascii() and text.isdecimal():
        return min(int(text[:9]), MAX_WAIT_SECONDS)
    try:
        seconds = parsedate_to_datetime(text).timestamp() - time.time()
    except (TypeError, ValueError, OverflowError):
        return None
    return min(int(seconds), MAX_WAIT_SECONDS) if seconds > 0 else None


# --- the body -------------------------------------------------------------------------------------------


def _keep_body(answer: Answer, spool: Spool) -> None:
    encoding = answer.header("content-encoding").strip().lower()
    if encoding in ("", "identity"):
        for piece in answer.pieces():
            spool.write(piece)
    elif encoding in ("gzip", "x-gzip"):
        spool.announced = None  # that was the packed size
        for piece in _unzipped(answer.pieces(), spool.pace):
            spool.keep(piece)
    else:
        raise FetchFailed(
            "encoding",
            f"The server sent the file packed as {clean_words(encoding, 40)}, which was not asked for.",
            status=answer.status,
            again=False,
        )


def _unzipped(pieces: Iterator[bytes], pace: Pace) -> Iterator[bytes]:
    """A body that was packed for the way, all of its members, to their very end."""
    limits = settings.FEED_LIMITS
    taken = unpacked = 0
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    has_begun = False
    for packed in pieces:
        pace.received(len(packed))
        taken += len(packed)
        data = packed
        while data:
            if unpacker.eof:
                unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
            has_begun = True
            try:
                piece = unpacker.decompress(data, PIECE_BYTES)
            except zlib.error:
                raise FetchFailed(
                    "encoding", "The server says that the answer is packed with gzip, and it is not.", again=False
                ) from None
            data = unpacker.unconsumed_tail or unpacker.unused_data
            unpacked += len(piece)
            if unpacked > limits.unpacked_bytes:
                raise too_large_unpacked(limits)
            if unpacked > max(RATIO_COUNTS_FROM, limits.ratio * taken):
                raise too_tightly_packed(limits)
            if piece:
                yield piece
                pace.check()
    while has_begun and not unpacker.eof and (piece := unpacker.decompress(unpacker.unconsumed_tail, PIECE_BYTES)):
        yield piece
    if has_begun and not unpacker.eof:
        raise FetchFailed("cut_off", "The packed answer ends too early. Nothing is kept.")
