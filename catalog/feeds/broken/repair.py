"""Repair XML that is nearly well-formed while it is read, and list what was repaired.

Only faults with one possible meaning are repaired; no value is guessed. Everything else stays as it is, and the strict
parser says what is wrong with it. No line moves, so every position is that of the file that was uploaded. Memory is
constant, and the result does not depend on how the bytes arrive.
"""

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from html.entities import html5

from catalog.feeds.attributes import BY_ALIAS, Type
from catalog.feeds.broken.likely import UNSET_ENCODING, Proposal, as_foreign, propose_encoding
from catalog.feeds.issues import FOUND_MAX
from catalog.feeds.reading.encodings import (
    DECLARATION,
    DECLARED_ENCODING,
    ENCODINGS,
    UTF_8,
    declared_encoding,
    encoding_by_bytes,
    encoding_named,
    text_encoding,
)
from catalog.feeds.reading.items import CHUNK_BYTES, Stream
from catalog.feeds.reading.layouts import HIDING_ENDS, ITEM_END, ITEM_START, ROOT_TAG

HEAD_BYTES = 64 * 1024  # the XML has to begin within these
MAX_TAG_CHARS = 64 * 1024  # a longer tag is left as it is
MAX_EXAMPLES = 5
_HELD_CHARS = 64  # wait for the text that follows: longer than any reference or end of a section
_SHOWN_CHARS = 30  # of a fault

NAMESPACES = {
    "g": "http://base.google.com/ns/1.0",
    "c": "http://base.google.com/cns/1.0",
    "atom": "http://www.w3.org/2005/Atom",
    "content": "http://purl.org/rss/1.0/modules/content/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "media": "http://search.yahoo.com/mrss/",
}
REPLACEMENT = "\ufffd"
# What has no letter in ISO has one in its sibling, and nobody means the control character.
_WINDOWS_SIBLINGS = {"iso-8859-1": "windows-1252", "iso-8859-9": "windows-1254"}
_MAX_FOREIGN_TEXTS = 300
_MAX_FOREIGN_CHARS = 200


@lru_cache
def _letters_in(encoding: str) -> Mapping[str, str]:
    """A strict decoder leaves invalid bytes as lone surrogates. Each is here with its letter, if the byte has one."""
    encoding = _WINDOWS_SIBLINGS.get(encoding, encoding)
    letters = {chr(0xDC00 + byte): bytes([byte]).decode(encoding, "replace") for byte in range(0x80, 0x100)}
    return {byte: letter for byte, letter in letters.items() if letter >= "\xa0" and letter != REPLACEMENT}


@dataclass(slots=True)
class Repairs:
    """How often each repair was made, by issue code, with the line and the text of the first ones.

    `encoding` is what the feed's settings say of bytes that are not UTF-8; `foreign_texts` are the texts with such
    bytes while it says nothing, each with its line and its element. `is_utf8` once the file was seen to have UTF-8.
    """

    encoding: str = UTF_8
    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    foreign_texts: list[tuple[int, str, str]] = field(default_factory=list)
    is_utf8: bool = False

    @property
    def letters(self) -> Mapping[str, str]:
        """What foreign bytes are read as."""
        return _letters_in(UNSET_ENCODING if self.encoding == UTF_8 else self.encoding)

    def proposed_encoding(self) -> Proposal | None:
        """What the foreign bytes most likely are, when that is not what they were read as. Titles are shown first."""
        if "feed.repaired.foreign_bytes" not in self.counts:
            return None
        titles = [(line, text) for line, name, text in self.foreign_texts if name == "title"]
        others = [(line, text) for line, name, text in self.foreign_texts if name != "title"]
        return propose_encoding([*titles, *others])

    def count_repair(self, kind: str) -> bool:
        """Count one repair. True when it is wanted as an example, too."""
        code = "feed.repaired." + kind
        if code in self.counts:
            self.counts[code] += 1
            return self.counts[code] <= MAX_EXAMPLES
        self.counts[code] = 1
        self.examples[code] = []
        return True

    def add_example(self, kind: str, line: int, found: str) -> None:
        """Keep the text in one line: invisible characters by their number, invalid bytes as they were understood."""
        letters = self.letters
        shown = (c if c.isprintable() or c in " \t\r\n" else letters.get(c, f"U+{ord(c):04X}") for c in found)
        self.examples[f"feed.repaired.{kind}"].append((line, " ".join("".join(shown).split())[:FOUND_MAX]))


