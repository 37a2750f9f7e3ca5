"""Query strings: a serializer for each kind reads them strictly and describes them in the schema."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast

from django.http import QueryDict
from django.utils.dateparse import parse_datetime
from drf_spectacular.utils import extend_schema_field
from rest_framework.exceptions import ValidationError
from rest_framework.fields import empty
from rest_framework.serializers import ChoiceField, Field, IntegerField, ListField, Serializer

from catalog.feeds.attributes import BY_NAME
from catalog.models import MarketState, Status
from catalog.models.product import SEARCH_CHARS

# Python's own readers accept the digits of every script, 1_000, NaN and endless exponents.
WHOLE = re.compile(r"[0-9]{1,9}", re.ASCII)
AMOUNT = re.compile(r"[0-9]{1,9}(\.[0-9]{1,3})?", re.ASCII)
MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})", re.ASCII)
PAGE_SIZE, PAGE_SIZE_MAX = 20, 100
# What the list may be sorted by, and the column that has an index for it.
SORT_COLUMNS = {
    "id": "id",
    "title": "title_key",
    "brand": "brand_key",
    "price": "price",
    "created_at": "created_at",
    "updated_at": "updated_at",
}
CURSOR = re.compile(r"[0-9]{1,18}|([-a-zA-Z0-9_]{1,50})\.([0-9]{1,18})(?:\.([-a-zA-Z0-9_]{1,2700}))?", re.ASCII)
REPEATED = "Repeat the parameter to allow several values."


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the changes of a market: after every change of `version`, or, of that version, after a product's."""

    version: int
    after: str = ""
    market: str = ""

    @classmethod
    def read(cls, text: str) -> Place | None:
        """The place that a version or a cursor names; None for any other text."""
        match = CURSOR.fullmatch(text)
        if match is None:
            return None
        market, version, packed = match.groups()
        if market is None:
            return cls(int(text))
        try:
            after = base64.urlsafe_b64decode((packed or "") + "==").decode()
        except ValueError:
            return None
        return None if "\0" in after else cls(int(version), after, market)

    def __str__(self) -> str:
        packed = base64.urlsafe_b64encode(self.after.encode()).decode().rstrip("=")
        return f"{self.market}.{self.version}" + (f".{packed}" if packed else "")


class OneOf(ChoiceField):
    """One of these texts."""

    def __init__(self, choices: Iterable[str], **options: Any) -> None:
        super().__init__(list(choices), **options)
        extend_schema_field({"type": "string", "enum": list(self.choices)})(self)

    def to_internal_value(self, data: Any) -> str:
        if data not in self.choices:
            raise ValidationError(f'"{shorten_text(data)}" is not one of {", ".join(self.choices)}.')
        return str(data)


class WholeNumber(IntegerField):
    """A whole number from 1."""

    def __init__(self, *, max_value: int, **options: Any) -> None:
        super().__init__(min_value=1, max_value=max_value, **options)
        self.largest = max_value

    def to_internal_value(self, data: Any) -> int:
        if not WHOLE.fullmatch(data) or not 1 <= int(data) <= self.largest:
            raise ValidationError(f'"{shorten_text(data)}" is not a whole number from 1 to {self.largest:,}.')
        return int(data)


@extend_schema_field({"type": "string", "pattern": f"^{AMOUNT.pattern}$", "example": "1250.50"})
class Amount(Field[Decimal, str, str, Any]):
    """A price without its currency."""

    def to_internal_value(self, data: str) -> Decimal:
        if not AMOUNT.fullmatch(data):
            raise ValidationError(f'"{shorten_text(data)}" is not an amount. Write it as 1250 or 1250.50.')
        return Decimal(data)


@extend_schema_field(
    {"type": "string", "format": "date-time", "pattern": MOMENT.pattern, "example": "2026-11-22T10:00:00Z"}
)
class Moment(Field[datetime, str, str, Any]):
    """A time with its offset from UTC."""

    def to_internal_value(self, data: str) -> datetime:
        try:
            moment = parse_datetime(data.upper()) if MOMENT.fullmatch(data.upper()) else None
        except ValueError:  # the 31st of February
            moment = None
        if moment is None:
            raise ValidationError(f'"{shorten_text(data)}" is not a time. Write it as 2026-11-22T10:00:00Z.')
        try:
            return moment.astimezone(UTC)
        except OverflowError:  # a day before the first, or after the last
            return moment.replace(tzinfo=UTC)


class AnyText(Field[str, str, str, Any]):
    """Any text of so many characters, blanks included."""

    def __init__(self, *, min_length: int = 0, max_length: int, **options: Any) -> None:
        super().__init__(**options)
        self.min_length, self.max_length = min_length, max_length
        size = {"minLength": min_length, "maxLength": max_length}
        extend_schema_field({"type": "string", **size, "pattern": r"^[^\u0000]*$"})(self)

    def to_internal_value(self, data: str) -> str:
        if len(data) < self.min_length:
            raise ValidationError("The value is empty.")
        if len(data) > self.max_length:
            raise ValidationError(f"At most {self.max_length:,} characters; this has {len(data):,}.")
        return data


@extend_schema_field({"type": "string", "pattern": "^[-a-zA-Z0-9_]+$", "maxLength": 50, "example": "default"})
class MarketCode(Field[MarketState, str, str, Any]):
    """A market by its code, with the version of its products; the default market when it is not given."""

    def __init__(self, **options: Any) -> None:
        super().__init__(default=lambda: MarketState.of_all()[0], **options)

    def to_internal_value(self, data: str) -> MarketState:
        markets = MarketState.of_all()
        found = next((market for market in markets if market.code == data), None)
        if found is None:
            codes = ", ".join(market.code for market in markets)
            raise ValidationError(f'There is no market "{shorten_text(data)}". Use one of these: {codes}.')
        return found


