"""The reference page, made from the tables of attributes and issues.

`python -m catalog.feeds.reference > docs/reference.md` writes the page of the documentation; a test compares them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from catalog.feeds.attributes import ATTRIBUTES, Attribute, Type
from catalog.feeds.currencies import PUBLISHED
from catalog.feeds.issues import CODES, Code, Severity

INTRODUCTION = (
    "This page lists what a feed may contain and what can be wrong with it. Names, types and limits are those of "
    "Google's product data specification. A value under any other name is kept with the product as it was found. "
    f"The currencies are those of ISO 4217 as of {PUBLISHED:%Y-%m-%d}."
)
SEVERITIES = {
    Severity.ERROR: "The item is invalid and skipped. If the attribute is not required, only its value is set aside, "
    "with a warning, and the item is imported.",
    Severity.WARNING: "The item is imported, but something in it should be corrected.",
    Severity.NOTICE: "The item is imported. It was read leniently.",
}
# The whole value of these types is checked, so that a limit on its length says nothing more.
_SHORT = (Type.CHOICE, Type.MONEY, Type.BOOLEAN, Type.INTEGER)


@dataclass(frozen=True, slots=True)
class Entry:
    """One attribute as the page describes it."""

    attribute: Attribute

    @property
    def name(self) -> str:
        return self.attribute.name

    @property
    def type(self) -> str:
        return f"{self.attribute.type}{', repeated' if self.attribute.repeated else ''}"

    @property
    def need(self) -> str:
        return str(self.attribute.need)

    @property
    def other_names(self) -> str:
        return ", ".join(self.attribute.aliases)

    @property
    def values(self) -> str:
        return ", ".join(self.attribute.values)

    @property
    def limits(self) -> str:
        """“150 characters; set aside above 10,000”."""
        if not self.attribute.column or self.attribute.type in _SHORT:
            return ""
        limit = f"set aside above {self.attribute.limit:,}"
        return (
            f"{self.attribute.max_length:,} characters; {limit}" if self.attribute.max_length else f"{limit} characters"
        )

    @property
    def help(self) -> str:
        if not self.attribute.elements:
            return self.attribute.help or "Kept as found."
        elements = ", ".join(f"{name} ({kind})" for name, kind in self.attribute.elements.items())
        return f"A group, kept as found. Checked in it: {elements}."


def attribute_entries() -> list[Entry]:
    """Every attribute, in the order of the table."""
    return [Entry(attribute) for attribute in ATTRIBUTES]


def sorted_codes() -> list[Code]:
    """Every code, the worst first, otherwise in the order of the registry."""
    return sorted(CODES, key=lambda code: code.severity.rank)


def as_markdown() -> str:
    """The page of the documentation."""
    attributes = (
        (f"`{entry.name}`", entry.type, entry.need, entry.help, entry.values, entry.limits, entry.other_names)
        for entry in attribute_entries()
    )
    codes = ((f"`{code.name}`", code.severity, code.title, code.advice) for code in sorted_codes())
    lines = (
        *("# Reference", "", "Made by `python -m catalog.feeds.reference`; do not edit.", "", INTRODUCTION, ""),
        *("## Attributes", ""),
        *_table_lines(("name", "type", "need", "what it is", "values", "limits", "other names"), attributes),
        *("", "## Issues", "", *(f"- **{name}**: {text}" for name, text in SEVERITIES.items()), ""),
        *_table_lines(("code", "severity", "what is wrong", "how to fix it"), codes),
        "",
    )
    return "\n".join(lines)


def _table_lines(header: tuple[str, ...], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(text.replace('|', '&#124;').replace('<', '&lt;') for text in row)} |"


if __name__ == "__main__":
    print(as_markdown(), end="")
