"""Products as lines of JSON that the database writes: a fifth of what it costs to make them here, row by row.

Each line is what `render_product` gives, in the characters of Python's `json`; a test compares them.
"""

from __future__ import annotations

import json

from django.db.models import TextField
from django.db.models.expressions import RawSQL

from catalog.api.serializers import PRODUCT_FIELDS
from catalog.feeds.currencies import DECIMALS
from catalog.models import Product
from catalog.models.fields import MONEY_NAMES

_USUAL_DECIMALS = 2


def _decimals() -> str:
    """How many decimals the row's currency has."""
    codes: dict[int, list[str]] = {}
    for code, decimals in DECIMALS.items():
        if decimals != _USUAL_DECIMALS:
            codes.setdefault(decimals, []).append(f"'{code}'")
    cases = [f"WHEN currency IN ({', '.join(names)}) THEN {decimals}" for decimals, names in codes.items()]
    return f"CASE {' '.join(cases)} ELSE {_USUAL_DECIMALS} END"


def _sql_of(name: str) -> str:
    """The JSON of a column."""
    if name == "market":
        return "to_json(%(code)s::text)"
    column = f'catalog_product."{name}"'
    if name in MONEY_NAMES:
        rounded = f"round({column}, {_decimals()})"
        shown = f"CASE WHEN {rounded} = {column} THEN {rounded} ELSE {column} END"
        return f"""CASE WHEN {column} IS NULL THEN 'null' ELSE concat('"', {shown}, '"') END"""
    kind = Product._meta.get_field(name).get_internal_type()
    match kind:
        case "TextField":
            return f"""CASE {column} WHEN '' THEN '""' ELSE to_json({column})::text END"""
        case "ArrayField":
            return f"to_jsonb({column})"  # which has blanks after its commas
        case "DateTimeField":
            shown = f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US')"""
            return f"""concat('"', replace({shown}, '.000000', ''), 'Z"')"""
        case "JSONField":
            return column
    return f"COALESCE({column}::text, 'null')"


_TEMPLATE = "{" + ", ".join(f"{json.dumps(name)}: %%s" for name in PRODUCT_FIELDS) + "}"
# Of a row of catalog_product, with the market's code as `code`.
LINE = f"format('{_TEMPLATE}', {', '.join(_sql_of(name) for name in PRODUCT_FIELDS)})"


def line_of(market: str) -> RawSQL:
    """A product's line, without its end, for a query of products."""
    return RawSQL(LINE.replace("%(code)s", "%s"), [market], output_field=TextField())  # noqa: S611 - names of ours
