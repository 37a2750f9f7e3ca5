"""Find the items of a piece in its bytes, so that those that need not be read again can be taken out.

A slice is only text. It is an item because it begins with the one start tag of that name in it and ends with an end
tag, each CDATA section and comment in it ends in it, and only white space is between slices. Then every border is
outside of all sections and items. A piece that is well-formed without some of its slices, each of which was an item
before, is well-formed with them.
"""

import re
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from catalog.feeds.reading.layouts import SECTION_ENDS
from catalog.feeds.reading.split import Piece, Shell

_SECTIONS = [(begin.encode(), end.encode()) for begin, end in SECTION_ENDS.items()]
_LESS = ord("<")
_END_TAGS = re.compile(rb"\s*(?:</[\w:.-]+\s*>\s*)*+")


class Slice(NamedTuple):
    """An item of a piece: where it is in the piece's bytes, and its place in the feed."""

    start: int
    end: int
    position: int


def slices_of(data: bytes, piece: Piece, shell: Shell) -> list[Slice]:
    """The items of a piece with the bytes `data`; none where the text does not show them for certain."""
    name = shell.item.encode()
    start_tag, end_tag = b"<%b>" % name, b"</%b>" % name
    slices: list[Slice] = []
    start = data.find(start_tag)
    while start >= 0:
        end = data.find(end_tag, start) + len(end_tag)
        if end < len(end_tag) or not _sections_end(data, start, end):
            return []
        slices.append(Slice(start, end, piece.places + len(slices) + 1))
        start = data.find(start_tag, end)
    if not slices or len(slices) != piece.room:
        return []
    # Nothing but white space is before, between and behind the items, apart from what begins and ends the feed.
    head, last = data[: slices[0].start], slices[-1].end
    begins_feed = not piece.start and b"<!" not in head and head.rfind(b"<?") <= len(BOM_UTF8)
    is_plain = (
        (begins_feed or not head.strip())
        and data.find(b"<?", slices[0].start) < 0
        and not any(data[this.end : following.start].strip() for this, following in pairwise(slices))
        and _END_TAGS.fullmatch(data, last) is not None
    )
    # Counting longer names that begin alike, too, is much quicker, and mostly there are none.
    tag = b"<%b" % name
    has_no_other = is_plain and (
        data.count(tag) == len(slices) or len(re.findall(rb"%b[\s/>]" % re.escape(tag), data)) == len(slices)
    )
    return slices if has_no_other else []


def lines_of(data: bytes, slices: Iterable[Slice], piece: Piece) -> Iterator[int]:
    """The line of the feed on which each slice begins."""
    line, counted = piece.lines + 1, 0
    for start, _end, _position in slices:
        line += data.count(b"\n", counted, start)
        counted = start
        yield line


def without(data: bytes, slices: Iterable[Slice]) -> bytes:
    """The piece without these items; the ends of their lines stay, so that no other line moves."""
    kept: list[bytes] = []
    last = 0
    for start, end, _position in slices:
        kept += data[last:start], b"\n" * data.count(b"\n", start, end)
        last = end
    return b"".join((*kept, data[last:]))


def _sections_end(data: bytes, start: int, end: int) -> bool:
    """Whether each section that begins here ends here. Searching for an exclamation mark is much quicker."""
    while (start := data.find(b"!", start, end)) >= 0:
        if data[start - 1] == _LESS:
            mark, close = next((marks for marks in _SECTIONS if data.startswith(marks[0], start - 1)), (b"", b""))
            start = data.find(close, start - 1 + len(mark), end)
            if not mark or start < 0:
                return False
        start += 1
    return True
