"""Connections to checked addresses only, which end in time whatever the other side does."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from catalog.fetching.addresses import Place, checked_addresses
from catalog.fetching.failures import FetchFailed, clean_words

LOOK_EVERY_SECONDS = 0.1
CONNECT_SECONDS = 10.0


class Pace:
    """How long a fetch may take, and how little may arrive in a while. Every protocol is held to it in the same way.

    A thread looks at it ten times in a second, and shuts the connections when it is over: no library's time-out
    bounds a whole answer, and a byte every half second passes all of them.
    """

    def __init__(self, total_seconds: float | None = None) -> None:
        self.begun = time.monotonic()
        self._total = float(settings.FETCH_MAX_SECONDS) if total_seconds is None else total_seconds
        self._window_bytes = 0
        self._window_begun = self.begun
        self._connections: list[socket.socket] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._failure: FetchFailed | None = None

    def received(self, size: int) -> None:
        """Note that so many bytes came, and raise if it took too long."""
        with self._lock:
            self._window_bytes += size
            if self._window_bytes >= settings.FETCH_SLOW_BYTES:
                self._window_bytes, self._window_begun = 0, time.monotonic()
        self.check()

    def check(self) -> None:
        """Raise if it took too long. To be asked at each end, too: a connection that was shut looks like one."""
        self._look()
        if self._failure:
            raise self._failure

    @property
    def remaining(self) -> float:
        """Seconds that one step may take."""
        self.check()
        now = time.monotonic()
        return max(min(self.begun + self._total, self._window_begun + settings.FETCH_SLOW_SECONDS) - now, 0.01)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.begun

    def watch(self, connection: socket.socket) -> None:
        """Shut this connection when the time is over."""
        with self._lock:
            self._connections.append(connection)
        self.check()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Until the block ends, look after the connections, and then close them."""
        watcher = threading.Thread(target=self._keep_looking, name="fetch pace", daemon=True)
        watcher.start()
        try:
            yield
        except FetchFailed:
            raise
        except Exception:
            self.check()  # what failed is most often what was shut
            raise
        finally:
            self._over.set()
            watcher.join()
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.close()

    def _keep_looking(self) -> None:
        while not self._over.wait(LOOK_EVERY_SECONDS):
            self._look()
            if self._failure:
                with self._lock:
                    for connection in self._connections:
                        with contextlib.suppress(OSError):
                            # The plain one: TLS would want to say goodbye.
                            socket.socket.shutdown(connection, socket.SHUT_RDWR)
                    self._connections = [each for each in self._connections if each.fileno() >= 0]

    def _look(self) -> None:
        if self._failure:
            return
        now = time.monotonic()
        if now > self.begun + self._total:
            self._failure = FetchFailed(
                "too_long", f"It took longer than {self._total:,.0f} seconds, which FETCH_MAX_SECONDS allows."
            )
        elif now > self._window_begun + settings.FETCH_SLOW_SECONDS:
            self._failure = FetchFailed(
                "too_slow",
                f"Only {self._window_bytes:,} bytes came within {settings.FETCH_SLOW_SECONDS:,} seconds. Fewer than "
                f"FETCH_SLOW_BYTES ({settings.FETCH_SLOW_BYTES:,}) within FETCH_SLOW_SECONDS is too slow.",
            )


def connect(place: Place, pace: Pace) -> socket.socket:
    """A connection to one of the place's checked addresses, which ends with the pace. Tries each of them in turn."""
    problem: OSError | None = None
    for address in checked_addresses(place, min(pace.remaining, CONNECT_SECONDS)):
        try:
            return dial(address, place.port, pace)
        except OSError as error:
            pace.check()
            problem = error
    raise FetchFailed("no_connection", f"{place.shown_host} cannot be reached at port {place.port}: {_why(problem)}.")


def dial(address: str, port: int, pace: Pace) -> socket.socket:
    """A connection to an address that was checked."""
    connection = socket.create_connection((address, port), timeout=min(pace.remaining, CONNECT_SECONDS))
    pace.watch(connection)
    connection.settimeout(pace.remaining)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def tls_context() -> ssl.SSLContext:
    """Certificates are checked against the system's authorities, and against the name that was asked for."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def with_tls(connection: socket.socket, context: ssl.SSLContext, name: str, pace: Pace) -> ssl.SSLSocket:
    """The connection in TLS. Raises `FetchFailed` with what is wrong with the certificate."""
    try:
        connection.settimeout(pace.remaining)
        secured = context.wrap_socket(connection, server_hostname=name)
    except ssl.SSLCertVerificationError as error:
        raise FetchFailed(
            "certificate",
            f"The certificate of {name} is not accepted: {clean_words(error.verify_message)}. "
            "Have it renewed, or add its authority to those of the system.",
            again=False,
        ) from error
    except (OSError, ValueError) as error:
        pace.check()
        raise FetchFailed("tls", f"{name} does not speak TLS there: {_why(error)}.") from error
    pace.watch(secured)
    return secured


def _why(error: BaseException | None) -> str:
    if isinstance(error, TimeoutError):
        return "it does not answer"
    if isinstance(error, ssl.SSLError):
        return clean_words(error.reason or error, 100)
    if isinstance(error, OSError) and error.strerror:
        return clean_words(error.strerror.lower(), 100)
    return clean_words(error or "it has no address", 100)


def describe_break(error: BaseException) -> str:
    """Why a connection ended, as the end of a sentence."""
    return _why(error)
