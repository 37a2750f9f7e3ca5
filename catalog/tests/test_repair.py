"""Repair: what is nearly well-formed becomes well-formed, each repair is told, and no line and no value moves."""

import io
from collections.abc import Iterator
from typing import Any

import pytest

from catalog.errors import FeedRefused
from catalog.feeds.broken.repair import HEAD_BYTES, MAX_TAG_CHARS, RepairedStream, Repairs
from catalog.feeds.issues import BY_CODE
from catalog.feeds.reading.items import check_start, read_items
from catalog.feeds.reading.layouts import LAYOUTS, Layout

G = "http://base.google.com/ns/1.0"
NS = f'xmlns:g="{G}"'


def rss(item: str, root: str = NS, before: str = "") -> bytes:
    """A feed of one item, which stands on line 3."""
    return f"{before}<rss {root}>\n<channel>\n<item>{item}</item>\n</channel>\n</rss>".encode()


class Dripping:
    """A stream that gives so many bytes at a time, whatever it is asked for."""

    def __init__(self, content: bytes, size: int) -> None:
        self._bytes = io.BytesIO(content)
        self._size = size

    def read(self, size: int = -1, /) -> bytes:
        return self._bytes.read(self._size)


def drained(stream: RepairedStream, size: int) -> Iterator[bytes]:
    while piece := stream.read(size):
        yield piece


def repaired(content: bytes) -> tuple[bytes, Repairs]:
    repairs = Repairs()
    return RepairedStream(io.BytesIO(content), repairs).read(), repairs


def read(content: bytes) -> tuple[dict[str, Any], dict[str, int], int]:
    """The one item's fields by their local names, what was repaired, and the item's line."""
    repairs = Repairs()
    (item,) = read_items(RepairedStream(io.BytesIO(content), repairs))
    fields = {tag.rpartition("}")[2]: value for tag, value in item.fields.items()}
    return fields, {code.rpartition(".")[2]: count for code, count in repairs.counts.items()}, item.line


