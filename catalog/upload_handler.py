"""How uploaded files arrive, and on the disk."""

import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler

from catalog.errors import NotStored

log = logging.getLogger(__name__)

# What a form may have around its file: names, other fields and boundaries.
FORM_BYTES = 64 * 1024


def length_of(meta: Mapping[str, Any]) -> int:
    """How long the body is, as Django reads it."""
    try:
        return int(meta.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0


def file_size(body_size: int) -> int:
    """The least that a file has whose form is so long."""
    return max(0, body_size - FORM_BYTES)


class NamelessFileUploadHandler(FileUploadHandler):
    """Writes to a file on the disk that is in no folder, and is gone with its process, however that ends.

    Django's own has a name, and stays for ever if the process is killed. When the disk is full, the rest of the body is
    still read, because only then a browser shows the answer; reading the file then raises `NotStored`.
    """

    file: "UploadedFile[Any]"

    def new_file(self, *args: Any, **options: Any) -> None:
        super().new_file(*args, **options)
        kind = (self.content_type, 0, self.charset, self.content_type_extra)
        self.file = UploadedFile(None, self.file_name, *kind)
        with self._handle_full_disk():
            self.file.file = tempfile.TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR)  # noqa: SIM115 - closed later

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        with self._handle_full_disk():
            self.file.write(raw_data)
        return None

    def file_complete(self, file_size: int) -> "UploadedFile[Any] | None":
        with self._handle_full_disk():
            self.file.seek(0)  # writes what is buffered
        self.file.size = file_size
        return self.file

    @contextmanager
    def _handle_full_disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            log.error("An upload could not be written", exc_info=error)
            self.close()
            nothing: Any = _LostFile(error)
            self.file.file = nothing

    def upload_interrupted(self) -> None:
        self.close()

    def close(self) -> None:
        """Release the file and its room on the disk now."""
        file = getattr(self, "file", None)
        if file and file.file:
            with suppress(OSError):  # what is buffered may find no room
                file.close()


class _LostFile:
    """Stands in for a file that could not be written."""

    closed = False

    def __init__(self, reason: OSError) -> None:
        self._reason = reason

    def write(self, _data: bytes) -> None:
        """Drop the data."""

    def seek(self, _place: int) -> None:
        """Do nothing: there is only one place."""

    def read(self, _size: int = -1) -> NoReturn:
        raise NotStored(self._reason)

    def close(self) -> None:
        """Do nothing: there is nothing to release."""
