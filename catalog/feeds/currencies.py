"""The currencies that an amount may be in: those of ISO 4217, as its package lists them.

The standard changes once or twice a year (XCG came in 2025, BGN went in 2026). A newer package brings the newer list.
"""

from decimal import Decimal

from iso4217 import Currency, __published__

PUBLISHED = __published__
"""The date of the list."""

# Units of account, which no shop asks for. Metals, tests and "no currency" have no number of decimals.
_ACCOUNTING_UNITS = frozenset("BOV CHE CHW CLF COU MXV USN UYI UYW XAD".split())

DECIMALS: dict[str, int] = {
    currency.code: currency.exponent
    for currency in Currency
    if currency.exponent is not None and currency.code not in _ACCOUNTING_UNITS
}
CURRENCIES = frozenset(DECIMALS)

# Symbols that mean only one currency; $, ¥, kr and ﷼ mean several.
SYMBOLS = {
    "€": "EUR",
    "£": "GBP",
    "₹": "INR",
    "₴": "UAH",
    "₪": "ILS",
    "₺": "TRY",
    "₫": "VND",
    "₱": "PHP",
    "₦": "NGN",
    "₸": "KZT",
    "₽": "RUB",
    "฿": "THB",
    "zł": "PLN",
    "R$": "BRL",
    "US$": "USD",
    "HK$": "HKD",
    "د.إ": "AED",
    "ر.س": "SAR",
    "ر.ق": "QAR",
    "د.ك": "KWD",
    "د.ب": "BHD",
    "ر.ع": "OMR",
    "د.أ": "JOD",
    "ج.م": "EGP",
}

# One unit of these is worth less than a cent of a US dollar: a handbag costs a thousand million of some.
_SMALL_UNITS = frozenset(
    "AMD ARS BIF CDF CLP COP CRC DJF GNF HUF IDR IQD IRR ISK JPY KHR KMF KPW KRW KZT LAK LBP LKR MGA MMK MNT MWK NGN "
    "PKR PYG RSD RWF SDG SOS SSP SYP TZS UGX UZS VED VES VND VUV XAF XOF XPF YER".split()
)
_CEILING, _CEILING_OF_SMALL_UNITS = Decimal(10**9), Decimal(10**12)


def currency_named(word: str) -> str:
    """The code of the currency that a code or a symbol means; "" when it means none, or several."""
    code = word.upper()
    return code if code in CURRENCIES else SYMBOLS.get(word) or SYMBOLS.get(word.rstrip("."), "")


def ceiling(currency: str) -> Decimal:
    """An amount as large as this is no price in the currency."""
    return _CEILING_OF_SMALL_UNITS if currency in _SMALL_UNITS else _CEILING
