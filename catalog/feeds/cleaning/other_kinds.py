"""Feeds of something else than a shop's products, by the names that occur in them."""

from collections.abc import Collection

from catalog.errors import FeedRefused
from catalog.feeds.attributes import COLUMNS, VEHICLE_NAMES, Need

_COLUMN_NAMES = frozenset(a.name for a in COLUMNS)
_REQUIRED_NAMES = frozenset(a.name for a in COLUMNS if a.need is Need.REQUIRED)
_IN_EVERY_FEED = frozenset({"id", "title", "link", "description"})
_OF_ARTICLES = frozenset("guid pubDate published updated author comments creator encoded".split())
MIN_VEHICLE_NAMES = 2


def other_kind(names: Collection[str]) -> FeedRefused | None:
    """The refusal of a file with these names that has no valid item, when they show that it is of another kind."""
    found = set(names)
    if found >= _REQUIRED_NAMES:
        return None
    if len(found.intersection(VEHICLE_NAMES)) >= MIN_VEHICLE_NAMES:
        return FeedRefused(
            "feed.vehicles",
            "The file is a feed of vehicle ads: its items have attributes of vehicles, and none has all that a product "
            "must have. Upload the product feed.",
        )
    if found & _COLUMN_NAMES <= _IN_EVERY_FEED and {name.rpartition("}")[2] for name in found} & _OF_ARTICLES:
        return FeedRefused(
            "feed.articles",
            "The file is the feed of a blog or of news: its items have titles and dates, but no prices. Upload the "
            "product feed.",
        )
    return None
