"""Single values: text as it was found → what it means, or the codes of what is wrong with it.

Every function is pure and fast, takes text without outer white space, and matches ASCII digits before it converts:
`int` and `Decimal` also take Arabic digits, `1_000`, `NaN` and numbers that need hours.
"""

import json
import re
import string
from collections.abc import Collection, Iterator
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from itertools import product
from typing import NamedTuple
from urllib.parse import urljoin

from catalog.feeds.currencies import DECIMALS, ceiling, currency_named

# --- money ------------------------------------------------------------------------------------------

_AMOUNT = re.compile(r"([^\d\s.,'’+-][^\d\s+-]*)?\s*(\d[\d.,'’ ]*?)(\s*)([^\d\s,'’+-][^\d\s+-]*)?", re.ASCII)
_PLAIN = re.compile(r"\d+(\.\d{1,2}|\.\d{4,20})?", re.ASCII)
_THREE_AFTER_POINT = re.compile(r"(\d+)\.\d{3}", re.ASCII)
_DECIMAL_COMMA = re.compile(r"(\d+),(\d{1,2})", re.ASCII)
_GROUPED = re.compile(r"(\d{1,3}(?:([.,'’ ])\d{3})(?:\2\d{3})*)(?:([.,])(\d{1,3}))?", re.ASCII)
_GROUPED_IN_INDIA = re.compile(r"(\d{1,2}(?:,\d{2})*,\d{3})(\.\d{1,2})", re.ASCII)


class Money(NamedTuple):
    """What an amount means. `amount` is None when it cannot be known; `codes` say what is wrong or unusual.

    `sign` is one of `SIGNS`: what the amount shows about the file's other amounts, or needs to be shown by them.
    """

    amount: Decimal | None
    currency: str = ""
    codes: tuple[str, ...] = ()
    sign: str = ""


# What the amounts of a file show together. As names of attributes these would be none: # begins no name.
HAS_POINT, HAS_COMMA = "#decimal point", "#decimal comma"
ONE_POINT, ONE_COMMA, ONE_COMMA_REFUSED = "#one point", "#one comma", "#one comma, refused"
SIGNS = frozenset({HAS_POINT, HAS_COMMA, ONE_POINT, ONE_COMMA, ONE_COMMA_REFUSED})
POINT, COMMA, BOTH = ".", ",", ".,"


def settled_mark(signs: Collection[str]) -> str:
    """The decimal mark that a file must be read with again, by the signs of its amounts: "." or "," or ".,".

    "" when the first reading stands: nothing in it depends on the other amounts, or they settle nothing.
    """
    point, comma = HAS_POINT in signs, HAS_COMMA in signs
    if point and comma:
        return BOTH if ONE_COMMA in signs else ""
    if comma:
        return COMMA if {ONE_POINT, ONE_COMMA, ONE_COMMA_REFUSED} & set(signs) else ""
    return POINT if point and {ONE_POINT, ONE_COMMA_REFUSED} & set(signs) else ""


@lru_cache(maxsize=20_000)  # a feed repeats its prices, and reading one exactly is slow
def parse_money(text: str, default_currency: str = "", decimal_mark: str = "") -> Money:
    """Read an amount with its currency: exactly, or not at all.

    Accepted: 155.00 AED and, reported as unusual, AED 155, 155,00 AED, 1,299.00 AED, 1.234,56 EUR, € 10.
    An amount without a currency is in the default one, and reported. 12,500 AED has one reading, unless the
    `decimal_mark` of the file's other amounts is a comma; 12.500 AED has one only where they have a mark.
    """
    spaced = text.replace("\u00a0", " ").replace("\u202f", " ")
    match = _AMOUNT.fullmatch(spaced)
    if not match and text.startswith("-") and parse_money(text[1:], default_currency).amount:
        return Money(None, codes=("price.negative",))
    if not match or (match[1] and match[4]):
        return Money(None, codes=("price.format",))
    word = match[1] or match[4] or ""
    currency = currency_named(word)
    if word and not currency:
        return Money(None, codes=("price.currency",))
    number, usual, sign = _parse_number(match[2], currency or default_currency, decimal_mark)
    if number is None:
        return Money(None, codes=("price.ambiguous" if usual else "price.format",), sign=sign)

    one_blank = match[3] == " " and spaced == text
    written_as_asked = usual and not match[1] and word in ("", currency) and (one_blank or not word)
    codes: tuple[str, ...] = () if written_as_asked else ("price.lenient",)
    if sign in (ONE_POINT, ONE_COMMA, ONE_COMMA_REFUSED):
        codes = ("price.separator",)
    if not word:
        codes += ("price.no_currency",)
    currency = currency or default_currency
    too_large = ceiling(currency)
    amount = min(number, too_large).quantize(Decimal(1).scaleb(-DECIMALS.get(currency, 2)), ROUND_HALF_UP)
    if amount >= too_large:
        return Money(None, codes=("price.too_large",), sign=sign)
    if not amount:
        return Money(None, codes=("price.zero",), sign=sign)
    if amount != number:
        codes += ("price.rounded",)
    return Money(amount, currency, codes, sign)


