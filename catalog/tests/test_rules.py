"""The rules for one item: each code of the registry with an item that has it, its line and what was found."""

import ast
import io
import re
from pathlib import Path
from typing import Any

import pytest

from catalog.feeds.attributes import ATTRIBUTES, BY_NAME, COLUMNS, Need, Type, expected_value
from catalog.feeds.cleaning import check as check_module
from catalog.feeds.cleaning.check import MAX_UNKNOWN_NAMES, Item, Occurring, Rules, check_item, names_of
from catalog.feeds.issues import BY_CODE, CODES, Issue, Severity
from catalog.feeds.limits import SAFE
from catalog.feeds.reading.items import read_items
from catalog.imports.planning.between_items import BETWEEN_ITEMS
from catalog.tests.factories import feed_of, item

NO_RULES = Rules()
SHOP = Rules(base_url="https://shop.example/en/", domain="shop.example", aliases=(("Farbe", "color"),))
LONG_MOMENTS = {
    Type.DATE: "2026-11-01T00:00:00.000+04:00",
    Type.PERIOD: "2026-11-01T00:00:00.000+04:00/2026-11-02T00:00:00.000+04:00",
}
# Found by comparing the items of a file, or while the file is read, not by looking at an item.
ELSEWHERE = {
    *BETWEEN_ITEMS,
    *("attribute.unknown", "row.cells", "row.archived", "row.extra", "row.character", "row.json"),
    *("row.quotes", "row.quotes_as_text", "group.parts"),
    "item.not_well_formed",
    *("item.too_large", "item.too_many_attributes", "item.too_deep", "item.value_too_long"),
}


def read(rules: Rules, *items: str) -> list[Item]:
    """The items of a feed as staging takes them."""
    return [check_item(raw, rules) for raw in read_items(io.BytesIO(feed_of(*items)))]


def unknown_in(*items: str) -> dict[str, tuple[Issue, str]]:
    occurring = Occurring(NO_RULES)
    for raw in read_items(io.BytesIO(feed_of(*items))):
        occurring.add(raw, check_item(raw, NO_RULES))
    return occurring.unknown


def read_one(rules: Rules = NO_RULES, **fields: Any) -> Item:
    return read(rules, item("1", **fields))[0]


def codes(item: Item) -> list[str]:
    return [issue.code for issue in item.issues]


def group(name: str, /, **parts: str) -> str:
    """An item with a group on line 3."""
    inner = "".join(f"<g:{part}>{text}</g:{part}>" for part, text in parts.items())
    return item("1").replace("</item>", f"\n<g:{name}>{inner}</g:{name}></item>")


APPAREL: dict[str, Any] = {"google_product_category": "Apparel & Accessories > Jewelry", "color": "Red"}
DRESSED: dict[str, Any] = {**APPAREL, "gender": "female", "age_group": "adult"}

