"""Files on their way in."""

import tempfile
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler


class NamelessFileUploadHandler(FileUploadHandler):
    """Writes to a file on the disk that is in no folder. It is gone with its process, however that ends.

    Django's own has a name, and stays for ever when the process is killed.
    """

    file: UploadedFile

    def new_file(self, *args: Any, **options: Any) -> None:
        super().new_file(*args, **options)
        content = tempfile.TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR)  # noqa: SIM115 - whoever has it closes it
        kind = (self.content_type, 0, self.charset, self.content_type_extra)
        self.file = UploadedFile(content, self.file_name, *kind)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        self.file.write(raw_data)
        return None

    def file_complete(self, file_size: int) -> UploadedFile | None:
        self.file.seek(0)
        self.file.size = file_size
        return self.file

    def upload_interrupted(self) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file now, and of its room on the disk."""
        if file := getattr(self, "file", None):
            file.close()
