"""What a file is, told by its content and never by its name; what we do not read is refused in words."""

import codecs
import re

from catalog.errors import FeedRefused

SNIFF_BYTES = 4096

# UTF-7 and the ISO-2022 family turn harmless bytes into markup while decoding, so the list is of what is allowed.
ENCODINGS = frozenset({"utf-8", "utf-16", "iso-8859-1", "windows-1252", "windows-1256", "us-ascii"})

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_UTF16_WITHOUT_BOM = ((b"<\x00", "utf-16-le"), (b"\x00<", "utf-16-be"))
_DECLARED = re.compile(r"""<\?xml[^>]*?\bencoding\s*=\s*["']([^"']+)["']""")
_BEGIN_LATE = re.compile(r"<(?:\?xml|rss|feed|rdf:RDF)[\s>]")
_SIGNATURES = (
    (b"\x1f\x8b", "gzip", "a gzip archive"),
    (b"PK\x03\x04", "zip", "a zip archive or an office document"),
    (b"\x89PNG", "image", "a PNG picture"),
    (b"\xff\xd8\xff", "image", "a JPEG picture"),
    (b"GIF8", "image", "a GIF picture"),
    (b"%PDF", "pdf", "a PDF document"),
)


def check_is_xml(head: bytes) -> None:
    """Refuse a file that is not XML in an encoding we read. `head` is its first `SNIFF_BYTES` bytes or all of it.

    Raises `FeedRefused` with what the file is and what would do.
    """
    if not head.strip(b"\x00 \t\r\n"):
        raise FeedRefused("feed.empty", "The file is empty. Export the feed again and upload the new file.")
    for signature, code, what in _SIGNATURES:
        if head.startswith(signature):
            raise _not_a_feed(code, what)
    text = _decoded(head).lstrip("\ufeff \t\r\n")
    _check_markup(text)
    _check_encoding(text)


def _decoded(head: bytes) -> str:
    """The head as text, well enough to recognise markup; the parser decodes the real thing, strictly."""
    for bom, encoding in (*_BOMS, *_UTF16_WITHOUT_BOM):
        if head.startswith(bom):
            return head.decode(encoding, errors="replace")
    return head.decode("latin-1")


def _check_markup(text: str) -> None:
    start = text[:200].lower()
    if start.startswith(("<!doctype html", "<html")):
        raise _not_a_feed("html_page", "an HTML page, often the login or error page of the shop")
    if start.startswith(("{", "[")):
        raise _not_a_feed("json", "JSON")
    if not start.startswith("<") and not begins_late(text):
        raise _not_a_feed("not_xml", "not XML: it does not begin with <")


def begins_late(text: str) -> bool:
    """Whether something stands before the XML: a warning of the shop's program, for one. Repair drops it."""
    begin = _BEGIN_LATE.search(text)
    if begin is None or not text[: begin.start()].strip("\ufeff \t\r\n"):
        return False
    # Within other markup only a declaration tells a feed's beginning from an element that is called rss.
    return not text.lstrip().startswith("<") or begin[0].startswith("<?xml")


def _check_encoding(text: str) -> None:
    declared = _DECLARED.match(text)
    if declared and declared[1].lower() not in ENCODINGS:
        raise FeedRefused(
            "feed.encoding",
            f"Line 1: the file declares the encoding {declared[1][:40]!r}, which is not read here. Export it as UTF-8.",
        )


def _not_a_feed(code: str, what: str) -> FeedRefused:
    return FeedRefused(f"feed.{code}", f"The file is {what}. Upload the product feed itself, as XML (RSS 2.0 or Atom).")