LATIN = rss("<title>caf%s &#233;t%s</title>").replace(b"%s", b"\xe9")
# What stands in the file, and what the title is then; how often what was repaired.
BROKEN: dict[str, tuple[bytes, str, dict[str, int]]] = {
    "a bare ampersand": (rss("<title>Dolce & Gabbana</title>"), "Dolce & Gabbana", {"bare_ampersand": 1}),
    "one at the end of the text": (rss("<title>R&</title>"), "R&", {"bare_ampersand": 1}),
    "a reference without its end": (rss("<title>a&nbsp b&amp c</title>"), "a&nbsp b&amp c", {"bare_ampersand": 2}),
    "an entity that nobody knows": (rss("<title>a&foo;b</title>"), "a&foo;b", {"bare_ampersand": 1}),
    "HTML entities": (rss("<title>t&ecirc;te&nbsp;&hearts;</title>"), "tête\u00a0♥", {"html_entity": 3}),
    "HTML entities that are markup": (rss("<title>&LT;b&GT; &AMP;</title>"), "<b> &", {"html_entity": 3}),
    "a reference in capitals": (rss("<title>&#XE9;</title>"), "é", {"html_entity": 1}),
    "a control character": (rss("<title>silk\x1ddress</title>"), "silk dress", {"control_character": 1}),
    "one in CDATA": (rss("<title><![CDATA[a\x0b&b]]></title>"), "a &b", {"control_character": 1}),
    "a reference to one": (rss("<title>a&#29;b&#x0;c</title>"), "a b c", {"control_character": 2}),
    "a reference to half a character": (rss("<title>a&#xD83D;b</title>"), "a b", {"control_character": 1}),
    "an emoji as two references": (rss("<title>a&#xD83D;&#xde00;b</title>"), "a😀b", {"surrogate_pair": 1}),
    "one in decimals": (rss("<title>&#55357;&#56832;&#55357;&#56833;</title>"), "😀😁", {"surrogate_pair": 2}),
    "one as two times three bytes": (
        rss("<title>a%sb</title>").replace(b"%s", b"\xed\xa0\xbd\xed\xb8\x80"),
        "a😀b",
        {"surrogate_pair": 1},
    ),
    "one as bytes in CDATA": (
        rss("<title><![CDATA[%s]]></title>").replace(b"%s", b"\xed\xa0\xbd\xed\xb8\x80"),
        "😀",
        {"surrogate_pair": 1},
    ),
    "two halves in the wrong order": (rss("<title>a&#xDE00;&#xD83D;b</title>"), "a  b", {"control_character": 2}),
    "Latin-1 under UTF-8": (LATIN, "café été", {"foreign_bytes": 2}),
    "both in one word": (rss("<title>éÃ%s</title>").replace(b"%s", b"\x80"), "éÃ€", {"foreign_bytes": 1}),
    **{
        f"a character cut in half{name}": (rss("<title>%s</title>").replace(b"%s", text), title, {"cut_character": 1})
        for name, text, title in (
            ("", b"12 \xe2\x82", "12 \ufffd"),
            (" in four bytes", b"a \xf0\x9f\x91", "a \ufffd"),
            (" before a word", b"12 \xe2\x82 each", "12 \ufffd each"),
            (" before dots", b"12 \xe2\x82...", "12 \ufffd..."),
            (" in CDATA", b"<![CDATA[12 \xe2\x82]]>", "12 \ufffd"),
            (" behind letters", "sch\u00f6n gest\u00e4".encode()[:-1], "schön gest\ufffd"),
            (" in Arabic", "فستا".encode()[:-1], "فست\ufffd"),
            (" in Chinese", "连衣裙".encode()[:-2] + b" x", "连衣\ufffd x"),
        )
    },
    "the first half of an emoji alone, which is no character of UTF-8": (
        rss("<title>a%s b</title>").replace(b"%s", b"\xed\xa0\xbd"),
        "aí\xa0½ b",
        {"foreign_bytes": 2},
    ),
    "a foreign letter at the end of UTF-8": (
        rss("<title>été caf%s</title>").replace(b"%s", b"\xe9"),
        "été café",
        {"foreign_bytes": 1},
    ),
    "foreign capitals at the end of UTF-8": (
        rss("<title>é MAÇ%s</title>").replace(b"%s", b"\xc3"),
        "é MAÇÃ",
        {"foreign_bytes": 1},
    ),
    "letters that look like a character cut in half": (
        rss("<title>m%sczyzna</title>").replace(b"%s", b"\xea\xbf"),
        "mê¿czyzna",
        {"foreign_bytes": 1},
    ),
    "an empty line before": (rss("<title>a</title>", before='\n<?xml version="1.0"?>'), "a", {"junk_before": 1}),
    "two marks of the order of bytes": (b"\xef\xbb\xbf" * 2 + rss("<title>a</title>"), "a", {"junk_before": 1}),
    "a warning before": (
        rss("<title>a</title>", before="Warning: no stock in x.php"),
        "a",
        {"junk_before": 1},
    ),
    "a warning in HTML before": (
        rss("<title>a</title>", before='<br />\n<b>Notice</b>: x<br />\n<?xml version="1.0"?>'),
        "a",
        {"junk_before": 1},
    ),
    "a warning in HTML before a feed that declares nothing": (
        rss("<title>a</title>", before="<br />\n<b>Notice</b>: x<br />\n"),
        "a",
        {"junk_before": 1},
    ),
    **{
        f"{name} after": (rss("<title>a</title>") + after, "a", {"junk_after": 1})
        for name, after in {
            "a notice": b"\n<br />\n<b>Notice</b>: Undefined index: price in <b>feed.php</b> on line <b>41</b><br />\n",
            "a text": b"\nWarning: mysqli_close() expects 1 parameter, 0 given",
            "a script": b"<script>if (a < b && c) { document.write('<p>') }</script>\n<!-- x -->",
            "an end tag too much": b"</rss>\n",
            "a page": b"<!DOCTYPE html><html><body>&nbsp;</body></html>",
            "a declaration": b'\n<?xml version="1.0"?>\n',
            "a comment left open": b"<!-- served in 0.2 s",
            "a comment with hyphens": b"<!-- cached -- by a plugin -->",
            "zeros": bytes(300),
            "bytes of another encoding": b"<p>caf\xe9</p>",
            "something behind a comment": b"<!-- cached --> x",
            "a long text": b"x <b>y</b>\n" * 20_000,
        }.items()
    },
    **{
        f"a section {name}": (rss(f"<title><![CDATA[{text}</title>{more}"), title, {"section_open": 1})
        for name, (text, title, more) in {
            "left open": ("a & <b>b</b>", "a & <b>b</b>", ""),
            "left open before another": ("a", "a", "<x><![CDATA[y]]></x>"),
            "left open before elements": ("a", "a", "<x>y</x><z>w</z>"),
            "left open with a bracket": ("a [M]", "a [M]", ""),
            "left open over lines": ("a\nb\n", "a\nb\n", ""),
            "closed with two brackets": ("a]]", "a", ""),
            "closed with a blank": ("a]] >", "a", ""),
            "closed with a reference": ("a]]&gt;", "a", ""),
            "closed with one bracket": ("a]>", "a", "<x><![CDATA[y]]></x>"),
        }.items()
    },
    "an undeclared prefix": (rss("<g:title>a</g:title><c:x>1</c:x>", root=""), "a", {"namespace_undeclared": 2}),
    "a namespace declared twice": (rss("<g:title>a</g:title>", root=f"{NS} {NS}"), "a", {"attribute_twice": 1}),
    "a namespace in a Python dict": (
        rss("<g:title>a</g:title>", root=f"xmlns:g=\"{{'g': '{G}'}}\""),
        "a",
        {"namespace_address": 1},
    ),
    "the default namespace in one": (
        rss("<title>a</title>", root=f"xmlns=\"{{'': '{G}'}}\""),
        "a",
        {"namespace_address": 1},
    ),
    "an attribute given twice": (rss("<title>a</title><x b='1' b=\"1\"/>"), "a", {"attribute_twice": 1}),
    "a declaration in a value, which declares nothing": (
        rss('<a><![CDATA[<?xml version="1.0" encoding="windows-1252"?>]]></a><title>é & e</title>'),
        "é & e",
        {"bare_ampersand": 1},
    ),
    "an encoding that is not there, and another fault": (
        rss("<title>é & e</title>", before='<?xml version="1.0" encoding="UTF-16"?>'),
        "é & e",
        {"encoding": 1, "bare_ampersand": 1},
    ),
    "a bare ampersand in an attribute": (rss('<title>a</title><x y="b&c"/>'), "a", {"bare_ampersand": 1}),
}
broken = pytest.mark.parametrize(("content", "title", "repairs"), BROKEN.values(), ids=BROKEN)