# code: the attribute, what is different from an item without fault, what was found
RULES: dict[str, tuple[str, dict[str, Any], str]] = {
    "title.all_caps": ("title", {"title": "SILK DRESS"}, "SILK DRESS"),
    "description.html": ("description", {"description": "<p>Of silk.</p>"}, "<p>Of silk.</p>"),
    "description.equals_title": ("description", {"description": "Silk Dress"}, "Silk Dress"),
    "text.double_escaped": ("description", {"description": "Silk &amp; wool"}, "Silk &amp; wool"),
    "text.control_chars": ("title", {"title": "Silk\ufffd dress"}, "Silk\ufffd dress"),
    "text.placeholder": ("title", {"title": "{{ title }}"}, "{{ title }}"),
    "value.too_large": ("title", {"title": "x" * 10_001}, "x" * 100),
    "url.scheme": ("link", {"link": "ftp://example.com"}, "ftp://example.com"),
    "url.format": ("link", {"link": "https:///a"}, "https:///a"),
    "url.space": ("link", {"link": "https://example.com/a b"}, "https://example.com/a b"),
    "url.non_ascii": ("link", {"link": "https://example.com/é"}, "https://example.com/é"),
    "url.characters": ("link", {"link": "https://example.com/a|b"}, "https://example.com/a|b"),
    "image.placeholder": ("image_link", {"image_link": "https://e.com/no-image.jpg"}, "https://e.com/no-image.jpg"),
    "availability.legacy": ("availability", {"availability": "in stock"}, "in stock"),
    "availability.date_missing": ("availability_date", {"availability": "preorder"}, ""),
    "choice.lenient": ("gender", {"gender": "Women"}, "Women"),
    "boolean.unknown": ("adult", {"adult": "perhaps"}, "perhaps"),
    "integer.format": ("quantity", {"quantity": "4.5"}, "4.5"),
    "date.format": ("availability_date", {"availability_date": "22/11/2026"}, "22/11/2026"),
    "integer.lenient": ("quantity", {"quantity": "4.0000"}, "4.0000"),
    "text.invisible_marks": ("price", {"price": "\u200e12.00 AED"}, "\u200e12.00 AED"),
    "url.two_schemes": ("link", {"link": "http://https://e.com/a"}, "http://https://e.com/a"),
    "url.list": (
        "mobile_link",
        {"mobile_link": "https://e.com/?a=https://e.com/1,https://e.com/2"},
        "https://e.com/?a=https://e.com/1,https://e.com/2",
    ),
    "text.whitespace": ("title", {"title": "Silk\n dress"}, "Silk\n dress"),
    "measure.format": ("shipping_weight", {"shipping_weight": "heavy"}, "heavy"),
    "price.format": ("price", {"price": "12,5O AED"}, "12,5O AED"),
    "price.lenient": ("price", {"price": "AED 12"}, "AED 12"),
    "price.ambiguous": ("price", {"price": "1.234 AED"}, "1.234 AED"),
    "price.separator": ("price", {"price": "1,234 AED"}, "1,234 AED"),
    "price.rounded": ("price", {"price": "1.99999 AED"}, "1.99999 AED"),
    "price.currency": ("price", {"price": "$ 12"}, "$ 12"),
    "price.no_currency": ("price", {"price": "12.00"}, "12.00"),
    "price.currency_differs": ("sale_price", {"sale_price": "9 USD"}, "9 USD"),
    "price.zero": ("price", {"price": "0.00 AED"}, "0.00 AED"),
    "price.negative": ("price", {"price": "-5.00 AED"}, "-5.00 AED"),
    "price.too_large": ("price", {"price": "9999999999 AED"}, "9999999999 AED"),
    "sale.not_lower": ("sale_price", {"sale_price": "100.00 AED"}, "100.00"),
    "sale.date_format": (
        "sale_price_effective_date",
        {"sale_price": "9 AED", "sale_price_effective_date": "01/11/2026 - 30/11/2026"},
        "01/11/2026 - 30/11/2026",
    ),
    "sale.date_without_price": (
        "sale_price_effective_date",
        {"sale_price_effective_date": "2026-11-01/2026-11-30"},
        "2026-11-01/2026-11-30",
    ),
    "brand.generic": ("brand", {"brand": "No Brand"}, "No Brand"),
    "identifiers.missing": ("gtin", {"mpn": None}, ""),
    "identifiers.contradiction": ("identifier_exists", {"identifier_exists": "no", "gtin": "4006381333931"}, "no"),
    "gtin.not_digits": ("gtin", {"gtin": "8.80E+12"}, "8.80E+12"),
    "gtin.length": ("gtin", {"gtin": "40063813339"}, "40063813339"),
    "gtin.checksum": ("gtin", {"gtin": "4006381333930"}, "4006381333930"),
    "gtin.restricted": ("gtin", {"gtin": "2000000000008"}, "2000000000008"),
    "gtin.coupon": ("gtin", {"gtin": "9901234567899"}, "9901234567899"),
    "gtin.reserved": ("gtin", {"gtin": "1400000000007"}, "1400000000007"),
    "gtin.bulk": ("gtin", {"gtin": "94006381333934"}, "94006381333934"),
    "gtin.placeholder": ("gtin", {"gtin": "0000000000000"}, "0000000000000"),
    "gtin.upc_e": ("gtin", {"gtin": "04252614"}, "04252614, in 12 digits 042100005264"),
    "gtin.isbn10": ("gtin", {"gtin": "0-306-40615-2"}, "0-306-40615-2"),
    "color.bad": ("color", {"color": "#C0FFEE"}, "#C0FFEE"),
    "size.several": ("size", {"size": "S, M, L"}, "S, M, L"),
    "attribute.list": (
        "additional_image_link",
        {"additional_image_link": "https://e.com/1.jpg, https://e.com/2.jpg"},
        "https://e.com/1.jpg, https://e.com/2.jpg",
    ),
    "category.unknown": ("google_product_category", {"google_product_category": "Damen"}, "Damen"),
    "apparel.color": ("color", {**DRESSED, "color": None}, ""),
    "apparel.gender": ("gender", {**DRESSED, "gender": None}, ""),
    "apparel.age_group": ("age_group", {**DRESSED, "age_group": None}, ""),
    "apparel.size": ("size", {**DRESSED, "google_product_category": "2271"}, ""),
    "group.equals_id": ("item_group_id", {"item_group_id": "1"}, "1"),
    "attribute.empty": ("custom_label_2", {"custom_label_2": ""}, ""),
    "attribute.repeated": ("color", {"color": ["Red", "Blue"]}, "Blue"),
    **{
        f"{a.name}.missing": (a.name, {a.name: None}, "")
        for a in COLUMNS
        if a.need is not Need.OPTIONAL and a.name != "id"
    },
    **{
        f"{a.name}.too_long": (a.name, {a.name: long}, long[:100])
        for a in COLUMNS
        if a.max_length and a.type is not Type.URLS and a.name != "id"
        for long in [
            LONG_MOMENTS.get(a.type) or ("https://e.com/" if a.type is Type.URL else "a ") + "x" * a.max_length
        ]
    },
    **{f"{a.name}.unknown": (a.name, {a.name: "neither"}, "neither") for a in COLUMNS if a.choices},
}

