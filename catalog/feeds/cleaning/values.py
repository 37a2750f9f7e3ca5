"""Single values: text as it was found → what it means, or the codes of what is wrong with it.

Every function is pure and fast, takes text without outer white space, and matches ASCII digits before it converts:
`int` and `Decimal` also take Arabic digits, `1_000`, `NaN` and numbers that need hours.
"""

import re
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urljoin

# --- money ------------------------------------------------------------------------------------------

CURRENCIES = frozenset(
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP "
    "CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF "
    "IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD "
    "MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB "
    "RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD "
    "UYU UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG".split()
)
_NO_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"
DECIMALS = {**dict.fromkeys(_NO_DECIMALS.split(), 0), **dict.fromkeys(_THREE_DECIMALS.split(), 3)}
# Symbols that mean only one currency; $, ¥ and kr mean several.
SYMBOLS = {
    "€": "EUR",
    "£": "GBP",
    "₹": "INR",
    "₴": "UAH",
    "₪": "ILS",
    "₺": "TRY",
    "zł": "PLN",
    "R$": "BRL",
    "د.إ": "AED",
}

_AMOUNT = re.compile(r"([^\d\s.,'’+-][^\d\s+-]*)?\s*(\d[\d.,'’ ]*?)(\s*)([^\d\s,'’+-][^\d\s+-]*)?", re.ASCII)
_PLAIN = re.compile(r"\d+(\.\d{1,2}|\.\d{4,20})?", re.ASCII)
_THREE_AFTER_POINT = re.compile(r"(\d+)\.\d{3}", re.ASCII)
_DECIMAL_COMMA = re.compile(r"(\d+),(\d{1,2})", re.ASCII)
_GROUPED = re.compile(r"(\d{1,3}(?:([.,'’ ])\d{3})(?:\2\d{3})*)(?:([.,])(\d{1,3}))?", re.ASCII)
_GROUPED_IN_INDIA = re.compile(r"(\d{1,2}(?:,\d{2})*,\d{3})(\.\d{1,2})", re.ASCII)
_TOO_LARGE = Decimal(10**9)


class Money(NamedTuple):
    """What an amount means. `amount` is None when it cannot be known; `codes` say what is wrong or unusual."""

    amount: Decimal | None
    currency: str = ""
    codes: tuple[str, ...] = ()


@lru_cache(maxsize=20_000)  # a feed repeats its prices, and reading one exactly is slow
def parse_money(text: str, default_currency: str = "") -> Money:
    """Read an amount with its currency: exactly, or not at all.

    Accepted: 155.00 AED and, reported as unusual, AED 155, 155,00 AED, 1,299.00 AED, 1.234,56 EUR, € 10.
    An amount without a currency is in the default one, and reported.
    """
    spaced = text.replace("\u00a0", " ").replace("\u202f", " ")
    match = _AMOUNT.fullmatch(spaced)
    if not match and text.startswith("-") and parse_money(text[1:], default_currency).amount:
        return Money(None, codes=("price.negative",))
    if not match or (match[1] and match[4]):
        return Money(None, codes=("price.format",))
    word = match[1] or match[4] or ""
    currency = word.upper() if word.upper() in CURRENCIES else SYMBOLS.get(word, "")
    if word and not currency:
        return Money(None, codes=("price.currency",))
    number, usual = _parse_number(match[2], currency or default_currency)
    if number is None:
        return Money(None, codes=("price.ambiguous" if usual else "price.format",))

    one_blank = match[3] == " " and spaced == text
    written_as_asked = usual and not match[1] and word in ("", currency) and (one_blank or not word)
    codes: tuple[str, ...] = () if written_as_asked else ("price.lenient",)
    if not word:
        codes += ("price.no_currency",)
    currency = currency or default_currency
    amount = min(number, _TOO_LARGE).quantize(Decimal(1).scaleb(-DECIMALS.get(currency, 2)), ROUND_HALF_UP)
    if amount >= _TOO_LARGE:
        return Money(None, codes=("price.too_large",))
    if not amount:
        return Money(None, codes=("price.zero",))
    if amount != number:
        codes += ("price.rounded",)
    return Money(amount, currency, codes)


