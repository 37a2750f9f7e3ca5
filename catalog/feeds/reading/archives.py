"""gzip and zip → the bytes of the one file inside, while they are read: nothing is unpacked to memory or disk.

One layer is unpacked. Sizes are counted on what comes out, never taken from what the archive says of itself; names of
members are shown to people and otherwise unused. A zip is read from its first byte on, since a stream has no end to
look at first, and its directory is then held against what was found.
"""

import re
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from catalog.errors import FeedRefused
from catalog.feeds.limits import MIB, Limits, too_large_unpacked, too_tightly_packed

GZIP, ZIP, EMPTY_ZIP = b"\x1f\x8b", b"PK\x03\x04", b"PK\x05\x06"

PACKED_BYTES = 4 * 1024
PIECE_BYTES = 64 * 1024
# Ten thousand equal lines pack better than any feed; what little comes out of a small archive harms nobody.
RATIO_COUNTS_FROM = MIB
MAX_MEMBERS = 100  # of a zip, with folders; or of a gzip, empty ones


class Stream(Protocol):
    """Bytes to read once, from the start."""

    def read(self, size: int = ..., /) -> bytes: ...


class Unpacked:
    """The one file inside an archive, as a stream.

    `read` raises `FeedRefused` when the archive is damaged, holds not exactly one file, or is over a limit. At the
    end of the file the archive was read to its own end.
    """

    def __init__(self, stream: Stream, head: bytes, limits: Limits) -> None:
        packed = _Packed(stream, head)
        unpack: Callable[[_Packed], Iterator[bytes]] = _gunzipped if head.startswith(GZIP) else _unzipped
        self._pieces = _limited(unpack(packed), packed, limits)
        self._rest = b""

    def read(self, size: int = PIECE_BYTES, /) -> bytes:
        piece = self._rest or next(self._pieces, b"")
        self._rest = piece[size:]
        return piece[:size]


class _Packed:
    """The archive's own bytes, counted as they are taken out."""

    def __init__(self, stream: Stream, head: bytes) -> None:
        self._stream = stream
        self._held = head
        self.bytes_taken = 0

    def some(self) -> bytes:
        """The next bytes, or nothing at the end."""
        taken, self._held = self._held[:PACKED_BYTES], self._held[PACKED_BYTES:]
        taken = taken or self._stream.read(PACKED_BYTES)
        self.bytes_taken += len(taken)
        return taken

    def up_to(self, size: int) -> bytes:
        """So many bytes, fewer only at the end. `size` is small."""
        data = b""
        while len(data) < size and (piece := self.some()):
            data += piece
        self.give_back(data[size:])
        return data[:size]

    def exactly(self, size: int) -> bytes:
        data = self.up_to(size)
        if len(data) < size:
            raise _cut_off()
        return data

    def give_back(self, data: bytes) -> None:
        self.bytes_taken -= len(data)
        self._held = data + self._held


def _limited(pieces: Iterator[bytes], packed: _Packed, limits: Limits) -> Iterator[bytes]:
    unpacked = 0
    for piece in pieces:
        unpacked += len(piece)
        if unpacked > limits.unpacked_bytes:
            raise too_large_unpacked(limits)
        if unpacked > RATIO_COUNTS_FROM and unpacked > limits.ratio * packed.bytes_taken:
            raise too_tightly_packed(limits)
        yield piece


def _inflated(packed: _Packed, window: int) -> Iterator[bytes]:
    """One compressed stream, in pieces of bounded size; what follows it is given back."""
    unpacker = zlib.decompressobj(window)
    while not unpacker.eof:
        data = unpacker.unconsumed_tail or packed.some()
        try:
            piece = unpacker.decompress(data, PIECE_BYTES)
        except zlib.error:
            raise _damaged("its compressed data are not in order") from None
        if piece:
            yield piece
        elif not data:
            raise _cut_off()
    packed.give_back(unpacker.unused_data)


# --- gzip -------------------------------------------------------------------------------------------


def _gunzipped(packed: _Packed) -> Iterator[bytes]:
    """All members, one after the other, as `cat a.gz b.gz` makes them; zeros may follow, as tapes have them."""
    empty = 0
    while True:
        any_piece = False
        for piece in _inflated(packed, zlib.MAX_WBITS | 16):
            any_piece = True
            yield piece
        empty += not any_piece
        if empty > MAX_MEMBERS:
            raise _damaged("it has hundreds of empty parts")
        following = packed.up_to(2)
        if following != GZIP:
            break
        packed.give_back(following)
    while following:
        if following.strip(b"\x00"):
            raise _damaged("something follows its end")
        following = packed.some()


# --- zip --------------------------------------------------------------------------------------------

_LOCAL, _CENTRAL, _DESCRIPTOR = ZIP, b"PK\x01\x02", b"PK\x07\x08"
_ENCRYPTED, _SIZES_FOLLOW, _UTF8 = 1, 8, 0x800
_STORED, _DEFLATED = 0, 8
_OFFICE = re.compile(r"\[Content_Types\]\.xml$|mimetype$|(_rels|docProps|word|xl|ppt)/")


class _Member(NamedTuple):
    name: str
    method: int
    flags: int
    crc: int
    size: int

    @property
    def is_file(self) -> bool:
        """Folders are none, nor are the notes that macOS adds."""
        base = self.name.rpartition("/")[2]
        return bool(base) and not self.name.startswith("__MACOSX/") and base != ".DS_Store"


