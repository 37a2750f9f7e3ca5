"""Products in the admin: finding them, looking at them, editing them."""

from __future__ import annotations

import urllib.parse
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import quote, unquote
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import resolve, reverse

from catalog.admin.differences import field_label
from catalog.admin.forms import PINNABLE
from catalog.imports.discard import clean_up
from catalog.imports.edit import edit_product
from catalog.models import CatalogState, Feed, Product
from catalog.tests.admin.test_hostile import PAYLOADS
from catalog.tests.factories import add_product, applied, item, items, planned, search
from catalog.tests.pages import PRODUCTS, active_parts, changes, messages, text_of, texts, tree, url

pytestmark = pytest.mark.django_db


def page_of(product_id: str) -> str:
    return reverse("admin:catalog_product_change", args=[quote(product_id)])


def listed(client: Client, **query: str) -> list[str]:
    """Ids of the products in the list, in its order."""
    page = client.get(PRODUCTS, query)
    assert page.status_code == 200
    return [product.id for product in page.context["cl"].result_list]


def product(id: str = "1", **values: Any) -> Product:
    return add_product(id=id, **{"title": "Silk dress", "price": "100", "currency": "AED", **values})


# --- the page's head ------------------------------------------------------------------------------------


def test_the_page_shows_the_product_as_the_shop_does(bob: Client) -> None:
    pictures: dict[str, Any] = {
        "image_link": "https://img.example/1.jpg",
        "additional_image_link": ["https://img.example/2.jpg"],
    }
    product(link="https://shop.example/1", price="100", sale_price="80", availability="out_of_stock", **pictures)
    page = tree(bob.get(page_of("1")))
    assert page.xpath("//*[@class='pictures']/img/@src") == ["https://img.example/1.jpg", "https://img.example/2.jpg"]
    (facts,) = page.xpath("//section[contains(@class, 'window')]//*[@class='facts']")
    assert text_of(facts) == "100.00 AED 80.00 AED Out of stock Open in the shop"
    (link,) = page.xpath("//section[contains(@class, 'window')]//a[@target='_blank']")
    assert (link.get("href"), link.get("rel")) == ("https://shop.example/1", "noopener noreferrer")


@pytest.mark.parametrize("address", ["javascript:alert(1)", "", "ftp://shop.example/1"])
def test_only_a_web_address_leads_to_the_shop(address: str, bob: Client) -> None:
    product(link=address, image_link=address)
    page = tree(bob.get(page_of("1")))
    assert not page.xpath("//section[contains(@class, 'window')]//a | //*[@class='pictures']")


def test_the_page_leads_to_the_other_variants(bob: Client) -> None:
    group = {"item_group_id": "G1", "brand": "Noor"}
    product("1", color="red", size="S", **group)
    product("2", color="red", size="M", availability="out_of_stock", **group)
    product("3", color="", size="", title="The last one", **group)
    product("4", color="blue", size="S", item_group_id="G2", brand="Noor")
    product("5", color="blue", size="S", item_group_id="G1", brand="Another")
    product("6", color="blue", size="S", archived_at="2026-01-01T00:00Z", **group)
    page = tree(bob.get(page_of("1")))
    chips = page.xpath("//section[contains(@class, 'window')]//li/a")
    assert [(chip.get("href"), text_of(chip)) for chip in chips] == [
        (page_of("3"), "The last one"),
        (page_of("2"), "red · M Out of stock"),
    ]


# --- issues, origins and pins ---------------------------------------------------------------------------
ISSUES = "//section[@aria-labelledby='product-issues']//li"


def test_the_page_says_which_issues_the_last_import_found(bob: Client, feed: Feed) -> None:
    run = applied(feed, item("1", gtin="123"), item("2"))
    clean_up(run)
    (said,) = texts(bob.get(page_of("1")), ISSUES)
    assert "gtin" in said
    assert texts(bob.get(page_of("2")), ISSUES) == []
    clean_up(applied(feed, item("1", price="many AED")))
    page = bob.get(page_of("1"))
    assert "could not be imported" in text_of(tree(page).xpath("//section[@aria-labelledby='product-issues']")[0])
    assert any("many AED" in said for said in texts(page, ISSUES))


