"""The files of a run: as it was received, and unpacked for being read in chunks."""

from __future__ import annotations

import hashlib
import time

from django.core.files.base import File

from catalog.errors import CatalogError, FeedRefused
from catalog.feeds.reading.items import CHUNK_BYTES
from catalog.models import ImportRun


def opened(run: ImportRun) -> File[bytes]:
    """The stored file, open. Raises `FeedRefused` when it is gone or has another size."""
    try:
        size = run.file.size
        file = run.file.open("rb")
    except (OSError, ValueError) as error:  # ValueError: it was deleted after its time
        raise FeedRefused("feed.file_missing", "The stored file is gone. Upload it again.") from error
    if size != run.file_size:
        file.close()
        raise FeedRefused(
            "feed.file_changed", f"The stored file has {size} bytes, not {run.file_size}. Upload it again."
        )
    return file


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
        run.spool.delete(save=False)
        run.save(update_fields=["spool"])
