"""Files that are meant to do harm, and watching what reading them does."""

import re
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from catalog.errors import FeedRefused
from catalog.feeds.broken.repair import RepairedStream, Repairs
from catalog.feeds.broken.salvage import SALVAGEABLE, salvage_items
from catalog.feeds.limits import SAFE
from catalog.feeds.reading.formats import open_content
from catalog.feeds.reading.items import RawItem, Stream, read_items

MIB = 1024**2


class Endless:
    """A beginning, then the same bytes again and again, then the end. It holds none of it."""

    def __init__(self, begin: bytes, again: bytes, times: int) -> None:
        self._begin = begin
        self._again = again
        self._times = times
        self._rest = begin

    def read(self, size: int = -1, /) -> bytes:
        if not self._rest and self._times:
            self._times -= 1
            self._rest = self._again
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece


def bomb(begin: bytes, again: bytes, times: int) -> bytes:
    """gzip of far more than it seems."""
    packer = zlib.compressobj(9, wbits=31)
    return packer.compress(begin) + b"".join(packer.compress(again) for _ in range(times)) + packer.flush()


def listing_much(archive: bytes, times: int) -> bytes:
    """A zip whose directory lists its one file many times."""
    file, mark, rest = archive.partition(b"PK\1\2")
    entry, end_mark, end = rest.partition(b"PK\5\6")
    directory = (mark + entry) * times
    return file + directory + end_mark + end[:8] + len(directory).to_bytes(4, "little") + end[12:]


def outcome(make: Callable[[], Stream]) -> str | list[str]:
    """The code of the refusal, or else the ids of the items: of the first way of reading that works, as in staging."""
    refused: FeedRefused | None = None
    for read in (_strict, _repaired, _salvaged):
        if refused and read is _repaired and refused.code != "feed.not_well_formed":
            continue
        try:
            return [_shown(raw) for raw in read(make())]
        except FeedRefused as error:
            refused = refused if refused and error.code == "feed.no_items" else error
            if error.code not in SALVAGEABLE:
                break
    assert refused
    assert len(refused.message) < 600
    assert "\n" not in refused.message
    return refused.code


def _shown(raw: RawItem) -> str:
    id = next((str(value) for tag, value in raw.fields.items() if tag.endswith("id")), "")
    return f"{id} lost" if raw.lost else id


def _strict(stream: Stream) -> Iterator[RawItem]:
    return read_items(stream)


def _repaired(stream: Stream) -> Iterator[RawItem]:
    return read_items(RepairedStream(open_content(stream, SAFE).from_the_start(), Repairs()))


def _salvaged(stream: Stream) -> Iterator[RawItem]:
    return salvage_items(open_content(stream, SAFE).from_the_start(), Repairs())


# --- watching -----------------------------------------------------------------------------------------
class Used:
    """What was used since: memory with the parser's own, the processor's seconds, and what was reached for."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")
        self._before = self._highest()
        self._start = time.process_time()
        self.reached: list[tuple[str, Any]] = []

    @property
    def bytes(self) -> int:
        return self._highest() - self._before

    @property
    def seconds(self) -> float:
        return time.process_time() - self._start

    def _highest(self) -> int:
        (line,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        return int(line) * 1024


_watching: list[Used] = []
_REACHING = (
    "open",
    "socket.",
    "subprocess.",
    "os.system",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "urllib.",
    "ctypes.",
)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching and event.startswith(_REACHING):
        name = str(arguments[0]) if arguments else ""
        if not name.endswith((".py", ".pyc")):  # modules are loaded when they are needed first
            _watching[-1].reached.append((event, name))


sys.addaudithook(_audit)


@contextmanager
def watched() -> Iterator[Used]:
    """What happens inside uses little, and reaches for nothing. Coverage does not trace it: that takes longer."""
    trace = sys.gettrace()
    sys.settrace(None)
    used = Used()
    _watching.append(used)
    try:
        yield used
        seconds = used.seconds
    finally:
        _watching.pop()
        sys.settrace(trace)
    assert seconds < 5, f"{seconds:.1f} seconds"
    assert used.bytes < 300 * MIB, f"{used.bytes:,} bytes"
    assert not used.reached
