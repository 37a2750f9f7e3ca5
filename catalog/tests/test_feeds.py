"""A file → cleaned items and issues. Each pair in `feeds/` is a feed and what reading it must give."""

import ast
import io
import json
from pathlib import Path
from typing import Any

import pytest

from catalog import feeds
from catalog.errors import FeedRefused
from catalog.feeds.attributes import ATTRIBUTES, BY_ALIAS, COLUMNS, Type
from catalog.feeds.broken.repair import Repairs
from catalog.feeds.broken.salvage import SALVAGEABLE
from catalog.feeds.cleaning.check import Rules, check_item
from catalog.feeds.issues import BY_CODE, CODES, Severity, severity_of
from catalog.feeds.reading.items import CHUNK_BYTES, read_items
from catalog.tests.routes import READINGS, raw_items

FEEDS = Path(__file__).parent / "feeds"


def read(content: bytes, reading: str = "strict", repairs: Repairs | None = None, **rules: Any) -> list[dict[str, Any]]:
    """The items as staging takes them, in a form that JSON can say."""
    settings = Rules(**rules)
    items = []
    for raw in raw_items(content, reading, repairs or Repairs()):
        item = check_item(raw, settings)
        items.append(
            {
                "line": item.line,
                "values": {
                    name: value if isinstance(value, bool | int | list) else str(value)
                    for name, value in item.values.items()
                },
                "extra": item.extra,
                **({"unread": item.unread} if item.unread and item.valid else {}),
                "issues": [f"{i.severity} {i.code} {i.attribute} {i.line}" for i in item.issues],
            }
        )
    return items


def outcome(content: bytes) -> dict[str, Any]:
    """What comes of a file that may be broken: its items and what was repaired, or why it is refused."""
    refusal = None
    for reading in READINGS:
        repairs = Repairs()
        try:
            items = read(content, reading, repairs)
            places = {code: [f"line {line}: {found}" for line, found in at] for code, at in repairs.examples.items()}
            return {"reading": reading, "repairs": places, "items": items}
        except FeedRefused as refused:
            refusal = refusal if refusal and refused.code == "feed.no_items" else refused
            if refused.code not in SALVAGEABLE:
                break
    assert refusal
    return {"refused": refusal.code, "message": refusal.message}


def feeds_in(folder: str = "") -> list[Path]:
    return sorted(path for path in (FEEDS / folder).iterdir() if path.is_file() and path.suffix != ".json")


def written_beside(feed: Path) -> Any:
    return json.loads(feed.with_suffix(".json").read_text())


def rss(*fields: str) -> bytes:
    return (
        f'<rss xmlns:g="http://base.google.com/ns/1.0"><channel><item>{"".join(fields)}</item></channel></rss>'.encode()
    )


@pytest.mark.parametrize("feed", feeds_in(), ids=lambda path: path.stem)
def test_a_feed_is_read_as_written_beside_it(feed: Path) -> None:
    assert read(feed.read_bytes()) == written_beside(feed)


@pytest.mark.parametrize("feed", feeds_in("settings"), ids=lambda path: path.stem)
def test_a_feeds_settings_count(feed: Path) -> None:
    """As with the settings of the shop that stand in the JSON, too."""
    expected = written_beside(feed)
    settings = expected["settings"]
    rules = {**settings, "aliases": tuple(map(tuple, settings.get("aliases", [])))}
    assert read(feed.read_bytes(), **rules) == expected["items"]


@pytest.mark.parametrize("feed", feeds_in("broken"), ids=lambda path: path.stem)
def test_a_broken_feed_is_read_as_written_beside_it(feed: Path) -> None:
    assert outcome(feed.read_bytes()) == written_beside(feed)


@pytest.mark.parametrize("feed", feeds_in("refused"), ids=lambda path: path.stem)
def test_a_file_that_is_not_a_feed_is_refused_as_written_beside_it(feed: Path) -> None:
    assert outcome(feed.read_bytes()) == written_beside(feed)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "iso-8859-1", "windows-1252", "utf-8-sig"])
def test_an_encoding_changes_nothing(encoding: str) -> None:
    name = encoding.removesuffix("-sig")
    text = f'<?xml version="1.0" encoding="{name[:6] if "16" in name else name}"?>' + rss("<g:id>été</g:id>").decode()
    assert read(text.encode(encoding)) == read(rss("<g:id>été</g:id>"))


