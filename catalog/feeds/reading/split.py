"""Cut a big XML feed into pieces of whole items that several processes can read at once.

A border between two items is found by its text, near the size that a piece should have. The pieces are exact because
of how they are read: each is put between the start tags that are open around every item and their end tags, and is
parsed strictly. If a border were inside a CDATA section, a comment, a tag or another item, the piece before it would
not be well-formed. So the pieces together are the feed, or one of them is refused and the feed is read in one piece.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat

from catalog.feeds.limits import SAFE, Limits
from catalog.feeds.reading.items import CHUNK_BYTES, Beside, RawItem, Start, items_within
from catalog.feeds.reading.layouts import HIDING_ENDS, LAYOUTS, Layout
from catalog.feeds.reading.partial_keys import KEY_TAG

PIECE_BYTES = 4 * 1024 * 1024
_HEAD_BYTES = 64 * 1024  # the first item has to begin within these
_NEAR_BYTES = 64 * 1024  # before a border, in which we look for an open section
_BORDER_BYTES = 256  # a border is hardly longer
_NO_PLACE = 0

# Sections are skipped atomically, or text that is not well-formed would be tried in a million ways.
_SKIPPED = rb"(?>\s+|<!--.*?-->|<\?.*?\?>)*+"
_TAG = rb"<(?:[\w.-]+:)?([\w.-]+)(?>\s+[\w:.-]+\s*=\s*(?:\"[^\"<]*\"|'[^'<]*'))*+\s*>"
_OUTER_TAG = re.compile(rb"(?:\xef\xbb\xbf)?%b(%b)" % (_SKIPPED, _TAG), re.DOTALL)
_TAG_NAME = re.compile(r"<([\w:.-]+)")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_HIDING = [(begin.encode(), end.encode()) for begin, end in HIDING_ENDS.items()]


class NotInPieces(Exception):
    """The feed has to be read in one piece."""


@dataclass(frozen=True, slots=True)
class Shell:
    """What is around every item: the start `tags` of its containers, and the name of an `item`, both as written."""

    tags: str
    item: str

    @property
    def layout(self) -> Layout:
        path, item = tuple(map(local_name_of, self._tag_names)), local_name_of(self.item)
        known = LAYOUTS.get(path[0])
        return known if known and known.path == path and item in known.items else Layout(path, (item,), True)

    @property
    def end(self) -> str:
        return "".join(f"</{name}>" for name in reversed(self._tag_names))

    @property
    def _tag_names(self) -> list[str]:
        return _TAG_NAME.findall(_QUOTED.sub("", self.tags))


@dataclass(frozen=True, slots=True)
class Piece:
    """The bytes from `start` to `end` of a feed: whole items, and what is before, between and after them.

    Before it there are so many `lines` and so many `places` for items; in it there is `room` for items. A place stays
    empty where a comment looks like the end of an item.
    """

    start: int
    end: int
    lines: int
    places: int
    room: int
    is_last: bool = False


def local_name_of(name: str) -> str:
    """A name as written, without its prefix."""
    return name.rpartition(":")[2]


def shell_of(start: Start) -> Shell:
    """What is around the items of a feed whose beginning was read.

    Raises `NotInPieces` when it is not XML in UTF-8, or begins in an unusual way.
    """
    if not (start.content.is_utf8_xml and start.has_root):
        raise NotInPieces("it is not XML in UTF-8")
    head = b"".join(start.chunks)[:_HEAD_BYTES]
    if KEY_TAG.search(head):
        raise NotInPieces("its ids may be only a part of its key, which no piece shows")
    tags, end = [], 0
    for name in start.layout.path:
        tag = _OUTER_TAG.match(head, end)
        if tag is None or tag[2] != name.encode():
            raise NotInPieces("its outermost elements are not where they should be")
        tags.append(tag[1].decode())
        end = tag.end()
    names = "|".join(map(re.escape, start.layout.items)).encode()
    item = re.compile(rb"<((?:[\w.-]+:)?(?:%b))[\s>/]" % names).search(head, end)
    if item is None:
        raise NotInPieces("its first item is far from its beginning")
    return Shell("".join(tags), item[1].decode())


def pieces_of(start: Start, shell: Shell, size: int = PIECE_BYTES, limits: Limits = SAFE) -> Iterator[Piece]:
    """Cut a feed whose beginning was read into pieces of about `size` bytes, reading its stream to the end.

    Raises `NotInPieces` when there is no border where one should be.
    """
    cutter = _Cutter(shell.item.encode())
    looked_at = size
    for chunk in start.all_chunks():
        cutter.held += chunk
        while len(cutter.held) > looked_at:
            if border := cutter.find_border(looked_at):
                yield cutter.cut_piece(border)
                looked_at = size
                continue
            looked_at = max(looked_at, len(cutter.held) - _BORDER_BYTES)
            if looked_at > size + limits.item_bytes:
                raise NotInPieces("no item ends where one should")
            break
    yield cutter.cut_piece(len(cutter.held), is_last=True)


class _Cutter:
    """`held` are the bytes of the feed that are not cut yet."""

    def __init__(self, item: bytes) -> None:
        self.held = bytearray()
        self._start = self._lines = self._places = 0
        self._border = re.compile(rb"(?:</%b\s*>|-->|\?>)\s*(?=<%b[\s>/])" % (item, item))
        self._end = b"</%b>" % item

    def find_border(self, begin: int) -> int | None:
        """The first border from `begin` on that, as far as the bytes before it show, is not inside a section."""
        for found in self._border.finditer(self.held, begin):
            end = found.end()
            near = max(end - _NEAR_BYTES, 0)
            if all(self.held.rfind(a, near, end) <= self.held.rfind(z, near, end) for a, z in _HIDING):
                return end
        return None

    def cut_piece(self, length: int, *, is_last: bool = False) -> Piece:
        with memoryview(self.held) as held:
            cut = bytes(held[:length])  # in which counting takes a quarter of the time
        room = cut.count(self._end)
        piece = Piece(self._start, self._start + length, self._lines, self._places, room, is_last)
        self._start = piece.end
        self._lines += cut.count(b"\n")
        self._places += room
        del self.held[:length]
        return piece


def read_piece(
    data: bytes,
    piece: Piece,
    shell: Shell,
    limits: Limits = SAFE,
    positions: Sequence[int] | None = None,
    beside: Beside | None = None,
) -> Iterator[RawItem]:
    """Yield the items of a piece as `read_items` yields them from the whole feed.

    `data` are its bytes. When items were taken out of them, `positions` are those of the others. Raises `NotInPieces`
    when the piece cannot be read alone, `FeedRefused` when it is not well-formed or over a limit.
    """
    before = shell.tags.encode() if piece.start else b""
    after = b"" if piece.is_last else shell.end.encode()
    chunks = (data[begin : begin + CHUNK_BYTES] for begin in range(0, len(data), CHUNK_BYTES))
    lines = piece.lines - before.count(b"\n")
    places = range(piece.places + 1, piece.places + piece.room + 1) if positions is None else positions
    item, number = None, 0
    around = filter(None, chain([before], chunks, [after]))
    numbers = chain(places, repeat(_NO_PLACE))
    for item in items_within(around, shell.layout, limits, lines=lines, positions=numbers, beside=beside):
        if item.position == _NO_PLACE:
            raise NotInPieces("its items do not end alike")
        number += 1
        yield item
    # Anything beside the container may be another one, with other namespaces.
    if item is None or (len(shell.layout.path) > 1 and len(item.element.getroottree().getroot()) > 1):
        raise NotInPieces("its items are in more than one container")
    if positions is not None and number < len(positions):
        raise NotInPieces("its items are not what they looked like")