def beside(client: Client, name: str, **query: str) -> str:
    page = tree(client.get(page_of("1"), query))
    (said,) = page.xpath("//p[contains(@class, 'origin')][@data-field=$name]", name=name)
    return text_of(said)


def test_each_field_says_where_it_comes_from(bob: Client, mona: Client, feed: Feed) -> None:
    run = applied(feed, item("1"))
    mona.post(page_of("1"), {**form_of(mona), "title": "By hand", "pinned": ["brand"]})
    assert beside(bob, "title").startswith("mona · ")
    assert beside(bob, "link").startswith(f"Import {run.pk}, line ")
    assert beside(bob, "brand").startswith("Pinned")
    assert beside(mona, "brand").startswith("Pin Brand")
    assert beside(mona, "mobile_link") == "Pin Mobile link"


@pytest.mark.parametrize("page", ["change", "history"])
def test_what_set_a_field_leads_to_the_products_change(page: str, bob: Client, feed: Feed) -> None:
    applied(feed, *items(3))
    links = tree(bob.get(page_of("00002").replace("change", page))).xpath("//a[contains(@href, 'product_id=')]/@href")
    assert links
    for link in {*links}:
        assert [*changes(bob.get(link))] == ["00002"]


def test_everything_that_can_be_pinned_has_its_pin_beside_it(mona: Client) -> None:
    product("1", pinned=PINNABLE)
    pins = tree(mona.get(page_of("1"))).xpath("//input[@name='pinned']")
    assert sorted(pin.get("value") for pin in pins) == sorted(PINNABLE)
    assert all(pin.get("checked") is not None for pin in pins)


def test_a_field_that_was_changed_can_be_pinned_with_it(mona: Client, feed: Feed) -> None:
    applied(feed, item("1"))
    form = {name: value for name, value in form_of(mona).items() if name != "_save"}
    (button,) = tree(mona.get(page_of("1"))).xpath("//button[contains(., 'Save and pin')]/@name")
    answer = mona.post(page_of("1"), {**form, "title": "By hand", button: ""}, follow=True)
    edited = Product.objects.get()
    assert (edited.title, edited.pinned, edited.version) == ("By hand", ["title"], 2)
    assert not any("change this back" in said for said in messages(answer))


def test_the_content_is_marked_and_the_first_link_skips_the_menu(bob: Client) -> None:
    page = tree(bob.get(PRODUCTS))
    assert page.xpath("//*[@role='main']/@id") == ["content"]
    assert page.xpath("//a/@href")[0] == "#content"


def test_a_pin_is_offered_for_what_the_next_import_may_change_back(mona: Client, feed: Feed) -> None:
    applied(feed, item("1"))
    answer = mona.post(page_of("1"), {**form_of(mona), "title": "By hand"}, follow=True)
    (offer,) = [said for said in messages(answer) if "change this back" in said]
    assert "Title" in offer
    (link,) = tree(answer).xpath("//a[contains(@href, 'offer=')]/@href")
    page = tree(mona.get(link))
    assert page.xpath("//input[@name='pinned'][@checked]/@value") == ["title"]
    (form,) = page.xpath("//form[@id='product_form']")
    mona.post(page_of("1"), {**dict(form.form_values()), "_save": "Save"})
    assert Product.objects.get().pinned == ["title"]


def test_no_pin_is_offered_for_a_product_without_a_feed_or_by_a_viewer(mona: Client, bob: Client) -> None:
    product("1")
    answer = mona.post(page_of("1"), {**form_of(mona), "title": "By hand"}, follow=True)
    assert not any("change this back" in said for said in messages(answer))
    assert not tree(bob.get(page_of("1"), {"offer": "title"})).xpath("//input[@name='pinned']")


def test_the_page_asks_for_its_product_once(mona: Client, feed: Feed) -> None:
    clean_up(applied(feed, item("1", gtin="123")))
    with CaptureQueriesContext(connection) as captured:
        assert mona.get(page_of("1")).status_code == 200
    asked = [query for query in captured if 'FROM "catalog_product"' in query["sql"] and '"title"' in query["sql"]]
    assert len(asked) == 1
    assert len(captured) <= 20


