"""Sample feeds: believable Google Merchant feeds of an invented luxury catalogue, the same on every machine.

    with open("feed.xml", "wb") as out:
        write_feed(out, items=10_000, seed=1)

A feed of any size is written item by item in constant memory. With `changes` it is the feed of a later day: the same
catalogue with exact numbers of items changed, added and removed.
"""

from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO

from samples.assortment import Assortment, Offer
from samples.changes import Changes, Counts, Revision
from samples.defects import PROFILES, Defects
from samples.draws import MAX_SEED
from samples.items import item_of
from samples.markets import SampleMarket, localise, sample_market

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


def write_feed(
    out: BinaryIO, *, items: int, seed: int, profile: str = "clean", changes: Changes | None = None, market: str = ""
) -> None:
    """Write a whole feed to `out`, which should be buffered. For the arguments and errors see `iter_items`."""
    out.writelines(iter_feed(items=items, seed=seed, profile=profile, changes=changes, market=market))


def iter_feed(
    *, items: int, seed: int, profile: str = "clean", changes: Changes | None = None, market: str = ""
) -> Iterator[bytes]:
    """A whole feed in pieces. For the arguments and errors see `iter_items`."""
    elements = iter_items(items=items, seed=seed, profile=profile, changes=changes, market=market)
    return chain([_HEAD], elements, [_TAIL])


def iter_items(
    *, items: int, seed: int, profile: str = "clean", changes: Changes | None = None, market: str = ""
) -> Iterator[bytes]:
    """Each `<item>` of the feed with this number of items and this seed, as UTF-8.

    With `changes` it is a later feed of the catalogue `changes.from_seed` with `items` items, and `seed` decides what
    is different. The order stays; new items come at the end. `profile` says how much is wrong with the feed. `market`
    is one of `samples.markets.CODES`, with the same products in its language and currency. Raises
    ValueError, with a sentence for people, before the first item.
    """
    _check_arguments(items, seed, profile)
    place = sample_market(market) if market else None
    if changes is None:
        assortment = Assortment(seed)
        return _item_elements(enumerate(assortment.offers(0, items)), assortment, profile, place)
    _check_arguments(items, changes.from_seed, profile)
    assortment = Assortment(changes.from_seed)
    revision = Revision(changes, items, seed)
    kept = ((index, revision.revise_offer(index, offer)) for index, offer in enumerate(assortment.offers(0, items)))
    added = revision.added_numbers
    offers = chain(
        ((index, offer) for index, offer in kept if offer is not None),
        enumerate(assortment.offers(added.start, added.stop), added.start),
    )
    return _item_elements(offers, assortment, profile, place)


def _check_arguments(items: int, seed: int, profile: str) -> None:
    if not 0 <= items <= MAX_ITEMS:
        raise ValueError(f"items must be from 0 to {MAX_ITEMS:,}, not {items:,}.")
    if not 0 <= seed <= MAX_SEED:
        raise ValueError(f"A seed must be a whole number from 0 to {MAX_SEED}, not {seed}.")
    if profile not in PROFILES:
        raise ValueError(f"profile must be one of {', '.join(PROFILES)}, not {profile}.")


def _item_elements(
    offers: Iterator[tuple[int, Offer]], assortment: Assortment, profile: str, market: SampleMarket | None
) -> Iterator[bytes]:
    defects = Defects(assortment, profile) if PROFILES[profile] else None
    for index, offer in offers:
        item = item_of(offer)
        if market:
            localise(item, offer, market)
        if defects:
            defects.spoil_item(item, index)
            if market:
                item.fields |= {
                    name: text and text.replace("AED", market.currency) for name, text in item.fields.items()
                }
        yield item.to_xml()
