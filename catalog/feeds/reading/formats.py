"""What a file is, told by its content and never by its name; what we do not read is refused in words."""

import codecs
import re
from dataclasses import dataclass

from catalog.errors import FeedRefused
from catalog.feeds.limits import Limits
from catalog.feeds.reading.archives import EMPTY_ZIP, GZIP, ZIP, Stream, Unpacked
from catalog.feeds.reading.delimited import Header, header_of
from catalog.feeds.reading.layouts import ROOT

SNIFF_BYTES = 64 * 1024  # the names of a thousand columns

# UTF-7 and the ISO-2022 family turn harmless bytes into markup while decoding, so the list is of what is allowed.
ENCODINGS = frozenset({"utf-8", "utf-16", "iso-8859-1", "windows-1252", "windows-1256", "us-ascii"})
_OTHER_NAMES = {
    "utf8": "utf-8",
    "utf16": "utf-16",
    "utf-16le": "utf-16",
    "utf-16be": "utf-16",
    "latin1": "iso-8859-1",
    "latin-1": "iso-8859-1",
    "iso8859-1": "iso-8859-1",
    "cp1252": "windows-1252",
    "cp1256": "windows-1256",
    "ascii": "us-ascii",
}
UTF_8 = "utf-8"
TABLE_ENCODINGS = (UTF_8, "windows-1252", "windows-1256", "iso-8859-1")
"""What a table may be in, which declares nothing. UTF-16 and a byte order mark tell themselves."""
_UTF16 = {"utf-16-le": "UTF-16LE", "utf-16-be": "UTF-16BE"}  # as Python and as the parser call them
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_OTHER_ENCODINGS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (b"<\x00\x00\x00", "UTF-32"),
    (b"\x00\x00\x00<", "UTF-32"),
    (b"\x4c\x6f\xa7\x94", "EBCDIC"),
    (b"+/v", "UTF-7"),
)
_DECLARED = re.compile(r"""<\?xml[^>]*?\bencoding\s*=\s*["']([^"']+)["']""")

_SIGNATURES = (
    (b"\x89PNG", "image", "a PNG picture"),
    (b"\xff\xd8\xff", "image", "a JPEG picture"),
    (b"GIF8", "image", "a GIF picture"),
    (b"II*\x00", "image", "a TIFF picture"),
    (b"MM\x00*", "image", "a TIFF picture"),
    (b"%PDF", "pdf", "a PDF document"),
    (b"\xd0\xcf\x11\xe0", "office_document", "an office document of an old kind, such as .xls or .doc"),
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
    "office_document": "Save the sheet as CSV in UTF-8, with the attribute names in the first line, and upload that.",
}
_USUAL_ADVICE = "Upload the product feed itself: XML (RSS or Atom), CSV or TSV."

# Between the beginning of a feed and of the file stands what a server printed first; the parser will say so.
_FEED_WITHIN = re.compile(rf"<\?xml\b|{ROOT}")
_HTML = re.compile(r"<(!doctype html|html|head|body|script|div|meta|p|h1|table|br|b)\b", re.IGNORECASE)
_SCRIPT = re.compile(
    r"#!|<\?php|<\?=|<%|//|/\*|[\"']use strict[\"']|"
    r"(import|from|package|using|require|include|const|let|var|function|def|class|public|SELECT|INSERT|CREATE) "
    r"*[\w\"'(@{*.$\\-]",
)
_COMMENTS = re.compile(r"(\s*#(?!!)[^\n]*\n)+\s*")
_SOME_DELIMITERS = re.compile(r"[^\n]*[\t,;|]")


@dataclass(frozen=True, slots=True)
class Content:
    """A file that may be a feed: `head` was read of it, and `stream` goes on.

    `header` is that of a table, or None for XML. `encoding` is a table's; of XML it is given only where the file's
    bytes tell another than its declaration. `has_junk` says that something stands before the feed.
    """

    head: bytes
    stream: Stream
    header: Header | None
    encoding: str | None
    has_junk: bool = False

    def from_the_start(self) -> Stream:
        """The unpacked file as a stream, its first bytes with it."""
        return _Joined(self.head, self.stream)

    @property
    def is_packed(self) -> bool:
        return isinstance(self.stream, Unpacked)

    @property
    def is_utf8_xml(self) -> bool:
        """Whether it is XML that can be read from anywhere in it without being told an encoding."""
        declared = _DECLARED.match(self.head[:1000].decode("ascii", errors="ignore").lstrip())
        name = declared[1].lower() if declared else "utf-8"
        is_utf8 = _OTHER_NAMES.get(name, name) == "utf-8" and self.encoding in (None, "utf-8")
        return is_utf8 and self.header is None and not self.has_junk


class _Joined:
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


