"""Find the items of a piece in its bytes, so that those that need not be read again can be taken out.

A slice is only text. It is an item because it begins with the one start tag of that name in it and ends with an end
tag, each CDATA section and comment in it ends in it, and only white space is between slices. Then every border is
outside of all sections and items. What was an item before is one again by its bytes alone, and need not be looked
through. A piece that is well-formed without some of its slices, each of which was an item before, is well-formed with
them.
"""

import re
from codecs import BOM_UTF8
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import NamedTuple

from catalog.feeds.reading.layouts import SECTION_ENDS
from catalog.feeds.reading.split import Piece, Shell

_SECTIONS = [(begin.encode(), end.encode()) for begin, end in SECTION_ENDS.items()]
_LESS = ord("<")
_BETWEEN_BYTES = 256
_END_TAGS = re.compile(rb"\s*(?:</[\w:.-]+\s*>\s*)*+")


class Slice(NamedTuple):
    """An item of a piece: where it is in the piece's bytes, and its place in the feed."""

    start: int
    end: int
    position: int


def slices_of(data: bytes, piece: Piece, shell: Shell) -> list[Slice]:
    """What look like the items of a piece with the bytes `data`; none where they do not look like all of it.

    Each of them is an item if `are_items` says so, or if the same bytes were one before.
    """
    name = shell.item.encode()
    start_tag, end_tag = b"<%b>" % name, b"</%b>" % name
    find, length, position = data.find, len(end_tag), piece.places
    slices: list[Slice] = []
    start = find(start_tag)
    head = data[: max(start, 0)]
    while start >= 0:
        end = find(end_tag, start) + length
        if end < length:
            return []
        position += 1
        slices.append(Slice(start, end, position))
        # Most often white space follows, and the next item.
        start = find(start_tag, end, end + _BETWEEN_BYTES)
        if start < 0:
            start = find(start_tag, end)
        if data[end:start].strip() and start >= 0:
            return []
    if not slices or len(slices) != piece.room:
        return []
    # Nothing but white space is before and behind the items, apart from what begins and ends the feed.
    begins_feed = not piece.start and _begins_feed(head, shell)
    is_plain = (begins_feed or not head.strip()) and _END_TAGS.fullmatch(data, slices[-1].end) is not None
    return slices if is_plain else []


def _begins_feed(head: bytes, shell: Shell) -> bool:
    has_section = b"<!" in head or head.rfind(b"<?") > len(BOM_UTF8)
    return not has_section and not _start_tag(shell).search(head)


def _start_tag(shell: Shell) -> re.Pattern[bytes]:
    return re.compile(rb"<%b[\s/>]" % re.escape(shell.item.encode()))


def has_frame(data: bytes, slices: Sequence[Slice]) -> bool:
    """Whether anything but white space is before or behind the items: only the parser can say whether it is right."""
    return bool(data[: slices[0].start].strip() or data[slices[-1].end :].strip())


def are_items(data: bytes, slices: Sequence[Slice], shell: Shell, rest: bytes, begin: int) -> bool:
    """Whether the text of these slices shows for certain that each is one item.

    `rest` is the piece without all other slices, and `begin` where the first item begins in it, at the earliest.
    """
    tag = b"<%b" % shell.item.encode()
    return (
        rest.find(b"<?", begin) < 0
        and all(_sections_end(data, start, end) for start, end, _position in slices)
        # Counting longer names that begin alike, too, is much quicker, and mostly there are none.
        and (rest.count(tag) == len(slices) or len(_start_tag(shell).findall(rest)) == len(slices))
    )


def lines_of(data: bytes, slices: Iterable[Slice], piece: Piece) -> Iterator[int]:
    """The line of the feed on which each slice begins."""
    line, counted = piece.lines + 1, 0
    for start, _end, _position in slices:
        line += data.count(b"\n", counted, start)
        counted = start
        yield line


def without(data: bytes, slices: Sequence[Slice], lines: Sequence[int], gone: Container[int]) -> bytes:
    """The piece without the items at the positions `gone`; the ends of lines stay, so that no other line moves.

    `lines` are those of all `slices`.
    """
    kept: list[bytes] = []
    last = 0
    for number, (start, end, position) in enumerate(slices):
        if position not in gone:
            continue
        kept.append(data[last:start])
        if number + 1 < len(slices):
            last = slices[number + 1].start
            kept.append(b"\n" * (lines[number + 1] - lines[number]))
        else:
            last = end
            kept.append(b"\n" * data.count(b"\n", start, end))
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