def _parse_number(text: str, currency: str, mark: str) -> tuple[Decimal | None, bool, str]:
    """The number, whether it is written the usual way, and its sign.

    Without a number, True says that it is ambiguous, and False that it is not a number.
    """
    if match := _PLAIN.fullmatch(text):
        return Decimal(text), True, HAS_POINT if match[1] else ""
    if match := _THREE_AFTER_POINT.fullmatch(text):
        # 1.234 may mean a thousand; 0.125 and 1234.500 may not.
        if DECIMALS.get(currency) == 3 or match[1] == "0" or len(match[1]) > 3:
            return Decimal(text), True, HAS_POINT
        number = {POINT: text, COMMA: text.replace(".", "")}.get(mark)
        return (Decimal(number) if number else None), True, ONE_POINT
    if match := _DECIMAL_COMMA.fullmatch(text):
        return Decimal(f"{match[1]}.{match[2]}"), False, HAS_COMMA
    if match := _GROUPED.fullmatch(text):
        whole, separator, point, decimals = match.groups()
        if separator == point:
            return None, False, ""
        if not point and separator == "," and whole.count(",") == 1:
            return _one_comma(whole, currency, mark)
        digits = re.sub(r"\D", "", whole) + (f".{decimals}" if point else "")
        return Decimal(digits), False, {".": HAS_POINT, ",": HAS_COMMA}.get(point, "")
    if match := _GROUPED_IN_INDIA.fullmatch(text):
        return Decimal(match[1].replace(",", "") + match[2]), False, HAS_POINT
    return None, False, ""


