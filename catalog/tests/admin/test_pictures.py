"""What a feed names as a picture never leads the browsers of staff into their own network."""

from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from catalog.admin.pictures import NOT_LOADED, public_source
from catalog.admin.sample_pictures import SAMPLE_PICTURES, draw_sample
from catalog.models import Feed
from catalog.tests.api import product
from catalog.tests.factories import item, planned
from catalog.tests.pages import PRODUCTS, browser, tree, url
from config.middleware import PAGES
from samples.departments import DEPARTMENTS

PUBLIC = {
    "https://www.example.com/a.jpg": "https://www.example.com/a.jpg",
    "https://www.example.com": "https://www.example.com",
    "http://www.example.com/a.jpg": "https://www.example.com/a.jpg",
    "HTTPS://WWW.Example.COM/A.jpg?x=1#y": "https://www.example.com/A.jpg?x=1#y",
    "https://www.example.com.:443/a": "https://www.example.com/a",
    "http://www.example.com:80/a": "https://www.example.com/a",
    "https://img_1.cdn-2.example.co.uk/a b.jpg": "https://img_1.cdn-2.example.co.uk/a b.jpg",
    "https://bücher.example/a.jpg": "https://xn--bcher-kva.example/a.jpg",
    "https://موقع.مصر/a.jpg": "https://xn--4gbrim.xn--wgbh1c/a.jpg",
    "https://example。com/a.jpg": "https://example.com/a.jpg",
    "https://example.com/@127.0.0.1/a.jpg": "https://example.com/@127.0.0.1/a.jpg",
}
NUMBERS = """
    127.0.0.1 127.1 127.0.1 0 0.0.0.0 2130706433 0x7f000001 0x7f.1 0X7F.0.0.1 0177.0.0.1 017700000001 127.0.0.1.
    127.0.0.0x1 10.0.0.1 192.168.1.1 172.16.0.1 169.254.169.254 100.64.0.1 192.0.2.1 8.8.8.8 255.255.255.255 1.2.3
    [::1] [::] [::ffff:127.0.0.1] [::ffff:7f00:1] [fe80::1] [fe80::1%25eth0] [fc00::1] [64:ff9b::7f00:1] [::1
    [2001:db8::1] ①②⑦.0.0.1 １２７.0.0.1 127。0。0。1 127．0．0．1 ⓪x7f.1 0x7f.⑴ example.0x1 example.1
""".split()
NAMES = """
    localhost LOCALHOST localhost. printer intranet a.localhost nas.local NAS.LOCAL nas.local. wiki.internal router.lan
    wiki.corp box.home box.home.arpa 1.0.0.127.in-addr.arpa x.localdomain wiki.intranet db.private x.test x.invalid
    y.onion api.default.svc x.svc.cluster.local vault.service.consul ｌｏｃａｌｈｏｓｔ nas.ｌｏｃａｌ
    nas。local nas.lo\u00adcal
""".split()
SHAPES = [
    "https://alice@example.com/a",
    "https://example.com@127.0.0.1/a",
    "https://127.0.0.1@example.com/a",
    "https://a:b@example.com/a",
    "https://example.com\\@127.0.0.1/a",
    "https://127.0.0.1\\.example.com/a",
    "https://example.com%00.local/a",
    "https://%31%32%37.0.0.1/a",
    "https://%6cocalhost/a",
    "https://example.com:22/a",
    "https://example.com:8080/a",
    "https://example.com:/a",
    "https://example.com:443:22/a",
    "http://example.com:443/a",
    "https:///example.com/a",
    "https:/example.com/a",
    "https:example.com/a",
    "https:\\\\example.com/a",
    "ht\ntps://example.com/a",
    "https://exam\tple.com/a",
    "https://exam ple.com/a",
    "https://.example.com/a",
    "https://example..com/a",
    "https://-a.com/a",
    "https://" + "a" * 64 + ".com/a",
    "https://" + "a." * 2000 + "com",
    "https://\ud800.com/a",
    "//example.com/a",
    "ftp://example.com/a",
    "javascript://example.com/%0aalert(1)",
    "data:image/png;base64,AAAA",
    " https://example.com/a",
    "",
]