def test_an_item_may_lie_across_any_chunk_border() -> None:
    item = "<item><g:id>%d</g:id><title>é%s</title></item>"
    long = "".join(item % (n, "x" * (CHUNK_BYTES // 7)) for n in range(40))
    content = f'<rss xmlns:g="http://base.google.com/ns/1.0"><channel>{long}</channel></rss>'.encode()
    assert [item["values"]["id"] for item in read(content)] == [str(n) for n in range(40)]


def test_the_line_is_known_beyond_65535() -> None:
    content = rss("<g:id>1</g:id>").replace(b"<item>", b"\n" * 100_000 + b"<item>")
    assert read(content)[0]["line"] == 100_001


def test_the_line_of_an_issue_is_known_beyond_65535() -> None:
    content = rss("\n" * 70_000, "<g:price>free</g:price>").replace(b"<item>", b"\n" * 70_000 + b"<item>")
    assert "error price.format price 140001" in read(content)[0]["issues"]


REFUSED = {
    "an empty file": (b"", "feed.empty"),
    "white space": (b" \n", "feed.empty"),
    "an HTML page": (b"<!DOCTYPE html><html><body>Log in</body></html>", "feed.html_page"),
    "an XHTML page": (b'<?xml version="1.0"?><html><item/></html>', "feed.html_page"),
    "a PNG": (b"\x89PNG\r\n\x1a\n", "feed.image"),
    "a gzip archive": (b"\x1f\x8b\x08", "feed.archive_cut_off"),
    "JSON": (b'{"items": []}', "feed.json"),
    "another root": (b"<shop><item/></shop>", "feed.unknown_root"),
    "no items": (b"<rss><channel><title>t</title></channel></rss>", "feed.no_items"),
    "items elsewhere": (b"<rss><x><item/></x><channel><x><item/></x></channel></rss>", "feed.no_items"),
    "a DOCTYPE": (b"<!DOCTYPE rss><rss><channel><item/></channel></rss>", "feed.doctype"),
    "a DOCTYPE in UTF-16": ("<!DOCTYPE rss><rss/>".encode("utf-16"), "feed.doctype"),
    "a DOCTYPE after 64 kB": (b"<!--" + b"x" * 70_000 + b"--><!DOCTYPE rss><rss/>", "feed.doctype"),
    "an external entity": (
        b'<!DOCTYPE rss [<!ENTITY e SYSTEM "file:///etc/passwd">]><rss><channel><item>&e;</item></channel></rss>',
        "feed.doctype",
    ),
    "an entity bomb": (
        b'<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><rss><channel><item>&b;</item></channel></rss>',
        "feed.doctype",
    ),
    "an HTML entity": (rss("<title>a&nbsp;b</title>"), "feed.not_well_formed"),
    "a bare ampersand": (rss("<title>a & b</title>"), "feed.not_well_formed"),
    "a file cut off": (rss("<g:id>1</g:id>")[:-20], "feed.not_well_formed"),
    "two roots": (rss("<g:id>1</g:id>") * 2, "feed.not_well_formed"),
    "an undeclared prefix": (b"<rss><channel><item><g:id>1</g:id></item></channel></rss>", "feed.not_well_formed"),
    "Latin-1 under UTF-8": (rss("<title>caf%s</title>").replace(b"%s", b"\xe9"), "feed.not_well_formed"),
    "UTF-7": (b'<?xml version="1.0" encoding="UTF-7"?><rss/>', "feed.encoding"),
    "a comment without end": (b"<rss><channel><!--" + b"x" * 12_000_000, "feed.item_too_large"),
    "an item of 12 MB": (rss("<title>", "<b/>" * 3_000_000, "</title>"), "feed.item_too_large"),
}


@pytest.mark.parametrize(("content", "code"), REFUSED.values(), ids=REFUSED)
def test_a_bad_file_is_refused_in_one_sentence(content: bytes, code: str) -> None:
    with pytest.raises(FeedRefused) as refused:
        list(read_items(io.BytesIO(content)))
    assert refused.value.code == code
    assert refused.value.message[0].isupper()
    assert "\n" not in refused.value.message


def test_a_refusal_names_line_column_and_the_usual_cause() -> None:
    with pytest.raises(FeedRefused, match=r"^Line 2, column \d+: .*bare &"):
        list(read_items(io.BytesIO(b"<rss>\n<channel><title>A & B</title></channel></rss>")))


def test_a_repeated_root_in_a_later_chunk_is_not_taken_for_more_items() -> None:
    broken = rss("<title>&nbsp;", "x" * CHUNK_BYTES, "</title>") + rss("<g:id>2</g:id>")
    with pytest.raises(FeedRefused, match="nbsp"):
        list(read_items(io.BytesIO(broken)))


def test_a_default_currency_is_taken_and_named() -> None:
    (item,) = read(rss("<g:price>155.00</g:price>"), default_currency="AED")
    assert (item["values"]["price"], item["values"]["currency"]) == ("155.00", "AED")
    assert "warning price.no_currency price 1" in item["issues"]


def test_a_value_that_no_channel_takes_is_set_aside() -> None:
    (item,) = read(rss("<g:color>", "x" * 10_001, "</g:color>", "<g:id>", "y" * 501, "</g:id>"))
    assert "color" not in item["values"]
    assert len(item["extra"]["color"]) == 10_001
    assert "warning value.too_large color 1" in item["issues"]
    assert "error value.too_large id 1" in item["issues"]


ATTRIBUTES_ALONE = {
    "beside a text": ('<category term="NEW"/><category>Shoes</category>', "category", [{"@term": "NEW"}, "Shoes"]),
    "behind a text": ('<category>Shoes</category><category term="NEW"/>', "category", ["Shoes", {"@term": "NEW"}]),
    "of another namespace": ('<g:note to="x"/><note>y</note>', "note", {"@to": "x"}),
    "of a column": ('<g:brand id="7"/><g:brand>Noor</g:brand>', "brand", {"@id": "7"}),
    "of a file": (
        '<enclosure url="https://a.b/1"/><enclosure>x</enclosure>',
        "enclosure",
        [{"@url": "https://a.b/1"}, "x"],
    ),
    "of a picture": ('<g:additional_image_link src="x"/>', "additional_image_link", {"@src": "x"}),
    "of a picture beside one": (
        '<g:additional_image_link src="x"/><g:additional_image_link>https://a.b/1.jpg</g:additional_image_link>',
        "additional_image_link",
        {"@src": "x"},
    ),
}


@pytest.mark.parametrize(("elements", "name", "kept"), ATTRIBUTES_ALONE.values(), ids=ATTRIBUTES_ALONE)
def test_an_element_of_attributes_alone_loses_none(elements: str, name: str, kept: Any) -> None:
    (item,) = read(rss(elements))
    assert item["extra"][name] == kept


@pytest.mark.parametrize("attribute", ["currency", "currencyCode", "CURRENCY", "currency_code"])
@pytest.mark.parametrize("text", ["12", " 12.00 ", "<![CDATA[12.0]]>"])
def test_a_price_keeps_the_currency_of_its_attribute(attribute: str, text: str) -> None:
    (item,) = read(rss(f'<g:price {attribute}="AED">{text}</g:price>'))
    assert (item["values"]["price"], item["values"]["currency"]) == ("12.00", "AED")


def test_names_in_the_table_are_unique() -> None:
    assert len(BY_ALIAS) == sum(1 + len(a.aliases) for a in ATTRIBUTES)
    assert len(BY_CODE) == len(CODES)


def test_every_choice_has_its_own_code() -> None:
    for attribute in COLUMNS:
        if attribute.type is Type.CHOICE:
            assert f"{attribute.name}.unknown" in BY_CODE


def test_an_error_on_an_optional_attribute_does_not_cost_the_item() -> None:
    assert severity_of("price.format", "price") is Severity.ERROR
    assert severity_of("price.format", "sale_price") is Severity.WARNING


def test_feeds_import_neither_django_nor_anything_that_reaches_out() -> None:
    allowed = {
        "itertools",
        "catalog",
        "collections",
        "bisect",
        "codecs",
        "contextlib",
        "csv",
        "datetime",
        "dataclasses",
        "decimal",
        "enum",
        "functools",
        "hashlib",
        "html",
        "io",
        "iso4217",
        "json",
        "lxml",
        "openpyxl",
        "re",
        "string",
        "types",
        "typing",
        "zipfile",
        "zlib",
    }
    for module in Path(feeds.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name == "urllib.parse" or name.split(".")[0] in allowed, f"{module.name} imports {name}"
                assert not name.startswith("catalog.") or name.startswith(("catalog.feeds", "catalog.errors"))