# code: the attribute, the settings, the item as it stands in the file, the line, what was found
SPECIAL: dict[str, tuple[str, Rules, str, int, str]] = {
    "id.missing": ("id", NO_RULES, item("1").replace("<g:id>1</g:id>", ""), 2, ""),
    "id.too_long": ("id", NO_RULES, item("1" * 51), 2, "1" * 51),
    "id.control_chars": ("id", NO_RULES, item("1\u202e2"), 2, "1\u202e2"),
    "text.markup": ("material", NO_RULES, group("material", b="Silk"), 3, "Silk"),
    "attribute.two_names": (
        "title",
        NO_RULES,
        item("1").replace("</item>", "\n<title>Plain</title></item>"),
        3,
        "Plain",
    ),
    "images.too_many": (
        "additional_image_link",
        NO_RULES,
        item("1").replace(
            "</item>",
            "".join(f"\n<g:additional_image_link>https://e.com/{n}</g:additional_image_link>" for n in range(12))
            + "</item>",
        ),
        13,
        "https://e.com/10",
    ),
    "gtin.too_many": (
        "gtin",
        NO_RULES,
        item("1").replace("</item>", "".join(f"\n<g:gtin>{n}6385074</g:gtin>" for n in range(11)) + "</item>"),
        13,
        "106385074",
    ),
    "additional_image_link.too_long": (
        "additional_image_link",
        NO_RULES,
        item("1", additional_image_link="https://e.com/" + "x" * 2000),
        2,
        ("https://e.com/" + "x" * 2000)[:100],
    ),
    "date.too_far": (
        "expiration_date",
        Rules(today="2026-11-22"),
        item("1", expiration_date="2026-12-23"),
        2,
        "2026-12-23",
    ),
    "url.relative": ("link", SHOP, item("1", link="/a"), 2, "/a"),
    "url.domain": ("link", SHOP, item("1", link="https://othershop.example/"), 2, "https://othershop.example/"),
    "group.subattribute_missing": ("shipping.country", NO_RULES, group("shipping", price="0 AED"), 3, "0 AED"),
    "group.subattribute_format": (
        "shipping.price",
        NO_RULES,
        group("shipping", country="AE", price="free"),
        3,
        "free",
    ),
}


