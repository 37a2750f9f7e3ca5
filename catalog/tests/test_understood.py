"""A value that has one meaning is read as that, however it is written; a value without one is named."""

from decimal import Decimal
from typing import Any

import pytest

from bench.google_attributes import fields_in, further_names, missing_names
from catalog.feeds.cleaning.check import Item, Rules, check_item
from catalog.feeds.cleaning.values import SIGNS, addresses_in, is_moment, is_period, parse_money, settled_mark
from catalog.feeds.currencies import CURRENCIES, DECIMALS, PUBLISHED
from catalog.feeds.reading.items import RawItem, RawValue

NO_RULES = Rules()
WHOLE: dict[str, RawValue] = {
    "id": "1",
    "title": "Silk dress",
    "description": "Of silk.",
    "link": "https://shop.example/1",
    "image_link": "https://shop.example/1.jpg",
    "brand": "Noor",
    "mpn": "N-1",
    "price": "155.00 AED",
    "availability": "in_stock",
}


def clean(rules: Rules = NO_RULES, /, **fields: Any) -> Item:
    return check_item(RawItem(1, 1, {**WHOLE, **fields}), rules)


def codes(item: Item) -> list[str]:
    return [issue.code for issue in item.issues]


# --- numbers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "number"),
    [
        ("quantity", "12.0000", 12),
        ("quantity", "12.0", 12),
        ("quantity", "0.0000", 0),
        ("quantity", "7,00", 7),
        ("additional_images_count", "3.0", 3),
    ],
)
def test_a_whole_number_with_decimals_is_that_number_and_named(name: str, text: str, number: int) -> None:
    item = clean(**{name: text})
    assert item.values[name] == number
    assert codes(item) == ["integer.lenient"]


# --- invisible marks ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("price", "\u200f155.00\u00a0د.إ.\u200f", "155.00"),
        ("price", "\u2066155.00 \u2069AED", "155.00"),
        ("availability", "in_stock\u200b", "in_stock"),
        ("condition", "\ufeffnew", "new"),
        ("gender", "\u00adfemale\u200e", "female"),
        ("quantity", "\u202a4\u202c", "4"),
        ("availability_date", "2026-12-01\u200e", "2026-12-01"),
        ("gtin", "\u200e4006381333931", "4006381333931"),
        ("link", "\ufeffhttps://shop.example/1 \u200b", "https://shop.example/1"),
        ("identifier_exists", "yes\u2060", "True"),
    ],
)
def test_marks_that_nobody_sees_are_nothing_and_named_once(name: str, text: str, value: str) -> None:
    item = clean(**{name: text})
    assert str(item.values[name]) == value
    assert codes(item).count("text.invisible_marks") == 1
    assert item.valid


def test_a_value_of_marks_alone_is_empty() -> None:
    assert codes(clean(color="\u200b\ufeff")) == ["text.invisible_marks", "attribute.empty"]


def test_a_name_with_a_mark_is_that_name() -> None:
    assert clean(**{"\u200bcolor\u200e": "Red"}).values["color"] == "Red"


def test_marks_within_a_text_belong_to_it() -> None:
    assert clean(title="می\u200cخواهم").values["title"] == "می\u200cخواهم"


# --- addresses ----------------------------------------------------------------------------------------

JSON = r'["https:\/\/e.com\/1.jpg","https:\/\/e.com\/2,b.jpg"]'
A, B = "https://e.com/1.jpg", "https://e.com/2,b.jpg"


@pytest.mark.parametrize(
    "text",
    [f"{A}|{B}", f"{A} | {B}|", f"{A};{B}", f"{A}; {B}", f"{A}\n{B}", f"{A} {B}", f"{A},{B}", f'["{A}", "{B}"]', JSON],
)
def test_several_addresses_in_one_value_are_taken_apart_and_named(text: str) -> None:
    item = clean(additional_image_link=text)
    assert item.values["additional_image_link"] == [A, B]
    assert codes(item) == ["attribute.list"]
    assert item.extra == {"additional_image_link_orig_value": text}
    one = clean(image_link=text)
    assert one.values["image_link"] == A
    assert codes(one) == ["attribute.list"]


