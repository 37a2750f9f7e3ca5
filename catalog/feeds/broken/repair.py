"""XML that is nearly well-formed → XML that is, byte by byte while it is read, and a list of what was repaired.

Only what can be repaired without guessing at a value is: each fault here has one meaning. Everything else stays as it
is, and the strict parser says what it is. Lines stay where they were, so that every position holds in the file as it
was uploaded. Memory is constant, and the result does not depend on how the bytes arrive.
"""

import codecs
import re
from dataclasses import dataclass, field
from html.entities import html5

from catalog.feeds.attributes import BY_ALIAS, Type
from catalog.feeds.issues import FOUND_MAX
from catalog.feeds.reading.encodings import (
    DECLARATION,
    DECLARED_ENCODING,
    ENCODINGS,
    declared_encoding,
    encoding_by_bytes,
    encoding_named,
    text_encoding,
)
from catalog.feeds.reading.items import CHUNK_BYTES, Stream
from catalog.feeds.reading.layouts import HIDING_ENDS, ROOT_TAG

HEAD_BYTES = 64 * 1024  # within so many the XML has to begin
TAG_MAX = 64 * 1024  # a longer tag is left as it is
HOLD = 64  # characters that wait for what follows: longer than any reference or end of a section
CONTEXT = 30  # characters that are shown of a fault
EXAMPLES = 5

NAMESPACES = {
    "g": "http://base.google.com/ns/1.0",
    "c": "http://base.google.com/cns/1.0",
    "atom": "http://www.w3.org/2005/Atom",
    "content": "http://purl.org/rss/1.0/modules/content/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "media": "http://search.yahoo.com/mrss/",
}


@dataclass(slots=True)
class Repairs:
    """What was repaired: by issue code how often, with the line and the text of the first ones."""

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[tuple[int, str]]] = field(default_factory=dict)

    def count(self, kind: str) -> bool:
        """Count one repair. True when its place is still wanted."""
        code = "feed.repaired." + kind
        if code in self.counts:
            self.counts[code] += 1
            return self.counts[code] <= EXAMPLES
        self.counts[code] = 1
        self.examples[code] = []
        return True

    def show(self, kind: str, line: int, found: str) -> None:
        self.examples[f"feed.repaired.{kind}"].append((line, _shown(found)))


def _shown(text: str) -> str:
    """A piece of the file in one line: invisible characters by number, stray bytes as they were understood."""
    text = "".join(c if c.isprintable() or c in " \t\r\n" else _FOREIGN.get(c, f"U+{ord(c):04X}") for c in text)
    return " ".join(text.split())[:FOUND_MAX]


class Repaired:
    """A stream of bytes, repaired while it is read: UTF-8, whatever the original's encoding."""

    def __init__(self, stream: Stream, repairs: Repairs) -> None:
        self._text = DecodedText(stream, repairs)
        self._repair: TextRepair | None = None
        self._repairs = repairs
        self._ready = b""
        self._ended = False

    def read(self, size: int = -1, /) -> bytes:
        pieces = [self._ready]
        length = len(self._ready)
        while not self._ended and (size < 0 or length < size):
            pieces.append(self._next())
            length += len(pieces[-1])
        ready = b"".join(pieces)
        size = length if size < 0 else size
        self._ready = ready[size:]
        return ready[:size]

    def _next(self) -> bytes:
        text = self._text.read()
        self._ended = not text
        if self._repair is None:
            self._repair = TextRepair(self._repairs, line=self._text.line)
            return self._text.encoded(self._text.declaration + self._repair.feed(text, last=self._ended))
        return self._text.encoded(self._repair.feed(text, last=self._ended))


# --- bytes into text --------------------------------------------------------------------------------

_BEGIN = re.compile(rf"<(?:!--|(?i:!doctype))|{ROOT_TAG.pattern}")
_ELEMENT = re.compile(r"\s*<[A-Za-z]")
# What a strict decoder leaves over, byte by byte, and what such a byte is in windows-1252; five are nothing there.
_FOREIGN = {
    chr(0xDC00 + byte): bytes([byte]).decode("windows-1252")
    for byte in range(0x80, 0x100)
    if byte not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)
}