def opened(stream: Stream, limits: Limits, table_encoding: str = UTF_8) -> Content:
    """Unpack a file where it is packed and tell what it is by its first bytes.

    A table is in the `table_encoding` unless its bytes tell another one. Raises `FeedRefused` with what the file is and
    what would do, when it cannot be a feed.
    """
    head = _head_of(stream)
    if head.startswith(EMPTY_ZIP):
        raise FeedRefused("feed.archive_empty", "The zip has no file in it. Pack the feed again.")
    if head.startswith((GZIP, ZIP)):
        stream = Unpacked(stream, head, limits)
        head = _head_of(stream)
        if head.startswith((GZIP, ZIP, EMPTY_ZIP)) or _is_tar(head):
            raise FeedRefused("feed.archive_nested", f"The file is an archive in an archive. {_ADVICE['archive']}")
    _refuse_what_is_no_text(head)
    bytes_say = _encoding_of(head)
    text = _text_of(head, bytes_say or UTF_8)
    if text.startswith("<"):
        has_junk = _refuse_other_markup(text)
        return Content(head, stream, None, _encoding_for_parser(text, bytes_say), has_junk)
    encoding = bytes_say or table_encoding
    if header := header_of(_text_of(head, encoding)):
        return Content(head, stream, header, encoding)
    _refuse_other_text(text)
    return Content(head, stream, None, _encoding_for_parser(text, bytes_say), has_junk=True)


def _text_of(head: bytes, encoding: str) -> str:
    return head.decode(encoding, errors="replace").lstrip("\ufeff \t\r\n\x00")


def _head_of(stream: Stream) -> bytes:
    """The first bytes; a stream may give fewer at a time than it is asked for."""
    head = b""
    while len(head) < SNIFF_BYTES and (piece := stream.read(SNIFF_BYTES - len(head))):
        head += piece
    return head


# --- bytes ------------------------------------------------------------------------------------------


def _refuse_what_is_no_text(head: bytes) -> None:
    if not head.strip(b"\x00 \t\r\n\xef\xbb\xbf\xff\xfe"):
        raise FeedRefused("feed.empty", "The file is empty. Export the feed again and upload the new file.")
    for signature, encoding in _OTHER_ENCODINGS:
        if head.startswith(signature):
            raise _other_encoding(encoding)
    for signature, code, what in _SIGNATURES:
        if head.startswith(signature):
            raise _not_a_feed(code, what)
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        raise _not_a_feed("image", "a WebP picture")
    if _is_tar(head):
        raise _not_a_feed("archive", "a tar archive")


def _is_tar(head: bytes) -> bool:
    return head[257:262] == b"ustar"


def _encoding_of(head: bytes) -> str | None:
    """What a byte order mark or the place of zeros tells; UTF-8 has the one at most, so None is still open."""
    for bom, encoding in _BOMS:
        if head.startswith(bom):
            return encoding
    even, odd = head[:8:2], head[1:8:2]  # of four characters, which are markup or begin a name
    if odd and not odd.strip(b"\x00") and even.strip(b"\x00"):
        return "utf-16-le"
    if odd and not even.strip(b"\x00") and odd.strip(b"\x00"):
        return "utf-16-be"
    return None


def _encoding_for_parser(text: str, bytes_say: str | None) -> str | None:
    """What the parser has to be told, where the declaration is missing or wrong. Only what is certain."""
    declared = _DECLARED.match(text)
    if not declared:
        return _UTF16.get(bytes_say or "")
    found = declared[1].lower()
    name = encoding_named(found)
    if name not in ENCODINGS:
        raise _other_encoding(f"{declared[1][:40]!r}")
    if bytes_say in _UTF16:
        return _UTF16[bytes_say]
    if name == "utf-16":
        return "utf-8"  # the declaration itself was read byte by byte
    return name if name != found else None


def encoding_named(name: str) -> str:
    """An encoding's usual name, in lower case; whatever else it was called."""
    return _OTHER_NAMES.get(name.lower(), name.lower())


def _other_encoding(name: str) -> FeedRefused:
    return FeedRefused(
        "feed.encoding", f"Line 1: the file is in the encoding {name}, which is not read here. Export it as UTF-8."
    )


# --- text -------------------------------------------------------------------------------------------


def _refuse_other_markup(text: str) -> bool:
    """Whether what is left is HTML before a feed, as a server prints its warnings."""
    if _SCRIPT.match(text):
        raise _not_a_feed("script", "a program's source text")
    is_html = _HTML.match(text) is not None
    if is_html and not _FEED_WITHIN.search(text):
        raise _not_a_feed("html_page", "an HTML page, often the login or error page of the shop")
    return is_html


def _refuse_other_text(text: str) -> None:
    if _SCRIPT.match(_COMMENTS.sub("", text, count=1)):
        raise _not_a_feed("script", "a program's source text")
    if _FEED_WITHIN.search(text):
        return
    if text.startswith(("{", "[")):
        raise _not_a_feed("json", "JSON")
    if sum(c == "\ufffd" or not (c.isprintable() or c in "\t\r\n") for c in text[:1000]) > min(len(text), 1000) // 10:
        raise _not_a_feed("binary", "of no kind that is known here")
    first_line = "".join(c if c.isprintable() else " " for c in text[:200].splitlines()[0])[:100]
    if _SOME_DELIMITERS.match(text):
        raise FeedRefused(
            "feed.no_header",
            f"Line 1: a table begins with the names of its attributes, id among them, not with “{first_line}”. "
            "Add that line; tab, comma, semicolon or pipe may stand between the names.",
        )
    raise _not_a_feed("plain_text", f"neither XML nor a table: it begins with “{first_line}”")


def _not_a_feed(code: str, what: str) -> FeedRefused:
    return FeedRefused(f"feed.{code}", f"The file is {what}. {_ADVICE.get(code, _USUAL_ADVICE)}")