@broken
def test_a_broken_file_is_read_as_it_was_meant(content: bytes, title: str, repairs: dict[str, int]) -> None:
    with pytest.raises(FeedRefused) as refused:
        list(read_items(io.BytesIO(content)))
    assert refused.value.code == "feed.not_well_formed"
    fields, told, _line = read(content)
    assert (fields["title"], told) == (title, repairs)


@broken
def test_no_line_moves(content: bytes, title: str, repairs: dict[str, int]) -> None:
    before = content.partition(b"<rss")[0].count(b"\n")
    assert read(content)[2] == before + 3


@broken
def test_it_may_be_uploaded(content: bytes, title: str, repairs: dict[str, int]) -> None:
    check_start(io.BytesIO(content))


@broken
@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000])
def test_any_chunks_give_the_same(content: bytes, title: str, repairs: dict[str, int], size: int) -> None:
    whole, told = repaired(content)
    mine = Repairs()
    pieces = list(drained(RepairedStream(Dripping(content, size), mine), size))
    assert max(map(len, pieces)) <= size
    assert b"".join(pieces) == whole
    assert mine == told


def test_a_long_file_is_the_same_in_any_chunks() -> None:
    item = "<item><g:title a='1' a='1'>R&D &eacute; \x1d %s</g:title><g:link>https://a.b/?c=1&d=2</g:link></item>"
    content = f"<rss>{''.join(item % ('x' * n) for n in range(900))}</rss>".encode()
    assert len(content) > 4 * HEAD_BYTES
    whole, told = repaired(content)
    for size in (1009, 65_536, 70_001):
        mine = Repairs()
        assert b"".join(drained(RepairedStream(Dripping(content, size), mine), 4099)) == whole
        assert mine == told
    assert told.counts["feed.repaired.bare_ampersand"] == 1800