class DecodedText:
    """A file's text after its XML declaration, without what stands before.

    Bytes that are invalid in the file's encoding are lone surrogates U+DC80 to U+DCFF. `declaration` names UTF-8 and
    ends with as many empty lines as were dropped before it; `line` is where the rest begins. Both are known from the
    first `read` on.
    """

    def __init__(self, stream: Stream, repairs: Repairs) -> None:
        self._stream = stream
        self._repairs = repairs
        self._decoder: codecs.IncrementalDecoder | None = None
        self._errors = "surrogateescape"
        self._ended = False
        self.declaration = ""
        self.line = 1

    def read(self) -> str:
        """Some more text, or "" at the end."""
        text = self._begin() if self._decoder is None else ""
        while not text and not self._ended:
            text = self._decoded(self._stream.read(CHUNK_BYTES))
        return text

    def encoded(self, text: str) -> bytes:
        return text.encode("utf-8", self._errors)

    def _decoded(self, chunk: bytes) -> str:
        assert self._decoder is not None  # noqa: S101 - for the type checker
        self._ended = not chunk
        try:
            return self._decoder.decode(chunk, self._ended)
        except UnicodeDecodeError:
            return ""  # half a character of UTF-16 at the end: the file was cut off, which its markup shows

    def _begin(self) -> str:
        head = b""
        while len(head) < HEAD_BYTES and (chunk := self._stream.read(HEAD_BYTES - len(head))):
            head += chunk
        encoding = text_encoding(head)
        wrongly = encoding_by_bytes(head) is None and declared_encoding(head) == "utf-16"
        self._errors = "surrogatepass" if encoding.startswith("utf-16") else "surrogateescape"
        self._decoder = codecs.getincrementaldecoder(encoding)(self._errors)
        text = self._decoded(head).removeprefix("\ufeff")
        text = self._without_junk(text)
        declaration = DECLARATION.match(text)
        if not declaration:
            return text
        found = declaration[0]
        if wrongly and self._repairs.count("encoding"):
            self._repairs.show("encoding", self.line, found)
        declared = DECLARED_ENCODING.match(found)
        if declared and encoding_named(declared["name"]) in ENCODINGS:
            found = found[: declared.start("name")] + "utf-8" + found[declared.end("name") :]
        # The declaration has to come first; the lines that stood before it follow, and no other line moves.
        self.declaration = found + "\n" * (self.line - 1)
        self.line += found.count("\n")
        return text[declaration.end() :]

    def _without_junk(self, text: str) -> str:
        start = _start(text)
        junk = text[:start]
        if not junk:
            return text
        declared = DECLARATION.match(text, start)
        if not junk.strip() and not declared:
            return text  # white space before the root is nothing wrong
        if self._repairs.count("junk_before"):
            self._repairs.show("junk_before", 1, junk[:FOUND_MAX].strip() or "an empty line")
        if not declared:
            return "\n" * junk.count("\n") + text[start:]
        self.line += junk.count("\n")
        return text[start:]


def _start(text: str) -> int:
    """Where the XML begins. A DOCTYPE is never dropped: it has to be seen and refused."""
    declared, root, begin = DECLARATION.search(text), ROOT_TAG.search(text), _BEGIN.search(text)
    start = 0
    if declared and not (root and root.start() < declared.start()):
        start = declared.start()
    elif root and _ELEMENT.match(text):
        start = root.start()  # what a server printed before it, as HTML
    elif begin and not text.lstrip().startswith("<"):
        start = begin.start()
    doctype = text.lower().find("<!doctype", 0, start)
    return doctype if doctype >= 0 else start


# --- text into well-formed text -----------------------------------------------------------------------

_STRAY = "[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\udc80-\udcff]"
_IN_SECTIONS = re.compile(_STRAY)
_IN_TEXT = re.compile(rf"&(?:#[0-9]{{1,40}};|#[xX][0-9A-Fa-f]{{1,40}};|[A-Za-z][A-Za-z0-9]{{1,31}};)?|{_STRAY}")
_LONGEST_OPENING = max(map(len, HIDING_ENDS))
# No tag holds a <, so that a quote left open ends here and a broken tag costs no more than itself.
TAG = re.compile(r"""<(/?)([^\s!?/<>"'=]++)((?:[^<>"']++|"[^"<]*+"|'[^'<]*+')*+)>""")
_ATTRIBUTE = re.compile(r"""\s+([^\s=<>"'/]+)\s*=\s*(?:"([^"<]*)"|'([^'<]*)')""")
_NAMESPACE = re.compile(r"""(\sxmlns(?::[\w.-]+)?\s*=\s*)("[^"<]*[{}][^"<]*"|'[^'<]*[{}][^'<]*')""")
_BARE = ("bare_ampersand", "&amp;")
_XML_KNOWS = frozenset({"&amp;", "&lt;", "&gt;", "&quot;", "&apos;"})
_ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"})
# A space in the middle of one of these would be another key or another amount.
_EXACT = frozenset(name for name, a in BY_ALIAS.items() if a.name == "id" or a.type is Type.MONEY)