@pytest.mark.parametrize("code", RULES)
def test_a_fault_is_reported_with_its_line_and_what_was_found(code: str) -> None:
    attribute, fields, found = RULES[code]
    xml = item("1", **fields).replace("<item>", "<item>\n")
    (issue,) = [issue for issue in read(NO_RULES, xml)[0].issues if issue.code == code]
    line = 3 if f"<g:{attribute}>" in xml else 2
    assert (issue.attribute, issue.found, issue.line) == (attribute, found, line)


@pytest.mark.parametrize("code", SPECIAL)
def test_a_fault_of_another_kind_is_reported_likewise(code: str) -> None:
    attribute, rules, xml, line, found = SPECIAL[code]
    (issue,) = [issue for issue in read(rules, xml)[0].issues if issue.code == code]
    assert (issue.attribute, issue.found, issue.line) == (attribute, found, line)


def test_every_code_has_an_item_that_shows_it() -> None:
    assert {*RULES, *SPECIAL} | ELSEWHERE == {code for code in BY_CODE if not code.startswith("feed.")}


def test_every_code_has_words() -> None:
    for code in CODES:
        assert code.title[0].isalpha(), code.name
        assert not code.title.endswith("."), code.name
        assert code.advice.endswith("."), code.name


def test_every_code_that_the_rules_name_is_registered() -> None:
    folder = Path(check_module.__file__).parent
    named = {
        node.value
        for module in ("check.py", "item_rules.py", "readers.py", "values.py")
        for node in ast.walk(ast.parse((folder / module).read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    families = {code.partition(".")[0] for code in BY_CODE}
    codes_named = {text for text in named if re.fullmatch(r"[a-z_]+\.[a-z_0-9]+", text)}
    assert {text for text in codes_named if text.partition(".")[0] in families} <= BY_CODE.keys()


def test_a_flawless_item_has_no_issue() -> None:
    assert codes(read_one()) == []
    assert codes(read_one(SHOP, link="https://www.shop.example/1")) == []


def test_every_attribute_says_what_is_expected() -> None:
    assert expected_value("title") == "Text, up to 150 characters."
    assert expected_value("certification.certification_name").startswith("A group with certification_authority")
    assert expected_value("shipping.country") == "The two letters of a country in ISO 3166-1, for example AE."
    assert expected_value("condition") == "One of: new, refurbished, used."
    assert expected_value("heel") == ""
    assert all(expected_value(attribute.name).endswith(".") for attribute in COLUMNS)


# --- the severities -----------------------------------------------------------------------------------
NOTICES = (
    "description.html text.double_escaped url.space url.non_ascii url.characters availability.legacy choice.lenient "
    "attribute.empty attribute.unknown attribute.list attribute.two_names group.equals_id group.single text.markup "
    "text.whitespace text.invisible_marks integer.lenient price.separator gtin.isbn10 feed.supplemental feed.own_table "
    "feed.lines_skipped feed.foreign_item row.quotes_as_text"
)


def test_what_is_read_leniently_is_a_notice() -> None:
    assert {code.name for code in CODES if code.severity is Severity.NOTICE} == set(NOTICES.split())


def test_a_warning_does_not_cost_the_item() -> None:
    for code, (_attribute, fields, _found) in RULES.items():
        if BY_CODE[code].severity is not Severity.ERROR:
            (read_item,) = read(NO_RULES, item("1", **fields))
            assert read_item.valid, code


# --- where a rule ends --------------------------------------------------------------------------------
@pytest.mark.parametrize("title", ["BMW", "حقيبة YSL", "فستان حرير", "SILK dress", "1234567"])
def test_a_title_that_does_not_shout(title: str) -> None:
    assert "title.all_caps" not in codes(read_one(title=title))


@pytest.mark.parametrize("text", ["Dolce & Gabbana", "size < 40 & > 30", "5 <6", "R&B; more"])
def test_a_description_of_plain_text(text: str) -> None:
    assert codes(read_one(description=text)) == []


def test_entities_in_html_are_not_escaped_twice() -> None:
    assert codes(read_one(description="<p>Dolce &amp; Gabbana</p>")) == ["description.html"]


@pytest.mark.parametrize("color", ["Red", "Red/Pink/Blue", "أحمر", "红", "Navy 2", "Bee", "x" * 40])
def test_a_colour(color: str) -> None:
    assert codes(read_one(color=color)) == []


@pytest.mark.parametrize("color", ["123", "X", "#fff", "c0ffee", "Multicolor", "Red/Green/Blue/Gold", "x" * 41, "١٢"])
def test_what_is_not_a_colour(color: str) -> None:
    assert codes(read_one(color=color)) == ["color.bad"]


@pytest.mark.parametrize("size", ["38,5", "16/34 Tall", "80 x 1,5 cm", "One Size"])
def test_a_size(size: str) -> None:
    assert codes(read_one(size=size)) == []


@pytest.mark.parametrize("size", ["S,M", "38, 39", "38,39,40", "ص, م"])
def test_several_sizes(size: str) -> None:
    assert codes(read_one(size=size)) == ["size.several"]


@pytest.mark.parametrize("name", ["price", "availability", "adult", "quantity", "gender"])
def test_a_template_is_named_whatever_should_stand_there(name: str) -> None:
    assert codes(read_one(NO_RULES, **{name: "{{ x }}"}))[0] == "text.placeholder"


@pytest.mark.parametrize("text", ["2271", "Furniture", "Damen > Taschen", "Apparel & Accessories"])
def test_a_category_is_a_number_or_a_path(text: str) -> None:
    assert "category.unknown" not in codes(read_one(google_product_category=text))


@pytest.mark.parametrize("text", ["١٦٦", "12345678", "> ", "a / b", "null island"])
def test_a_category_that_is_neither(text: str) -> None:
    assert codes(read_one(google_product_category=text)) == ["category.unknown"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("166", ["color", "gender", "age_group"]),
        ("201", ["color", "gender", "age_group"]),
        ("1604", ["color", "gender", "age_group", "size"]),
        ("187", ["color", "gender", "age_group", "size"]),
        ("apparel & accessories>Shoes", ["color", "gender", "age_group", "size"]),
        ("Apparel &amp; Accessories &gt; Clothing", ["color", "gender", "age_group", "size"]),
        ("Furniture", []),
        ("536", []),
    ],
)
def test_what_a_category_asks_for(text: str, wanted: list[str]) -> None:
    found = [code for code in codes(read_one(google_product_category=text)) if code.startswith("apparel.")]
    assert found == [f"apparel.{name}" for name in wanted]


def test_a_value_that_was_set_aside_is_wrong_and_not_missing() -> None:
    found = codes(read_one(**{**DRESSED, "gender": "Herren"}))
    assert found == ["gender.unknown"]


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-01/2026-11-30",
        "2026-11-01T00:00+0400/2026-11-30T23:59:59+04:00",
        "2026-11-01T00:00Z / 2026-11-30T00:00Z",
    ],
)
def test_a_period(text: str) -> None:
    assert codes(read_one(sale_price="9 AED", sale_price_effective_date=text)) == []


