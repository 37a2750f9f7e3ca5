"""Unpack gzip and zip while they are read: nothing is unpacked to memory or disk.

Only one layer is unpacked. Sizes are counted on what comes out, because an archive may say anything of its sizes. The
names of members are shown to people and used for nothing else. A zip is read from its first byte, because a stream has
no end to look at first; its directory, which comes last, has to name the files that were found.
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
# A short feed of equal lines packs better than any real one, and a small archive harms nobody.
RATIO_COUNTS_FROM = MIB
MAX_MEMBERS = 100  # of a zip, with folders; of a gzip, those that are empty


class Stream(Protocol):
    """Bytes to read once, from the start."""

    def read(self, size: int = ..., /) -> bytes: ...


class UnpackedStream:
    """The one file inside an archive, as a stream.

    `read` raises `FeedRefused` when the archive is damaged, does not hold exactly one file, or is over a limit. At the
    end of the file the archive has been read to its own end.
    """

    def __init__(self, stream: Stream, head: bytes, limits: Limits) -> None:
        self._packed = _PackedBytes(stream, head)
        unpack: Callable[[_PackedBytes], Iterator[bytes]] = _unpack_gzip if head.startswith(GZIP) else _unpack_zip
        self._pieces = unpack(self._packed)
        self._limits = limits
        self._unpacked_bytes = 0
        self._rest = b""

    def read(self, size: int = PIECE_BYTES, /) -> bytes:
        if not self._rest:
            self._rest = next(self._pieces, b"")
            self._unpacked_bytes += len(self._rest)
            if self._unpacked_bytes > self._limits.unpacked_bytes:
                raise too_large_unpacked(self._limits)
            if self._unpacked_bytes > max(RATIO_COUNTS_FROM, self._limits.ratio * self._packed.bytes_taken):
                raise too_tightly_packed(self._limits)
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece


class _PackedBytes:
    """The archive's own bytes, counted as they are taken."""

    def __init__(self, stream: Stream, head: bytes) -> None:
        self._stream = stream
        self._held = head
        self.bytes_taken = 0

    def take_some(self) -> bytes:
        """The next bytes, or nothing at the end."""
        taken, self._held = self._held[:PACKED_BYTES], self._held[PACKED_BYTES:]
        taken = taken or self._stream.read(PACKED_BYTES)
        self.bytes_taken += len(taken)
        return taken

    def take_up_to(self, size: int) -> bytes:
        """So many bytes, fewer only at the end. `size` is small."""
        data = b""
        while len(data) < size and (piece := self.take_some()):
            data += piece
        self.give_back(data[size:])
        return data[:size]

    def take_exactly(self, size: int) -> bytes:
        data = self.take_up_to(size)
        if len(data) < size:
            raise _archive_cut_off()
        return data

    def take_in_pieces(self, size: int) -> Iterator[bytes]:
        """So many bytes, which may be many."""
        while size:
            data = self.take_some()
            if not data:
                raise _archive_cut_off()
            self.give_back(data[size:])
            yield data[:size]
            size -= len(data[:size])

    def inflate_stream(self, window: int) -> Iterator[bytes]:
        """One compressed stream, unpacked in pieces of bounded size. What follows it is not taken."""
        unpacker = zlib.decompressobj(window)
        while not unpacker.eof:
            data = unpacker.unconsumed_tail or self.take_some()
            try:
                piece = unpacker.decompress(data, PIECE_BYTES)
            except zlib.error:
                raise _archive_damaged("its compressed data are not in order") from None
            if piece:
                yield piece
            elif not data:
                raise _archive_cut_off()
        self.give_back(unpacker.unused_data)

    def give_back(self, data: bytes) -> None:
        self.bytes_taken -= len(data)
        self._held = data + self._held


def _unpack_gzip(packed: _PackedBytes) -> Iterator[bytes]:
    """All members, one after the other, as `cat a.gz b.gz` writes them. Zeros may follow, as on tapes."""
    empty_members = 0
    while True:
        is_empty = True
        for piece in packed.inflate_stream(zlib.MAX_WBITS | 16):
            is_empty = False
            yield piece
        empty_members += is_empty
        if empty_members > MAX_MEMBERS:
            raise _archive_damaged("it has hundreds of empty parts")
        following = packed.take_up_to(2)
        if following != GZIP:
            break
        packed.give_back(following)
    while following:
        if following.strip(b"\x00"):
            raise _archive_damaged("something follows its end")
        following = packed.take_some()


# --- zip --------------------------------------------------------------------------------------------

_LOCAL, _CENTRAL, _DESCRIPTOR = ZIP, b"PK\x01\x02", b"PK\x07\x08"
_ENCRYPTED, _SIZES_FOLLOW, _UTF8 = 1, 8, 0x800
_STORED, _DEFLATED = 0, 8
_LONG_SIZES = b"\x01\x00"
_OFFICE = re.compile(r"\[Content_Types\]\.xml$|mimetype$|(_rels|docProps|word|xl|ppt)/")
_OTHER_OFFICE = re.compile(rb"PK\x03\x04.{26}(?:word|ppt)/", re.DOTALL)


def is_workbook(head: bytes) -> bool:
    """Whether the file that begins so is an office document that may be a workbook of Excel."""
    if not head.startswith(ZIP):
        return False
    name = head[30 : 30 + _little_endian(head[26:28])].decode("cp437")
    return _OFFICE.match(name) is not None and name != "mimetype" and not _OTHER_OFFICE.search(head)