# --- the list -----------------------------------------------------------------------------------------
WARDROBE = {
    "205042570_242": {"title": "Silk Evening Dress", "brand": "Ounass Maison", "gtin": "04006381333931"},
    "SKU-7/b": {"title": "Шёлковое платье", "brand": "Дом"},
    "ar": {"title": "فستان سهرة حريري", "brand": "دار"},
    "O'Neill": {"title": "100% cotton T-shirt & 'tie' | a:b", "brand": "O'Neill", "mpn": "X_1-2"},
}


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("silk", "205042570_242"),
        ("SILK EVE", "205042570_242"),
        ("dress silk", "205042570_242"),
        ("oun", "205042570_242"),
        ("205042570_242", "205042570_242"),
        ("205042", "205042570_242"),
        ("04006381333931", "205042570_242"),
        ("040063", "205042570_242"),
        ("шёлк", "SKU-7/b"),
        ("ШЁЛКОВОЕ ПЛА", "SKU-7/b"),
        ("sku-7", "SKU-7/b"),
        ("فستان", "ar"),
        ("حرير", "ar"),
        ("O'Neill", "O'Neill"),
        ("100% cotton", "O'Neill"),
        ("T-shirt & tie", "O'Neill"),
        ("X_1-2", "O'Neill"),
        ("silk nothing", None),
        ("res", None),
    ],
)
def test_products_are_found_by_the_beginnings_of_their_words(words: str, found: str | None) -> None:
    for product_id, values in WARDROBE.items():
        product(product_id, **values)
    assert [one.id for one in search(words)] == ([found] if found else [])


def test_the_search_box_searches(bob: Client) -> None:
    for product_id, values in WARDROBE.items():
        product(product_id, **values)
    assert listed(bob, q="шёлк ДОМ") == ["SKU-7/b"]
    assert listed(bob, q="nothing") == []


TYPED = [
    *["'", '"', "\\", "%", "_", "*", ":*", "&", "|", "!", "(", ")", "<->", "a & b | !c", "(((", "!!", "':*", "\\'"],
    *["--", "; DROP TABLE", "a:b", ":A", "\x00", "\x01", "🙂", "\u202e", "x" * 3000, "a " * 500, "' OR 1=1", *PAYLOADS],
]


@pytest.mark.parametrize("words", TYPED)
def test_nothing_typed_into_the_search_is_an_error(words: str) -> None:
    product(title="Silk")
    assert not search(words).exists()
    assert search("silk %").exists()


@pytest.mark.parametrize("words", ["%", "'\\:*&|!(", *PAYLOADS[:2]])
def test_the_search_box_keeps_what_was_typed(bob: Client, words: str) -> None:
    page = bob.get(PRODUCTS, {"q": words})
    assert [box.get("value") for box in tree(page).xpath("//input[@name='q'][not(@type='hidden')]")] == [words]


@pytest.mark.parametrize(
    "address",
    [
        "q=a%00b",
        "archive=%00",
        "p=x",
        "p=-1",
        "o=9.-99.x",
        "feed__id__exact=x",
        "nonsense=1",
        "title__contains=x",
        "e=1",
    ],
)
def test_no_address_of_the_list_is_an_error(bob: Client, address: str) -> None:
    product()
    assert bob.get(f"{PRODUCTS}?{address}").status_code in (200, 302, 400)


NOTHING = "//*[contains(@class, 'nothing')]"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({}, "This list is empty."),
        ({"q": "silk"}, "Nothing matches. Show everything"),
        ({"archive": "archived"}, "Nothing matches. Show everything"),
    ],
)
def test_an_empty_list_says_what_can_be_done(bob: Client, query: dict[str, str], said: str) -> None:
    assert texts(bob.get(PRODUCTS, query), NOTHING) == [said]


