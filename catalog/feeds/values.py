"""Single values: text as it was found → what it means, or the codes of what is wrong with it.

Every function is pure and quick, takes text without outer white space, and matches ASCII digits before it converts:
`int` and `Decimal` also take Arabic digits, `1_000`, `NaN` and numbers that need hours.
"""

import re
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import NamedTuple

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
# Symbols that stand for one currency only; $, ¥ and kr do not.
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
def money(text: str, default_currency: str = "") -> Money:
    """Read an amount with its currency: exactly, or not at all.

    Accepted: 155.00 AED and, named as unusual, AED 155, 155,00 AED, 1,299.00 AED, 1.234,56 EUR, € 10.
    An amount without a currency is in the default one, and named as such.
    """
    match = _AMOUNT.fullmatch(text.replace("\u00a0", " ").replace("\u202f", " "))
    if not match or (match[1] and match[4]):
        return Money(None, codes=("price.format",))
    word = match[1] or match[4] or ""
    currency = word.upper() if word.upper() in CURRENCIES else SYMBOLS.get(word, "")
    if word and not currency:
        return Money(None, codes=("price.currency",))
    number, usual = _number(match[2], currency or default_currency)
    if number is None:
        return Money(None, codes=("price.ambiguous" if usual else "price.format",))
    written_as_asked = usual and not match[1] and word in ("", currency) and (match[3] or not word)
    codes: tuple[str, ...] = () if written_as_asked else ("price.lenient",)
    if not word:
        codes += ("price.no_currency",)
    return _settled(number, currency or default_currency, codes)


def _number(text: str, currency: str) -> tuple[Decimal | None, bool]:
    """The number, and whether it is written the usual way. (None, True) is ambiguous, (None, False) is no number."""
    if _PLAIN.fullmatch(text):
        return Decimal(text), True
    if match := _THREE_AFTER_POINT.fullmatch(text):
        # 1.234 may be a thousand; 0.125 and 1234.500 may not.
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


def _settled(number: Decimal, currency: str, codes: tuple[str, ...]) -> Money:
    amount = min(number, _TOO_LARGE).quantize(Decimal(1).scaleb(-DECIMALS.get(currency, 2)), ROUND_HALF_UP)
    if amount >= _TOO_LARGE:
        return Money(None, codes=("price.too_large",))
    if not amount:
        return Money(None, codes=("price.zero",))
    if amount != number:
        codes += ("price.rounded",)
    return Money(amount, currency, codes)


# --- identifiers ------------------------------------------------------------------------------------

_GTIN_LENGTHS = frozenset({8, 12, 13, 14})
_RESTRICTED_PREFIXES = ("2", "02", "04")


def gtin_issue(text: str) -> str:
    """The code of what is wrong with a GTIN, or "". White space and hyphens do not count."""
    digits = text.replace(" ", "").replace("-", "")
    if not (digits.isascii() and digits.isdigit()):
        return "gtin.not_digits"
    if len(digits) not in _GTIN_LENGTHS:
        return "gtin.length"
    weighted = 3 * sum(map(int, digits[-2::-2])) + sum(map(int, digits[-3::-2]))
    if (weighted + int(digits[-1])) % 10:
        return "gtin.checksum"
    if len(digits) > 8 and digits.zfill(14)[1:].startswith(_RESTRICTED_PREFIXES):
        return "gtin.restricted"
    return ""


# --- addresses --------------------------------------------------------------------------------------

_USUAL_URL = re.compile(
    r"https?://[A-Za-z0-9][A-Za-z0-9.-]*(?::\d{1,5})?(?:[/?#][\w./?#=&%:;,+~!$'()*@\[\]-]*)?", re.ASCII
)
_HTTP = re.compile(r"https?://([^/?#]*)", re.IGNORECASE)


def url_issue(text: str) -> str:
    """The code of what is wrong with a web address, or "". Nothing is ever fetched."""
    if _USUAL_URL.fullmatch(text):
        return ""
    match = _HTTP.match(text)
    if not match:
        return "url.scheme"
    host = match[1]
    if not host or "@" in host or "\\" in host or any(c.isspace() for c in host):
        return "url.format"
    return "url.characters"


# --- the rest ---------------------------------------------------------------------------------------

BOOLEANS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
_WHOLE_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
# C1 controls, private use and the replacement character: signs of a wrong decoding somewhere before us.
_ODD = re.compile("[\x7f-\x9f\ue000-\uf8ff\ufffd]")
_INVISIBLE = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ue000-\uf8ff\ufffd]")
_TEMPLATE = re.compile(r"\{\{.*\}\}|\{%.*%\}", re.DOTALL)
UNFILLED = frozenset({"undefined", "null", "NaN", "[object Object]"})


@lru_cache(maxsize=4096)
def choice_key(text: str) -> str:
    """A choice as `Attribute.choices` spells it."""
    return "_".join(text.lower().replace("-", " ").replace("_", " ").split())


def whole_number(text: str) -> int | None:
    return int(text) if _WHOLE_NUMBER.fullmatch(text) else None


def has_odd_characters(text: str) -> bool:
    return not text.isascii() and _ODD.search(text) is not None


def has_invisible_characters(text: str) -> bool:
    return not text.isprintable() and _INVISIBLE.search(text) is not None


def is_placeholder(text: str) -> bool:
    """A template's variable that was not filled in."""
    return text in UNFILLED or ("{" in text and _TEMPLATE.search(text) is not None)


def shown_money(amount: Decimal, currency: str) -> str:
    """An amount with its currency's own number of decimals: 155.00 AED, 1.250 KWD, 1,299 JPY."""
    return f"{amount:,.{DECIMALS.get(currency, 2)}f} {currency}".strip()