@pytest.mark.parametrize(
    "text", ["2026-11-30/2026-11-01", "2026-11-01", "2026-13-01/2026-14-01", "٢٠٢٦-١١-٠١/2026-11-30"]
)
def test_what_is_not_a_period_is_named_and_not_taken(text: str) -> None:
    read_item = read_one(sale_price="9 AED", sale_price_effective_date=text)
    assert codes(read_item) == ["sale.date_format"]
    assert "sale_price_effective_date" not in read_item.values
    assert read_item.kept_names == ["sale_price_effective_date"]


@pytest.mark.parametrize("text", ["3 kg", "3kg", "3,5 kg", "20 in", "1.5 LB"])
def test_a_measure_is_kept_as_found(text: str) -> None:
    read_item = read_one(shipping_weight=text)
    assert (codes(read_item), read_item.extra) == ([], {"shipping_weight": text})


@pytest.mark.parametrize(
    "url", ["https://e.com/noor.jpg", "https://e.com/images/1.jpg", "https://e.com/photo/no-1.jpg"]
)
def test_a_picture_with_such_words_in_its_name_is_not_a_placeholder(url: str) -> None:
    assert codes(read_one(image_link=url)) == []


def test_every_group_that_lacks_something_is_reported_on_its_own_line() -> None:
    whole = "<g:shipping><g:country>AE</g:country></g:shipping>"
    lacking = "<g:shipping><g:price>{} AED</g:price></g:shipping>"
    lines = "\n".join([whole, lacking.format(1), "<g:shipping>AE:::0 AED</g:shipping>", lacking.format(2)])
    (found,) = read(NO_RULES, item("1").replace("</item>", f"\n{lines}</item>"))
    assert [(issue.attribute, issue.line) for issue in found.issues] == [
        ("shipping.country", 4),
        ("shipping.country", 6),
    ]