class RepairedStream:
    """A stream of bytes, repaired while it is read. It is in UTF-8, whatever the original's encoding."""

    def __init__(self, stream: Stream, repairs: Repairs) -> None:
        self._source = DecodedText(stream, repairs)
        self._repair = TextRepair(repairs, line=self._source.line)
        self._ready = self._source.encode_text(self._source.declaration)
        self._ended = False

    def read(self, size: int = -1, /) -> bytes:
        pieces = [self._ready]
        length = len(self._ready)
        while not self._ended and (size < 0 or length < size):
            text = self._source.read()
            self._ended = not text
            pieces.append(self._source.encode_text(self._repair.feed(text, last=self._ended)))
            length += len(pieces[-1])
        ready = b"".join(pieces)
        size = length if size < 0 else size
        self._ready = ready[size:]
        return ready[:size]


# --- bytes into text --------------------------------------------------------------------------------

_BEGIN = re.compile(rf"<(?:!--|(?i:!doctype))|{ROOT_TAG.pattern}")
_BETWEEN_TAGS = re.compile("[^<>]+")
_ELEMENT = re.compile(r"\s*<[A-Za-z]")


class DecodedText:
    """A file's text after its XML declaration, without what is before it.

    Bytes that are invalid in the file's encoding are lone surrogates U+DC80 to U+DCFF. `declaration` names UTF-8 and
    ends with as many empty lines as were dropped before it; `line` is where the rest begins.
    """

    def __init__(self, stream: Stream, repairs: Repairs) -> None:
        head = b""
        while len(head) < HEAD_BYTES and (chunk := stream.read(HEAD_BYTES - len(head))):
            head += chunk
        encoding = text_encoding(head)
        self._stream = stream
        self._repairs = repairs
        self._part = ""  # of a text between tags
        if encoding != UTF_8:
            repairs.encoding = UTF_8  # the setting is about files that say UTF-8
        self._errors = "surrogatepass" if encoding.startswith("utf-16") else "surrogateescape"
        self._decoder = codecs.getincrementaldecoder(encoding)(self._errors)
        text = self._decode_chunk(head).removeprefix("\ufeff")
        start = _xml_start(text)
        junk = text[:start]
        declaration = DECLARATION.match(text, start)
        self.declaration = ""
        self.line = 1
        self._text = text  # white space before the root is nothing wrong
        if junk.strip() or (junk and declaration):
            if repairs.count_repair("junk_before"):
                repairs.add_example("junk_before", 1, junk[:FOUND_MAX].strip() or "an empty line")
            self._text = "\n" * junk.count("\n") + text[start:]
        if declaration:
            found = declaration[0]
            self.line += junk.count("\n")
            is_wrong = declared_encoding(head) == "utf-16" and encoding_by_bytes(head) is None
            if is_wrong and repairs.count_repair("encoding"):
                repairs.add_example("encoding", self.line, found)
            declared = DECLARED_ENCODING.match(found)
            if declared and encoding_named(declared["name"]) in ENCODINGS:
                found = found[: declared.start("name")] + "utf-8" + found[declared.end("name") :]
            # The declaration has to come first; the lines that were before it follow, and no other line moves.
            self.declaration = found + "\n" * junk.count("\n")
            self.line += found.count("\n")
            self._text = text[declaration.end() :]

    def read(self) -> str:
        """Some more text, or "" at the end."""
        if self._repairs.encoding == UTF_8:
            return self._next_text()
        # With an encoding for foreign bytes, whole texts between tags show which of their bytes are foreign.
        whole = ""
        while not whole and (text := self._next_text()):
            text = self._part + text
            border = max(text.rfind("<"), text.rfind(">")) + 1
            if len(text) - border > MAX_TAG_CHARS:
                border = len(text)
            whole, self._part = text[:border], text[border:]
        if not whole:
            whole, self._part = self._part, ""
        return _BETWEEN_TAGS.sub(lambda found: as_foreign(found[0]), whole)

    def _next_text(self) -> str:
        text, self._text = self._text, ""
        while not text and not self._ended:
            text = self._decode_chunk(self._stream.read(CHUNK_BYTES))
        return text

    def encode_text(self, text: str) -> bytes:
        return text.encode("utf-8", self._errors)

    def _decode_chunk(self, chunk: bytes) -> str:
        self._ended = not chunk
        try:
            return self._decoder.decode(chunk, self._ended)
        except UnicodeDecodeError:
            return ""  # half a character of UTF-16 at the end: the file was cut off, which its markup shows


