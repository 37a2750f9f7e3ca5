"""A big XML feed → pieces of whole items that can be read apart, by several processes at once.

A border between two items is found by its text, near the size that a piece should have. What makes the pieces exact is
how they are read: each stands between the start tags that are open around every item and their end tags, and is parsed
strictly. Were a border inside a CDATA section, a comment, a tag or another item, the piece before it would not be
well-formed. So the pieces together are the feed, or one of them is refused and the feed is read in one piece.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat

from catalog.feeds.limits import SAFE, Limits
from catalog.feeds.reading.items import CHUNK_BYTES, RawItem, Start, items_within
from catalog.feeds.reading.layouts import LAYOUTS, Layout

PIECE_BYTES = 4 * 1024 * 1024
_HEAD_BYTES = 64 * 1024  # within so many the first item has to begin
_NEAR_BYTES = 64 * 1024  # so far back from a border an open section is looked for
_BORDER_BYTES = 256  # a border takes hardly more
_NO_PLACE = 0

# Sections are skipped atomically: what is not well-formed would else be tried in a million ways.
_SKIPPED = rb"(?>\s+|<!--.*?-->|<\?.*?\?>)*+"
_TAG = rb"<(?:[\w.-]+:)?([\w.-]+)(?>\s+[\w:.-]+\s*=\s*(?:\"[^\"<]*\"|'[^'<]*'))*+\s*>"
_OUTER_TAG = re.compile(rb"(?:\xef\xbb\xbf)?%b(%b)" % (_SKIPPED, _TAG), re.DOTALL)
_TAG_NAME = re.compile(r"<([\w:.-]+)")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_SECTIONS = ((b"<![CDATA[", b"]]>"), (b"<!--", b"-->"), (b"<?", b"?>"))


class NotInPieces(Exception):
    """The feed has to be read in one piece."""


@dataclass(frozen=True, slots=True)
class Shell:
    """What stands around every item: the start `tags` of its containers, and the name of an `item`, both as written."""

    tags: str
    item: str

    @property
    def layout(self) -> Layout:
        return LAYOUTS[self._names[0].rpartition(":")[2]]

    @property
    def end(self) -> str:
        return "".join(f"</{name}>" for name in reversed(self._names))

    @property
    def _names(self) -> list[str]:
        return _TAG_NAME.findall(_QUOTED.sub("", self.tags))


@dataclass(frozen=True, slots=True)
class Piece:
    """The bytes from `start` to `end` of a feed: whole items, and what stands before, between and after them.

    Before it there are so many `lines` and so many `places` for items; in it there is `room` for items. Places may
    remain empty, where a comment looks like the end of an item.
    """

    start: int
    end: int
    lines: int
    places: int
    room: int
    is_last: bool = False


def shell_of(start: Start) -> Shell:
    """What stands around the items of a feed of which the beginning was read.

    Raises `NotInPieces` when it is no XML in UTF-8, or begins in an unusual way.
    """
    if not start.content.is_utf8_xml:
        raise NotInPieces("it is no XML in UTF-8")
    head = b"".join(start.chunks)[:_HEAD_BYTES]
    tags, end = [], 0
    for name in start.layout.path:
        tag = _OUTER_TAG.match(head, end)
        if tag is None or tag[2] != name.encode():
            raise NotInPieces("its outermost elements are not where they should be")
        tags.append(tag[1].decode())
        end = tag.end()
    names = "|".join(start.layout.items).encode()
    item = re.compile(rb"<((?:[\w.-]+:)?(?:%b))[\s>/]" % names).search(head, end)
    if item is None:
        raise NotInPieces("its first item is far from its beginning")
    return Shell("".join(tags), item[1].decode())


def pieces_of(start: Start, shell: Shell, size: int = PIECE_BYTES, limits: Limits = SAFE) -> Iterator[Piece]:
    """Cut a feed of which the beginning was read into pieces of about `size` bytes, reading its stream to the end.

    Raises `NotInPieces` when there is no border where one should be.
    """
    cutter = _Cutter(shell.item.encode())
    looked_at = size
    for chunk in start.all_chunks():
        cutter.held += chunk
        while len(cutter.held) > looked_at:
            if border := cutter.border_from(looked_at):
                yield cutter.cut(border)
                looked_at = size
                continue
            looked_at = max(looked_at, len(cutter.held) - _BORDER_BYTES)
            if looked_at > size + limits.item_bytes:
                raise NotInPieces("no item ends where one should")
            break
    yield cutter.cut(len(cutter.held), is_last=True)


class _Cutter:
    """`held` are the bytes of the feed that are not cut yet, from `start` on."""

    def __init__(self, item: bytes) -> None:
        self.held = bytearray()
        self._start = self._lines = self._places = 0
        self._border = re.compile(rb"(?:</%b\s*>|-->|\?>)\s*(?=<%b[\s>/])" % (item, item))
        self._end = b"</%b>" % item

    def border_from(self, begin: int) -> int | None:
        """The first border that, as far as can be seen from near, is in nothing else."""
        for found in self._border.finditer(self.held, begin):
            end = found.end()
            near = max(end - _NEAR_BYTES, 0)
            if all(self.held.rfind(a, near, end) <= self.held.rfind(z, near, end) for a, z in _SECTIONS):
                return end
        return None

    def cut(self, length: int, *, is_last: bool = False) -> Piece:
        room = self.held.count(self._end, 0, length)
        piece = Piece(self._start, self._start + length, self._lines, self._places, room, is_last)
        self._start = piece.end
        self._lines += self.held.count(b"\n", 0, length)
        self._places += room
        del self.held[:length]
        return piece


def read_piece(
    data: bytes, piece: Piece, shell: Shell, limits: Limits = SAFE, positions: Sequence[int] | None = None
) -> Iterator[RawItem]:
    """Yield the items of a piece as `read_items` gives them of the whole feed.

    `data` are its bytes. Items may have been taken out of them: then `positions` are those of the others. Raises
    `NotInPieces` when they cannot be read apart, `FeedRefused` when they are not in order or over a limit.
    """
    before = shell.tags.encode() if piece.start else b""
    after = b"" if piece.is_last else shell.end.encode()
    chunks = filter(None, chain([before], _in_chunks(data), [after]))
    lines = piece.lines - before.count(b"\n")
    places = range(piece.places + 1, piece.places + piece.room + 1) if positions is None else positions
    item, number = None, 0
    for item in items_within(chunks, shell.layout, limits, lines=lines, positions=chain(places, repeat(_NO_PLACE))):
        if item.position == _NO_PLACE:
            raise NotInPieces("its items do not end alike")
        number += 1
        yield item
    if item is None or _has_other_containers(item, shell):
        raise NotInPieces("its items stand in more than one container")
    if positions is not None and number < len(positions):
        raise NotInPieces("its items are not what they looked like")


def _in_chunks(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), CHUNK_BYTES):
        yield data[start : start + CHUNK_BYTES]


def _has_other_containers(last: RawItem, shell: Shell) -> bool:
    """Whether something else stands beside the container, which may be one with other namespaces."""
    return len(shell.layout.path) > 1 and len(last.element.getroottree().getroot()) > 1