@pytest.mark.parametrize(
    "text",
    [
        "https://shop.example/i/12_High_Street,_Dubai.jpg",
        "https://cdn.example/fetch/https://shop.example/a,b.jpg",
        "https://cdn.example/?family=a;b",
    ],
)
def test_one_address_stays_one(text: str) -> None:
    assert addresses_in(text) == [text]
    assert clean(additional_image_link=text).values["additional_image_link"] == [text]


def test_a_list_that_may_be_one_address_is_set_aside_and_named() -> None:
    text = "https://e.com/?all=https://e.com/1.jpg,https://e.com/2.jpg"
    item = clean(additional_image_link=text)
    assert (item.values.get("additional_image_link"), codes(item)) == (None, ["url.list"])


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://e.com/?a=1&amp;b=2", "text.double_escaped"),
        ("https://e.com/?a=1&#038;b=2", "text.double_escaped"),
        ("https://e.com/a%2520b.jpg", "text.double_escaped"),
        ("http://https://e.com/a", "url.two_schemes"),
    ],
)
@pytest.mark.parametrize("name", ["link", "image_link", "additional_image_link"])
def test_an_address_that_was_escaped_twice_is_named_and_imported(name: str, url: str, code: str) -> None:
    item = clean(**{name: url})
    assert codes(item) == [code]
    assert item.values[name] in (url, [url])


# --- words for nothing --------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["NULL", "Null", "null", "None", "NONE", "nan", "NaN", "(null)", "-"])
@pytest.mark.parametrize("name", ["color", "gtin", "item_group_id", "quantity", "sale_price", "gender"])
def test_a_word_for_nothing_is_empty(name: str, word: str) -> None:
    item = clean(**{name: word})
    assert name not in item.values
    assert name not in item.extra
    assert codes(item) == ["attribute.empty"]


@pytest.mark.parametrize("word", ["NULL", "None", "-"])
def test_a_brand_that_is_a_word_for_nothing_is_missing(word: str) -> None:
    item = clean(brand=word)
    assert ("brand" in item.values, codes(item)) == (False, ["brand.missing"])


def test_a_group_with_a_word_for_nothing_lacks_its_element() -> None:
    assert codes(clean(shipping={"country": "NULL", "price": "0 AED"})) == ["group.subattribute_missing"]


def test_of_several_values_a_word_for_nothing_is_none() -> None:
    item = clean(color=["NULL", "Red"])
    assert (item.values["color"], codes(item)) == ("Red", [])


@pytest.mark.parametrize("word", ["#N/A", "#REF!", "Array", "Loading...", "undefined"])
@pytest.mark.parametrize("name", ["color", "gtin", "quantity", "sale_price", "availability_date"])
def test_an_error_of_a_program_is_not_understood(name: str, word: str) -> None:
    item = clean(**{name: word})
    assert name not in item.values
    assert "text.placeholder" in codes(item)


# --- rules of Merchant Center -------------------------------------------------------------------------


@pytest.mark.parametrize("availability", ["preorder", "backorder", "back order"])
def test_what_is_not_in_stock_yet_says_when_it_comes(availability: str) -> None:
    assert "availability.date_missing" in codes(clean(availability=availability))
    assert "availability.date_missing" not in codes(clean(availability=availability, availability_date="2026-12-01"))


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("2026-11-22T08:00/2026-11-22T20:00", True),
        ("2026-11-22T20:00/2026-11-22T08:00", False),
        ("2026-11-22T00:00/2026-11-22T00:00", False),
        ("2026-11-22T00:00/2026-11-22T24:00", True),
        ("2026-11-22/2026-11-22", True),
        ("2026-11-22T20:00+0400/2026-11-22T18:00+0000", True),
        ("2026-11-22T18:00+0000/2026-11-22T20:00+0400", False),
        ("2026-11-22T18:00/2026-11-22T20:00+0400", True),
        ("2026-02-28/2026-02-30", False),
        ("2026-11-22T08:00:00.123456789Z/2026-11-23T08:00:00Z", True),
        ("2026-11-22", False),
    ],
)
def test_a_period_begins_before_it_ends(text: str, right: bool) -> None:
    assert is_period(text) is right