def _xml_start(text: str) -> int:
    """Where the XML begins. A DOCTYPE is never dropped: it has to be seen and refused."""
    declared, root, begin = DECLARATION.search(text), ROOT_TAG.search(text), _BEGIN.search(text)
    start = 0
    if declared and not (root and root.start() < declared.start()):
        start = declared.start()
    elif root and _ELEMENT.match(text):
        start = root.start()  # a server printed HTML before it
    elif begin and not text.lstrip().startswith("<"):
        start = begin.start()
    item = ITEM_START.search(text, 0, start)
    if item and ITEM_END.search(text, item.end(), start):
        return 0  # a whole item is no junk
    doctype = text.lower().find("<!doctype", 0, start)
    return doctype if doctype >= 0 else start


# --- text into well-formed text -----------------------------------------------------------------------

_STRAY = "[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\udc80-\udcff]"
# Some programs write an emoji as its two halves in UTF-16, each by its number or in three bytes: together it is that.
_PAIR_OF_BYTES = "\udced[\udca0-\udcaf][\udc80-\udcbf]\udced[\udcb0-\udcbf][\udc80-\udcbf]"
_PAIR_BYTES = 6
_PAIR_OF_REFERENCES = (
    "&#(?:[xX]0{0,8}[dD][89abAB][0-9A-Fa-f]{2}|0{0,8}(?:55(?:29[6-9]|[3-9][0-9]{2})|56(?:[0-2][0-9]{2}|3[01][0-9])));"
    "&#(?:[xX]0{0,8}[dD][c-fC-F][0-9A-Fa-f]{2}|0{0,8}(?:56(?:3[2-9]|[4-9][0-9])[0-9]|57(?:[0-2][0-9]{2}|3[0-3][0-9]|34[0-3])));"
)
# The beginning of a character in UTF-8 whose other bytes are not there.
_CUT = "[\udce0-\udcef][\udc80-\udcbf]|[\udcf0-\udcf4][\udc80-\udcbf]{1,2}|[\udcc2-\udcf4]"
_IN_SECTIONS = re.compile(f"{_PAIR_OF_BYTES}|{_CUT}|{_STRAY}")
_IN_TEXT = re.compile(
    rf"{_PAIR_OF_BYTES}|{_CUT}|{_PAIR_OF_REFERENCES}"
    rf"|&(?:#[0-9]{{1,40}};|#[xX][0-9A-Fa-f]{{1,40}};|[A-Za-z][A-Za-z0-9]{{1,31}};)?|{_STRAY}"
)
# What may stand after the outermost element, and what shows that the feed goes on there.
_MISCELLANEOUS = re.compile(r"\s++|<!--(?:(?!--).)*+-->|<\?(?!xml\s)(?:(?!\?>).)*+\?>", re.DOTALL)
_GOES_ON = re.compile(f"{ROOT_TAG.pattern}|{ITEM_START.pattern}".replace("?P<root>", "?:"))
_SPOILT_END = re.compile(r"\](?:\]\s*(?:>|&gt;)?|>)\s*\Z")
_CHARACTER = re.compile("[\x80-\ud7ff\ue000-\U0010ffff]")
_FOREIGN = re.compile("[\udc80-\udcff]")
_TEXT_ENDS = re.compile(r"\s*(?:\.\.\.|…|[\"'<]|\]\]>|\Z)")
_LONGEST_OPENING = max(map(len, HIDING_ENDS))
# A tag holds no <, so that a quotation mark left open ends here and a broken tag costs no more than itself.
TAG = re.compile(r"""<(/?)([^\s!?/<>"'=]++)((?:[^<>"']++|"[^"<]*+"|'[^'<]*+')*+)>""")
_ATTRIBUTE = re.compile(r"""\s+([^\s=<>"'/]+)\s*=\s*(?:"([^"<]*)"|'([^'<]*)')""")
_NAMESPACE = re.compile(r"""(\sxmlns(?::[\w.-]+)?\s*=\s*)("[^"<]*[{}][^"<]*"|'[^'<]*[{}][^'<]*')""")
_XML_KNOWS = frozenset({"&amp;", "&lt;", "&gt;", "&quot;", "&apos;"})
_ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"})
# A space in the middle of one of these would make another key or another amount.
_EXACT = frozenset(name for name, a in BY_ALIAS.items() if a.name == "id" or a.type is Type.MONEY)