def _unzipped(packed: _Packed) -> Iterator[bytes]:
    names: list[str] = []
    found = ""
    while (signature := packed.exactly(4)) == _LOCAL:
        member = _member(packed)
        names.append(member.name)
        if _OFFICE.match(member.name):
            raise FeedRefused(
                "feed.office_document",
                "The file is an office document, such as an Excel workbook. Save the sheet as CSV in UTF-8, "
                "with the attribute names in the first line, and upload that.",
            )
        if len(names) > MAX_MEMBERS or (found and member.is_file):
            raise FeedRefused(
                "feed.archive_several",
                f"The zip holds more than one file: {_shown(found or names[0])}, {_shown(member.name)}. "
                "Upload each feed by itself, or a zip with one feed in it.",
            )
        if member.is_file:
            found = member.name
            yield from _content(packed, member)
        else:
            _skip(packed, member)
    if not found:
        raise FeedRefused("feed.archive_empty", "The zip has no file in it. Pack the feed again.")
    _check_directory(packed, signature, names)


def _member(packed: _Packed) -> _Member:
    header = packed.exactly(26)
    flags, method, crc = _number(header[2:4]), _number(header[4:6]), _number(header[10:14])
    size = _number(header[18:22])
    raw = packed.exactly(_number(header[22:24]))
    extra = packed.exactly(_number(header[24:26]))
    name = raw.decode("utf-8" if flags & _UTF8 else "cp437", errors="replace")
    if flags & _ENCRYPTED:
        raise FeedRefused(
            "feed.archive_protected", f"The file {_shown(name)} in the zip has a password. Pack it without one."
        )
    if method not in (_STORED, _DEFLATED) or (method == _STORED and flags & _SIZES_FOLLOW):
        raise FeedRefused(
            "feed.archive_method",
            f"The file {_shown(name)} in the zip is packed by the method {method}, which is not read here. "
            "Pack it as a usual zip (deflate) or as gzip.",
        )
    if size == 0xFFFFFFFF:
        size = _long_size(extra)
    return _Member(name, method, flags, crc, size)


def _long_size(extra: bytes) -> int:
    """The size of a file of 4 GB and more stands elsewhere."""
    while len(extra) >= 4:
        kind, length = _number(extra[:2]), _number(extra[2:4])
        if kind == 1 and length >= 8:
            return _number(extra[4:12])
        extra = extra[4 + length :]
    raise _damaged("the size of a file is missing")


def _content(packed: _Packed, member: _Member) -> Iterator[bytes]:
    crc = size = 0
    pieces = _inflated(packed, -zlib.MAX_WBITS) if member.method == _DEFLATED else _stored(packed, member.size)
    for piece in pieces:
        crc = zlib.crc32(piece, crc)
        size += len(piece)
        yield piece
    if member.flags & _SIZES_FOLLOW:
        _check_descriptor(packed, crc)
    elif (crc, size) != (member.crc, member.size):
        raise _damaged(f"{_shown(member.name)} is not what was packed")


def _stored(packed: _Packed, size: int) -> Iterator[bytes]:
    while size:
        data = packed.some()
        if not data:
            raise _cut_off()
        packed.give_back(data[size:])
        yield data[:size]
        size -= len(data[:size])


def _skip(packed: _Packed, member: _Member) -> None:
    size = 0
    for piece in _content(packed, member):
        size += len(piece)
        if size > MIB:
            raise _damaged(f"{_shown(member.name)} is too large for what it is")


def _check_descriptor(packed: _Packed, crc: int) -> None:
    """Checksum and sizes behind a file: with a signature or without, the sizes in four bytes or in eight."""
    data = packed.up_to(28)
    for start in (4, 0) if data.startswith(_DESCRIPTOR) else (0,):
        for end in (start + 12, start + 20):
            if _number(data[start : start + 4]) == crc and data[end : end + 4] in (_LOCAL, _CENTRAL):
                packed.give_back(data[end:])
                return
    raise _damaged("a file in it is not what was packed")


def _check_directory(packed: _Packed, signature: bytes, names: list[str]) -> None:
    """The directory names the files that were found, or the archive shows other files to other programs."""
    listed: list[str] = []
    while signature == _CENTRAL and len(listed) <= len(names):
        header = packed.exactly(42)
        raw = packed.exactly(_number(header[24:26]))
        packed.exactly(_number(header[26:28]) + _number(header[28:30]))
        listed.append(raw.decode("utf-8" if _number(header[4:6]) & _UTF8 else "cp437", errors="replace"))
        signature = packed.exactly(4)
    if listed != names:
        raise _damaged("its directory names other files than it holds")
    while packed.some():
        pass


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")


# --- what goes wrong ---------------------------------------------------------------------------------


def _shown(name: str) -> str:
    shown = "".join(c for c in name if c.isprintable())[:100]
    return f"“{shown}”"


def _damaged(how: str) -> FeedRefused:
    return FeedRefused("feed.archive_damaged", f"The archive is damaged: {how}. Pack the feed again and upload that.")


def _cut_off() -> FeedRefused:
    return FeedRefused("feed.archive_cut_off", "The archive ends too early. Pack or download it again and upload that.")