@pytest.mark.parametrize(("root", "layout"), LAYOUTS.items(), ids=LAYOUTS)
def test_every_layout_is_repaired(root: str, layout: Layout) -> None:
    outer, inner = f"{root} {NS}", layout.path[1:]
    for name in layout.items:
        item = f"<{name}><g:title>R&D &eacute;</g:title></{name}>"
        content = "".join(
            ["Warning: x\n", f"<{outer}>", *(f"<{n}>" for n in inner), item, *(f"</{n}>" for n in inner), f"</{root}>"]
        )
        assert read(content.encode())[:2] == (
            {"title": "R&D é"},
            {"junk_before": 1, "bare_ampersand": 1, "html_entity": 1},
        )


@pytest.mark.parametrize(
    "text",
    [
        "a &amp; b &lt; &#169; &#xa9; &quot;&apos;&gt;",
        "<![CDATA[a & b &nbsp; <b>]]>",
        "<!-- a & b &nbsp; -->x<?php a & b ?>",
        "été 👗 \u200b\u0085",
        "a ' b \" c > d",
    ],
)
def test_what_is_well_formed_stays_as_it_is(text: str) -> None:
    content = rss(f"<title>{text}</title>", root=f'{NS} version="2.0"')
    (strict,) = read_items(io.BytesIO(content))
    repairs = Repairs()
    assert list(read_items(RepairedStream(io.BytesIO(content), repairs))) == [strict]
    assert not repairs.counts


def test_a_broken_feed_in_utf_16_needs_neither_a_mark_nor_a_tag_first() -> None:
    content = rss("<title>été & hiver</title>", before="\n ").decode().encode("utf-16-be")
    assert read(content)[0]["title"] == "été & hiver"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "iso-8859-1", "windows-1252", "utf-8-sig"])
def test_a_declared_encoding_is_kept_in_mind(encoding: str) -> None:
    name = encoding[:6] if "16" in encoding else encoding.removesuffix("-sig")
    text = rss("<title>été & hiver</title>", before=f'<?xml version="1.0" encoding="{name}"?>\n').decode()
    fields, told, line = read(text.encode(encoding))
    assert (fields["title"], told, line) == ("été & hiver", {"bare_ampersand": 1}, 4)


@pytest.mark.parametrize("name", ["g:id", "g:price", "g:sale_price"])
@pytest.mark.parametrize("value", ["1\x1d2", "1&#29;2", "<![CDATA[1\x1d2]]>"])
def test_a_key_or_an_amount_is_never_repaired_into_another(name: str, value: str) -> None:
    with pytest.raises(FeedRefused):
        read(rss(f"<{name}>{value}</{name}>"))


@pytest.mark.parametrize(
    "content",
    [
        rss("<title>a</g:title>"),
        rss("<title>a < b</title>"),
        rss("<title>a</title>", root='xmlns:g="a" xmlns:g="b"'),
        rss("<title>a</title><x:y>1</x:y>"),
        rss("<title>%s</title>").replace(b"%s", b"\x81"),
        rss("<title>a</title>") * 2,
        rss("<title>a</title>") + b"Notice: x\n" * 9_000 + b"<item><title>b</title></item>",
        rss("<title>a</title>").replace(b"</rss>", b"</rss><rss></rss></rss>"),
    ],
    ids=[
        "crossed tags",
        "a bare <",
        "two namespaces",
        "an unknown prefix",
        "a byte that is nothing",
        "two roots",
        "an item after the end",
        "a root after the end",
    ],
)
def test_what_would_be_a_guess_is_left_to_the_parser(content: bytes) -> None:
    with pytest.raises(FeedRefused) as refused:
        read(content)
    assert refused.value.code == "feed.not_well_formed"


