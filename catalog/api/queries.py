"""What may stand behind the question mark of an address: read strictly, and described from the same table."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.http import QueryDict
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ValidationError

# Python's own readers take digits of every script, 1_000, NaN and exponents that never end.
WHOLE = re.compile(r"[0-9]{1,9}", re.ASCII)
AMOUNT = re.compile(r"[0-9]{1,9}(\.[0-9]{1,3})?", re.ASCII)
PAGE_SIZE, PAGE_SIZE_MAX = 20, 100


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: `read` makes a value of its text, or raises `ValueError` with a sentence that says what would do.

    A repeated one gives a tuple of all its values.
    """

    name: str
    read: Callable[[str], Any]
    schema: dict[str, Any]
    help: str
    default: Any = None
    repeated: bool = False
    required: bool = False

    def value_of(self, texts: list[str]) -> Any:
        if not self.repeated and len(texts) > 1:
            raise ValueError("Give it once.")
        values = tuple(dict.fromkeys(map(self.read, texts)))
        return values if self.repeated else values[0]

    def described(self) -> OpenApiParameter:
        schema = {"type": "array", "items": self.schema} if self.repeated else self.schema
        if self.default is not None and not self.repeated:
            schema = {**schema, "default": self.default}
        return OpenApiParameter(
            self.name,
            schema,
            required=self.required,
            description=self.help,
            explode=True if self.repeated else None,
        )


def choice(name: str, values: Iterable[str], help: str, **options: Any) -> Parameter:
    """One of these values."""
    allowed = tuple(values)

    def read(given: str) -> str:
        if given not in allowed:
            raise ValueError(f"“{shortened(given)}” is not one of {', '.join(allowed)}.")
        return given

    schema = {"type": "string", "enum": list(allowed)}
    return Parameter(name, read, schema, help, **options)


def number(name: str, help: str, default: int, most: int) -> Parameter:
    """A whole number from 1."""

    def read(given: str) -> int:
        if not WHOLE.fullmatch(given) or not 1 <= int(given) <= most:
            raise ValueError(f"“{shortened(given)}” is not a whole number from 1 to {most:,}.")
        return int(given)

    return Parameter(name, read, {"type": "integer", "minimum": 1, "maximum": most}, help, default)


def amount(name: str, help: str) -> Parameter:
    """A price without its currency."""

    def read(given: str) -> Decimal:
        if not AMOUNT.fullmatch(given):
            raise ValueError(f"“{shortened(given)}” is not an amount. Write it as 1250 or 1250.50.")
        return Decimal(given)

    schema = {"type": "string", "pattern": f"^{AMOUNT.pattern}$", "example": "1250.50"}
    return Parameter(name, read, schema, help)


def text(name: str, help: str, *, least: int = 0, most: int, **options: Any) -> Parameter:
    """Any text of so many characters."""

    def read(given: str) -> str:
        if not least <= len(given) <= most:
            raise ValueError(f"It has {len(given):,} characters; {least or 'none'} to {most:,} are taken.")
        return given

    schema = {"type": "string", "minLength": least, "maxLength": most, "pattern": r"^[^\u0000]*$"}
    return Parameter(name, read, schema, help, **options)


PAGING = (
    number("page", "Which page, from 1.", default=1, most=999_999_999),
    number("page_size", "How many on a page.", default=PAGE_SIZE, most=PAGE_SIZE_MAX),
)


@dataclass(frozen=True, slots=True)
class Query:
    """The parameters that a call takes. Any other is an error, so that a misspelled filter is not taken for none."""

    parameters: tuple[Parameter, ...] = ()
    by_name: dict[str, Parameter] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {parameter.name: parameter for parameter in self.parameters})

    def read(self, given: QueryDict) -> dict[str, Any]:
        """Every parameter's value, or its default. Raises `ValidationError` that names each one that is wrong."""
        values = {parameter.name: () if parameter.repeated else parameter.default for parameter in self.parameters}
        problems = {p.name: ["Give it."] for p in self.parameters if p.required and p.name not in given}
        for name, texts in given.lists():
            try:
                values[name] = self._known(name).value_of(texts)
            except ValueError as problem:
                problems[shortened(name)] = [str(problem)]
        if problems:
            raise ValidationError(problems)
        return values

    def _known(self, name: str) -> Parameter:
        if name not in self.by_name:
            known = ", ".join(self.by_name) or "none"
            raise ValueError(f"There is no parameter of this name here. Known are: {known}.")
        return self.by_name[name]

    def described(self) -> list[OpenApiParameter]:
        return [parameter.described() for parameter in self.parameters]


def shortened(text: str) -> str:
    return text if len(text) <= 50 else f"{text[:50]}…"
