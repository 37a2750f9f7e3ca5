"""What a source is asked for, what it answers, and where its bytes go."""

from __future__ import annotations

import fnmatch
import hashlib
import re
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import IO, TypeVar

from django.conf import settings

from catalog.errors import NotStored
from catalog.fetching.addresses import Place
from catalog.fetching.connections import Pace
from catalog.fetching.failures import FetchFailed, FetchRefused, clean_words
from catalog.imports.receive import too_large

# A file that nobody has written to for so long is complete, unless its source says so by a marker.
QUIET_SECONDS = 60
MAX_LISTED = 10_000
PIECE_BYTES = 64 * 1024


@dataclass(frozen=True)
class Login:
    """Entered credentials, decrypted. Empty where none are needed."""

    kind: str = "none"
    username: str = ""
    secret: str = field(default="", repr=False)
    passphrase: str = field(default="", repr=False)


@dataclass(frozen=True)
class Known:
    """What the file was like that was received last: the same file again is not fetched again."""

    etag: str = ""
    last_modified: str = ""
    name: str = ""
    size: int | None = None
    modified: float | None = None


@dataclass(frozen=True)
class Target:
    """A source: where it is, which of its files, and how to log in."""

    place: Place
    login: Login = Login()
    pattern: str = ""
    marker: str = ""
    endpoint: Place | None = None
    region: str = ""
    host_key: str = ""
    known: Known = Known()
    # The newest file that was not complete when it was looked at last, and when that was.
    seen: tuple[str, int, float, float] | None = None


DEFAULT_REGION = "us-east-1"


def default_endpoint(region: str) -> Place:
    return Place("https", f"s3.{region or DEFAULT_REGION}.amazonaws.com", 443, "/")


@dataclass
class Found:
    """What the server had: the file, or that it is still the known one."""

    unchanged: bool = False
    name: str = ""
    status: int | None = None
    etag: str = ""
    last_modified: str = ""
    size: int | None = None
    modified: float | None = None
    # Whether the server said how long the file is, or marked its end.
    has_end: bool = True


class EnoughRead(Exception):
    """A sample is complete: the rest of the file is not wanted."""


class Spool:
    """The file on its way: on the disk, hashed and counted, within the limits. `most` ends a sample."""

    def __init__(self, pace: Pace, most: int | None = None) -> None:
        self.pace = pace
        self.size = 0
        self.announced: int | None = None
        self._most = most
        self._digest = hashlib.sha256()
        self.file: IO[bytes] = tempfile.TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR)  # noqa: SIM115 # see close

    def announce(self, size: int | None) -> None:
        """Refuse a file that is said to be too large before any of it is read."""
        self.announced = size
        if size is not None and size > settings.FEED_MAX_BYTES and self._most is None:
            raise too_large()

    def write(self, piece: bytes) -> None:
        self.pace.received(len(piece))
        self.keep(piece)

    def keep(self, piece: bytes) -> None:
        """Keep bytes that are counted already, as unpacked ones are."""
        self.size += len(piece)
        if self.size > settings.FEED_MAX_BYTES:
            raise too_large()
        self._digest.update(piece)
        try:
            self.file.write(piece)
        except OSError as error:
            raise NotStored(error) from error
        if self._most is not None and self.size >= self._most:
            raise EnoughRead

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def close(self) -> None:
        self.file.close()


Entry = TypeVar("Entry")


@dataclass(frozen=True)
class Listed:
    """A file in a folder, by the server's clock."""

    name: str
    size: int
    modified: float
    etag: str = ""


class StillWritten(FetchFailed):
    """The newest file is not complete yet. `seen` is what to compare the next look with."""

    def __init__(self, file: Listed) -> None:
        super().__init__(
            "still_written",
            f"{clean_words(file.name, 100)} is still being written. It is fetched when nobody has written to it for a "
            "minute.",
        )
        self.seen = (file.name, file.size, file.modified, time.time())


class Entries(list[Entry]):
    """What a folder lists, one by one. Raises `FetchRefused` when there is no end of it."""

    def append(self, entry: Entry) -> None:
        if len(self) >= MAX_LISTED:
            raise too_many_files()
        super().append(entry)


def take_up(files: Iterable[Listed], target: Target, spool: Spool) -> tuple[Listed, Found]:
    """The file to read, and what is found by that: it may be the known one, which is not read again."""
    file = choose_file(files, target)
    is_unchanged = is_known(file, target.known)
    if not is_unchanged:
        spool.announce(file.size)
    return file, Found(unchanged=is_unchanged, name=file.name, size=file.size, modified=file.modified)


def choose_file(files: Iterable[Listed], target: Target, *, whole: bool = False) -> Listed:
    """The newest complete file that fits the pattern.

    A file is complete when its marker lies beside it; without a marker, when it is unchanged for a minute by the
    server's clock, or looks as it did a minute ago by ours. `whole` files are never seen half written. Raises
    `FetchFailed` when there is none.
    """
    listed: Entries[Listed] = Entries()
    for file in files:
        listed.append(file)
    names = {file.name for file in listed}
    fitting = [file for file in listed if fnmatch.fnmatchcase(file.name, target.pattern or "*")]
    if target.marker:
        fitting = [file for file in fitting if not file.name.endswith(target.marker)]
    if not fitting:
        pattern = f" that fits {clean_words(target.pattern, 100)}" if target.pattern else ""
        raise FetchFailed("no_file", f"There is no file{pattern} in {target.place.shown}.")
    newest_first = sorted(fitting, key=lambda file: (file.modified, file.name), reverse=True)
    for file in newest_first:
        if whole or is_complete(file, names, target):
            return file
    if target.marker:
        raise FetchFailed(
            "no_marker",
            f"{clean_words(newest_first[0].name, 100)} is there, but not its marker "
            f"{clean_words(newest_first[0].name + target.marker, 100)}.",
        )
    raise StillWritten(newest_first[0])


def is_complete(file: Listed, names: set[str], target: Target) -> bool:
    if target.marker:
        return file.name + target.marker in names or re.sub(r"\.[^.]*$", "", file.name) + target.marker in names
    now = time.time()
    if file.modified <= now - QUIET_SECONDS:
        return True
    if target.seen is None:
        return False
    name, size, modified, at = target.seen
    return (name, size, modified) == (file.name, file.size, file.modified) and at <= now - QUIET_SECONDS


def is_known(file: Listed, known: Known) -> bool:
    if file.etag or known.etag:
        return (file.name, file.etag) == (known.name, known.etag)
    return (file.name, file.size, file.modified) == (known.name, known.size, known.modified)


def same_file(before: Listed, after: tuple[int, float], spooled: int) -> None:
    """Raise unless the file is as it was before it was read, and was read whole."""
    if (before.size, before.modified) != after or spooled != before.size:
        raise FetchFailed(
            "changed_meanwhile", f"{clean_words(before.name, 100)} was written to while it was read. Nothing is kept."
        )


def too_many_files() -> FetchRefused:
    return FetchRefused(
        "too_many_files",
        f"The folder has more than {MAX_LISTED:,} files. Move the old ones, or take a folder of its own.",
    )


def login_refused(host: str, status: int | None = None) -> FetchFailed:
    return FetchFailed(
        "login", f"{host} did not accept the login. Enter the credentials anew.", status=status, again=False
    )


Fetcher = Callable[[Target, Spool], Found]
