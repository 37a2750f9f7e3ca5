"""Google's product categories, only what the rules for apparel need.

A feed names a category by its number or by its English path. The numbers are those of Google's product taxonomy.
"""

from functools import lru_cache
from typing import NamedTuple

APPAREL, CLOTHING, SHOES = "166", "1604", "187"

_TOP_LEVEL = frozenset(
    name.casefold()
    for name in (
        "Animals & Pet Supplies",
        "Apparel & Accessories",
        "Arts & Entertainment",
        "Baby & Toddler",
        "Business & Industrial",
        "Cameras & Optics",
        "Electronics",
        "Food, Beverages & Tobacco",
        "Furniture",
        "Hardware",
        "Health & Beauty",
        "Home & Garden",
        "Luggage & Bags",
        "Mature",
        "Media",
        "Office Supplies",
        "Religious & Ceremonial",
        "Software",
        "Sporting Goods",
        "Toys & Games",
        "Vehicles & Parts",
    )
)
# 187 and everything below 1604: what has sizes.
_SIZED = frozenset(
    "1604 187 182 203 204 206 207 208 209 211 212 213 214 215 1516 1578 1580 1581 1594 1675 1772 1807 1831 2160 2271 "
    "2292 2302 2306 2331 2396 2562 2563 2580 2745 2963 3066 3128 3188 3191 3253 3379 3414 3439 3455 3598 3683 3724 "
    "3729 3852 3888 3951 3958 4003 5182 5183 5250 5322 5327 5329 5330 5343 5344 5378 5379 5388 5408 5409 5410 5411 "
    "5412 5423 5424 5425 5441 5460 5461 5462 5463 5483 5484 5490 5506 5513 5514 5517 5549 5552 5555 5564 5598 5621 "
    "5622 5673 5674 5676 5677 5678 5679 5680 5681 5682 5683 5684 5697 5713 5834 5878 5909 5949 6006 6031 6087 6227 "
    "6228 6229 7003 7132 7207 7208 7209 7210 7211 7235 7236 7237 7281 7313 8149 8248 499979".split()
)
# The rest of 166: accessories, bags, costumes, jewellery, watches.
_UNSIZED = frozenset(
    "166 167 168 169 170 171 173 175 176 177 178 179 180 181 184 188 189 190 191 192 193 194 196 197 200 201 1483 "
    "1662 1786 1856 1893 1922 1933 1948 2020 2427 2477 2668 3032 3913 4057 4179 5114 5122 5123 5192 5193 5194 5207 "
    "5385 5387 5390 5422 5426 5443 5446 5567 5623 5624 5625 5626 5685 5686 5687 5688 5841 5907 5914 5915 5939 5941 "
    "5942 6169 6170 6183 6238 6268 6277 6460 6463 6551 6552 6870 6984 6985 7054 7078 7133 7230 7304 7305 7306 7307 "
    "7471 8017 8018 8200 8451 499972 500008 500118 502987 502988 543586 543587 543644 543645 543646 543673 "
    "543674".split()
)


class Category(NamedTuple):
    """What a category means to the rules. `sized`: clothing or shoes, the apparel that has sizes."""

    known: bool
    apparel: bool
    sized: bool


@lru_cache(maxsize=4096)
def read_category(text: str) -> Category:
    """Read a category: a number, a path of at least two levels, or one of Google's top levels."""
    if text.isascii() and text.isdigit():
        return Category(len(text) <= 7, text in _SIZED or text in _UNSIZED, text in _SIZED)
    levels = [level.strip().casefold() for level in text.replace("&gt;", ">").replace("&amp;", "&").split(">")]
    apparel = levels[0] == "apparel & accessories"
    sized = apparel and len(levels) > 1 and levels[1] in ("clothing", "shoes")
    return Category(levels[0] in _TOP_LEVEL or (all(levels[:2]) and len(levels) > 1), apparel, sized)