WHOLE_GROUPS = {
    "shipping": {
        "country": "AE", "price": "0 AED", "min_handling_time": "0", "max_transit_time": "5",
        "handling_cutoff_time": "15:30", "region": "Dubai", "service": "Express",
    },
    "tax": {"country": "US", "rate": "8.25", "tax_ship": "yes"},
    "installment": {"months": "6", "amount": "50 BRL", "downpayment": "R$ 10,00", "credit_type": "finance"},
    "subscription_cost": {"period": "month", "period_length": "12", "amount": "35.00 USD"},
    "free_shipping_threshold": {"country": "sa", "price_threshold": "100 SAR"},
    "minimum_order_value": {"country": "AE", "price": "1,000 AED", "surface": "online"},
    "handling_cutoff_time": {"cutoff_time": "1600", "country": "AE", "disable_delivery_after_cutoff": "true"},
    "pickup_cost": {"flat_rate": "5 USD", "free_threshold": "50 USD"},
    "loyalty_program": {
        "program_label": "amber", "tier_label": "gold", "price": "10 USD", "loyalty_points": "10",
        "member_price_effective_date": "2026-11-01T00:00+0400/2026-12-01T00:00+0400",
    },
    "loyalty_points": {"name": "Amber", "points_value": "100", "ratio": "1.0"},
    "certification": {
        "certification_authority": "EC", "certification_name": "EPREL", "certification_code": "123456",
        "certification_label_link": "https://example.com/label.pdf",
    },
    "sustainability_incentive": {"amount": "100 EUR", "type": "EV_PRICE_DISCOUNT"},
    "structured_title": {"content": "Silk dress", "digital_source_type": "trained_algorithmic_media"},
    "structured_description": {"content": "Soft"},
    "shipping_transit_business_days": {"business_days": "Mon-Fri", "country": "AE"},
    "carrier_shipping": {"country": "AE", "origin_postal_code": "94043", "flat_price": "5 USD"},
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE_GROUPS)
def test_a_group_as_google_describes_it_has_no_issue(name: str) -> None:
    found = read(NO_RULES, group(name, **WHOLE_GROUPS[name]))[0]
    assert codes(found) == []
    assert found.extra[name] == WHOLE_GROUPS[name]


