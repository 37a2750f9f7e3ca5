"""A cleaned item: its values, everything else that was found, and its issues."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from catalog.feeds.attributes import BY_NAME
from catalog.feeds.issues import FOUND_MAX, Issue, Severity
from catalog.feeds.reading.items import RawItem, RawValue


@dataclass(frozen=True, slots=True)
class Rules:
    """What a feed's settings add to the rules for all feeds.

    `base_url` completes relative addresses. Links must be on `domain` or below it. `aliases` are pairs of an element's
    name in this shop and its attribute. `today` is the day of the import in ISO 8601; without it no date is too far
    ahead. `own_currency` is that of one item which says it beside its amounts.
    `prefix` stands before each id in the catalogue.
    `decimal_mark` is what the amounts of the file have shown that has to be read again: see `settled_mark`.
    """

    default_currency: str = ""
    base_url: str = ""
    domain: str = ""
    aliases: tuple[tuple[str, str], ...] = ()
    today: str = ""
    own_currency: str = ""
    decimal_mark: str = ""
    prefix: str = ""


@dataclass(slots=True)
class Item:
    """One cleaned item.

    `values` holds the columns that have a value, by attribute name: str, Decimal, int, bool or a list of str, and the
    `currency` of all its amounts. `extra` holds everything else that was found, verbatim. `unread` holds the texts that
    are not understood, by attribute name. `more_names` are the attributes that `names_of` cannot find from the tags,
    and the signs of the amounts. `_tags` lists the tags of each attribute.
    """

    position: int
    line: int
    _raw: RawItem = field(repr=False, compare=False)
    _tags: Mapping[str, list[str]] = field(repr=False, compare=False)
    values: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    unread: dict[str, list[str]] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)
    more_names: set[str] = field(default_factory=set)

    @property
    def id(self) -> str:
        return str(self.values.get("id", ""))

    @property
    def valid(self) -> bool:
        return not any(issue.severity is Severity.ERROR for issue in self.issues)

    @property
    def is_lasting(self) -> bool:
        """Whether it reads the same on a later day, whatever the catalogue has by then.

        A date that is not too far ahead will not be, either.
        """
        is_too_far = any(issue.code == "date.too_far" for issue in self.issues)
        return not self._raw.lost and not self.kept_names and not is_too_far

    @property
    def kept_names(self) -> list[str]:
        """The columns whose known values an import keeps, since the item has no value for them that is understood.

        An item without a currency is an item whose amounts do not say theirs.
        """
        names = [name for name in self.unread if name not in self.values] if self.unread else []
        return names if "currency" in self.values else [*names, "currency"]

    @property
    def shape(self) -> int:
        """A number for the names of its elements: items of one shape have the same names."""
        return _shape_number(tuple(self._raw.fields), frozenset(self.more_names))

    @property
    def shape_names(self) -> tuple[list[str], list[str]]:
        """The names that `shape` stands for: the tags of its elements, and what else it has of names."""
        return [*self._raw.fields], sorted(self.more_names)

    def report(self, code: str, attribute: str, found: str = "") -> None:
        """Report what is wrong, its line and what was found there."""
        self.issues.append(Issue(code, attribute, found[:FOUND_MAX], self.line_of(attribute, found)))

    def line_of(self, attribute: str, found: str) -> int:
        """The line of the attribute's element, if several the one with this text; the item's line if it has none."""
        tags = self._tags.get(attribute) or self._tags.get(attribute.partition(".")[0])
        if tags is None:
            return self.line
        if len(tags) == 1 and isinstance(self._raw.fields[tags[0]], str):
            return self._raw.line_of(tags[0])
        places = [(tag, n, part) for tag in tags for n, part in enumerate(parts_of(self._raw.fields[tag]))]
        tag, occurrence, _part = next((place for place in places if text_of(place[2]) == found), places[0])
        return self._raw.line_of(tag, occurrence)

    def keep(self, name: str, value: Any) -> None:
        """Keep a value that does not go into a column, so that nothing that was found is lost."""
        if name not in self.extra:
            self.extra[name] = value
        elif isinstance(self.extra[name], list):
            self.extra[name].append(value)
        else:
            self.extra[name] = [self.extra[name], value]

    def has(self, name: str) -> bool:
        """Whether the attribute has a value, understood or not."""
        return name in self.values or name in self.extra or name in self.unread

    def set_aside(self, code: str, attribute: str, found: str) -> None:
        """Report a value that is not understood. What is known of it stays: `kept_names`."""
        self.report(code, attribute, found)
        self.leave_unread(attribute, found)

    def leave_unread(self, name: str, found: str) -> None:
        if name in BY_NAME and BY_NAME[name].column:
            self.unread.setdefault(name, []).append(found)
        else:
            self.keep(name, found)


@lru_cache(maxsize=2_000)
def _shape_number(tags: tuple[str, ...], more_names: frozenset[str]) -> int:
    names = "\n".join((*tags, "", *sorted(more_names)))
    return int.from_bytes(blake2b(names.encode(), digest_size=7).digest(), "big")


def parts_of(value: RawValue) -> list[Any]:
    """The values of an element, one for each time it occurs."""
    return value if isinstance(value, list) else [value]


def text_of(value: RawValue) -> str:
    """The text of an element: for an Atom link its address, for repeated elements the text of the first."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list):
        return text_of(value[0])
    if "#text" in value:
        return str(value["#text"]).strip()
    if "@href" in value:
        return str(value["@href"]).strip()
    return " ".join(text_of(inner) for name, inner in value.items() if not name.startswith("@")).strip()
