"""Numbers and dates of a workbook as Excel shows them, without the separators of thousands: these mean two things.

Dates are in ISO 8601, since how Excel shows them depends on who looks. A format that is not one number between two
texts (a fraction, an exponent, one for large values) shows the number itself.
"""

import re
from dataclasses import dataclass
from datetime import datetime, time
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

EXACT_DIGITS = 15  # so many digits Excel keeps of a number, and shows
_MOST_DIGITS = 25  # before the point; a larger number is shown as it is
_TOKEN = re.compile(
    r"""
    "(?P<quoted>[^"]*)" | \\(?P<escaped>.) | \[\$(?P<currency>[^\]-]*)(?:-[^\]]*)?\]
    | (?P<condition>\[[<>=][^\]]*\]) | \[[^\]]*\] | _. | \*.
    | (?P<digits>[0#?.,]+) | (?P<percent>%) | (?P<special>[Ee][+-]|/|@) | (?P<literal>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_HIDDEN = re.compile(r'"[^"]*"|\\.|\[\$[^\]]*\]|_.|\*.')
_HAS_TIME = re.compile(r"[hs]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """One number between two texts: how many digits before the point it has at least, and how many behind."""

    before: str
    after: str
    whole_digits: int
    decimals: int
    needed_decimals: int
    is_percent: bool


def shown_number(number: float, code: str) -> str:
    """The number as a format shows it."""
    exact = Decimal(number) if isinstance(number, int) else Decimal(f"{number:.{EXACT_DIGITS}g}")
    shape = _format_of(code)
    if shape is None or not exact.is_finite() or exact.adjusted() > _MOST_DIGITS:
        text = f"{exact:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if shape.is_percent:
        exact *= 100
    rounded = exact.quantize(Decimal(1).scaleb(-min(shape.decimals, EXACT_DIGITS)), ROUND_HALF_UP)
    whole, _, decimals = f"{abs(rounded):f}".partition(".")
    kept = decimals[: shape.needed_decimals] + decimals[shape.needed_decimals :].rstrip("0")
    sign = "-" if rounded < 0 else ""
    return f"{shape.before}{sign}{whole.zfill(shape.whole_digits)}{'.' if kept else ''}{kept}{shape.after}"


def shown_date(moment: datetime, code: str) -> str:
    """The date, with its time where the format shows one, or shows neither."""
    visible = _HIDDEN.sub("", code)
    is_no_date = visible in ("General", "@", "")
    if _HAS_TIME.search(visible) or (is_no_date and moment.time() != time()):
        return moment.isoformat(timespec="seconds")
    return moment.date().isoformat()


@lru_cache(maxsize=1000)
def _format_of(code: str) -> NumberFormat | None:
    """The format's first part, which is that of positive numbers. None for the number itself."""
    if code in ("General", ""):
        return None
    texts = ["", ""]
    digits = ""
    is_percent = False
    for token in _TOKEN.finditer(code):
        if token["literal"] == ";":
            break
        if token["condition"] or token["special"] or (token["digits"] and digits):
            return None
        digits = digits or token["digits"] or ""
        is_percent = is_percent or token["percent"] is not None
        text = token["quoted"] or token["escaped"] or token["currency"] or token["percent"] or token["literal"] or ""
        texts[bool(digits)] += text
    whole, _, decimals = digits.partition(".")
    if not digits or digits.endswith(",") or "." in decimals:
        return None
    before, after = (" ".join(text.split()) for text in texts)
    return NumberFormat(
        before=f"{before} " if before else "",
        after=f"{'' if after == '%' else ' '}{after}" if after else "",
        whole_digits=whole.count("0"),
        decimals=len(decimals.replace(",", "")),
        needed_decimals=decimals.count("0"),
        is_percent=is_percent,
    )