def _parse_number(text: str, currency: str) -> tuple[Decimal | None, bool]:
    """The number, and whether it is written the usual way. (None, True) is ambiguous; (None, False) is not a number."""
    if _PLAIN.fullmatch(text):
        return Decimal(text), True
    if match := _THREE_AFTER_POINT.fullmatch(text):
        # 1.234 may mean a thousand; 0.125 and 1234.500 may not.
        sure = DECIMALS.get(currency) == 3 or match[1] == "0" or len(match[1]) > 3
        return (Decimal(text) if sure else None), True
    if match := _DECIMAL_COMMA.fullmatch(text):
        return Decimal(f"{match[1]}.{match[2]}"), False
    if match := _GROUPED.fullmatch(text):
        whole, separator, point, decimals = match.groups()
        if separator == point:
            return None, False
        if not point and separator in ".," and whole.count(separator) == 1:
            return None, True
        return Decimal(re.sub(r"\D", "", whole) + (f".{decimals}" if point else "")), False
    if match := _GROUPED_IN_INDIA.fullmatch(text):
        return Decimal(match[1].replace(",", "") + match[2]), False
    return None, False


# --- identifiers ------------------------------------------------------------------------------------

_GTIN_LENGTHS = frozenset({8, 12, 13, 14})
_ZERO = ord("0")
# Prefixes of the 13-digit form that no maker's product has.
_RESTRICTED_PREFIXES = ("2", "02", "04")
_COUPON_PREFIXES = ("05", "981", "982", "983", "984", "99")
# Whole decades that GS1 has not assigned. It assigns single prefixes every few years: these are not listed.
_RESERVED_PREFIXES = ("14", "15", "16", "17", "18", "19", "51", "55", "58", "65", "66", "67", "71", "92")
_NO_MAKERS_PREFIXES = _RESTRICTED_PREFIXES + _COUPON_PREFIXES + _RESERVED_PREFIXES
_FILLER_GTINS = frozenset({"1234567890128", "01234567890128", "12345678", "123456789012", "1234567890123"})
_ISBN_10 = re.compile(r"\d{9}[\dXx]", re.ASCII)


