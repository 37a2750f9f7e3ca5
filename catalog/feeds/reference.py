"""The reference page, made from the tables of attributes and issues: what each is called, means and asks for.

`python -m catalog.feeds.reference > docs/reference.md` writes the one in the documentation; a test holds it to them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from catalog.feeds.attributes import ATTRIBUTES, BY_NAME, Attribute, Type
from catalog.feeds.issues import CODES, Code, Severity, severity

INTRODUCTION = (
    "What a feed may hold, and what can be wrong with it. Names, types and limits are those of Google's product data "
    "specification. What is found under any other name is kept beside the product, as it was found."
)
SEVERITIES = {
    Severity.ERROR: "The item is invalid and skipped. On an attribute that is not required, the value is set aside "
    "with a warning, and the item is imported.",
    Severity.WARNING: "The item is imported; something about it should be mended.",
    Severity.NOTICE: "The item is imported; it was read leniently.",
}
# Types whose values are checked whole: a limit of their length says nothing more.
_SHORT = (Type.CHOICE, Type.MONEY, Type.BOOLEAN, Type.INTEGER)


@dataclass(frozen=True, slots=True)
class Entry:
    """One attribute as people read about it."""

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
        return self.attribute.help or "Kept as found."


def attributes() -> list[Entry]:
    """Every attribute, in the order of the table."""
    return [Entry(attribute) for attribute in ATTRIBUTES]


def codes() -> list[Code]:
    """Every code, the worst first, otherwise in the order of the registry."""
    return sorted(CODES, key=lambda code: list(Severity).index(severity_of(code)))


def severity_of(code: Code) -> Severity:
    """The severity that the code has: a code of one attribute is as bad as it is there."""
    attribute = code.name.partition(".")[0]
    return severity(code.name, attribute) if attribute in BY_NAME else code.severity


def markdown() -> str:
    """The page of the documentation."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield from ("# Reference", "", "Made by `python -m catalog.feeds.reference`; do not edit.", "", INTRODUCTION, "")
    yield from ("## Attributes", "")
    yield from _table(
        ("name", "type", "need", "what it is", "values", "limits", "other names"),
        (
            (f"`{entry.name}`", entry.type, entry.need, entry.help, entry.values, entry.limits, entry.other_names)
            for entry in attributes()
        ),
    )
    yield from ("", "## Issues", "", *(f"- **{name}**: {text}" for name, text in SEVERITIES.items()), "")
    yield from _table(
        ("code", "severity", "what is wrong", "how to fix it"),
        ((f"`{code.name}`", severity_of(code), code.title, code.advice) for code in codes()),
    )
    yield ""


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    names = list(header)
    yield f"| {' | '.join(names)} |"
    yield f"|{'---|' * len(names)}"
    for row in rows:
        yield f"| {' | '.join(text.replace('|', '&#124;').replace('<', '&lt;') for text in row)} |"


if __name__ == "__main__":
    print(markdown(), end="")
