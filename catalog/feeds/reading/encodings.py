"""The encodings that a feed may have, and how a file says which one it has."""

import codecs
import re

from catalog.errors import FeedRefused
from catalog.feeds.reading.layouts import ROOT_TAG

# Each is read alike by the XML parser and by Python, up to a Hebrew point that nobody types.
# UTF-7 and the ISO-2022 family turn harmless bytes into markup while decoding, so this lists what is allowed.
UTF_8 = "utf-8"
WINDOWS_ENCODINGS = tuple(f"windows-{number}" for number in (1252, 1256, 1250, 1251, 1254, 1255))
ISO_ENCODINGS = tuple(f"iso-8859-{number}" for number in (1, 2, 9, 15))
TABLE_ENCODINGS = (UTF_8, *WINDOWS_ENCODINGS, *ISO_ENCODINGS)
"""What a table may be in, which declares nothing. UTF-16 and a byte order mark are seen in its bytes."""
ENCODINGS = frozenset({*TABLE_ENCODINGS, "utf-16", "us-ascii"})

DECLARATION = re.compile(r"<\?xml\s[^<>]*?\?>")
DECLARED_ENCODING = re.compile(r"""<\?xml\s[^<>]*?\bencoding\s*=\s*["'](?P<name>[^"']+)["']""")

_OTHER_NAMES = {
    "utf8": "utf-8",
    "utf16": "utf-16",
    "utf-16le": "utf-16",
    "utf-16be": "utf-16",
    "ascii": "us-ascii",
    **{
        name: encoding
        for encoding in WINDOWS_ENCODINGS
        for number in [encoding[-4:]]
        for name in (
            f"cp{number}",
            f"cp-{number}",
            f"x-cp{number}",
            f"win{number}",
            f"win-{number}",
            f"windows{number}",
        )
    },
    **{
        name: encoding
        for encoding, latin in zip(ISO_ENCODINGS, (1, 2, 5, 9), strict=True)
        for part in [encoding[9:]]
        for name in (f"iso8859-{part}", f"iso_8859-{part}", f"iso8859_{part}", f"latin{latin}", f"latin-{latin}")
    },
}
_PARSER_NAMES = {"utf-16-le": "UTF-16LE", "utf-16-be": "UTF-16BE"}
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_UNREAD_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (b"<\x00\x00\x00", "UTF-32"),
    (b"\x00\x00\x00<", "UTF-32"),
    (b"\x4c\x6f\xa7\x94", "EBCDIC"),
    (b"+/v", "UTF-7"),
)


def encoding_named(name: str) -> str:
    """The usual name of an encoding, in lower case."""
    return _OTHER_NAMES.get(name.lower(), name.lower())


def encoding_by_bytes(head: bytes) -> str | None:
    """The encoding that a byte order mark or the place of zeros shows, as Python calls it; None when neither does.

    Raises `FeedRefused` for an encoding that we do not read.
    """
    for mark, encoding in _UNREAD_MARKS:
        if head.startswith(mark):
            raise _unread_encoding(encoding)
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    even, odd = head[:8:2], head[1:8:2]  # of four characters, which are markup or begin a name
    if odd and not odd.strip(b"\x00") and even.strip(b"\x00"):
        return "utf-16-le"
    if odd and not even.strip(b"\x00") and odd.strip(b"\x00"):
        return "utf-16-be"
    return None


def declared_encoding(head: bytes) -> str:
    """The usual name of the encoding that the XML declaration gives; UTF-8 when there is none before the root."""
    text = head.decode("latin-1")
    root = ROOT_TAG.search(text)
    declared = DECLARED_ENCODING.search(text, 0, root.start() if root else len(text))
    return encoding_named(declared["name"]) if declared else UTF_8


def text_encoding(head: bytes) -> str:
    """The encoding in which to decode XML that begins with these bytes, as Python calls it."""
    if by_bytes := encoding_by_bytes(head):
        return by_bytes
    # A declaration that can be read byte by byte is not in UTF-16, and UTF-8 includes ASCII.
    declared = declared_encoding(head)
    return declared if declared in TABLE_ENCODINGS else UTF_8


def parser_encoding(text: str, by_bytes: str | None) -> str | None:
    """The encoding to give to the XML parser, where the declaration is missing or wrong for certain; else None.

    Raises `FeedRefused` when the declaration names an encoding that we do not read.
    """
    declared = DECLARED_ENCODING.match(text)
    if not declared:
        return _PARSER_NAMES.get(by_bytes or "")
    found = declared["name"].lower()
    name = encoding_named(found)
    if name not in ENCODINGS:
        raise _unread_encoding(f"{declared['name'][:40]!r}")
    if by_bytes in _PARSER_NAMES:
        return _PARSER_NAMES[by_bytes]
    if name == "utf-16":
        return UTF_8  # the declaration itself was read byte by byte
    return name if name != found else None


def _unread_encoding(name: str) -> FeedRefused:
    return FeedRefused(
        "feed.encoding", f"Line 1: the file is in the encoding {name}, which we do not read. Export it as UTF-8."
    )
