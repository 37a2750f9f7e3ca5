"""What is left of a raw item when it was cleaned: its values, everything else that was found, and its issues."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from catalog.feeds.attributes import ATTRIBUTES
from catalog.feeds.issues import FOUND_MAX, Issue, Severity
from catalog.feeds.reading.items import RawItem, RawValue


@dataclass(frozen=True, slots=True)
class Rules:
    """What a feed's settings add to the rules that hold for all.

    `base_url` completes relative addresses; links belong on `domain` or below it; `aliases` are pairs of an element's
    name in this shop and the attribute that it is. `today` is the day of the import in ISO 8601; without it no date is
    too far ahead.
    """

    default_currency: str = ""
    base_url: str = ""
    domain: str = ""
    aliases: tuple[tuple[str, str], ...] = ()
    today: str = ""


@dataclass(slots=True)
class Item:
    """One cleaned item.

    `values` holds the columns that have a value, by attribute name: str, Decimal, int, bool or a list of str; the one
    `currency` of all its amounts beside them. `extra` holds everything else that was found, verbatim. `more_names` are
    the attributes on it that `names_of` cannot tell from the tags. Its `_tags` are listed by attribute.
    """

    position: int
    line: int
    _raw: RawItem = field(repr=False, compare=False)
    _tags: Mapping[str, list[str]] = field(repr=False, compare=False)
    values: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
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
        """Whether it reads alike on another day."""
        return not self._raw.lost and _DATED.isdisjoint(self._tags)

    @property
    def shape(self) -> int:
        """Stands for the names of its elements: items of one shape make the same names occur in a file."""
        return _shape(tuple(self._raw.fields), frozenset(self.more_names))

    def report(self, code: str, attribute: str, found: str = "") -> None:
        """Say what is wrong, where it stands and what was found there."""
        self.issues.append(Issue(code, attribute, found[:FOUND_MAX], self._line_of(attribute, found)))

    def _line_of(self, attribute: str, found: str) -> int:
        """The line of the attribute's element, of several that with this text; the item's own when it has none."""
        tags = self._tags.get(attribute) or self._tags.get(attribute.partition(".")[0])
        if tags is None:
            return self.line
        if len(tags) == 1 and isinstance(self._raw.fields[tags[0]], str):
            return self._raw.line_of(tags[0])
        places = [(tag, n, part) for tag in tags for n, part in enumerate(parts_of(self._raw.fields[tag]))]
        tag, occurrence, _part = next((place for place in places if text_of(place[2]) == found), places[0])
        return self._raw.line_of(tag, occurrence)

    def keep(self, name: str, value: Any) -> None:
        """Keep a value that no column takes. Nothing that was found is lost."""
        if name not in self.extra:
            self.extra[name] = value
        elif isinstance(self.extra[name], list):
            self.extra[name].append(value)
        else:
            self.extra[name] = [self.extra[name], value]

    def set_aside(self, code: str, attribute: str, found: str) -> None:
        self.report(code, attribute, found)
        self.keep(attribute, found)


_DATED = frozenset(a.name for a in ATTRIBUTES if a.days_ahead)


@lru_cache(maxsize=2_000)
def _shape(tags: tuple[str, ...], more_names: frozenset[str]) -> int:
    names = "\n".join((*tags, "", *sorted(more_names)))
    return int.from_bytes(blake2b(names.encode(), digest_size=7).digest(), "big")


def parts_of(value: RawValue) -> list[Any]:
    """The values of an element, one for each time it occurs."""
    return value if isinstance(value, list) else [value]


def text_of(value: RawValue) -> str:
    """The text of an element; of an Atom link, its address; of repeated elements, that of the first."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list):
        return text_of(value[0])
    if "#text" in value:
        return str(value["#text"]).strip()
    if "@href" in value:
        return str(value["@href"]).strip()
    return " ".join(text_of(inner) for name, inner in value.items() if not name.startswith("@")).strip()
