"""Files on their way in."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler

from catalog.errors import NotStored

log = logging.getLogger(__name__)


class NamelessFileUploadHandler(FileUploadHandler):
    """Writes to a file on the disk that is in no folder. It is gone with its process, however that ends.

    Django's own has a name, and stays for ever when the process is killed. When the disk takes no more, the rest of the
    body is read all the same, because only then a browser shows the answer; whoever reads the file gets `NotStored`.
    """

    file: "UploadedFile[Any]"

    def new_file(self, *args: Any, **options: Any) -> None:
        super().new_file(*args, **options)
        kind = (self.content_type, 0, self.charset, self.content_type_extra)
        self.file = UploadedFile(None, self.file_name, *kind)
        with self._while_there_is_room():
            self.file.file = tempfile.TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR)  # noqa: SIM115 - closed by others

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        with self._while_there_is_room():
            self.file.write(raw_data)
        return None

    def file_complete(self, file_size: int) -> "UploadedFile[Any] | None":
        with self._while_there_is_room():
            self.file.seek(0)  # writes what is left to be written
        self.file.size = file_size
        return self.file

    @contextmanager
    def _while_there_is_room(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            log.error("An upload could not be written", exc_info=error)
            self.close()
            nothing: Any = _Lost(error)
            self.file.file = nothing

    def upload_interrupted(self) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file now, and of its room on the disk."""
        file = getattr(self, "file", None)
        if file and file.file:
            with suppress(OSError):  # what is left to be written may find no room
                file.close()


class _Lost:
    """In place of a file that could not be kept."""

    closed = False

    def __init__(self, reason: OSError) -> None:
        self._reason = reason

    def write(self, _data: bytes) -> None:
        """The rest of it goes nowhere."""

    def seek(self, _place: int) -> None:
        """There is one place."""

    def read(self, _size: int = -1) -> NoReturn:
        raise NotStored(self._reason)

    def close(self) -> None:
        """There is nothing to let go of."""