WRONG_ELEMENTS = {
    "country": "United Arab Emirates",
    "whole number": "1-2",
    "price": "free",
    "number": "eight",
    "yes or no": "perhaps",
    "time of day": "4 pm",
    "start and end": "2026-11-01",
    "URL": "label.pdf",
}


@pytest.mark.parametrize(
    ("name", "element", "kind"),
    [
        (name, *pair)
        for name, whole in WHOLE_GROUPS.items()
        for pair in BY_NAME[name].elements.items()
        if pair[0] in whole
    ],
)
def test_each_element_of_a_group_is_looked_at_by_its_type(name: str, element: str, kind: Type) -> None:
    wrong = WRONG_ELEMENTS[kind]
    (issue,) = read(NO_RULES, group(name, **WHOLE_GROUPS[name] | {element: wrong}))[0].issues
    assert (issue.code, issue.attribute, issue.found) == ("group.subattribute_format", f"{name}.{element}", wrong)
    assert expected_value(issue.attribute)


@pytest.mark.parametrize(("name", "part"), [(a.name, part) for a in ATTRIBUTES for part in a.parts])
def test_each_element_that_a_group_must_have_is_missed(name: str, part: str) -> None:
    others = {one: "x" for one in BY_NAME[name].parts if one != part} | {"service": "x"}
    assert ("group.subattribute_missing", f"{name}.{part}") in [
        (issue.code, issue.attribute) for issue in read(NO_RULES, group(name, **others))[0].issues
    ]


def test_a_group_s_amounts_take_the_feed_s_currency_and_attributes() -> None:
    in_attribute = item("1").replace(
        "</item>", '<g:pickup_cost><g:flat_rate currency="AED">5</g:flat_rate></g:pickup_cost></item>'
    )
    bare = group("pickup_cost", flat_rate="5")
    assert codes(read(NO_RULES, in_attribute)[0]) == []
    assert codes(read(NO_RULES, bare)[0]) == ["group.subattribute_format"]
    assert codes(read(Rules(default_currency="AED"), bare)[0]) == []


# --- addresses ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("/a?b=1", "https://shop.example/a?b=1"),
        ("//shop.example/a", "https://shop.example/a"),
        ("a/b.html", "https://shop.example/en/a/b.html"),
        ("../a", "https://shop.example/a"),
        ("/é b", "https://shop.example/%C3%A9%20b"),
    ],
)
def test_an_address_is_completed_and_kept_as_found(text: str, url: str) -> None:
    read_item = read_one(SHOP, link=text)
    assert read_item.values["link"] == url
    assert read_item.extra == {"link_orig_value": text}
    assert codes(read_item)[0] == "url.relative"
    assert read_item.valid


@pytest.mark.parametrize(
    "text", ["javascript:alert(1)", "data:image/png;base64,AAAA", "www.shop.example/a", "mailto:a@b"]
)
def test_what_is_not_a_relative_address_is_not_completed(text: str) -> None:
    read_item = read_one(SHOP, link=text)
    assert (codes(read_item), read_item.extra, read_item.valid) == (["url.scheme"], {"link": text}, False)


def test_an_address_is_relative_to_nothing_without_a_base() -> None:
    assert codes(read_one(link="/a")) == ["url.scheme"]


def test_every_address_of_a_list_is_kept_as_found() -> None:
    texts = ["https://e.com/é", "https://e.com/1", "https://e.com/a b"]
    read_item = read_one(additional_image_link=texts)
    assert read_item.values["additional_image_link"] == [
        "https://e.com/%C3%A9",
        "https://e.com/1",
        "https://e.com/a%20b",
    ]
    assert read_item.extra == {"additional_image_link_orig_value": [texts[0], texts[2]]}


