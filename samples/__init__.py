"""Sample feeds: believable Google Merchant feeds of an invented luxury catalogue, the same on every machine.

    with open("feed.xml", "wb") as out:
        write_feed(out, items=10_000, seed=1)

A feed of any size is written item by item in constant memory. With `changes` it is the feed of another day: the same
catalogue with exact numbers of items changed, added and removed.
"""

from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO

from samples.assortment import Assortment, Offer
from samples.changes import Changes, Counts, Revision
from samples.defects import PROFILES, Defects
from samples.draws import MAX_SEED
from samples.items import to_item

__all__ = ["MAX_ITEMS", "PROFILES", "Changes", "Counts", "iter_feed", "iter_items", "write_feed"]

MAX_ITEMS = 10_000_000

_HEAD = b"""<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0">
<channel>
<title>Ounass</title>
<link>https://www.example.com/</link>
<description>Luxury fashion, beauty, jewellery and home</description>
"""
_TAIL = b"</channel>\n</rss>\n"


def write_feed(out: BinaryIO, *, items: int, seed: int, profile: str = "clean", changes: Changes | None = None) -> None:
    """Write a whole feed to `out`, which should be buffered. For the arguments and errors see `iter_items`."""
    out.writelines(iter_feed(items=items, seed=seed, profile=profile, changes=changes))


def iter_feed(*, items: int, seed: int, profile: str = "clean", changes: Changes | None = None) -> Iterator[bytes]:
    """A whole feed in pieces. For the arguments and errors see `iter_items`."""
    return chain([_HEAD], iter_items(items=items, seed=seed, profile=profile, changes=changes), [_TAIL])


def iter_items(*, items: int, seed: int, profile: str = "clean", changes: Changes | None = None) -> Iterator[bytes]:
    """Each `<item>` of the feed with this number of items and this seed, as UTF-8.

    With `changes` it is the feed of the catalogue `changes.from_seed` with `items` items, some days later, and `seed`
    decides what is different. The order stays; new items come at the end. `profile` says how much is wrong with it.
    Raises ValueError, with a sentence for people, before the first item.
    """
    _check(items, seed, profile)
    if changes is None:
        assortment = Assortment(seed)
        return _elements(_catalogue(assortment, items), assortment, profile)
    _check(items, changes.from_seed, profile)
    assortment = Assortment(changes.from_seed)
    return _elements(_revised(assortment, items, Revision(changes, items, seed)), assortment, profile)


def _check(items: int, seed: int, profile: str) -> None:
    if not 0 <= items <= MAX_ITEMS:
        raise ValueError(f"items is a number from 0 to {MAX_ITEMS:,}, not {items:,}.")
    if not 0 <= seed <= MAX_SEED:
        raise ValueError(f"A seed is a whole number from 0 to {MAX_SEED}, not {seed}.")
    if profile not in PROFILES:
        raise ValueError(f"profile is one of {', '.join(PROFILES)}, not {profile}.")


def _catalogue(assortment: Assortment, items: int) -> Iterator[tuple[int, Offer]]:
    return enumerate(assortment.offers(0, items))


def _revised(assortment: Assortment, items: int, revision: Revision) -> Iterator[tuple[int, Offer]]:
    kept = ((index, revision.revise(index, offer)) for index, offer in _catalogue(assortment, items))
    added = revision.added
    return chain(
        ((index, offer) for index, offer in kept if offer is not None),
        enumerate(assortment.offers(added.start, added.stop), added.start),
    )


def _elements(offers: Iterator[tuple[int, Offer]], assortment: Assortment, profile: str) -> Iterator[bytes]:
    defects = Defects(assortment, profile) if PROFILES[profile] else None
    for index, offer in offers:
        item = to_item(offer)
        if defects:
            defects.spoil(item, index)
        yield item.to_xml()
