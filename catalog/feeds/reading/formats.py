"""Recognise a file by its content, never by its name. A file that cannot be a feed is refused with what it is."""

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import IO, cast

from catalog.errors import FeedRefused
from catalog.feeds.limits import Limits
from catalog.feeds.reading.archives import EMPTY_ZIP, GZIP, ZIP, Stream, UnpackedStream, is_workbook
from catalog.feeds.reading.encodings import UTF_8, declared_encoding, encoding_by_bytes, parser_encoding, text_encoding
from catalog.feeds.reading.headings import Header, find_header
from catalog.feeds.reading.layouts import ROOT_TAG
from catalog.feeds.reading.objects import begins_below, begins_rows
from catalog.feeds.reading.settings import UNSET, FileSettings

SNIFF_BYTES = 64 * 1024  # enough for the names of a thousand columns

_SIGNATURES = (
    (b"\x89PNG", "image", "a PNG picture"),
    (b"\xff\xd8\xff", "image", "a JPEG picture"),
    (b"GIF8", "image", "a GIF picture"),
    (b"II*\x00", "image", "a TIFF picture"),
    (b"MM\x00*", "image", "a TIFF picture"),
    (b"%PDF", "pdf", "a PDF document"),
    (
        b"\xd0\xcf\x11\xe0",
        "office_document",
        "an office document of an old kind, such as .xls or .doc, or has a password",
    ),
    (b"{\\rtf", "office_document", "a formatted text (RTF)"),
    (b"7z\xbc\xaf", "archive", "a 7z archive"),
    (b"Rar!", "archive", "a RAR archive"),
    (b"BZh", "archive", "a bzip2 archive"),
    (b"\xfd7zXZ", "archive", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "archive", "a Zstandard archive"),
    (b"\x7fELF", "program", "a program"),
    (b"MZ\x90", "program", "a program"),
    (b"SQLite format 3", "database", "a database"),
)
_ADVICE = {
    "archive": "Upload the feed unpacked, as gzip, or as a zip with one feed in it.",
    "office_document": "Save the sheet as an Excel workbook (.xlsx) without a password, with the attribute names in "
    "the first row, and upload that.",
}
_USUAL_ADVICE = "Upload the product feed itself: XML (RSS or Atom), CSV, TSV, an Excel workbook or JSON."

# Text before a feed's first tag is what a server printed. The parser gives the line of it.
_FEED_WITHIN = re.compile(rf"<\?xml\b|{ROOT_TAG.pattern}")
# Some programs print the tag of an item before the declaration.
_STRAY_TAGS = re.compile(r"(?:<[^<>?!]{1,200}>[^<]{0,200}){1,5}<\?xml\s")
_HTML = re.compile(r"<(!doctype html|html|head|body|script|div|meta|p|h1|table|br|b)\b", re.IGNORECASE)
_SCRIPT = re.compile(
    r"#!|<\?php|<\?=|<%|//|/\*|[\"']use strict[\"']|"
    r"(import|from|package|using|require|include|const|let|var|function|def|class|public|SELECT|INSERT|CREATE) "
    r"*[\w\"'(@{*.$\\-]",
)
_COMMENTS = re.compile(r"(\s*#(?!!)[^\n]*\n)+\s*")
_SOME_DELIMITERS = re.compile(r"[^\n]*[\t,;|]")


class Kind(Enum):
    """What a feed is written in."""

    XML = auto()
    TABLE = auto()
    JSON = auto()
    WORKBOOK = auto()


@dataclass(frozen=True, slots=True)
class Content:
    """A file that may be a feed: `head` was read from it, and `stream` has the rest.

    `header` is that of a table of text, None for all else. `encoding` is that of a table or of JSON; for XML it is
    given only where the file's bytes show another one than its declaration. `has_junk` says that there is text before
    the feed.
    """

    head: bytes
    stream: Stream
    header: Header | None
    encoding: str | None
    has_junk: bool = False
    kind: Kind = Kind.XML

    def from_the_start(self) -> Stream:
        """The unpacked file as a stream, from its first byte."""
        return _JoinedStream(self.head, self.stream)

    @property
    def seekable_stream(self) -> IO[bytes]:
        """The stream of a workbook, which can be read from anywhere."""
        return cast("IO[bytes]", self.stream)

    @property
    def is_packed(self) -> bool:
        return isinstance(self.stream, UnpackedStream)

    @property
    def is_utf8_xml(self) -> bool:
        """Whether this is XML that can be read from anywhere in it without naming an encoding to the parser."""
        is_utf8 = declared_encoding(self.head) == UTF_8 and self.encoding in (None, UTF_8)
        return is_utf8 and self.kind is Kind.XML and not self.has_junk

    @property
    def text(self) -> str:
        """The beginning of the file, without a byte order mark and white space."""
        return _head_text(self.head, self.text_encoding)

    @property
    def text_encoding(self) -> str:
        """The encoding in which to show the file to people, as Python calls it."""
        return self.encoding or text_encoding(self.head)


