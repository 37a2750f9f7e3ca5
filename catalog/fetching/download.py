"""A file from an address, without a feed's source: for the shell, and for trying a connection."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from catalog.fetching.connections import Pace
from catalog.fetching.failures import FetchFailed
from catalog.fetching.sources import fetch_from, target_of_address
from catalog.fetching.targets import PIECE_BYTES, Found, Spool, Target

_TAIL_BYTES = 4096


@contextmanager
def download(address: str) -> Iterator[tuple[IO[bytes], str]]:
    """The file at the address, at its first byte, and its name, until the block ends. Raises `CatalogError`."""
    with fetched(target_of_address(address)) as (spool, found):
        yield spool.file, found.name


@contextmanager
def fetched(target: Target, pace: Pace | None = None) -> Iterator[tuple[Spool, Found]]:
    """What the target has: the whole file, at its first byte, until the block ends; or that it is the known one."""
    pace = pace or Pace()
    spool = Spool(pace)
    try:
        with pace.running():
            found = fetch_from(target, spool)
            pace.check()
        if not found.unchanged and not found.has_end:
            require_end(spool)
        spool.file.seek(0)
        yield spool, found
    finally:
        spool.close()


@contextmanager
def read_stream(stream: IO[bytes]) -> Iterator[IO[bytes]]:
    """What comes down a pipe, at its first byte: reading it needs more than one look."""
    spool = Spool(Pace())
    try:
        while piece := stream.read(PIECE_BYTES):
            spool.keep(piece)
        spool.file.seek(0)
        yield spool.file
    finally:
        spool.close()


def require_end(spool: Spool) -> None:
    """Raise unless the file ends as it should: the server said neither how long it is nor where it ends."""
    size = spool.file.seek(0, 2)
    spool.file.seek(0)
    head = spool.file.read(_TAIL_BYTES).lstrip(b"\xef\xbb\xbf \t\r\n")
    spool.file.seek(max(size - _TAIL_BYTES, 0))
    tail = spool.file.read(_TAIL_BYTES).rstrip(b" \t\r\n\0")
    is_cut = False
    if root := re.match(rb"(?:<\?.*?\?>|<!--.*?-->|\s)*<([\w:.-]+)", head, re.DOTALL):
        is_cut = not re.search(rb"(</" + re.escape(root[1]) + rb"\s*>|/>)(\s|<!--.*?-->|<\?.*?\?>)*\Z", tail, re.DOTALL)
    elif head[:1] in (b"[", b"{"):
        is_cut = tail[-1:] not in (b"]", b"}")
    if is_cut:
        raise FetchFailed(
            "cut_off", "The answer broke off: the server did not say how long it is, and the feed has no end."
        )