@pytest.mark.parametrize(
    ("before", "code"),
    [
        ("<!DOCTYPE rss>", "feed.doctype"),
        ("x <!DOCTYPE rss [<!ENTITY a 'b'>]>\n", "feed.doctype"),
        ('<!DOCTYPE rss>\n<?xml version="1.0"?>', "feed.doctype"),
        ('x\n<?xml version="1.0"?><!doctype rss>', "feed.not_well_formed"),
        ('\n<?xml version="1.0" encoding="UTF-7"?>', "feed.encoding"),
        ('x <?xml version="1.0" encoding="UTF-7"?>', "feed.encoding"),
    ],
)
def test_a_repair_lets_nothing_in_that_is_refused(before: str, code: str) -> None:
    with pytest.raises(FeedRefused) as refused:
        read(rss("<title>a</title>", before=before))
    assert refused.value.code == code


def test_the_first_places_are_told_with_their_lines() -> None:
    text = "\n".join(f"a{n} & b{n}" for n in range(7))
    _bytes, repairs = repaired(rss(f"<title>{text}</title>"))
    code = "feed.repaired.bare_ampersand"
    assert repairs.counts[code] == 7
    assert [line for line, _found in repairs.examples[code]] == [3, 4, 5, 6, 7]
    assert repairs.examples[code][0] == (3, "& b0 a1 & b1 a2 & b2 a3 & b3 a")


def test_what_was_found_can_be_shown() -> None:
    _bytes, repairs = repaired(LATIN.replace(b"</channel>", b"\x1d</channel>"))
    assert repairs.examples["feed.repaired.foreign_bytes"][0] == (3, "é &#233;té")
    assert repairs.examples["feed.repaired.control_character"] == [(4, "U+001D")]


@pytest.mark.parametrize(
    "text",
    ["a</title>b]]>", "a</title>]]><![CDATA[b]]>", "<item><title>a</title></item>]]>", f"a</title>{'x' * 70_000}]]>"],
)
def test_a_section_with_its_own_end_tag_is_whole_when_it_is_closed(text: str) -> None:
    fields, told, _line = read(rss(f"<title><![CDATA[{text}</title><x>a & b</x>"))
    assert fields["title"] == text.replace("]]><![CDATA[", "").removesuffix("]]>")
    assert told == {"bare_ampersand": 1}


def test_a_section_left_open_is_closed_however_long_the_rest_is() -> None:
    content = rss(f"<title><![CDATA[a</title></item><item><title>{'x' * 70_000}</title>")
    repairs = Repairs()
    first, second = read_items(RepairedStream(io.BytesIO(content), repairs))
    assert (first.fields["title"], len(str(second.fields["title"]))) == ("a", 70_000)
    assert repairs.examples == {"feed.repaired.section_open": [(3, "a</title>")]}


def test_every_kind_is_an_issue_with_advice() -> None:
    told = {code for content, _title, _repairs in BROKEN.values() for code in repaired(content)[1].counts}
    only_salvaged = {"feed.repaired.outside_root"}
    assert told | only_salvaged == {code for code in BY_CODE if code.startswith("feed.repaired.")}


LIKELY = {
    "windows-1250": ["Kurtka męska zimowa", "Sukienka, długi rękaw – żółta", "Prześcieradło"],
    "iso-8859-2": ["Bluzka z wiązaniem", "Śliczna spódnica", "Kozaki brązowe na słupku"],
    "windows-1254": ["Sarı elbise", "Kadın eşarp", "İpek şal"],
    "windows-1251": ["Шёлковый шарф", "Женские туфли", "Сукня жіноча"],
    "windows-1255": ["צעיף משי", "נעלי עקב שחורות", "תיק עור"],
    "windows-1256": ["فستان سهرة طويل", "حذاء جلد", "عباءة سوداء"],
    "iso-8859-15": ["Œuvre d'art, 20 €", "Bœuf", "Cœur"],
}
UNCERTAIN = {
    "windows-1252": ["Café crème", "Robe d’été – 20 €", "Größe"],
    "iso-8859-1": ["Señora", "Sjø og strand", "Ação"],
}


