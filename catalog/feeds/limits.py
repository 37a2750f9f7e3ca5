"""How much of a stranger's file is read. Each limit has its own code, its own sentence and its own setting."""

from dataclasses import dataclass, fields

from catalog.errors import FeedRefused

MIB = 1024**2
NAME_CHARS = 500  # of an item that is lost, longer texts are not kept


@dataclass(frozen=True)
class Limits:
    """The most that a file may have; the defaults are far above what shops publish.

    Memory is bounded by `item_bytes`: libxml2 needs up to thirty times the bytes of one element's attributes.
    `ratio` is unpacked to packed bytes: real feeds come to 50 at most. Raises `ValueError` for a limit below 1.
    """

    unpacked_bytes: int = 16 * 1024 * MIB
    ratio: int = 200
    items: int = 10_000_000
    item_bytes: int = 4 * MIB
    attributes: int = 5000
    depth: int = 32
    value_chars: int = 1_000_000

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < 1:
                raise ValueError(f"{SETTINGS[field.name]} is a number from 1, not {getattr(self, field.name)}.")


SETTINGS = {
    "unpacked_bytes": "FEED_MAX_UNPACKED_BYTES",
    "ratio": "FEED_MAX_RATIO",
    "items": "FEED_MAX_ITEMS",
    "item_bytes": "FEED_MAX_ITEM_BYTES",
    "attributes": "FEED_MAX_ATTRIBUTES",
    "depth": "FEED_MAX_DEPTH",
    "value_chars": "FEED_MAX_VALUE_CHARS",
}

SAFE = Limits()


def too_large_unpacked(limits: Limits) -> FeedRefused:
    return _over(
        "unpacked_too_large",
        "unpacked_bytes",
        f"Unpacked, the file is larger than {limits.unpacked_bytes:,} bytes. Split the feed",
    )


def too_tightly_packed(limits: Limits) -> FeedRefused:
    return _over(
        "ratio",
        "ratio",
        f"The archive unpacks to more than {limits.ratio:,} times its size, as no feed does. Upload the feed unpacked",
    )


def too_many_items(line: int, limits: Limits) -> FeedRefused:
    return _over(
        "too_many_items", "items", f"Line {line}: the feed has more than {limits.items:,} items. Split the feed"
    )


def item_too_large(line: int, limits: Limits) -> FeedRefused:
    return _over(
        "item_too_large",
        "item_bytes",
        f"After line {line}: {limits.item_bytes:,} bytes without the end of an item. "
        "Is an element left open, or is this no feed? Mend that",
    )


def record_too_large(line: int, limits: Limits) -> FeedRefused:
    return _over(
        "record_too_large",
        "item_bytes",
        f"After line {line}: {limits.item_bytes:,} characters without the end of a row. "
        "Is a quotation mark left open, or is this no table? Mend that",
    )


def too_many_columns(limits: Limits) -> FeedRefused:
    return _over(
        "too_many_attributes",
        "attributes",
        f"Line 1: the table has more than {limits.attributes:,} columns. Send fewer",
    )


def too_deep(line: int) -> FeedRefused:
    return FeedRefused(
        "feed.too_deep", f"Line {line}: elements lie in one another deeper than any parser follows. Flatten them."
    )


def _over(code: str, limit: str, sentence: str) -> FeedRefused:
    return FeedRefused(f"feed.{code}", f"{sentence}, or raise {SETTINGS[limit]}.")