class TextRepair:
    """Repairs text that is fed to it in pieces of any size. `line` is where it begins.

    The first start tag gets the well-known namespaces that it lacks, unless `undeclared` says that it was seen before:
    the prefixes that were added there and not used yet.
    """

    def __init__(self, repairs: Repairs, *, line: int = 1, undeclared: set[str] | None = None) -> None:
        self.undeclared = undeclared
        self._repairs = repairs
        self._line = line
        self._text = ""
        self._section_end = ""
        self._element = ""
        self._in_vain = False

    def feed(self, text: str, *, last: bool) -> str:
        """The repaired text as far as it is certain; all that is left with the `last` piece."""
        self._text += text
        repaired: list[str] = []
        position = 0
        while position < len(self._text) and not self._in_vain:
            step = self._in_section if self._section_end else self._in_content
            piece, end = step(position, last)
            if end == position:
                break
            repaired.append(piece)
            self._line += self._text.count("\n", position, end)
            position = end
        if self._in_vain:
            repaired.append(self._text[position:])
            position = len(self._text)
        self._text = self._text[position:]
        return "".join(repaired)

    def _in_section(self, position: int, last: bool) -> tuple[str, int]:
        """CDATA, a comment or a processing instruction: no reference means anything there."""
        found = self._text.find(self._section_end, position)
        if found < 0:
            return self._clean(_IN_SECTIONS, position, self._certain(last))
        piece, _end = self._clean(_IN_SECTIONS, position, found, found)
        end = found + len(self._section_end)
        piece += self._section_end
        self._section_end = ""
        return piece, end

    def _in_content(self, position: int, last: bool) -> tuple[str, int]:
        text = self._text
        markup = text.find("<", position)
        if markup < 0:
            return self._clean(_IN_TEXT, position, self._certain(last))
        if markup > position:
            return self._clean(_IN_TEXT, position, markup, markup)
        if len(text) - position < _LONGEST_OPENING and not last:
            return "", position
        for opening, end in HIDING_ENDS.items():
            if text.startswith(opening, position):
                self._section_end = end
                return opening, position + len(opening)
        limit = position + TAG_MAX
        if tag := TAG.match(text, position, limit):
            return self._tag(tag), tag.end()
        # No tag: the parser will say so. Where another one begins inside it, whatever follows is in vain.
        self._in_vain = text.find("<", position + 1, limit) >= 0
        if last or self._in_vain or len(text) >= limit:
            return "<", position + 1
        return "", position

    def _certain(self, last: bool) -> int:
        """Up to where no character that is still to come can change what is there."""
        return len(self._text) if last else len(self._text) - HOLD

    def _clean(self, pattern: re.Pattern[str], start: int, stop: int, border: int | None = None) -> tuple[str, int]:
        """The text up to `stop`, or to the end of what is repaired there, and where that is. Nothing looks beyond
        the `border`, which is the text's end unless given.
        """
        if stop <= start:
            return "", start
        text, end = self._text, start
        border = len(text) if border is None else border
        pieces: list[str] = []
        for match in pattern.finditer(text, start, border):
            if match.start() >= stop:
                break
            pieces += text[end : match.start()], self._replaced(match, start, border)
            end = match.end()
        pieces.append(text[end:stop])
        return "".join(pieces), max(end, stop)

    def _replaced(self, match: re.Match[str], start: int, border: int) -> str:
        found = match[0]
        kind, better = self._verdict(found) if found != "&" else _BARE
        if kind and self._repairs.count(kind):
            line = self._line + self._text.count("\n", start, match.start())
            self._repairs.show(kind, line, self._text[match.start() : min(match.start() + CONTEXT, border)])
        return better

    def _verdict(self, found: str) -> tuple[str, str]:
        """The kind of repair and what stands there instead; no kind where nothing has to be repaired."""
        if found.startswith("&#"):
            return self._character_reference(found)
        if found.startswith("&"):
            if found in _XML_KNOWS:
                return "", found
            character = html5.get(found[1:])
            if character is None:
                return "bare_ampersand", f"&amp;{found[1:]}"
            return "html_entity", character.translate(_ESCAPED)
        if "\udc80" <= found <= "\udcff":
            return ("foreign_bytes", _FOREIGN[found]) if found in _FOREIGN else ("", found)
        return ("", found) if self._element in _EXACT else ("control_character", " ")

    def _character_reference(self, found: str) -> tuple[str, str]:
        hexadecimal = found[2] in "xX"
        number = int(found[3:-1], 16) if hexadecimal else int(found[2:-1])
        if _is_xml_character(number):
            return ("html_entity", f"&#x{found[3:]}") if found[2] == "X" else ("", found)
        return ("", found) if self._element in _EXACT else ("control_character", " ")

    # --- tags ---

    def _tag(self, tag: re.Match[str]) -> str:
        closing, name, body = tag.groups()
        prefix, _, local = name.rpartition(":")
        if closing:
            self._element = ""
            return tag[0]
        self._element = "" if body.endswith("/") else local
        repaired = tag[0]
        if "&" in body or not body.isprintable():
            repaired, _end = self._clean(_IN_TEXT, tag.start(), tag.end(), tag.end())
        if body.count("=") > 1:
            repaired = self._without_repeats(repaired)
        if "xmlns" in body and "{" in body:
            repaired = _NAMESPACE.sub(self._with_an_address, repaired)
        if self.undeclared is None:
            repaired = self._with_namespaces(repaired, len(name) + 1)
        elif self.undeclared and "xmlns:" in body:
            self.undeclared -= {other for other in self.undeclared if f"xmlns:{other}=" in body}
        if prefix in (self.undeclared or ()):
            self._note_prefix(prefix, name)
        return repaired

    def _without_repeats(self, tag: str) -> str:
        """An attribute given twice with one value: once. With two values nobody knows which one is meant."""
        seen: dict[str, str] = {}

        def kept(attribute: re.Match[str]) -> str:
            name, value = attribute[1], attribute[2] if attribute[2] is not None else attribute[3]
            if seen.get(name) != value:
                seen[name] = value
                return attribute[0]
            if self._repairs.count("attribute_twice"):
                self._repairs.show("attribute_twice", self._line, attribute[0])
            return "\n" * attribute[0].count("\n")

        return _ATTRIBUTE.sub(kept, tag)

    def _with_an_address(self, declaration: re.Match[str]) -> str:
        """A namespace that a program printed with what was around it, as {'g': 'http://base.google.com/ns/1.0'}."""
        begin, found = declaration.groups()
        meant = [uri for uri in NAMESPACES.values() if uri in found]
        if len(meant) != 1:
            return declaration[0]
        if self._repairs.count("namespace_address"):
            self._repairs.show("namespace_address", self._line, declaration[0])
        return f'{begin}"{meant[0]}"'

    def _with_namespaces(self, tag: str, after_name: int) -> str:
        """The root with the well-known namespaces that it does not declare; one counts as a repair once it is used."""
        self.undeclared = {prefix for prefix in NAMESPACES if not re.search(rf"\sxmlns:{prefix}\s*=", tag)}
        added = "".join(f' xmlns:{p}="{uri}"' for p, uri in NAMESPACES.items() if p in self.undeclared)
        return f"{tag[:after_name]}{added}{tag[after_name:]}"

    def _note_prefix(self, prefix: str, name: str) -> None:
        assert self.undeclared is not None  # noqa: S101 - for the type checker
        self.undeclared.discard(prefix)
        if self._repairs.count("namespace_undeclared"):
            self._repairs.show("namespace_undeclared", self._line, f"<{name}>")


def _is_xml_character(number: int) -> bool:
    in_bmp = 0x20 <= number <= 0xD7FF or 0xE000 <= number <= 0xFFFD
    return in_bmp or number in (0x9, 0xA, 0xD) or 0x10000 <= number <= 0x10FFFF