def gtin_issue(text: str) -> str:
    """The code of what is wrong with a GTIN, or "". White space and hyphens do not count."""
    digits = text.replace(" ", "").replace("-", "")
    if not (digits.isascii() and digits.isdigit()):
        return "gtin.isbn10" if _is_isbn_10(digits) else "gtin.not_digits"
    if digits.count(digits[0]) == len(digits) or digits in _FILLER_GTINS:
        return "gtin.placeholder"
    if len(digits) not in _GTIN_LENGTHS:
        return "gtin.isbn10" if _is_isbn_10(digits) else "gtin.length"
    codes = digits.encode()
    weighted = 3 * sum(codes[-2::-2]) + sum(codes[-1::-2]) - _ZERO * (len(codes) + 2 * (len(codes) // 2))
    if weighted % 10:
        return "gtin.checksum"
    if len(digits) == 8:
        return "gtin.restricted" if digits[0] in "02" else ""
    if digits[0] == "9" and len(digits) == 14:
        return "gtin.bulk"
    thirteen = digits.zfill(14)[1:]
    if not thirteen.startswith(_NO_MAKERS_PREFIXES):
        return ""
    if thirteen.startswith(_COUPON_PREFIXES):
        return "gtin.coupon"
    return "gtin.reserved" if thirteen.startswith(_RESERVED_PREFIXES) else "gtin.restricted"


def _is_isbn_10(text: str) -> bool:
    if not _ISBN_10.fullmatch(text):
        return False
    digits = [10 if c in "Xx" else int(c) for c in text]
    return sum(weight * digit for weight, digit in zip(range(10, 0, -1), digits, strict=True)) % 11 == 0


# --- addresses --------------------------------------------------------------------------------------

_USUAL_URL = re.compile(
    r"https?://[A-Za-z0-9][A-Za-z0-9.-]*(?::\d{1,5})?(?:[/?#][\w./?#=&%:;,+~!$'()*@\[\]-]*)?", re.ASCII
)
_HTTP = re.compile(r"https?://([^/?#]*)", re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:", re.ASCII)
_UNSAFE = re.compile(r"[^!-~]")
_LONG_URL = 250  # characters; an address that contains a whole picture is longer


def url_issue(text: str) -> str:
    """The code of what is wrong with a web address, or "". Nothing is ever fetched."""
    if _USUAL_URL.fullmatch(text) and not (len(text) > _LONG_URL and ";base64," in text):
        return ""
    match = _HTTP.match(text)
    if not match:
        return "url.scheme"
    host = match[1]
    if not host or "@" in host or "\\" in host or any(c.isspace() for c in host) or ";base64," in text:
        return "url.format"
    if not text.isascii():
        return "url.non_ascii"
    return "url.space" if any(c.isspace() for c in text) else "url.characters"


def resolved_address(text: str, base: str) -> str:
    """A relative or protocol-relative address, completed with `base`; "" when it is neither.

    A text that may be a host without its scheme, for example www.example.com/a, is neither: that would be a guess.
    """
    first = text.partition("/")[0].partition("?")[0]
    if _SCHEME.match(text) or ("." in first and first not in (".", "..")) or any(map(str.isspace, first)):
        return ""
    try:
        return urljoin(base, text)
    except ValueError:  # an unfinished [IPv6] host
        return ""


def percent_encoded(url: str) -> str:
    """The address with white space and non-ASCII characters percent-encoded in its path and everything after it."""
    match = _HTTP.match(url)
    start = match.end() if match else 0
    return url[:start] + _UNSAFE.sub(lambda c: "".join(f"%{byte:02X}" for byte in c[0].encode()), url[start:])


def is_on_domain(url: str, domain: str) -> bool:
    """Whether an address is on the domain or below it."""
    match = _HTTP.match(url)
    host = match[1].lower().partition(":")[0].rstrip(".") if match else ""
    return host == domain or host.endswith(f".{domain}")


_PLACEHOLDER_PICTURE = re.compile(
    r"placeholder|(?:^|[/_.-])no[-_ ]?(?:image|img|photo|foto|picture)|(?:image|photo|picture)[-_ ]?"
    r"(?:coming[-_ ]?soon|not[-_ ]?(?:available|found)|missing|unavailable)|(?:default|missing|dummy)[-_ ]?"
    r"(?:product[-_ ]?)?(?:image|photo|picture)"
)


def is_placeholder_picture(url: str) -> bool:
    """Whether the picture's name says that there is no picture."""
    low = url.lower()
    # Plain words rule out most addresses many times faster than the expression.
    possible = "image" in low or "placeh" in low or "oto" in low or "img" in low or "picture" in low
    return possible and _PLACEHOLDER_PICTURE.search(low) is not None


# --- texts ------------------------------------------------------------------------------------------

_MIN_CAPITALS = 5  # letters; a shorter text is a name like BMW or an abbreviation
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_ENTITY = re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp|[A-Za-z]{2,8}|#\d{1,7}|#x[0-9A-Fa-f]{1,6});")
GENERIC_BRANDS = frozenset(
    {
        *("n/a", "na", "n.a.", "none", "generic", "no brand", "no-brand", "nobrand", "no name", "noname", "no-name"),
        *("unbranded", "unknown", "oem", "does not apply", "not available", "not applicable", "other", "brand", "-"),
    }
)


def is_all_capitals(text: str) -> bool:
    """Whether every letter is a capital. Scripts without capitals have none."""
    letters = [c for c in text if c.isalpha()]
    return len(letters) >= _MIN_CAPITALS and all(map(str.isupper, letters))


def has_tags(text: str) -> bool:
    return _TAG.search(text) is not None


def has_entities(text: str) -> bool:
    """Whether a character reference is still in the text after the XML was read: it was escaped twice."""
    return _ENTITY.search(text) is not None


_HEX_COLOR = re.compile(r"#?(?:[0-9a-f]{3}|[0-9a-f]{6})", re.IGNORECASE)
_NOT_COLORS = frozenset(
    {"multicolor", "multicolour", "multi-color", "multi-colour", "multi color", "multi colour", "multicolored"}
    | {"multicoloured", "see image", "various", "assorted", "n/a", "none", "default"}
)
_COLORS_MAX, _COLOR_MAX = 3, 40


@lru_cache(maxsize=4096)
def is_bad_color(text: str) -> bool:
    """More than three colours, one of over 40 characters, a number, a code, one letter or a word for no colour."""
    colors = [color.strip() for color in text.split("/")]
    return len(colors) > _COLORS_MAX or any(
        len(color) > _COLOR_MAX
        or not any(map(str.isalpha, color))
        or (len(color) == 1 and color.isascii())
        or color.lower() in _NOT_COLORS
        or ((color.startswith("#") or any(map(str.isdigit, color))) and _HEX_COLOR.fullmatch(color) is not None)
        for color in colors
    )


_SEVERAL_SIZES = re.compile(r",\s+\S|,[^\W\d]|,.*,")  # a single comma may be a decimal one: 38,5


@lru_cache(maxsize=4096)
def is_list_of_sizes(text: str) -> bool:
    return _SEVERAL_SIZES.search(text) is not None


# --- dates and measures -----------------------------------------------------------------------------

_MOMENT = re.compile(
    r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
    r"(?:T(?:[01]\d|2[0-4]):[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?",
    re.ASCII,
)
_DAY = slice(10)  # of a moment
_MEASURE = re.compile(
    r"\d{1,9}(?:[.,]\d{1,9})?\s*"
    r"(?:mg|g|kg|oz|lbs?|ml|cl|l|cbm|fl\s?oz|pt|qt|gal|mm|cm|m|in|ft|yd|sqft|sqm|ct)\.?",
    re.ASCII | re.IGNORECASE,
)


def is_moment(text: str) -> bool:
    """An ISO 8601 date or time, for example 2026-11-22 or 2026-11-22T14:30+0400."""
    return _MOMENT.fullmatch(text) is not None


@lru_cache
def days_after(day: str, days: int) -> str:
    """The end of the day that is `days` after `day`, to be compared with a moment as text."""
    return f"{date.fromisoformat(day) + timedelta(days)}T99"


def is_period(text: str) -> bool:
    """Two moments joined by a slash, the second not before the first."""
    start, slash, end = (part.strip() for part in text.partition("/"))
    return bool(slash) and is_moment(start) and is_moment(end) and start[_DAY] <= end[_DAY]


def is_measure(text: str) -> bool:
    """A number and a unit, for example 3 kg or 3,5kg."""
    return _MEASURE.fullmatch(text) is not None


# --- the rest ---------------------------------------------------------------------------------------

BOOLEANS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
_WHOLE_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
# C1 controls, private use and the replacement character are signs of a wrong decoding before the feed came here.
# The overrides of direction make a text look like another one.
_ODD = re.compile("[\x7f-\x9f\u202d\u202e\ue000-\uf8ff\ufffd]")
_INVISIBLE = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ue000-\uf8ff\ufffd]")
_TEMPLATE = re.compile(r"\{\{.*\}\}|\{%.*%\}", re.DOTALL)
UNFILLED = frozenset({"undefined", "null", "NaN", "[object Object]"})


@lru_cache(maxsize=4096)
def choice_key(text: str) -> str:
    """A choice in the spelling of `Attribute.choices`."""
    return "_".join(text.lower().replace("-", " ").replace("_", " ").split())


def whole_number(text: str) -> int | None:
    return int(text) if _WHOLE_NUMBER.fullmatch(text) else None


def has_odd_characters(text: str) -> bool:
    return not text.isascii() and _ODD.search(text) is not None


def has_invisible_characters(text: str) -> bool:
    return not text.isprintable() and _INVISIBLE.search(text) is not None


def is_placeholder(text: str) -> bool:
    """Whether a template's variable was not filled in."""
    return text in UNFILLED or ("{" in text and _TEMPLATE.search(text) is not None)


def shown_money(amount: Decimal, currency: str) -> str:
    """An amount with as many decimals as its currency has: 155.00 AED, 1.250 KWD, 1,299 JPY."""
    return f"{amount:,.{DECIMALS.get(currency, 2)}f} {currency}".strip()