def _one_comma(text: str, currency: str, mark: str) -> tuple[Decimal | None, bool, str]:
    """12,500 are thousands in a currency with two decimals or none: it would never be written with three."""
    if text.startswith("0"):
        return None, True, ONE_COMMA_REFUSED
    if DECIMALS.get(currency, 3) < 3:
        return (None if COMMA in mark else Decimal(text.replace(",", ""))), True, ONE_COMMA
    number = {POINT: text.replace(",", ""), COMMA: text.replace(",", ".") if currency else ""}.get(mark)
    return (Decimal(number) if number else None), True, ONE_COMMA_REFUSED


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
    digits = gtin_digits(text)
    if not (digits.isascii() and digits.isdigit()):
        return "gtin.isbn10" if _is_isbn_10(digits) else "gtin.not_digits"
    if digits.count(digits[0]) == len(digits) or digits in _FILLER_GTINS:
        return "gtin.placeholder"
    if len(digits) not in _GTIN_LENGTHS:
        return "gtin.isbn10" if _is_isbn_10(digits) else "gtin.length"
    codes = digits.encode()
    weighted = 3 * sum(codes[-2::-2]) + sum(codes[-1::-2]) - _ZERO * (len(codes) + 2 * (len(codes) // 2))
    if len(digits) == 8 and (weighted % 10 or digits[0] == "0") and upc_a_of(digits):
        return "gtin.upc_e"
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


def gtin_digits(text: str) -> str:
    return text.replace(" ", "").replace("-", "")


def upc_a_of(digits: str) -> str:
    """The 12 digits that the 8 of a UPC-E stand for; "" when they are not one. The seventh says where zeros were."""
    system, number, last, check = digits[0], digits[1:6], digits[6], digits[7]
    if system not in "01":
        return ""
    if last in "012":
        maker, product = f"{number[:2]}{last}00", f"00{number[2:]}"
    elif last == "3":
        maker, product = f"{number[:3]}00", f"000{number[3:]}"
    elif last == "4":
        maker, product = f"{number[:4]}0", f"0000{number[4]}"
    else:
        maker, product = number, f"0000{last}"
    expanded = f"{system}{maker}{product}{check}"
    right = sum(int(digit) * weight for digit, weight in zip(expanded, (3, 1) * 6, strict=True)) % 10 == 0
    return expanded if right else ""


def _is_isbn_10(text: str) -> bool:
    if not _ISBN_10.fullmatch(text):
        return False
    digits = [10 if c in "Xx" else int(c) for c in text]
    return sum(weight * digit for weight, digit in zip(range(10, 0, -1), digits, strict=True)) % 11 == 0


# --- addresses --------------------------------------------------------------------------------------

_USUAL_URL = re.compile(
    r"https?://[A-Za-z0-9][A-Za-z0-9.-]*(?::\d{1,5})?(?:[/?#][\w./?#=&%:;,+~!$'()*@\[\]-]*)?", re.ASCII
)
# Most addresses have nothing in them that may begin a second one, or be escaped twice.
is_plain_address = re.compile(
    r"https?://[A-Za-z0-9][A-Za-z0-9.-]*(?:[/?#][\w./?#=&,+~!$'()*@\[\]-]*)?", re.ASCII
).fullmatch
_HTTP = re.compile(r"https?://([^/?#]*)", re.IGNORECASE)
_TWO_SCHEMES = re.compile(r"https?:/*https?:", re.IGNORECASE)
_ESCAPED_PERCENT = re.compile(r"%25[0-9A-F]{2}", re.IGNORECASE)
_BETWEEN_ADDRESSES = re.compile(r"\s*[|;,]\s*(?=https?://)|\s+(?=https?://)", re.IGNORECASE)
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


def is_escaped_twice(url: str) -> bool:
    """Whether a character reference is still in an address, or a percent-encoded percent sign before two digits."""
    return (";" in url and has_entities(url)) or ("%25" in url and _ESCAPED_PERCENT.search(url) is not None)


def has_two_schemes(url: str) -> bool:
    """Whether an address begins like http://https://www.example.com."""
    return _TWO_SCHEMES.match(url) is not None


def addresses_in(text: str) -> list[str]:
    """The addresses in a list, each whole; nothing when it cannot be told where one ends.

    What separates them is a comma, a semicolon, a pipe, white space, or JSON. An address may contain any of these, and
    another address too, so only a separator right before http:// or https:// counts.
    """
    if text.startswith(("[", '"')):
        return _addresses_in_json(text)
    if "://" not in text[8:] and not text.endswith("|"):
        return [text]
    found = _BETWEEN_ADDRESSES.split(text.strip("|;, \t\r\n") if "|" in text else text)
    if len(found) > 1 and not all(_HTTP.match(url) and url.count("://") == 1 for url in found):
        return []
    return found


def _addresses_in_json(text: str) -> list[str]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return [text]
    found = found if isinstance(found, list) else [found]
    if not found or not all(isinstance(url, str) and _HTTP.match(url) for url in found):
        return [text]
    return [url.strip() for url in found]


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
    r"(\d{4}-\d{2}-\d{2})(?:T((?:[01]\d|2[0-3]):[0-5]\d|24:00)(:[0-5]\d(?:\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?",
    re.ASCII,
)
_MEASURE = re.compile(
    r"\d{1,9}(?:[.,]\d{1,9})?\s*"
    r"(?:mg|g|kg|oz|lbs?|ml|cl|l|cbm|fl\s?oz|pt|qt|gal|mm|cm|m|in|ft|yd|sqft|sqm|ct|sheets?|items?)\.?",
    re.ASCII | re.IGNORECASE,
)


def is_moment(text: str) -> bool:
    """An ISO 8601 date or time, for example 2026-11-22 or 2026-11-22T14:30+0400."""
    return moment(text) is not None


@lru_cache(maxsize=4096)
def moment(text: str) -> datetime | None:
    """The moment that a text names; a date alone is its first moment. None when it names none: 30 February."""
    match = _MOMENT.fullmatch(text)
    if not match:
        return None
    day, clock, seconds, offset = match.groups(default="")
    try:
        at = datetime.fromisoformat(f"{day}T{clock.replace('24:', '00:') or '00:00'}{seconds[:3]}{offset}")
        return at + timedelta(days=clock == "24:00")
    except (ValueError, OverflowError):
        return None


@lru_cache
def days_after(day: str, days: int) -> str:
    """The end of the day that is `days` after `day`, to be compared with a moment as text."""
    return f"{date.fromisoformat(day) + timedelta(days)}T99"


@lru_cache(maxsize=4096)
def is_period(text: str) -> bool:
    """Two moments joined by a slash, the second after the first. A date alone ends with its day."""
    start, _, end = (part.strip() for part in text.partition("/"))
    first, last = moment(start), moment(end)
    if first is None or last is None:
        return False
    if first.tzinfo is None or last.tzinfo is None:  # a moment without an offset is in the other's
        first, last = first.replace(tzinfo=None), last.replace(tzinfo=None)
    return first < last or (first == last and "T" not in end)


def is_measure(text: str) -> bool:
    """A number and a unit, for example 3 kg or 3,5kg."""
    return _MEASURE.fullmatch(text) is not None


_PERCENTAGE = re.compile(r"\d{1,9}(?:[.,]\d{1,9})?\s*%?", re.ASCII)
_TIME_OF_DAY = re.compile(r"(?:[01]\d|2[0-3]):?[0-5]\d", re.ASCII)
_COUNTRY = re.compile(r"[A-Za-z]{2}", re.ASCII)


def is_number(text: str) -> bool:
    """A number, also in percent."""
    return _PERCENTAGE.fullmatch(text) is not None


def is_time_of_day(text: str) -> bool:
    """1530 or 15:30."""
    return _TIME_OF_DAY.fullmatch(text) is not None


def is_country(text: str) -> bool:
    """The two letters of a country."""
    return _COUNTRY.fullmatch(text) is not None


# --- the rest ---------------------------------------------------------------------------------------

BOOLEANS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
_WHOLE_NUMBER = re.compile(
    r"(\d{1,9})(?:\.0{1,20}|,0{1,2}|,0{4,20})?", re.ASCII
)  # 12,000 may be a thousand times as many
# C1 controls, private use and the replacement character are signs of a wrong decoding before the feed came here.
# The overrides of direction make a text look like another one.
_ODD = re.compile("[\x7f-\x9f\u202d\u202e\ue000-\uf8ff\ufffd]")
_INVISIBLE = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ue000-\uf8ff\ufffd]")
_TEMPLATE = re.compile(r"\{\{.*\}\}|\{%.*%\}", re.DOTALL)
# Characters that nobody sees: they direct text, join letters, or say where a line may break.
_MARKS = "\u00ad\u061c\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
_MARKS_AND_WHITESPACE = _MARKS + string.whitespace
_MARK = re.compile(f"[{_MARKS}]")