@pytest.mark.parametrize("text", ["2026-02-30", "2025-02-29", "2026-13-01", "2026-11-22T24:30", "2026-11-22T25:00"])
def test_a_day_that_no_calendar_has_is_not_a_date(text: str) -> None:
    assert not is_moment(text)


def test_each_of_several_gtins_is_checked() -> None:
    several: list[Any] = ["4006381333931", "4006381333930", "96385074"]
    item = clean(gtin=several)
    assert (item.values["gtin"], item.extra["gtin"]) == (several[0], several[1:])
    assert codes(item) == ["gtin.checksum"]
    in_one_text = clean(gtin=", ".join(several))
    assert (in_one_text.values["gtin"], in_one_text.extra["gtin"]) == (several[0], several[1:])
    assert codes(in_one_text) == ["attribute.list", "gtin.checksum"]


@pytest.mark.parametrize(
    ("short", "long"),
    [("04252614", "042100005264"), ("01234565", "012345000065"), ("0 6543-217", "065100004327")],
)
def test_a_upc_e_is_named_with_its_12_digits(short: str, long: str) -> None:
    (issue,) = clean(gtin=short).issues
    assert (issue.code, issue.found) == ("gtin.upc_e", f"{short}, in 12 digits {long}")


@pytest.mark.parametrize("text", ["10 ct", "500 sheets", "1 item", "4 sheet"])
def test_a_unit_price_may_be_of_pieces(text: str) -> None:
    assert codes(clean(unit_pricing_measure=text)) == []


# --- currencies ---------------------------------------------------------------------------------------


def test_the_currencies_are_those_of_today() -> None:
    assert {"XCG", "VED", "AED", "KWD"} <= CURRENCIES
    assert not {"BGN", "HRK", "XAU", "XXX", "CLF"} & CURRENCIES
    assert (DECIMALS["KWD"], DECIMALS["JPY"], DECIMALS["AED"]) == (3, 0, 2)
    assert PUBLISHED.year >= 2026


@pytest.mark.parametrize("text", ["1250000000 VND", "999999999999 IDR", "2000000000 KRW", "1 299 000 000 ₫"])
def test_a_handbag_may_cost_a_thousand_million(text: str) -> None:
    assert clean(price=text).valid


@pytest.mark.parametrize("text", ["1250000000 AED", "1000000000000 VND", "1250000000"])
def test_no_price_is_beyond_its_currency(text: str) -> None:
    assert "price.too_large" in codes(clean(price=text))


@pytest.mark.parametrize(
    "fields",
    [
        {"price": "12.00", "currency": "AED"},
        {"currency": "aed", "price": "12.00"},
        {"price": {"@currency": "AED", "#text": "12.00"}},
        {"price": {"@currencyCode": "AED", "#text": "12"}, "sale_price": {"@currency": "AED", "#text": "9"}},
    ],
)
def test_the_currency_may_stand_beside_the_amount(fields: dict[str, RawValue]) -> None:
    item = clean(Rules(default_currency="USD"), **fields)
    assert (item.values["price"], item.values["currency"], item.extra) == (12, "AED", {})
    assert codes(item) == []


def test_a_currency_that_none_is_stays_beside_the_amount() -> None:
    item = clean(price="12.00", currency="Dirham")
    assert (item.values.get("currency"), item.extra) == (None, {"currency": "Dirham"})
    assert codes(item) == ["price.no_currency"]


