"""Values as cells of a spreadsheet."""

import json
from datetime import datetime
from typing import Any

from catalog.feeds.formulas import FORMULA_STARTS, quoted

__all__ = ["FORMULA_STARTS", "safe_cell"]


def safe_cell(value: Any) -> Any:
    """The value as a cell that a spreadsheet shows and never runs. Numbers stay numbers."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        value = ",".join(value)
    elif isinstance(value, dict):
        value = json.dumps(value, ensure_ascii=False) if value else ""
    elif isinstance(value, datetime):
        value = value.isoformat()
    return quoted(value) if isinstance(value, str) else value
