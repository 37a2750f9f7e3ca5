"""Stored files in a bucket that speaks S3, so that machines share nothing but PostgreSQL, Valkey and this bucket.

A file is read in ranges: a worker that reads a chunk of a feed fetches that chunk, and not the whole feed. What goes
wrong is an `OSError`, as with a disk: while the bucket does not answer, imports wait as they wait for a disk that is
not mounted.
"""

from __future__ import annotations

import errno
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar, cast

from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.core.files.base import File
from storages.backends.s3 import S3Storage

RANGE_BYTES = 4 * 1024 * 1024
FULL = {"QuotaExceeded", "XMinioStorageFull", "InsufficientCapacity"}
# Without threads a file is read by its one reader, in order: it may be a request's body.
ONE_THREAD = TransferConfig(use_threads=False)
CLIENT = Config(
    signature_version="s3v4",
    s3={"addressing_style": "path"},
    proxies={},
    connect_timeout=5,
    read_timeout=20,
    retries={"total_max_attempts": 3, "mode": "standard"},
)

Method = TypeVar("Method", bound=Callable[..., Any])


@contextmanager
def errors_of_a_disk() -> Iterator[None]:
    """Raise what a disk would raise: `FileNotFoundError`, or an `OSError` with a number."""
    try:
        yield
    except ClientError as error:
        code, status = error.response["Error"].get("Code", ""), error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status == 404 and code != "NoSuchBucket":
            raise FileNotFoundError(errno.ENOENT, "The file is not in the bucket") from error
        number = errno.ENOSPC if status == 507 or code in FULL else errno.EIO
        raise OSError(number, f"The storage answered {code or status}") from error
    except (BotoCoreError, Boto3Error) as error:
        raise OSError(errno.EIO, f"The storage does not answer: {type(error).__name__}") from error


def as_on_a_disk(method: Method) -> Method:
    @wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        with errors_of_a_disk():
            return method(*args, **kwargs)

    return cast("Method", call)


class Bucket(S3Storage):
    """A private bucket. Its files have no addresses, and are never overwritten."""

    def __init__(self, **options: Any) -> None:
        own = {"file_overwrite": False, "default_acl": None, "client_config": CLIENT, "transfer_config": ONE_THREAD}
        own["security_token"] = None  # else one from the environment is sent with these keys
        super().__init__(**own, **options)

    @as_on_a_disk
    def _open(self, name: str, mode: str = "rb") -> File[bytes]:
        if mode != "rb":
            raise ValueError("Files are written by `save`, once.")
        stored = _Ranges(self.connection.meta.client, self.bucket_name, self._normalize_name(name))
        return File(io.BufferedReader(stored, RANGE_BYTES), name)

    @as_on_a_disk
    def _save(self, name: str, content: File[bytes]) -> str:
        return str(super()._save(name, File(io.BufferedReader(_Chunks(content.chunks()), RANGE_BYTES), name)))

    delete = as_on_a_disk(S3Storage.delete)
    exists = as_on_a_disk(S3Storage.exists)
    listdir = as_on_a_disk(S3Storage.listdir)
    size = as_on_a_disk(S3Storage.size)
    get_modified_time = as_on_a_disk(S3Storage.get_modified_time)


class _Ranges(io.RawIOBase):
    """A stored file, of which each read fetches its range. One that was replaced meanwhile is not read."""

    def __init__(self, client: Any, bucket: str, key: str) -> None:
        self._client, self._place = client, {"Bucket": bucket, "Key": key}
        head = client.head_object(**self._place)
        self._size, self._tag, self._position = head["ContentLength"], head["ETag"], 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = start + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        end = min(self._position + len(buffer), self._size)
        if end <= self._position:
            return 0
        with errors_of_a_disk():
            wanted = f"bytes={self._position}-{end - 1}"
            answer = self._client.get_object(**self._place, Range=wanted, IfMatch=self._tag)
            content = answer["Body"].read()
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)


class _Chunks(io.RawIOBase):
    """What is stored, as a file to read from: uploads on their way have only pieces."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            try:
                self._rest = next(self._pieces)
            except StopIteration:
                return 0
        part, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)