# --- amounts with one possible reading ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "others", "amount"),
    [
        ("12,500 AED", [], "12500.00"),
        ("AED 1,250", [], "1250.00"),
        ("₹1,599", ["155.00 INR"], "1599.00"),
        ("12,500 JPY", [], "12500"),
        ("12,500 AED", ["155,00 AED"], None),
        ("12,500 AED", ["1.234,56 AED"], None),
        ("12,500 KWD", [], None),
        ("12,500 KWD", ["1,25 KWD"], "12.500"),
        ("12,500 KWD", ["1.250 KWD"], "12500.000"),
        ("12,500", [], None),
        ("12,500", ["1.25"], "12500.00"),
        ("12.500 USD", [], None),
        ("12.500 USD", ["155 USD"], None),
        ("12.500 USD", ["155.00 USD"], "12.50"),
        ("12.500 USD", ["155,00 USD"], "12500.00"),
        ("12.500 USD", ["155,00 USD", "155.00 USD"], None),
        ("43.056", ["44.50"], "43.06"),
        ("0,500 AED", [], None),
    ],
)
def test_an_amount_is_read_as_the_files_other_amounts_settle(text: str, others: list[str], amount: str | None) -> None:
    first = [parse_money(each) for each in (text, *others)]
    mark = settled_mark({money.sign for money in first})
    read = parse_money(text, "", mark)
    assert read.amount == (None if amount is None else Decimal(amount))
    assert ("price.separator" in read.codes) is (amount is not None)
    if not mark:
        assert read == first[0]


# --- names and elements -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "in_stock"),
        ("no", "out_of_stock"),
        ("available for order", "in_stock"),
        ("Discontinued", "out_of_stock"),
    ],
)
def test_everybodys_words_for_availability_are_known(text: str, value: str) -> None:
    assert clean(availability=text).values["availability"] == value


def test_a_sku_id_is_the_id_unless_there_is_one() -> None:
    alone = {**WHOLE, "sku_id": "7"}
    del alone["id"]
    assert check_item(RawItem(1, 1, alone), NO_RULES).id == "7"
    both = clean(sku_id="7")
    assert (both.id, both.extra, codes(both)) == ("1", {"sku_id": "7"}, [])
    first = check_item(RawItem(1, 1, {"sku_id": "7", **WHOLE}), NO_RULES)
    assert (first.id, first.extra) == ("1", {"sku_id": "7"})


def test_a_guid_is_the_id_where_there_is_none() -> None:
    blog = {**WHOLE, "guid": {"@isPermaLink": "false", "#text": "post-7"}}
    assert check_item(RawItem(1, 1, blog), NO_RULES).id == "1"
    del blog["id"]
    item = check_item(RawItem(1, 1, blog), NO_RULES)
    assert (item.id, item.more_names - SIGNS) == ("post-7", {"id"})


def test_attributes_beside_a_namesake_with_a_text_are_kept() -> None:
    atom = "{http://www.w3.org/2005/Atom}category"
    item = clean(**{"category": "Dresses", atom: {"@term": "NEW"}})
    assert item.extra == {"category": "Dresses", "atom:category": {"@term": "NEW"}}
    assert item.more_names - SIGNS == {"atom:category"}
    repeated = clean(color=["Red", {"@term": "NEW"}])
    assert (repeated.values["color"], repeated.extra) == ("Red", {"color": {"@term": "NEW"}})
    enclosure = clean(enclosure=["a", {"@url": "https://e.com/a.mp3"}])
    assert enclosure.extra == {"enclosure": ["a", {"@url": "https://e.com/a.mp3"}]}


# --- the table ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "name"),
    [
        ("product_highlights", "product_highlight"),
        ("returns", "return"),
        ("questions_and_answers", "question_and_answer"),
        ("certifications", "certification"),
        ("warranty", "warranty"),
        ("vin", "vin"),
    ],
)
def test_the_names_of_the_merchant_api_are_known(found: str, name: str) -> None:
    assert clean(**{found: "a"}).extra == {name: "a"}


def test_the_plural_of_a_column_is_that_column() -> None:
    assert clean(additional_image_links=[A, B]).values["additional_image_link"] == [A, B]
    assert clean(gtins="4006381333931").values["gtin"] == "4006381333931"


def test_what_the_table_lacks_of_googles_fields_is_found() -> None:
    source = "class ProductAttributes(Message):\n    title: str = 1\n    gtins: list = 2\n    tomorrow: str = 3\n"
    fields = fields_in(source)
    assert (fields, missing_names(fields)) == (["title", "gtins", "tomorrow"], ["tomorrow"])
    assert {"mpn", "quantity"} <= set(further_names(fields))
    assert not {"title", "gtin"} & set(further_names(fields))