def _in_every_case(*words: str) -> Iterator[str]:
    for word in words:
        yield from map("".join, product(*(sorted({c.lower(), c.upper()}) for c in word)))


NOTHING = frozenset(
    {*_in_every_case("null", "none", "nan", "nil", "(null)", "(none)"), "", "-", "--", "\u2013", "\u2014"}
)
"""Words that programs write where they have no value."""
NOTHING_CHARS = max(map(len, NOTHING))
_NOT_FILLED_IN = frozenset(
    {"undefined", "[object Object]", "Array", "Object", "Loading...", "Loading\u2026", "#N/A", "#REF!", "#VALUE!"}
    | {"#NAME?", "#DIV/0!", "#NULL!", "#NUM!", "#ERROR!", "#SPILL!", "#CALC!", "#GETTING_DATA"}
    | {"#FIELD!", "#BLOCKED!", "#CONNECT!", "#UNKNOWN!", "#BUSY!", "#PYTHON!"}
)
UNUSUAL_WORDS = NOTHING | _NOT_FILLED_IN
UNUSUAL_CHARS = max(map(len, UNUSUAL_WORDS))


@lru_cache(maxsize=4096)
def choice_key(text: str) -> str:
    """A choice in the spelling of `Attribute.choices`."""
    return "_".join(text.lower().replace("-", " ").replace("_", " ").split())


def whole_number(text: str) -> int | None:
    """The number, also with a fraction of zeros, as shops write that keep stock in decimals."""
    match = _WHOLE_NUMBER.fullmatch(text)
    return int(match[1]) if match else None


def without_marks(text: str) -> str:
    """The text without characters that nobody sees."""
    return _MARK.sub("", text).strip()


def without_outer_marks(text: str) -> str:
    """The text without characters that nobody sees before and after it."""
    return text.strip(_MARKS_AND_WHITESPACE)


def has_odd_characters(text: str) -> bool:
    return not text.isascii() and _ODD.search(text) is not None


def has_invisible_characters(text: str) -> bool:
    return not text.isprintable() and _INVISIBLE.search(text) is not None


def is_placeholder(text: str) -> bool:
    """Whether a template's variable was not filled in."""
    return text in _NOT_FILLED_IN or ("{" in text and _TEMPLATE.search(text) is not None)


def shown_money(amount: Decimal, currency: str) -> str:
    """An amount with as many decimals as its currency has: 155.00 AED, 1.250 KWD, 1,299 JPY."""
    return f"{amount:,.{DECIMALS.get(currency, 2)}f} {currency}".strip()