def several_of(child: Any, help_text: str = REPEATED) -> Any:
    """A parameter that may be repeated; an empty list when it is not given."""
    return ListField(child=child, default=list, help_text=help_text)


def shorten_text(text: str) -> str:
    return text if len(text) <= 50 else f"{text[:50]}…"


class Query(Serializer[Any]):
    """The parameters of a call. Any other is refused, so that a misspelled filter is not mistaken for no filter.

    An empty value is not given: forms send `brand=` for a filter that nobody chose.
    """

    def read(self, given: QueryDict) -> dict[str, Any]:
        """The value of every parameter, or its default. Raises `ValidationError` that names each one that is wrong."""
        texts_by_name: dict[str, Any] = {}
        problems: dict[str, Any] = {}
        asked: dict[str, Any] = {}
        for name, all_texts in given.lists():
            field = self.fields.get(name)
            texts = [text for text in all_texts if text]
            if field is None:
                known = ", ".join(self.fields)
                advice = f"Use one of these: {known}." if known else "This call takes none."
                problems[shorten_text(name)] = [f"There is no such parameter. {advice}"]
            elif not texts:
                continue
            elif isinstance(field, ListField):
                texts_by_name[name] = list(dict.fromkeys(texts))
            elif len(texts) > 1:
                problems[name] = ["Give it once."]
            else:
                texts_by_name[name] = texts[0]
        try:
            asked = self.run_validation(texts_by_name)
        except ValidationError as error:
            problems = {**cast("dict[str, Any]", error.detail), **problems}
        if problems:
            raise ValidationError(problems)
        return asked


class NoQuery(Query):
    """For calls without parameters."""


class PageQuery(Query):
    page = WholeNumber(default=1, max_value=999_999_999, help_text="Which page, from 1.")
    page_size = WholeNumber(default=PAGE_SIZE, max_value=PAGE_SIZE_MAX, help_text="How many on a page.")


class ImportsQuery(PageQuery):
    status = OneOf(Status.values, default=None, help_text="Only imports with this status.")


class MarketQuery(Query):
    market = MarketCode(help_text="The code of a market, as in /markets/. Without it, the default market.")


class FilterQuery(MarketQuery):
    condition = several_of(OneOf(BY_NAME["condition"].values))
    gender = several_of(OneOf(BY_NAME["gender"].values))
    availability = several_of(OneOf(BY_NAME["availability"].values))
    brand = several_of(
        AnyText(min_length=1, max_length=BY_NAME["brand"].limit), f"Spelled as in /filter-options/. {REPEATED}"
    )
    min_price = Amount(default=None, help_text="The lowest price, in any currency.")
    max_price = Amount(default=None, help_text="The highest price, in any currency.")
    updated_since = Moment(
        default=None, help_text="Only products whose `updated_at` is this or later. What was archived is not listed."
    )
    search = AnyText(
        default="",
        max_length=SEARCH_CHARS,
        help_text="Beginnings of words in the id, title, brand, GTIN or MPN. Punctuation separates words. A word that "
        "no product has is replaced by the most similar one; a number is never replaced.",
    )


class ProductsQuery(PageQuery, FilterQuery):
    sort_by = OneOf(SORT_COLUMNS, default="id", help_text="Products that are equal in it are sorted by id.")
    order = OneOf(("asc", "desc"), default="asc", help_text="`desc` is exactly the reverse of `asc`.")


class ExportQuery(FilterQuery):
    format = OneOf(
        ("jsonl", "csv", "feed"),
        default="jsonl",
        help_text="JSON lines, CSV as the admin exports it, or a feed for Google Merchant Center.",
    )
    after = AnyText(
        default="", max_length=BY_NAME["id"].limit, help_text="Only products after this id: to go on with an export."
    )


@extend_schema_field({"type": "string", "pattern": f"^({CURSOR.pattern})$", "maxLength": 2800, "example": "41"})
class Since(Field["Place", str, str, Any]):
    """A version of the market's products, or the cursor of an answer."""

    def to_internal_value(self, data: str) -> Place:
        place = Place.read(data)
        if place is None:
            raise ValidationError(
                f'"{shorten_text(data)}" is neither a version nor a cursor. Send the `cursor` of an answer as it is.'
            )
        return place


class ChangesQuery(MarketQuery):
    since = Since(
        default=None,
        help_text="A version of the market's products, as in `Catalogue-Version`, or the `cursor` of an answer, which "
        "names its market. Without it, the answer says where to begin.",
    )
    page_size = WholeNumber(default=100, max_value=1000, help_text="How many on a page.")
    format = OneOf(
        ("json", "jsonl"), default="json", help_text="A page, or everything until now as JSON lines in one answer."
    )

    def run_validation(self, data: Any = empty) -> dict[str, Any]:
        asked: dict[str, Any] = super().run_validation(data)
        place: Place | None = asked["since"]
        if place and place.market and place.market != asked["market"].code:
            if "market" in data:
                raise ValidationError({"since": [f"This cursor is of the market {place.market}."]})
            try:
                asked["market"] = self.fields["market"].run_validation(place.market)
            except ValidationError as error:
                raise ValidationError({"since": error.detail}) from error
        return asked


class ProductIdQuery(MarketQuery):
    id = AnyText(
        min_length=1,
        max_length=BY_NAME["id"].limit,
        help_text="The product's id.",
        error_messages={"required": "This parameter is required."},
    )