def test_the_list_shows_active_products_unless_asked_otherwise(bob: Client, feed: Feed) -> None:
    applied(feed, *items(2))
    applied(feed, *items(1), mode="sync")
    assert listed(bob) == ["00001"]
    assert listed(bob, archive="archived") == ["00002"]
    assert sorted(listed(bob, archive="all")) == ["00001", "00002"]
    assert "Archived" in texts(bob.get(PRODUCTS, {"archive": "archived"}), "//td[contains(@class, 'availability')]")


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({"price": "1299", "currency": "AED"}, "1,299.00 AED"),
        ({"price": "1.25", "currency": "KWD"}, "1.250 KWD"),
        ({"price": "1299", "currency": "JPY"}, "1,299 JPY"),
        ({"price": None}, "–"),
        ({"price": "100", "sale_price": "79.5"}, "100.00 AED 79.50 AED"),
        ({"price": "100", "sale_price": "100"}, "100.00 AED"),
        ({"price": "100", "sale_price": "120"}, "100.00 AED"),
    ],
)
def test_the_price_is_shown_as_it_is_asked(bob: Client, values: dict[str, Any], shown: str) -> None:
    product(**values)
    assert texts(bob.get(PRODUCTS), "//td[contains(@class, 'field-shown_price')]") == [shown]


def test_a_reduced_price_strikes_the_old_one_out(bob: Client) -> None:
    product(price="100", sale_price="80")
    assert texts(bob.get(PRODUCTS), "//td//del") == ["100.00 AED"]


@pytest.mark.parametrize(("address", "shown"), [("https://example.com/a.jpg", 1), ("javascript:alert(1)", 0), ("", 0)])
def test_a_picture_is_only_ever_a_web_address(bob: Client, address: str, shown: int) -> None:
    product(image_link=address)
    pictures = tree(bob.get(PRODUCTS)).xpath("//td//img")
    assert [picture.get("src") for picture in pictures] == [address] * shown


def test_the_list_asks_as_often_for_fifty_products_as_for_one(bob: Client, feed: Feed) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert bob.get(PRODUCTS, {"archive": "all"}).status_code == 200
        return len(captured)

    applied(feed, *items(1))
    queries()
    one = queries()
    applied(feed, *items(60))
    queries()  # brands and categories are found once for each version of the catalogue
    assert queries() == one <= 12


def test_a_hostile_product_adds_nothing_to_the_pages(bob: Client, mona: Client) -> None:
    def pages(text: str) -> list[Any]:
        Product.objects.all().delete()
        free = ("title", "brand", "description", "image_link", "link", "gtin", "color")
        product("1", **dict.fromkeys(free, text), additional_image_link=[text], extra={text: [text]})
        return [
            client.get(path)
            for client in (bob, mona)
            for path in (PRODUCTS, page_of("1"), page_of("1").replace("/change/", "/history/"))
        ]

    for shown, twin in zip(pages(" ".join(PAYLOADS)), pages("word"), strict=True):
        assert shown.status_code == 200
        assert not active_parts(shown) - active_parts(twin), shown.request["PATH_INFO"]


# --- ids ----------------------------------------------------------------------------------------------
ODD_IDS = [
    "a/b", "a?b=c", "a#b", "...", "add", "import", "export", "_2F", "_2E", "a_b", "%2F", "100%", "👗", "été",
    "o'neill", '"quoted"', "a b", "a  b", "a&b", "a+b", "a;b", "a:b", "a@b", "a=b", "a,b", "a\\b", "<b>", "[x]", "{x}",
    "$x", "~", "0", "-1", "../../x", "a/change", "1/change/", "http://x/y", "x" * 500, "NULL", "None",
]  # fmt: skip


def links_to_products(page: Any) -> list[str]:
    found = tree(page).xpath("//a[contains(@href, '/catalog/product/')][contains(@href, '/change/')]/@href")
    return [as_a_browser_asks(link.partition("?")[0]) for link in found]


@pytest.mark.parametrize("place", ["the list", "the import"])
def test_every_product_is_linked_whatever_its_id_is(bob: Client, feed: Feed, place: str) -> None:
    run = applied(feed, *map(item, ODD_IDS))
    links = links_to_products(bob.get(PRODUCTS if place == "the list" else url(run)))
    assert sorted(unquote(resolve(urllib.parse.unquote(link)).kwargs["object_id"]) for link in links) == sorted(ODD_IDS)


@pytest.mark.parametrize("product_id", ["a/b?c=d#e", "..", ".", "add", "_2E_2E", '👗 "100%"'])
def test_a_product_opens_whatever_its_id_is(bob: Client, feed: Feed, product_id: str) -> None:
    product(product_id)
    (link,) = links_to_products(bob.get(PRODUCTS))
    (same,) = links_to_products(bob.get(url(planned(feed, item(product_id)))))
    opened = bob.get(link)
    assert same == link
    assert opened.status_code == 200
    assert opened.context["original"].id == product_id


