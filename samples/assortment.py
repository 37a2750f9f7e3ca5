"""What the made-up shop sells: item number `index` of the catalogue with one seed.

An item is a pure function of (seed, index): it can be made alone, in any order and on any machine, and does not depend
on the length of the feed. The catalogue is cut into blocks of 64 items, each block into styles (one product in one
colour, the feed's item group), and each style into sizes, which are the items.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from samples.departments import CUMULATIVE_GROUPS, GROUPS, ONE_SIZE, SIZE_CODES, Audience, Department, Kind
from samples.draws import Dice, Draw, between, percent, pick, pick_weighted, wide
from samples.houses import House
from samples.vocabulary import DISCOUNTS, ICONS, PREORDER_DATES, SEASONS, STYLE_NAMES, TIERS, Season

BLOCK = 64
"""Items in a block. No style crosses the end of one."""

LAST_INDEX = 900_000_000 - 1
"""Up to this number every item of a seed has its own id and its own GTIN."""

_SHORTEST_TITLE = 26  # characters


@dataclass(frozen=True, eq=False, slots=True)
class Style:
    """One product in one colour: what all its sizes have in common. Money is in fils, a hundredth of a dirham.

    `story` holds the draws that decide its description. Styles are compared by identity: each is made once for all its
    sizes.
    """

    number: int
    department: Department
    kind: Kind
    audience: Audience
    house: House
    title: str
    story: tuple[int, ...]
    colour: str
    material: str  # '' where a material makes no sense
    season: Season
    tier: str
    icon: str
    price: int
    discount: int  # percent; 0 is not on sale
    images: int  # beside the main one
    image_version: int
    options_percentage: int
    sizes: tuple[str, ...]

    @property
    def final_price(self) -> int:
        """What it costs today, in fils."""
        return self.price * (100 - self.discount) // 100

    @property
    def composition(self) -> str:
        """The material as a label says it: Sterling-Silver → Sterling Silver."""
        return self.material.replace("-", " ")

    def sku(self, size: str) -> str:
        """The id of the item that is this style in one size."""
        return f"{self.number}_{SIZE_CODES[size]}"


class Stock(NamedTuple):
    """Whether an item is available, and how many there are. `date` is when a preorder or backorder arrives, else ''."""

    availability: str
    quantity: int
    date: str = ""


SOLD_OUT = Stock("out_of_stock", 0)


class Offer(NamedTuple):
    """One item of the feed: a style in one size. `gtin` and `mpn` are '' where it has none."""

    style: Style
    size: str
    gtin: str
    mpn: str
    stock: Stock

    @property
    def id(self) -> str:
        """The item's id in the feed."""
        return self.style.sku(self.size)


class Assortment:
    """The catalogue of one seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._blocks = Dice(seed, "blocks")
        self._styles = Dice(seed, "styles")
        self._stories = Dice(seed, "stories")
        self._offers = Dice(seed, "offers")
        draw = Dice(seed, "numbers").at(0)
        self._style_offset = wide(draw)
        self._gtin_offset = wide(draw)

    def offer(self, index: int) -> Offer:
        """The item with this number."""
        return next(self.offers(index, index + 1))

    def offers(self, start: int, stop: int) -> Iterator[Offer]:
        """The items from number `start` up to, but not including, `stop`."""
        for first, size, department in self._groups_between(start, stop):
            style = self._style_at(first, size, department)
            prefix = style.house.gs1_prefix
            for index in range(max(start, first), min(stop, first + size)):
                draw = self._offers.at(index)
                label = style.sizes[index - first]
                serial = (index * 387_420_489 + self._gtin_offset) % 10**9
                yield Offer(
                    style=style,
                    size=label,
                    gtin=gtin13(f"{prefix}{serial:09}") if percent(70, draw()) else "",
                    mpn=f"{prefix}-{style.number % 10**6:06}-{SIZE_CODES[label]}" if percent(80, draw()) else "",
                    stock=draw_stock(draw),
                )

    def _groups_between(self, start: int, stop: int) -> Iterator[tuple[int, int, Department]]:
        """(first item, number of items, department) of each style with an item in start..stop."""
        for block in range(start // BLOCK, (stop - 1) // BLOCK + 1):
            first, end = block * BLOCK, (block + 1) * BLOCK
            for draw in self._blocks.roll(2 * block) + self._blocks.roll(2 * block + 1):
                department, wanted = pick_weighted(GROUPS, CUMULATIVE_GROUPS, draw)
                size = min(wanted, end - first)
                if first < stop and first + size > start:
                    yield first, size, department
                first += size
                if first == end:
                    break

    def _style_at(self, first: int, size: int, department: Department) -> Style:
        """The style of `size` items whose first item is number `first`, which numbers the style as well."""
        draw = self._styles.at(first)
        kind = pick(department.kinds, draw())
        materials = kind.materials or department.materials
        material = pick(materials, draw()) if materials else ""
        season = pick(SEASONS, draw())
        return Style(
            number=100_000_000 + (first * 618_033_989 + self._style_offset) % (LAST_INDEX + 1),
            department=department,
            kind=kind,
            audience=pick(kind.audiences, draw()),
            house=pick_weighted(department.guild.houses, department.guild.cumulative, draw()),
            title=draw_title(pick(department.details, draw()), material, kind.noun, draw),
            story=self._stories.roll(first),
            colour=pick(department.colours, draw()),
            material=material,
            season=season,
            tier=pick(TIERS, draw()),
            icon=pick(ICONS, draw()),
            price=draw_price(kind, draw),
            discount=pick(DISCOUNTS, draw()) if percent(season.on_sale, draw()) else 0,
            images=0 if percent(10, draw()) else between(3, 6, draw()),
            image_version=between(1, 9, draw()),
            # As the shop once printed it: if it were counted, one size selling out would change the other sizes too.
            options_percentage=between(1, size, draw()) * 100 // size,
            sizes=pick_sizes(department, kind, size, draw()),
        )


def gtin13(digits: str) -> str:
    """Twelve digits and the check digit that makes them a GTIN."""
    weighted = sum(map(int, digits[::2])) + 3 * sum(map(int, digits[1::2]))
    return f"{digits}{-weighted % 10}"


def draw_title(detail: str, material: str, noun: str, draw: Draw) -> str:
    title = " ".join(filter(None, (detail, material, noun)))
    named = percent(40, draw())
    name = pick(STYLE_NAMES, draw())
    return f"{name} {title}" if named or len(title) < _SHORTEST_TITLE else title


def draw_price(kind: Kind, draw: Draw) -> int:
    """A round price in fils from the kind's range. Most are near the cheap end."""
    dirhams = between(kind.cheapest, kind.dearest, draw() * draw() >> 16)
    step = 5 if dirhams < 1_000 else 50 if dirhams < 10_000 else 100
    return dirhams // step * step * 100


def pick_sizes(department: Department, kind: Kind, count: int, draw: int) -> tuple[str, ...]:
    """`count` neighbouring sizes of the kind's scale."""
    if count == 1 and department.single_size:
        return ONE_SIZE
    smallest = between(0, len(kind.scale) - count, draw)
    return kind.scale[smallest : smallest + count]


def draw_stock(draw: Draw) -> Stock:
    """In stock 84 %, out of stock 13 %, preorder 2 %, backorder 1 % of the items."""
    fortune, detail = draw(), draw()
    if percent(84, fortune):
        return Stock("in_stock", between(1, 40, detail * detail >> 16))
    if percent(97, fortune):
        return SOLD_OUT
    return Stock("preorder" if percent(99, fortune) else "backorder", 0, pick(PREORDER_DATES, detail))
