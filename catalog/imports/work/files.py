"""The files of a run: as it was received, and unpacked for being read in chunks."""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import suppress

from django.core.files.base import File
from django.core.files.storage import default_storage

from catalog.errors import CatalogError, FeedRefused
from catalog.feeds.reading.items import CHUNK_BYTES
from catalog.feeds.reading.split import NotInPieces
from catalog.models import ImportRun


def opened(run: ImportRun) -> File[bytes]:
    """The file that was received, open. Raises `FeedRefused` at another size, and what `opened_as_it_is` does."""
    file = opened_as_it_is(run)
    if file.size != run.file_size:
        file.close()
        raise FeedRefused(
            "feed.file_changed", f"The stored file has {file.size} bytes, not {run.file_size}. Upload it again."
        )
    return file


def opened_as_it_is(run: ImportRun) -> File[bytes]:
    """The stored file, open. Raises `FeedRefused` when it is gone, `OSError` when the storage is away."""
    try:
        return run.file.open("rb")
    except (*_MISSING, ValueError) as error:  # ValueError: it was deleted after its time
        if run.file and not _is_storage_there(run):
            raise StorageAway(errno.ENODEV, "No file of any import is there") from error
        raise FeedRefused("feed.file_missing", "The stored file is gone. Upload it again.") from error


def opened_spool(run: ImportRun) -> File[bytes]:
    """The unpacked file, open. Raises `NotInPieces` when it is gone, and what `opened` raises."""
    try:
        return run.spool.open("rb")
    except _MISSING as error:
        opened(run).close()
        raise NotInPieces("its unpacked copy is gone") from error


def stored_names(folder: str = "") -> Iterator[str]:
    """The names of all files in a folder of the storage (`feeds/`), and below it."""
    try:
        folders, names = default_storage.listdir(folder)
    except FileNotFoundError:  # nothing has been stored there yet
        return
    for name in sorted(names):
        yield f"{folder}{name}"
    for below in sorted(folders):
        yield from stored_names(f"{folder}{below}/")


# --- the storage may be away ----------------------------------------------------------------------------

_MISSING = (FileNotFoundError, NotADirectoryError)
FILES_LOOKED_FOR = 10
# These are about one file, or about room: trying again would not help.
_FINAL = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENOSPC, errno.EDQUOT, errno.ENAMETOOLONG})


class StorageAway(OSError):
    """A file is missing, and so is everything else: the storage is not mounted."""


def is_storage_away(error: BaseException) -> bool:
    """Whether the storage does not answer as it should: the file is there when it is back.

    Python's readers of archives raise `OSError` for what is wrong in a file, too, but without a number.
    """
    return isinstance(error, StorageAway) or (
        isinstance(error, OSError) and error.errno is not None and error.errno not in _FINAL
    )


def _is_storage_there(run: ImportRun) -> bool:
    """Whether it has the file of any earlier import; of the first one, whether it has the folder.

    Only earlier ones count: what is uploaded while the storage is not mounted is stored beneath its mount point.
    """
    earlier = ImportRun.objects.filter(pk__lt=run.pk).exclude(file__in=["", run.file.name]).order_by("-pk")
    if names := list(earlier.values_list("file", flat=True)[:FILES_LOOKED_FOR]):
        return any(default_storage.exists(name) for name in names)
    folder, _name = os.path.split(str(run.file))
    return default_storage.exists(folder)


# --- reading --------------------------------------------------------------------------------------------


class NoRoomToUnpack(CatalogError):
    """The storage is full, and the file has to be unpacked to be read."""

    def __init__(self) -> None:
        super().__init__(
            "storage",
            "The storage has no room left to unpack the file. No product was changed. Make room, then upload it again.",
        )


class TookTooLong(Exception):
    """An import was read for longer than `IMPORT_MAX_SECONDS`, whoever read it."""


class Verified:
    """The stored file as a stream, hashed while it is read; after the deadline, by `time.monotonic`, `TookTooLong`.

    It can be read from anywhere after it was verified, which `seek` does.
    """

    def __init__(self, file: File[bytes], sha256: str, deadline: float) -> None:
        self._file = file
        self._sha256 = sha256
        self._deadline = deadline
        self._digest = hashlib.sha256()
        self._is_verified = False

    def read(self, size: int = -1, /) -> bytes:
        if time.monotonic() > self._deadline:
            raise TookTooLong
        chunk: bytes = self._file.read(size)
        if not self._is_verified:
            self._digest.update(chunk)
        return chunk

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        if not self._is_verified:
            self.verify()
            self._is_verified = True
        position: int = self._file.seek(offset, whence)
        return position

    def tell(self) -> int:
        position: int = self._file.tell()
        return position

    def verify(self) -> None:
        """Read what stands after the last item, and raise `FeedRefused` when these are not the bytes received."""
        while self.read(CHUNK_BYTES):
            pass
        if self._digest.hexdigest() != self._sha256:
            raise FeedRefused("feed.file_changed", "The stored file is not the one that was uploaded. Upload it again.")


def forget_chunks(run: ImportRun) -> None:
    """Delete the run's chunks, and the unpacked file that they are parts of."""
    run.chunks.all().delete()
    if run.spool:
        spool, run.spool.name = str(run.spool), ""
        run.save(update_fields=["spool"])
        with suppress(OSError):  # the storage is away: what stays behind goes in a day
            default_storage.delete(spool)