def as_a_browser_asks(link: str) -> str:
    """The path that is sent: a browser takes `.` and `..` out of an address, however they are spelled."""
    path: list[str] = []
    for part in link.split("/"):
        spelled = part.lower().replace("%2e", ".")
        if spelled == "..":
            path[-1:] = []
        elif spelled != ".":
            path.append(part)
    return "/".join(path)


def test_a_product_that_is_not_there_is_a_message_and_no_error(bob: Client) -> None:
    for product_id in ("nothing", "a/b", "..", "_2E", "x" * 600):
        answer = bob.get(page_of(product_id), follow=True)
        assert answer.status_code in (200, 404)


# --- one product --------------------------------------------------------------------------------------
def form_of(client: Client, product_id: str = "1") -> dict[str, Any]:
    """What the change form would send if nothing were touched."""
    (form,) = tree(client.get(page_of(product_id))).xpath("//form[@id='product_form']")
    return {**dict(form.form_values()), "_save": "Save"}


FULL: dict[str, Any] = {
    "title": "Silk dress",
    "description": "Line one\nLine two\n\n• three",
    "price": "100.000",
    "sale_price": "79.5",
    "availability": "in_stock",
    "identifier_exists": True,
    "adult": None,
    "quantity": 0,
    "gtin": "04006381333931",
    "additional_image_link": ["https://example.com/w_1,h_2/a.jpg", "https://example.com/b.jpg?x=1,2"],
    "extra": {"shipping": [{"country": "AE", "price": "5,00"}], "c:heel": "عالي", "n": 1.10},
    "image_link": "https://example.com/a b.jpg?x=<y>&z='q'",
}


def test_saving_without_a_change_changes_nothing(mona: Client) -> None:
    product(**FULL)
    before: Any = Product.objects.values().get()
    answer = mona.post(page_of("1"), form_of(mona), follow=True)
    assert "was changed successfully" in messages(answer)[0]
    after: Any = Product.objects.values().get()
    assert {name for name in before if before[name] != after[name]} <= {"version", "change_number", "updated_at"}


@pytest.mark.parametrize(
    ("price", "currency", "shown"), [("3150", "AED", "3150.00"), ("1.25", "KWD", "1.250"), ("1299", "JPY", "1299")]
)
def test_an_amount_is_edited_with_its_currencys_decimals(mona: Client, price: str, currency: str, shown: str) -> None:
    product(price=price, currency=currency)
    assert form_of(mona)["price"] == shown


def test_an_edit_makes_a_new_version_of_the_product_and_the_catalogue(mona: Client) -> None:
    product()
    catalogue = CatalogState.objects.get().version
    mona.post(page_of("1"), {**form_of(mona), "title": "Linen dress"})
    edited = Product.objects.get()
    assert (edited.title, edited.version) == ("Linen dress", 2)
    assert CatalogState.objects.get().version == catalogue + 1
    assert LogEntry.objects.get().object_id == "1"


def test_an_edit_is_what_a_plan_made_before_it_gives_way_to(mona: Client, feed: Feed) -> None:
    applied(feed, *items(1))
    run = planned(feed, *items(1, title="From the feed"))
    mona.post(page_of("00001"), {**form_of(mona, "00001"), "title": "By hand"})
    assert run.changes.get().base_version == Product.objects.get().version - 1


def test_a_page_that_was_opened_before_an_import_puts_nothing_back(mona: Client, feed: Feed) -> None:
    applied(feed, *items(1))
    form = form_of(mona, "00001")
    applied(feed, *items(1, price="150.00 AED"))
    for _ in range(2):  # the page that is refused is as old when it is sent again
        answer = mona.post(page_of("00001"), form | {"title": "By hand"})
        assert "changed this product since you opened this page" in answer.content.decode()
        form = dict(tree(answer).xpath("//form[@id='product_form']")[0].form_values())
    assert Product.objects.values_list("title", "price", "version").get() == ("Silk dress", 150, 2)


