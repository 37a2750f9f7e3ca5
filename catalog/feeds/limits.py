"""How much of an unknown file is read. Each limit has its own code, sentence and setting."""

from dataclasses import dataclass, fields

from catalog.errors import FeedRefused

MIB = 1024**2
NAME_CHARS = 500  # an item that could not be read keeps no longer texts than this


@dataclass(frozen=True)
class Limits:
    """The most that a file may have. The defaults are far above what shops publish.

    `item_bytes` bounds the memory: libxml2 needs up to thirty times the bytes of one element's attributes. `ratio` is
    the unpacked size to the packed size: at most 50 in real feeds. Raises `ValueError` for a limit below 1.
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
                raise ValueError(f"{SETTINGS[field.name]} must be at least 1, not {getattr(self, field.name)}.")


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
    return _refused_by(
        "unpacked_too_large",
        "unpacked_bytes",
        f"The unpacked file is larger than {limits.unpacked_bytes:,} bytes. Split the feed",
    )


def too_tightly_packed(limits: Limits) -> FeedRefused:
    return _refused_by(
        "ratio",
        "ratio",
        f"The archive unpacks to more than {limits.ratio:,} times its size. No feed does that. Upload it unpacked",
    )


def too_many_items(line: int, limits: Limits) -> FeedRefused:
    return _refused_by(
        "too_many_items", "items", f"Line {line}: the feed has more than {limits.items:,} items. Split the feed"
    )


def item_too_large(line: int, limits: Limits) -> FeedRefused:
    return _refused_by(
        "item_too_large",
        "item_bytes",
        f"After line {line}: {limits.item_bytes:,} bytes without the end of an item. "
        "Check that every element is closed and that the file is a feed",
    )


def record_too_large(line: int, limits: Limits) -> FeedRefused:
    return _refused_by(
        "record_too_large",
        "item_bytes",
        f"After line {line}: {limits.item_bytes:,} characters without the end of a row. "
        "Check that every quotation mark and bracket is closed and that the file is a table",
    )


def too_many_columns(limits: Limits) -> FeedRefused:
    return _refused_by(
        "too_many_attributes",
        "attributes",
        f"Line 1: the table has more than {limits.attributes:,} columns. Send fewer",
    )


def too_deep(line: int) -> FeedRefused:
    return FeedRefused(
        "feed.too_deep", f"Line {line}: elements are nested deeper than any parser follows. Nest them less."
    )


def _refused_by(code: str, limit: str, sentence: str) -> FeedRefused:
    return FeedRefused(f"feed.{code}", f"{sentence}, or raise {SETTINGS[limit]}.")
