"""Single values: exact, or named as wrong."""

import pytest

from catalog.feeds.cleaning.values import gtin_issue, is_placeholder, parse_money, url_issue, whole_number


@pytest.mark.parametrize(
    ("text", "amount", "currency", "codes"),
    [
        ("155.00 AED", "155.00", "AED", ()),
        ("155 AED", "155.00", "AED", ()),
        ("155.00\u00a0 AED", "155.00", "AED", ("price.lenient",)),
        ("155.00\u00a0AED", "155.00", "AED", ("price.lenient",)),
        ("155.00  AED", "155.00", "AED", ("price.lenient",)),
        ("1.234 KWD", "1.234", "KWD", ()),
        ("1299 JPY", "1299", "JPY", ()),
        ("AED 155", "155.00", "AED", ("price.lenient",)),
        ("155.00AED", "155.00", "AED", ("price.lenient",)),
        ("155,00 AED", "155.00", "AED", ("price.lenient",)),
        ("2,795.00 INR", "2795.00", "INR", ("price.lenient",)),
        ("1,23,456.00 INR", "123456.00", "INR", ("price.lenient",)),
        ("10 000.00 SEK", "10000.00", "SEK", ("price.lenient",)),
        ("1.144.000 SEK", "1144000.00", "SEK", ("price.lenient",)),
        ("1.234,56 EUR", "1234.56", "EUR", ("price.lenient",)),
        ("€ 10", "10.00", "EUR", ("price.lenient",)),
        ("8654", "8654.00", "", ("price.no_currency",)),
        ("19.990000000000002 AED", "19.99", "AED", ("price.rounded",)),
        ("1299.5 JPY", "1300", "JPY", ("price.rounded",)),
    ],
)
def test_an_amount_is_read_exactly(text: str, amount: str, currency: str, codes: tuple[str, ...]) -> None:
    read = parse_money(text)
    assert (str(read.amount), read.currency, read.codes) == (amount, currency, codes)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("1.234 EUR", "price.ambiguous"),
        ("2,795 KWD", "price.ambiguous"),
        ("213.25.00 SAR", "price.format"),
        ("462.00800000000004.00 SAR", "price.format"),
        ("12,5O AED", "price.format"),
        ("{attr_special_price}", "price.format"),
        ("NaN", "price.format"),
        ("1e5 AED", "price.format"),
        ("1_000 AED", "price.format"),
        ("١٢ AED", "price.format"),
        ("１２ AED", "price.format"),
        ("-5 AED", "price.negative"),
        ("--5 AED", "price.format"),
        ("-free", "price.format"),
        ("-0 AED", "price.format"),
        ("$250", "price.currency"),
        ("5 XYZ", "price.currency"),
        ("0.00 AED", "price.zero"),
        ("0.004 AED", "price.zero"),
        ("9999999999 AED", "price.too_large"),
        ("9" * 5000, "price.too_large"),
    ],
)
def test_an_amount_is_never_guessed(text: str, code: str) -> None:
    read = parse_money(text)
    assert read.amount is None
    assert code in read.codes


def test_the_default_currency_decides_how_many_decimals_there_are() -> None:
    assert str(parse_money("1.234", "KWD").amount) == "1.234"
    assert parse_money("1.234", "AED").amount is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("4006381333931", ""),
        ("0736150160669", ""),
        ("96385074", ""),
        ("4006381-333931", ""),
        ("4006381333930", "gtin.checksum"),
        ("400638133393", "gtin.checksum"),
        ("40063813339", "gtin.length"),
        ("8.80E+12", "gtin.not_digits"),
        ("٤٠٠٦٣٨١٣٣٣٩٣١", "gtin.not_digits"),
        ("2000000000008", "gtin.restricted"),
    ],
)
def test_a_gtin_is_checked_and_never_changed(text: str, code: str) -> None:
    assert gtin_issue(text) == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("https://www.example.com/a?b=1&c=2#d", ""),
        ("http://example.com:8080", ""),
        ("https://www.example.com/straße", "url.non_ascii"),
        ("https://www.example.com/a b", "url.space"),
        ("https://www.example.com/a|b", "url.characters"),
        ("//example.com/a", "url.scheme"),
        ("javascript:alert(1)", "url.scheme"),
        ("data:image/png;base64,AAAA", "url.scheme"),
        ("https://user:secret@example.com/", "url.format"),
        ("https://evil\\@example.com/", "url.format"),
        ("https:///path", "url.format"),
    ],
)
def test_an_address_is_http_with_a_host(text: str, code: str) -> None:
    assert url_issue(text) == code


@pytest.mark.parametrize("text", ["4.5", "12,000", "-1", "٤", "1_0", "", "1" * 10])
def test_a_whole_number_is_ascii_digits(text: str) -> None:
    assert whole_number(text) is None


def test_placeholders_are_recognised_and_texts_are_not() -> None:
    assert all(map(is_placeholder, ["{{ title }}", "undefined", "#REF!", "Array", "Loading...", "a {% url x %}"]))
    assert not any(map(is_placeholder, ["Null Island", "undefined beauty", "{curly}"]))