def test_an_address_that_contains_a_whole_picture_is_not_one() -> None:
    url = "https://shop.example/data:image/jpeg;base64," + "A" * 1000
    assert codes(read_one(image_link=url)) == ["url.format"]


@pytest.mark.parametrize("host", ["shop.example", "www.shop.example", "SHOP.example:443"])
def test_a_link_on_the_domain_or_below_it(host: str) -> None:
    assert codes(read_one(SHOP, link=f"https://{host}/a")) == []


@pytest.mark.parametrize("host", ["notshop.example", "shop.example.evil.example", "xn--shop.example"])
def test_a_link_elsewhere(host: str) -> None:
    assert codes(read_one(SHOP, link=f"https://{host}/a")) == ["url.domain"]


# --- names --------------------------------------------------------------------------------------------
def test_a_shops_own_name_is_an_attribute() -> None:
    read_item = read_one(SHOP, link="https://shop.example/1", Farbe="Red")
    assert (read_item.values["color"], read_item.extra, codes(read_item)) == ("Red", {}, [])
    assert "color" in names_of(["Farbe"], SHOP)
    assert names_of(["Farbe"], NO_RULES) == {"Farbe"}


def test_the_tables_own_name_counts_before_an_alias() -> None:
    read_item = read_one(SHOP, link="https://shop.example/1", Farbe="Rot", color="Red")
    assert (read_item.values["color"], read_item.extra) == ("Red", {"Farbe": "Rot"})
    assert codes(read_item) == ["attribute.two_names"]


def test_an_unknown_name_is_reported_with_the_first_item_that_has_it() -> None:
    unknown = unknown_in(item("1"), item("2", heel="high"), item("3", heel="low", sole="red"))
    assert unknown == {
        "heel": (Issue("attribute.unknown", "heel", "high", 3), "2"),
        "sole": (Issue("attribute.unknown", "sole", "red", 4), "3"),
    }


def test_elements_of_rss_and_custom_ones_are_not_unknown() -> None:
    xml = item("1", c__heel="high").replace("</item>", "<guid>1</guid><pubDate>today</pubDate></item>")
    assert unknown_in(xml) == {}


def test_a_file_with_its_data_in_its_names_is_not_reported_name_by_name() -> None:
    unknown = unknown_in(item("1", **{f"n{n}": "x" for n in range(1000)}))
    assert len(unknown) == MAX_UNKNOWN_NAMES


@pytest.mark.parametrize("text", ["2026-12-22", "2026-12-22T23:59+0400", "2025-01-01"])
def test_a_date_that_is_near_enough(text: str) -> None:
    assert codes(read_one(Rules(today="2026-11-22"), expiration_date=text)) == []
    assert codes(read_one(NO_RULES, expiration_date="2099-01-01")) == []


# --- hostile values -----------------------------------------------------------------------------------
def test_an_override_of_direction_is_named_and_kept() -> None:
    title = "Silk \u202edress"
    read_item = read_one(title=title)
    assert (codes(read_item), read_item.values["title"]) == (["text.control_chars"], title)


def test_an_override_of_direction_in_an_address_is_encoded() -> None:
    assert read_one(link="https://e.com/\u202egpj.exe").values["link"] == "https://e.com/%E2%80%AEgpj.exe"


@pytest.mark.parametrize("name", ["title", "description", "link", "price", "color", "gtin", "google_product_category"])
def test_a_value_as_long_as_a_file_may_hold_is_set_aside_whole(name: str) -> None:
    text = "9" * SAFE.value_chars
    read_item = read_one(NO_RULES, **{name: text})
    assert read_item.extra[name] == text
    assert "value.too_large" in codes(read_item)
    assert all(len(issue.found) <= 100 for issue in read_item.issues)


@pytest.mark.parametrize("name", ["price", "gtin", "quantity", "availability_date", "shipping_weight"])
def test_arabic_digits_are_not_read_as_a_number(name: str) -> None:
    assert codes(read_one(NO_RULES, **{name: "١٢٣٤٥٦٧٨"}))
