"""What `write` writes is read again with the same values and the same extra, whatever they hold."""

from __future__ import annotations

import io
import random
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest

from catalog.feeds import write
from catalog.feeds.cleaning.check import Item, Rules, check_item
from catalog.feeds.reading.items import read_items
from samples import PROFILES, iter_feed

FEEDS = sorted((Path(__file__).parent / "feeds").glob("*.xml"))


def read(content: bytes) -> list[Item]:
    return [check_item(raw, Rules()) for raw in read_items(io.BytesIO(content))]


def written(*items: Item) -> bytes:
    return b"".join(write.feed_pieces(write.item_element(item.values, item.extra) for item in items))


def contents_of(items: list[Item]) -> list[tuple[Any, Any]]:
    return [(item.values, item.extra) for item in items]


def again(values: dict[str, Any], extra: dict[str, Any]) -> tuple[Any, Any]:
    """One item written and read."""
    ((found),) = contents_of(read(b"".join(write.feed_pieces([write.item_element(values, extra)]))))
    return found


@pytest.mark.parametrize("path", FEEDS, ids=lambda path: path.stem)
def test_every_feed_of_ours_comes_back_as_it_was(path: Path) -> None:
    items = read(path.read_bytes())
    assert contents_of(read(written(*items))) == contents_of(items)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("seed", [1, 2])
def test_every_generated_feed_comes_back_as_it_was(profile: str, seed: int) -> None:
    items = read(b"".join(iter_feed(items=400, seed=seed, profile=profile)))
    assert contents_of(read(written(*items))) == contents_of(items)


HEAD = (
    '<rss xmlns:g="http://base.google.com/ns/1.0" xmlns:h="https://base.google.com/ns/1.0/" '
    'xmlns:c="http://base.google.com/cns/1.0" xmlns:a="http://www.w3.org/2005/Atom" xmlns:x="https://example.com/x">'
    "<channel><item>"
)
ODD = {
    "two names for one attribute": "<title> Plain </title><g:title>Google</g:title><c:title>Ours</c:title>",
    "a name of two spellings of the namespace": "<g:note>a</g:note><h:note>b</h:note><note>c</note>",
    "a list of which one is empty": "<g:note>a</g:note><g:note/><c:b/><c:b>x</c:b>",
    "Atom's own and others' fields": "<g:id>1</g:id><a:id>tag:1</a:id><a:summary>a</a:summary><a:content>b</a:content>"
    "<g:description>c</g:description>",
    "links of other kinds": '<a:link rel="self" href="https://e.com/s"/><a:link href="https://e.com/1"/>',
    "another link to the same page": '<a:link rel="self" href="https://e.com/1"/><a:link href="https://e.com/1"/>',
    "another link beside a plain one": '<link>https://e.com/1</link><a:link rel="self" href="https://e.com/s"/>',
    "only another link": '<a:link rel="self" href="https://e.com/s"/>',
    "several plain links": "<link>https://e.com/1</link><link>https://e.com/2</link>",
    "values set aside": "<g:gender>Herren</g:gender><g:price>12,5O AED</g:price><g:color>{{x}}</g:color>"
    "<g:additional_image_link>ftp://e.com/1</g:additional_image_link>",
    "amounts in two currencies": "<g:price>10 AED</g:price><g:sale_price>5 USD</g:sale_price>",
    "every currency's decimals": "<g:price>1.250 KWD</g:price><g:sale_price>1.2 KWD</g:sale_price>",
    "no decimals": "<g:price>1299 JPY</g:price>",
    "no currency": "<g:price>10</g:price>",
    "yes, no and numbers": "<g:adult>no</g:adult><g:identifier_exists>TRUE</g:identifier_exists>"
    "<g:quantity>0</g:quantity>",
    "text around elements": "<g:note>one <b>two</b> three<i>four</i><b> five</b></g:note>",
    "groups in groups": '<g:tax id="1">1<g:a x:k="v" xml:lang="ar">2<g:b>3</g:b><g:b/></g:a></g:tax>',
    "attributes with white space": '<x:note k="a&#10;b&#9;&quot;&lt;&amp;">v</x:note>',
    "text that needs escaping": "<title>]]&gt; &lt;!--&amp;amp; a&#13;&#10;b\tc</title>"
    "<g:brand>&#x202e;\U0001f457</g:brand>",
    "app links": '<appLink property="iphone_url" content="a://1"/><appLink property="iphone_url" content="a://2"/>'
    '<appLink property="other" content="o"/><c:appLink property="mine"/>',
    "names in other scripts": "<g:لون>أحمر</g:لون><x:größe>ä</x:größe>",
    "an alias": "<g:oldprice>10 AED</g:oldprice><g:old_price>11 AED</g:old_price>",
}


@pytest.mark.parametrize("content", ODD.values(), ids=ODD)
def test_odd_items_come_back_as_they_were(content: str) -> None:
    (item,) = read(f"{HEAD}{content}</item></channel></rss>".encode())
    assert item.values or item.extra
    assert contents_of(read(written(item))) == contents_of([item])