class _JoinedStream:
    """Bytes that were read already, and the stream that they came from."""

    def __init__(self, head: bytes, rest: Stream) -> None:
        self._head = head
        self._rest = rest

    def read(self, size: int = -1, /) -> bytes:
        if not self._head:
            return self._rest.read(size)
        size = len(self._head) if size < 0 else size
        piece, self._head = self._head[:size], self._head[size:]
        return piece


def open_content(stream: Stream, limits: Limits, settings: FileSettings = UNSET) -> Content:
    """Unpack a packed file, and recognise it by its first bytes.

    Raises `FeedRefused` for a file that cannot be a feed, with what it is and what to upload instead.
    """
    head = _read_head(stream)
    if head.startswith(EMPTY_ZIP):
        raise FeedRefused("feed.archive_empty", "The zip has no file in it. Pack the feed again.")
    if is_workbook(head):
        return Content(head, stream, None, None, kind=Kind.WORKBOOK)
    if head.startswith((GZIP, ZIP)):
        stream = UnpackedStream(stream, head, limits)
        head = _read_head(stream)
        if head.startswith((GZIP, ZIP, EMPTY_ZIP)) or _is_tar(head):
            raise FeedRefused("feed.archive_nested", f"The file is an archive in an archive. {_ADVICE['archive']}")
    if not head.strip(b"\x00 \t\r\n\xef\xbb\xbf\xff\xfe"):
        raise FeedRefused("feed.empty", "The file is empty. Export the feed again and upload the new file.")
    for signature, code, what in _SIGNATURES:
        if head.startswith(signature):
            raise _not_a_feed(code, what)
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        raise _not_a_feed("image", "a WebP picture")
    if _is_tar(head):
        raise _not_a_feed("archive", "a tar archive")
    by_bytes = encoding_by_bytes(head)
    text = _head_text(head, by_bytes or UTF_8)
    if text.startswith("<"):
        is_html = _HTML.match(text) is not None  # as servers print their warnings
        if is_html and not _FEED_WITHIN.search(text):
            raise _not_a_feed("html_page", "an HTML page, often the login or error page of the shop")
        if _SCRIPT.match(text):
            raise _not_a_feed("script", "a program's source text")
        has_junk = is_html or _STRAY_TAGS.match(text) is not None
        return Content(head, stream, None, parser_encoding(text, by_bytes), has_junk)
    if begins_rows(text, settings):
        return Content(head, stream, None, by_bytes or UTF_8, kind=Kind.JSON)
    encoding = by_bytes or settings.encoding
    header = find_header(head.decode(encoding, errors="replace"), settings.aliases)
    if header and (header.line == 1 or not _is_script(text)):
        return Content(head, stream, header, encoding, kind=Kind.TABLE)
    if not _is_script(text) and not _FEED_WITHIN.search(text) and begins_below(text):
        return Content(head, stream, None, by_bytes or UTF_8, kind=Kind.JSON)
    _refuse_other_text(text)
    return Content(head, stream, None, parser_encoding(text, by_bytes), has_junk=True)


def _read_head(stream: Stream) -> bytes:
    """The first bytes; a stream may give fewer at a time than it is asked for."""
    head = b""
    while len(head) < SNIFF_BYTES and (piece := stream.read(SNIFF_BYTES - len(head))):
        head += piece
    return head


def _head_text(head: bytes, encoding: str) -> str:
    return head.decode(encoding, errors="replace").lstrip("\ufeff \t\r\n\x00")


def _is_tar(head: bytes) -> bool:
    return head[257:262] == b"ustar"


def _is_script(text: str) -> bool:
    return _SCRIPT.match(_COMMENTS.sub("", text, count=1)) is not None


def _refuse_other_text(text: str) -> None:
    """Refuse text that begins neither as XML nor as a table, unless a feed begins further on."""
    if _is_script(text):
        raise _not_a_feed("script", "a program's source text")
    if _FEED_WITHIN.search(text):
        return
    if sum(c == "\ufffd" or not (c.isprintable() or c in "\t\r\n") for c in text[:1000]) > min(len(text), 1000) // 10:
        raise _not_a_feed("binary", "of no kind that we know")
    first_line = "".join(c if c.isprintable() else " " for c in text[:200].splitlines()[0])[:100]
    if _SOME_DELIMITERS.match(text):
        raise FeedRefused(
            "feed.no_header",
            f"Line 1: a table begins with the names of its attributes, and one of them is id. This begins with "
            f"“{first_line}”. Add that line, with tabs, commas, semicolons or pipes between the names.",
        )
    raise _not_a_feed("plain_text", f"neither XML nor a table: it begins with “{first_line}”")


def _not_a_feed(code: str, what: str) -> FeedRefused:
    return FeedRefused(f"feed.{code}", f"The file is {what}. {_ADVICE.get(code, _USUAL_ADVICE)}")
