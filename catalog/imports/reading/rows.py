"""Items as rows of `catalog_stageditem`, in the text format of PostgreSQL's COPY."""

from collections.abc import Iterable
from json import JSONEncoder
from typing import Any

from catalog.feeds.attributes import COLUMNS, Type
from catalog.feeds.cleaning.check import Item
from catalog.imports.sql import column_list
from catalog.models.fields import SHARED

# XML cannot contain this character, so it can stand for NULL; the usual \N would look like a text that needs escaping.
_NULL = "\x01"
_NULLABLE = (Type.MONEY, Type.INTEGER, Type.BOOLEAN)
_LISTS = [a.name for a in COLUMNS if a.type is Type.URLS]
# One value per column, in the order of COPY; an item's own values are laid over it.
_BLANK: dict[str, Any] = {
    "id": "",
    **dict.fromkeys(SHARED, ""),
    **{a.name: _NULL for a in COLUMNS if a.type in _NULLABLE},
    **dict.fromkeys(_LISTS, "{}"),
}
_TABS = 8 + len(SHARED)

COPY = f"""
    COPY catalog_stageditem
        (run_id, position, line, state, issues, digest, shape, extra, product_id, {column_list(SHARED)})
    FROM STDIN (NULL '{_NULL}')
"""

_json = JSONEncoder(ensure_ascii=False).encode


def row(run_id: int, item: Item, digest: str = "") -> str:
    """The item as one line of COPY's input. Without a digest it is not known again."""
    values = {**_BLANK, **item.values}
    for name in _LISTS:
        if name in item.values:
            values[name] = _array(item.values[name])
    state = "valid" if item.valid else "invalid"
    issues = _json(item.issues) if item.issues else "[]"
    extra = _json(item.extra) if item.extra else "{}"
    known = (digest, f"{item.shape}") if digest and item.is_lasting else (_NULL, _NULL)
    cells = [f"{run_id}", f"{item.position}", f"{item.line}", state, issues, *known, extra, *map(str, values.values())]
    line = "\t".join(cells)
    # Looking once at the whole line is quicker than escaping sixty values of which hardly one needs it.
    if "\\" in line or "\n" in line or "\r" in line or line.count("\t") != _TABS:
        line = "\t".join(map(_escaped, cells))
    return f"{line}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _array(texts: Iterable[str]) -> str:
    """A PostgreSQL array of texts."""
    quoted = ('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in texts)
    return "{" + ",".join(quoted) + "}"