TEXTS = [
    "",
    " a ",
    "a & <b>",
    "10 AED",
    "AED 1,5",
    "yes",
    "{{x}}",
    "https://e.com/1",
    "ftp://e.com",
    "in stock",
    "\xe9\r\n",
]
TAGS = [
    *(f"g:{name}" for name in ("id", "title", "price", "sale_price", "adult", "color", "link", "note", "availability")),
    *(
        "g:additional_image_link",
        "title",
        "link",
        "note",
        "id",
        "a:id",
        "a:title",
        "a:link",
        "c:note",
        "c:color",
        "x:note",
    ),
]


def random_element(draw: random.Random, tag: str, depth: int = 0) -> str:
    name = tag.rpartition(":")[2]
    nested = 0 if name == "link" else draw.choices([0, 1, 2], [6, 1, 1])[0] if depth < 3 else 0
    inside = "".join(f"<k{n}>{escape(draw.choice(TEXTS))}</k{n}>" for n in range(nested))
    attribute = f' {draw.choice(["rel", "href", "k"])}="{escape(draw.choice(TEXTS))}"' if draw.random() < 0.2 else ""
    text = escape(draw.choice(["Shoes", *TEXTS]), {"\r": "&#13;"})
    return f"<{tag}{attribute}>{text}{inside}</{tag}>" if name else ""


@pytest.mark.parametrize("seed", range(500))
def test_random_items_come_back_as_they_were(seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311
    content = "".join(random_element(draw, draw.choice(TAGS)) for _ in range(draw.randint(1, 12)))
    (item,) = read(f"{HEAD}{content}</item></channel></rss>".encode())
    once = read(written(item))
    assert contents_of(once) == contents_of([item]), content


def test_columns_are_googles_elements_and_the_three_of_rss() -> None:
    values = {"id": "1", "title": "A & B", "price": Decimal("155.000"), "currency": "AED", "adult": False}
    assert write.item_element(values, {"c:heel": "7", "shipping": {"country": "AE"}}, ["price -- wrong -"]) == (
        "<item>\n<!-- price - - wrong - -->\n<g:id>1</g:id>\n<title>A &amp; B</title>\n<g:price>155.00 AED</g:price>\n"
        "<g:adult>no</g:adult>\n<c:heel>7</c:heel>\n<g:shipping><g:country>AE</g:country></g:shipping>\n</item>\n"
    )


def test_what_holds_nothing_is_not_written() -> None:
    assert write.item_element({"id": "", "quantity": None, "additional_image_link": []}, {}) == "<item>\n</item>\n"


def test_what_xml_cannot_hold_is_replaced() -> None:
    values, extra = again({"title": "a\x0bb\ud800c"}, {"note": "\x1f\ufffe", "g": {"@k": "\x01"}})
    assert (values, extra) == ({"title": "a\ufffdb\ufffdc"}, {"note": "\ufffd\ufffd", "g": {"@k": "\ufffd"}})


UNUSUAL_NAMES = [
    "size (EU)",
    "",
    "1a",
    "x:y",
    "{}a",
    "{n}",
    "a><b",
    "rss:title",
    "c:color",
    "oldprice",
    'a"\n\tb',
    "أ ب",
]
CONTENTS: list[Any] = ["x", "", " x\r\n", '{"a": 1}', ["x", "y"], [], 1.5, None, {"@name": "n", "b": [{"c": None}]}]


@pytest.mark.parametrize("name", UNUSUAL_NAMES)
@pytest.mark.parametrize("content", CONTENTS, ids=str)
def test_a_name_that_no_element_can_have_stands_beside_its_content(name: str, content: Any) -> None:
    extra = {name: content, "note": "y"}
    assert again({"id": "1"}, extra) == ({"id": "1"}, extra)


def test_an_element_named_beside_is_what_its_name_says() -> None:
    content = (
        '<g:custom name="size chart">EU</g:custom><g:custom name="size chart" type="json">["US"]</g:custom>'
        '<g:custom name="a" type="json">{"b</g:custom><g:custom name="c" type="json">"\\u0000"</g:custom>'
        "<g:custom>plain</g:custom>"
    )
    (item,) = read(f"{HEAD}{content}</item></channel></rss>".encode())
    assert item.extra["size chart"] == ["EU", ["US"]]
    odd = [{"@name": "a", "@type": "json", "#text": '{"b'}, {"@name": "c", "@type": "json", "#text": '"\\u0000"'}]
    assert item.extra["custom"] == [*odd, "plain"]
    assert item.more_names >= {"size chart", "custom"}
    assert not [issue for issue in item.issues if issue.code == "attribute.unknown"]


def test_values_that_only_a_hand_can_write_do_not_stop_it() -> None:
    _values, extra = again({"id": "1"}, {"a": 1, "b": True, "c": None, "d": [["x"], "y"], "e": {"f": None, "g": [1.5]}})
    assert extra == {"a": "1", "b": "true", "d": ["x", "y"], "e": {"f": "", "g": "1.5"}}


@pytest.mark.parametrize("text", ["--", "-->", "a--->", "-" * 5, "\x00\n<!--", "]]>"])
def test_no_note_ends_its_comment(text: str) -> None:
    content = b"".join(write.feed_pieces([write.item_element({"id": "1"}, {}, [text, text])], note=text))
    assert [item.id for item in read(content)] == ["1"]


def test_a_long_feed_comes_in_pieces() -> None:
    one = write.item_element({"id": "1"}, {})
    pieces = list(write.feed_pieces(one for _ in range(1000)))
    assert max(map(len, pieces)) < 200 * len(one)
    assert len(read(b"".join(pieces))) == 1000
