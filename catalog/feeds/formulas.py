"""Texts that a spreadsheet would run as formulas, kept from it by an apostrophe, and read back."""

import re

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""A spreadsheet runs a cell that starts with one of these."""
_MAY_BE_QUOTED = re.compile(f"'*[{re.escape(''.join(FORMULA_STARTS))}]")


def quoted(text: str) -> str:
    """The text as a spreadsheet shows it and never runs it."""
    # What looks as if it had got an apostrophe gets one, too, or `unquoted` could not tell them apart.
    return f"'{text}" if _MAY_BE_QUOTED.match(text) else text


def unquoted(cell: str) -> str:
    """The text of a cell that `quoted` made."""
    return cell[1:] if cell.startswith("'") and _MAY_BE_QUOTED.match(cell) else cell