def _unpack_zip(packed: _PackedBytes) -> Iterator[bytes]:
    """The one file in a zip. Folders and the notes that macOS adds are skipped."""
    names: list[str] = []
    found = ""
    while (signature := packed.take_exactly(4)) == _LOCAL:
        member = _Member.read_from(packed)
        names.append(member.name)
        if _OFFICE.match(member.name):
            raise FeedRefused(
                "feed.office_document",
                "The file is an office document, but not an Excel workbook. Save the sheet as an Excel workbook "
                "(.xlsx), with the attribute names in the first row, and upload that.",
            )
        if len(names) > MAX_MEMBERS or (found and member.is_file):
            raise FeedRefused(
                "feed.archive_several",
                f"The zip holds more than one file: {_quoted_name(found or names[0])}, {_quoted_name(member.name)}. "
                "Upload each feed alone, or in a zip of its own.",
            )
        found = member.name if member.is_file else found
        skipped_bytes = 0
        for piece in member.unpack_content(packed):
            if member.is_file:
                yield piece
            elif (skipped_bytes := skipped_bytes + len(piece)) > MIB:
                raise _archive_damaged(f"{_quoted_name(member.name)} is too large for what it is")
    if not found:
        raise FeedRefused("feed.archive_empty", "The zip has no file in it. Pack the feed again.")
    # The directory names the files that were found, or the archive shows other files to other programs.
    listed: list[str] = []
    while signature == _CENTRAL and len(listed) <= len(names):
        header = packed.take_exactly(42)
        name = packed.take_exactly(_little_endian(header[24:26]))
        packed.take_exactly(_little_endian(header[26:28]) + _little_endian(header[28:30]))
        listed.append(_decoded_name(name, _little_endian(header[4:6])))
        signature = packed.take_exactly(4)
    if listed != names:
        raise _archive_damaged("its directory names other files than it holds")
    while packed.take_some():
        pass


class _Member(NamedTuple):
    """The header before a file in a zip."""

    name: str
    method: int
    flags: int
    crc: int
    size: int

    @classmethod
    def read_from(cls, packed: _PackedBytes) -> "_Member":
        header = packed.take_exactly(26)
        flags, method, crc = _little_endian(header[2:4]), _little_endian(header[4:6]), _little_endian(header[10:14])
        size = _little_endian(header[18:22])
        name = _decoded_name(packed.take_exactly(_little_endian(header[22:24])), flags)
        extra = packed.take_exactly(_little_endian(header[24:26]))
        if flags & _ENCRYPTED:
            raise FeedRefused(
                "feed.archive_protected",
                f"The file {_quoted_name(name)} in the zip has a password. Pack it without one.",
            )
        if method not in (_STORED, _DEFLATED) or (method == _STORED and flags & _SIZES_FOLLOW):
            raise FeedRefused(
                "feed.archive_method",
                f"The file {_quoted_name(name)} in the zip is packed by the method {method}, which we do not read. "
                "Pack it as a usual zip (deflate) or as gzip.",
            )
        if size == 0xFFFFFFFF:  # a file of 4 GB and more has its size in another place
            while len(extra) >= 4 and not (extra[:2] == _LONG_SIZES and _little_endian(extra[2:4]) >= 8):
                extra = extra[4 + _little_endian(extra[2:4]) :]
            if len(extra) < 12:
                raise _archive_damaged("the size of a file is missing")
            size = _little_endian(extra[4:12])
        return cls(name, method, flags, crc, size)

    @property
    def is_file(self) -> bool:
        base = self.name.rpartition("/")[2]
        return bool(base) and not self.name.startswith("__MACOSX/") and base != ".DS_Store"

    def unpack_content(self, packed: _PackedBytes) -> Iterator[bytes]:
        """The file's content. Raises `FeedRefused` at its end when its checksum or its size is another."""
        crc = size = 0
        deflated = self.method == _DEFLATED
        for piece in packed.inflate_stream(-zlib.MAX_WBITS) if deflated else packed.take_in_pieces(self.size):
            crc = zlib.crc32(piece, crc)
            size += len(piece)
            yield piece
        if not self.flags & _SIZES_FOLLOW:
            if (crc, size) != (self.crc, self.size):
                raise _archive_damaged(f"{_quoted_name(self.name)} is not what was packed")
            return
        # Checksum and sizes are behind the file: with a signature or without, the sizes in four bytes or in eight.
        data = packed.take_up_to(28)
        for start in (4, 0) if data.startswith(_DESCRIPTOR) else (0,):
            for end in (start + 12, start + 20):
                if _little_endian(data[start : start + 4]) == crc and data[end : end + 4] in (_LOCAL, _CENTRAL):
                    packed.give_back(data[end:])
                    return
        raise _archive_damaged("a file in it is not what was packed")


def _little_endian(data: bytes) -> int:
    return int.from_bytes(data, "little")


def _decoded_name(name: bytes, flags: int) -> str:
    return name.decode("utf-8" if flags & _UTF8 else "cp437", errors="replace")


def _quoted_name(name: str) -> str:
    shown = "".join(c for c in name if c.isprintable())[:100]
    return f"“{shown}”"


def _archive_damaged(how: str) -> FeedRefused:
    return FeedRefused("feed.archive_damaged", f"The archive is damaged: {how}. Pack the feed again and upload that.")


def _archive_cut_off() -> FeedRefused:
    return FeedRefused("feed.archive_cut_off", "The archive ends too early. Pack or download it again and upload that.")