def _joined(pair: str) -> str:
    """The character whose two halves these are, in references or as six invalid bytes of UTF-8."""
    if pair.startswith("&"):
        numbers = [part.removeprefix("&#") for part in pair.split(";")[:2]]
        halves = "".join(chr(int(n[1:], 16) if n[0] in "xX" else int(n)) for n in numbers)
    else:
        halves = pair.encode("utf-8", "surrogateescape").decode("utf-8", "surrogatepass")
    return halves.encode("utf-16-le", "surrogatepass").decode("utf-16-le")


class TextRepair:
    """Repairs text that is fed to it in pieces of any size. `line` is where it begins.

    The first start tag gets the well-known namespaces that it lacks, and what stands after its element is dropped. When
    an earlier `TextRepair` has seen it, `undeclared` are the prefixes that were added there and not used yet.
    """

    def __init__(self, repairs: Repairs, *, line: int = 1, undeclared: set[str] | None = None) -> None:
        self.undeclared = undeclared
        self._repairs = repairs
        self._line = line
        self._text = ""
        self._section_end = ""
        self._run, self._run_line = "", 0  # the text since the last tag
        self._before = ""  # its last character
        self._element = self._name = ""  # the one whose text is next, without and with its prefix
        self._in_vain = False
        self._root = ""
        self._depth = 0
        self._has_ended = self._has_junk = False

    def feed(self, text: str, *, last: bool) -> str:
        """The repaired text as far as it is certain; all that is left with the `last` piece."""
        self._text += text
        repaired: list[str] = []
        position = 0
        while position < len(self._text) and not self._in_vain:
            piece, end = self._repair_next(position, last)
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

    def _repair_next(self, position: int, last: bool) -> tuple[str, int]:
        """The next text, tag or part of a section, repaired, and where it ends: where it begins when more is needed."""
        text = self._text
        if self._has_ended:
            return self._drop_junk(position, last)
        certain = len(text) if last else len(text) - _HELD_CHARS  # what is still to come can change the rest
        if self._section_end:
            found = text.find(self._section_end, position)
            if self._section_end == "]]>" and self._name:
                own_end = self._own_end.search(text, position, len(text) if found < 0 else found)
                if own_end and (is_open := self._is_left_open(own_end, last)) is not False:
                    return ("", position) if is_open is None else self._close_section(position, own_end)
            if found < 0:
                return self._repair_text(_IN_SECTIONS, position, certain)
            piece, _end = self._repair_text(_IN_SECTIONS, position, found, found)
            closing, self._section_end = self._section_end, ""
            return piece + closing, found + len(closing)
        markup = text.find("<", position)
        if markup < 0:
            return self._repair_text(_IN_TEXT, position, certain)
        if markup > position:
            return self._repair_text(_IN_TEXT, position, markup, markup)
        if len(text) - position < _LONGEST_OPENING and not last:
            return "", position
        if text.startswith(("<!", "<?"), position):  # else it is a tag, as mostly
            for opening, closing in HIDING_ENDS.items():
                if text.startswith(opening, position):
                    self._section_end = closing
                    return opening, position + len(opening)
        limit = position + MAX_TAG_CHARS
        if tag := TAG.match(text, position, limit):
            return self._repair_tag(tag), tag.end()
        # The parser will name what is not a tag. When another tag begins inside it, repairing the rest is in vain.
        self._in_vain = text.find("<", position + 1, limit) >= 0
        if last or self._in_vain or len(text) >= limit:
            return "<", position + 1
        return "", position

    def _is_left_open(self, own_end: re.Match[str], last: bool) -> bool | None:
        """Whether the open section has to end before its element's end tag in it; None when more is needed to tell.

        A section that holds that end tag is whole when it is closed after it, before the next section begins.
        """
        text, start, limit = self._text, own_end.end(), own_end.end() + MAX_TAG_CHARS
        closing, following = text.find("]]>", start, limit), text.find("<![CDATA[", start, limit)
        if closing < 0 and following < 0:
            if len(text) > limit or last:
                return last or ITEM_END.search(text, start, limit) is not None
            return None
        return closing < 0 or 0 <= following < closing

    def _close_section(self, position: int, own_end: re.Match[str]) -> tuple[str, int]:
        """The rest of a section that is left open, closed before its element's end tag."""
        text, end = self._text, own_end.start()
        # What is there may be an end that was spoilt.
        spoilt = _SPOILT_END.search(text, max(position, end - _HELD_CHARS), end)
        piece, _end = self._repair_text(_IN_SECTIONS, position, spoilt.start() if spoilt else end, end)
        if self._repairs.count_repair("section_open"):
            line = self._line + text.count("\n", position, end)
            self._repairs.add_example("section_open", line, text[max(position, end - _SHOWN_CHARS) : own_end.end()])
        self._section_end = ""
        lines = "\n" * text.count("\n", spoilt.start(), end) if spoilt else ""
        return f"{piece}]]>{lines}", end

    def _repair_text(
        self, pattern: re.Pattern[str], start: int, stop: int, border: int | None = None
    ) -> tuple[str, int]:
        """The text up to `stop`, or to the end of what is repaired there, and where that is.

        Nothing looks beyond the `border`, which is the text's end unless given.
        """
        if stop <= start:
            return "", start
        text, end = self._text, start
        border = len(text) if border is None else border
        pieces: list[str] = []
        for match in pattern.finditer(text, start, border):
            if match.start() >= stop:
                break
            before = text[end : match.start()]
            self._see_characters(before)
            after = text[match.end() : min(match.end() + _HELD_CHARS, border)]
            kind, better = self._replacement_for(match[0], (before or self._before)[-1:], after)
            if kind and self._repairs.count_repair(kind):
                line = self._line + text.count("\n", start, match.start())
                found = text[match.start() : min(match.start() + _SHOWN_CHARS, border)]
                self._repairs.add_example(kind, line, found)
            pieces += before, better
            end = match.end()
            self._before = match[0]
        pieces.append(text[end:stop])
        self._see_characters(pieces[-1])
        self._gather_foreign(text[start : max(end, stop)])
        return "".join(pieces), max(end, stop)

    def _see_characters(self, text: str) -> None:
        """Remember what the text before a foreign byte shows about it."""
        self._before = text[-1:] or self._before
        if not self._repairs.is_utf8 and not text.isascii():
            self._repairs.is_utf8 = _CHARACTER.search(text) is not None

    def _gather_foreign(self, text: str) -> None:
        """Keep the beginning of an element's text, in case it has foreign bytes about which the feed says nothing."""
        if self._repairs.encoding == UTF_8 and len(self._repairs.foreign_texts) < _MAX_FOREIGN_TEXTS:
            self._run_line = self._run_line or self._line
            self._run += text[: _MAX_FOREIGN_CHARS - len(self._run)]

    def _is_cut(self, found: str, before: str, after: str) -> bool:
        """Whether foreign bytes that begin a character in UTF-8 are one that was cut, and not letters of their own."""
        if "\u0370" <= before <= "\u1fff" or "\u2e80" <= before <= "\ud7ff":
            return not (after[:1].isalpha() or _FOREIGN.match(after))  # another script is never beside Latin letters
        if len(found) > 1:
            is_open = self._repairs.encoding == UTF_8 or self._repairs.is_utf8
            return is_open and not (after[:1].isalnum() or _FOREIGN.match(after))
        # Few words end in a capital letter with an accent, unless all of them are capitals.
        is_capital = found < "\udcdf" and not before.isupper()
        return self._repairs.is_utf8 and is_capital and _TEXT_ENDS.match(after) is not None

    def _replacement_for(self, found: str, before: str, after: str) -> tuple[str, str]:
        """The kind of repair and what to write instead of what stands between; no kind where nothing is wrong."""
        if found.count("&#") == 2 or (found.startswith("\udced") and len(found) == _PAIR_BYTES):
            return "surrogate_pair", _joined(found)
        if found == "&":
            return "bare_ampersand", "&amp;"
        if found.startswith("&#"):
            number = int(found[3:-1], 16) if found[2] in "xX" else int(found[2:-1])
            in_bmp = 0x20 <= number <= 0xD7FF or 0xE000 <= number <= 0xFFFD
            if in_bmp or number in (0x9, 0xA, 0xD) or 0x10000 <= number <= 0x10FFFF:
                return ("html_entity", f"&#x{found[3:]}") if found[2] == "X" else ("", found)
        elif found.startswith("&"):
            if found in _XML_KNOWS:
                return "", found
            character = html5.get(found[1:])
            if character is None:
                return "bare_ampersand", f"&amp;{found[1:]}"
            return "html_entity", character.translate(_ESCAPED)
        elif "\udc80" <= found[0] <= "\udcff":
            if found >= "\udcc2" and self._is_cut(found, before, after):
                return ("", found) if self._element in _EXACT else ("cut_character", REPLACEMENT)
            letters = [self._repairs.letters.get(byte, "") for byte in found]
            return ("foreign_bytes", "".join(letters)) if all(letters) else ("", found)
        return ("", found) if self._element in _EXACT else ("control_character", " ")

    @property
    def _own_end(self) -> re.Pattern[str]:
        return re.compile(rf"</{re.escape(self._name)}\s*>")

    def _drop_junk(self, position: int, last: bool) -> tuple[str, int]:
        """Drop what stands after the outermost element, unless the feed goes on there."""
        text = self._text
        if not self._has_junk:
            if kept := _MISCELLANEOUS.match(text, position, position + MAX_TAG_CHARS):
                return kept[0], kept.end()
            needed = MAX_TAG_CHARS if text.startswith(("<!--", "<?"), position) else FOUND_MAX
            if not last and len(text) - position < needed:
                return "", position
            self._has_junk = True
            if self._repairs.count_repair("junk_after"):
                self._repairs.add_example("junk_after", self._line, text[position : position + FOUND_MAX])
        if _GOES_ON.search(text, position):
            self._in_vain = True
            return "", position
        return "", len(text) if last else max(position, len(text) - _HELD_CHARS)

    # --- tags ---

    def _repair_tag(self, tag: re.Match[str]) -> str:
        closing, name, body = tag.groups()
        if self._run:
            if _FOREIGN.search(self._run):
                self._repairs.foreign_texts.append((self._run_line, self._element, self._run))
            self._run, self._run_line = "", 0
        self._before = ""
        prefix, _, local = name.rpartition(":")
        if closing:
            self._element = self._name = ""
            self._depth -= 1
            self._has_ended = not self._depth and name == self._root
            return tag[0]
        self._element, self._name = ("", "") if body.endswith("/") else (local, name)
        self._depth += not body.endswith("/")
        repaired = tag[0]
        if "&" in body or not body.isprintable():
            repaired, _end = self._repair_text(_IN_TEXT, tag.start(), tag.end(), tag.end())
            self._run, self._run_line = "", 0
        if body.count("=") > 1:
            repaired = self._remove_repeats(repaired)
        if "xmlns" in body and "{" in body:
            repaired = _NAMESPACE.sub(self._corrected_namespace, repaired)
        if self.undeclared is None:
            self._root = name
            # The root declares the well-known namespaces that it lacks; one counts as a repair once it is used.
            self.undeclared = {known for known in NAMESPACES if not re.search(rf"\sxmlns:{known}\s*=", repaired)}
            added = "".join(f' xmlns:{p}="{uri}"' for p, uri in NAMESPACES.items() if p in self.undeclared)
            repaired = f"{repaired[: len(name) + 1]}{added}{repaired[len(name) + 1 :]}"
        elif self.undeclared and "xmlns:" in body:
            self.undeclared -= {other for other in self.undeclared if f"xmlns:{other}=" in body}
        if prefix in self.undeclared:
            self.undeclared.discard(prefix)
            if self._repairs.count_repair("namespace_undeclared"):
                self._repairs.add_example("namespace_undeclared", self._line, f"<{name}>")
        return repaired

    def _remove_repeats(self, tag: str) -> str:
        """An attribute given twice with one value: once. With two values nobody knows which one is meant."""
        seen: dict[str, str] = {}

        def first_only(attribute: re.Match[str]) -> str:
            name, value = attribute[1], attribute[2] if attribute[2] is not None else attribute[3]
            if seen.get(name) != value:
                seen[name] = value
                return attribute[0]
            if self._repairs.count_repair("attribute_twice"):
                self._repairs.add_example("attribute_twice", self._line, attribute[0])
            return "\n" * attribute[0].count("\n")

        return _ATTRIBUTE.sub(first_only, tag)

    def _corrected_namespace(self, declaration: re.Match[str]) -> str:
        """A namespace that a program printed with more around it, for example {'g': 'http://base.google.com/ns/1.0'}."""
        begin, found = declaration.groups()
        meant = [uri for uri in NAMESPACES.values() if uri in found]
        if len(meant) != 1:
            return declaration[0]
        if self._repairs.count_repair("namespace_address"):
            self._repairs.add_example("namespace_address", self._line, declaration[0])
        return f'{begin}"{meant[0]}"'
