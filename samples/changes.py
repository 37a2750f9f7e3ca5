"""How one feed differs from the one before: exact numbers of items are changed, removed and added."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from samples.assortment import BLOCK, SOLD_OUT, Offer, Stock
from samples.draws import Dice, Draw, Shuffle, between, percent, pick
from samples.vocabulary import DISCOUNTS


class Counts(NamedTuple):
    """Numbers of items."""

    changed: int
    added: int
    removed: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What makes a feed a later one of the catalogue with the seed `from_seed`: percentages of its items.

    The defaults are those of a usual day. Raises ValueError with a sentence for a share that is not a percentage.
    """

    from_seed: int
    changed: float = 1.5
    added: float = 0.1
    removed: float = 0.1

    def __post_init__(self) -> None:
        for name, share in (("changed", self.changed), ("added", self.added), ("removed", self.removed)):
            if not 0 <= share <= 100:
                raise ValueError(f"{name} must be a percentage from 0 to 100, not {share}.")

    def counts(self, items: int) -> Counts:
        """The exact numbers for a catalogue of `items` items. Raises ValueError if they do not fit into it."""
        counts = Counts(*(round(items * share / 100) for share in (self.changed, self.added, self.removed)))
        if counts.changed + counts.removed > items:
            raise ValueError(
                f"{counts.changed} changed and {counts.removed} removed items do not fit into {items}: "
                "an item cannot be both. Lower changed or removed."
            )
        return counts


class Revision:
    """The differences that a seed makes in a catalogue of `items` items."""

    def __init__(self, changes: Changes, items: int, seed: int) -> None:
        self._counts = changes.counts(items)
        self._order = Shuffle(items, seed, "fates")
        self._dice = Dice(seed, "changes")
        self._items = items

    def revise_offer(self, index: int, offer: Offer) -> Offer | None:
        """The item as it is in the later feed; None if it is removed.

        The first places of a random order are the removed items, the next ones the changed items: exact numbers
        without a list of them.
        """
        place = self._order.place(index) - self._counts.removed
        if place < 0:
            return None
        if place >= self._counts.changed:
            return offer
        return _MIX[place % len(_MIX)](offer, self._dice.at(index))

    @property
    def added_numbers(self) -> range:
        """The numbers of the new items: beyond the catalogue, usually where no other seed has its new items."""
        places = 8192
        distance = 1 + pick(range(places), self._dice.roll(0)[-1]) * 1024
        start = (self._items // BLOCK + distance) * BLOCK
        return range(start, start + self._counts.added)


def change_price(offer: Offer, draw: Draw) -> Offer:
    """Raise or lower the price by up to a quarter, in steps of five dirhams."""
    old, step = offer.style.price, 5_00
    new = old * pick((80, 90, 95, 105, 110, 125), draw()) // 100 // step * step
    return _with_style(offer, price=new if new != old else old + step)


def change_sale(offer: Offer, draw: Draw) -> Offer:
    """Begin, end or extend a sale."""
    others = [discount for discount in (0, *DISCOUNTS) if discount != offer.style.discount]
    return _with_style(offer, discount=pick(others, draw()))


def change_stock(offer: Offer, draw: Draw) -> Offer:
    """Sell some, sell the last one, or bring it back."""
    left = offer.stock.quantity
    if left == 0:
        return offer._replace(stock=Stock("in_stock", between(1, 40, draw())))
    if left == 1 or percent(40, draw()):
        return offer._replace(stock=SOLD_OUT)
    return offer._replace(stock=Stock("in_stock", between(1, left - 1, draw())))


def change_pictures(offer: Offer, draw: Draw) -> Offer:
    """Replace the pictures, with one more or one fewer than before."""
    style = offer.style
    images = style.images - 1 if style.images > 3 and percent(50, draw()) else style.images + 1
    return _with_style(offer, images=images, image_version=style.image_version + 1)


def change_texts(offer: Offer, draw: Draw) -> Offer:
    """Write another title and another description."""
    style = offer.style
    return _with_style(offer, title=f"{style.title} in {style.colour}", story=tuple(draw() for _ in style.story))


def _with_style(offer: Offer, **facts: object) -> Offer:
    """The item with other facts; the other sizes keep theirs."""
    return offer._replace(style=replace(offer.style, **facts))  # type: ignore[arg-type]


# What changes from day to day, in the proportions of real feeds (price 7, stock 5, sale 4, pictures 3, text 1),
# mixed so that even a few changes are of several kinds.
_MIX: tuple[Callable[[Offer, Draw], Offer], ...] = (
    *(
        change_price,
        change_stock,
        change_sale,
        change_pictures,
        change_price,
        change_stock,
        change_price,
        change_sale,
        change_texts,
        change_price,
    ),
    *(
        change_stock,
        change_pictures,
        change_price,
        change_sale,
        change_stock,
        change_price,
        change_pictures,
        change_price,
        change_stock,
        change_sale,
    ),
)