def test_a_product_that_is_removed_while_it_is_saved_is_a_sentence(
    mona: Client, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    product(feed=feed)
    form = form_of(mona, "1")

    def remove_and_edit(gone: Product, **options: Any) -> None:
        Product.objects.filter(pk=gone.pk).delete()
        edit_product(gone, **options)

    monkeypatch.setattr("catalog.admin.products.edit_product", remove_and_edit)
    answer = mona.post(page_of("1"), {**form, "title": "Linen dress"}, headers={"accept": "text/html"})
    assert answer.status_code == 409
    (said,) = texts(answer, "//section[contains(@class, 'verdict')]/h2")
    assert said == "The product 1 was removed while you edited it."
    assert "Pin it" not in answer.content.decode()  # nothing was saved that could be pinned


UNFIT = [
    ("availability", "soon"),
    ("condition", "old"),
    ("gender", "Male"),
    *[("price", text) for text in ("0", "-1", "1e99", "NaN", "1.2345")],
    *[("quantity", text) for text in ("many", "9" * 20)],
    ("extra", "{not json"),
    ("title", "a\x00b"),
]


def test_what_a_field_cannot_hold_is_refused_beside_it(mona: Client) -> None:
    product()
    form = form_of(mona)
    for field, value in UNFIT:
        answer = mona.post(page_of("1"), {**form, field: value})
        assert answer.status_code == 200
        assert list(answer.context["adminform"].form.errors) == [field]
    assert Product.objects.get().version == 1


def test_what_is_not_for_editing_is_not_taken_from_a_form(mona: Client) -> None:
    product()
    fixed = ("id", "feed", "archived_at", "created_at")
    before = Product.objects.values(*fixed).get()
    mona.post(page_of("1"), {**form_of(mona), **dict.fromkeys([*fixed, "version", "search"], "7")})
    assert Product.objects.values(*fixed).get() == before
    assert Product.objects.get().version == 1


def test_who_may_only_look_gets_no_form(bob: Client) -> None:
    product()
    page = bob.get(page_of("1"))
    assert not tree(page).xpath("//form[@id='product_form']//input[@name='title']|//button[@name='_save']")
    assert bob.post(page_of("1"), {"title": "x"}).status_code == 403


@pytest.mark.parametrize(
    ("currency", "shown"), [("AED", "3,150.00 AED"), ("KWD", "3,150.000 KWD"), ("JPY", "3,150 JPY"), ("", "3,150.00")]
)
def test_who_may_only_look_sees_amounts_as_they_are_asked(bob: Client, currency: str, shown: str) -> None:
    product(price=Decimal("3150.000"), currency=currency)
    said = text_of(tree(bob.get(page_of("1"))))
    assert f"Price {shown}" in said
    assert "Sale price –" in said
    assert "Old price –" in said


@pytest.mark.parametrize("name", ["mona", "superuser"])
def test_products_are_neither_added_nor_deleted_by_hand(mona: Client, admin_client: Client, name: str) -> None:
    product()
    client = mona if name == "mona" else admin_client
    for path in (PRODUCTS, page_of("1")):
        offered = {link.rstrip("/").rpartition("/")[2] for link in tree(client.get(path)).xpath("//a/@href")}
        assert not offered & {"add", "delete"}
    assert client.get(f"{PRODUCTS}add/").status_code == 403
    assert client.post(reverse("admin:catalog_product_delete", args=["1"]), {"post": "yes"}).status_code == 403
    client.post(PRODUCTS, {"action": "delete_selected", "_selected_action": "1", "post": "yes"})
    assert Product.objects.exists()


def test_the_gap_in_the_pager_leads_nowhere_and_thousands_are_separated(
    bob: Client, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.admin.products.ProductAdmin.list_per_page", 50)
    Product.objects.bulk_create([Product(id=f"{n:04}", feed=feed) for n in range(1_001)])
    page = bob.get(PRODUCTS)
    assert "1,001 products" in text_of(tree(page))
    links = texts(page, "//a[contains(@href, 'p=')][number(.) = number(.)]")
    assert links == ["2", "3", "4", "20", "21"]
    assert not tree(page).xpath("//a[normalize-space()='…']")


def test_names_that_begin_with_a_small_letter_keep_it() -> None:
    assert [field_label(name) for name in ("ios_url", "iphone_app_name")] == ["URL for iOS", "App name for iPhone"]