def with_titles(titles: list[str], encoding: str) -> bytes:
    items = "".join(f"<item><title>{title}</title></item>\n" for title in titles)
    return f"<rss><channel>\n{items}</channel></rss>".encode(encoding)


def titles_in(content: bytes, repairs: Repairs) -> list[str]:
    return [str(raw.fields["title"]) for raw in read_items(RepairedStream(io.BytesIO(content), repairs))]


@pytest.mark.parametrize("encoding", LIKELY)
def test_the_likeliest_encoding_is_proposed_and_never_taken(encoding: str) -> None:
    titles = LIKELY[encoding]
    repairs = Repairs()
    read_now = titles_in(with_titles(titles, encoding), repairs)
    assert read_now != titles
    proposal = repairs.proposed_encoding()
    assert proposal
    assert [then for _line, _now, then in proposal.readings] == titles
    assert [(line, now) for line, now, _then in proposal.readings] == list(enumerate(read_now, start=2))
    assert proposal.examples[0][1].startswith(f"windows-1252: “{read_now[0]}”, ")


@pytest.mark.parametrize("encoding", UNCERTAIN)
def test_what_reads_well_as_it_is_gets_no_proposal(encoding: str) -> None:
    repairs = Repairs()
    assert titles_in(with_titles(UNCERTAIN[encoding], encoding), repairs) == UNCERTAIN[encoding]
    assert repairs.proposed_encoding() is None


@pytest.mark.parametrize("encoding", [*LIKELY, *UNCERTAIN])
def test_a_feeds_encoding_holds_for_files_that_say_utf_8(encoding: str) -> None:
    titles = (LIKELY | UNCERTAIN)[encoding]
    repairs = Repairs(encoding)
    assert titles_in(with_titles(titles, encoding), repairs) == titles
    assert list(repairs.counts) == ["feed.repaired.foreign_bytes"]
    assert repairs.proposed_encoding() is None


def test_it_does_not_hold_for_files_that_say_another_encoding() -> None:
    head = '<?xml version="1.0" encoding="windows-1254"?>'
    content = f"{head}<rss><channel><item><title>Sarı & şal</title></item></channel></rss>".encode("windows-1254")
    assert titles_in(content, Repairs("windows-1250")) == ["Sarı & şal"]


def test_a_mixed_file_is_read_text_by_text() -> None:
    titles = ["Żółty szal", "Café, żółty pas", "Żółty but", "Żółty żakiet, mą"]
    content = with_titles(titles, "utf-8").replace("żółty pas".encode(), b"\xbf\xf3\xb3ty pas")
    content = content.replace("Żółty but".encode(), b"\xaf\xf3\xb3ty but").replace(", mą".encode(), b", m\xb1")
    repairs = Repairs("iso-8859-2")
    assert titles_in(content, repairs) == [titles[0], titles[1].replace("é", "ĂŠ"), *titles[2:]]
    assert list(repairs.counts) == ["feed.repaired.foreign_bytes"]


@pytest.mark.parametrize("size", [1, 3, 100])
def test_letters_that_happen_to_be_utf_8_are_those_of_their_text(size: int) -> None:
    titles = ["Шёлковый шарф", "Вічний Ніж", "Ёж", "Сукня", "x" * 200 + "Півень"]
    for encoding in ("windows-1251", "utf-8"):
        stream = RepairedStream(Dripping(with_titles(titles, encoding), size), Repairs("windows-1251"))
        assert [raw.fields["title"] for raw in read_items(stream)] == titles
    repairs = Repairs()
    titles_in(with_titles(titles, "windows-1251"), repairs)
    proposal = repairs.proposed_encoding()
    assert proposal
    assert [then for _line, _now, then in proposal.readings] == titles[:3]


@pytest.mark.parametrize(
    "content", [b"<" * 300_000, b"<a " + b"b " * MAX_TAG_CHARS, b"<a b='" * 50_000, b"&" * 300_000]
)
def test_what_never_ends_is_passed_on(content: bytes) -> None:
    text, _repairs = repaired(b"<rss>" + content)
    assert len(text) >= len(content)