@pytest.mark.parametrize(("address", "source"), PUBLIC.items())
def test_a_public_name_is_asked_by_https(address: str, source: str) -> None:
    assert public_source(address) == source


@pytest.mark.parametrize("host", [*NUMBERS, *NAMES])
@pytest.mark.parametrize("form", ["https://{}/a.jpg", "http://{}", "https://{}:443/a.jpg", "https://{}?x"])
def test_a_number_and_a_name_of_private_networks_are_not_asked(host: str, form: str) -> None:
    assert public_source(form.format(host)) == ""


@pytest.mark.parametrize("address", SHAPES)
def test_what_browsers_may_read_otherwise_is_not_asked(address: str) -> None:
    assert public_source(address) == ""


def test_a_feed_has_staff_ask_nothing_of_this_site(settings: Any) -> None:
    settings.SITE_URL = "https://catalogue.example.com"
    assert public_source("https://Catalogue.example.com/admin/") == ""
    assert public_source("https://shop.example.com/a.jpg")


@given(st.text(alphabet="htps:/\\@.[]%#?127x0a\u3002\uff11\tlocal-_", max_size=40))
def test_whatever_is_asked_has_a_name_with_letters_at_its_end(text: str) -> None:
    source = public_source(f"https://{text}")
    host = source.removeprefix("https://").partition("/")[0].partition("?")[0].partition("#")[0]
    assert not source or (host.isascii() and host.rpartition(".")[2].isalpha() and "@" not in host and ":" not in host)


PRIVATE = "http://192.168.1.1/a.jpg"


def test_the_list_says_what_is_not_loaded(db: None) -> None:
    product(id="1", image_link=PRIVATE)
    page = tree(browser("bob").get(PRODUCTS))
    assert page.xpath("//td//img") == []
    assert page.xpath("//span[@class='thumb']/@title") == [str(NOT_LOADED)]


def test_a_plan_says_what_is_not_loaded(db: None, storage: Any) -> None:
    feed = Feed.objects.create(name="Ounass", slug="ounass")
    run = planned(feed, item("1", image_link=PRIVATE), item("2", image_link="http://www.example.com/a.jpg"))
    page = tree(browser("alice").get(url(run)))
    assert {*page.xpath("//ul[@class='changes']//img/@src")} == {"https://www.example.com/a.jpg"}
    assert f"{PRIVATE} {NOT_LOADED}" in page.text_content()


def test_an_invented_product_is_drawn_after_its_kind_and_colour(db: None) -> None:
    kinds = ["Women > Clothing > Dresses", "Women > Shoes > Boots", "Women > Bags > Shoulder Bags", "Home > Vases"]
    for kind in kinds:
        product(id=kind, image_link=f"{SAMPLE_PICTURES}1_1.jpg", product_type=kind, color="Red")
    product(id="5", image_link=f"{SAMPLE_PICTURES}1_1.jpg", product_type=kinds[0], color="Teal/“Gold”")
    pictures = [unquote(source) for source in tree(browser("bob").get(PRODUCTS)).xpath("//td//img/@src")]
    assert len({*pictures}) == 5
    for picture in pictures:
        head, _comma, drawing = picture.partition(",")
        assert head == "data:image/svg+xml"
        assert len(etree.fromstring(drawing)) == 2


def test_every_kind_of_the_samples_has_a_drawing() -> None:
    square = draw_sample("", "Red")
    kinds = {f"{department.name} > {kind.shelf}" for department in DEPARTMENTS for kind in department.kinds}
    assert {kind for kind in kinds if draw_sample(kind, "Red") == square} == {
        "Accessories > Scarves",
        "Home > Throws",
        "Home > Frames",
    }


def test_pages_load_pictures_by_https_only() -> None:
    assert "img-src 'self' data: https:;" in PAGES
