"""Pictures of invented products, whose shop does not exist: drawn by their kind and colour, so that lists look like a
shop's. They are part of the page, and nothing is loaded for them.
"""

from __future__ import annotations

from urllib.parse import quote
from zlib import crc32

# What `samples` writes into its feeds. The domain is reserved (RFC 2606): no real picture is ever there.
SAMPLE_PICTURES = "https://media.example.com/products/"

DRESS = "M18 8h4l2 5 2-5h4l2 10-4 5 8 29H12l8-29-4-5z"
TOP = "M17 14l5-3q2 4 4 0l5 3 9 9-5 5-4-4v26H17V24l-4 4-5-5z"
COAT = "M17 10l7 6 7-6 8 8-2 14-3-3v23H14V29l-3 3-2-14zM24 16v36"
TROUSERS = "M15 9h18l3 43h-9l-3-28-3 28h-9z"
SKIRT = "M17 14h14l7 34H10z"
HEEL = "M8 22q6 10 16 14 8 3 16 3v5H24q-6-1-9-6l-1 12h-3z"
FLAT_SHOE = "M7 26q9-2 15 6 8 6 19 6v7H7z"
BOOT = "M15 10h13v22q3 6 12 7v7H15z"
BAG = "M9 24h30l3 25H6zM16 24q0-14 8-14t8 14h-3q0-11-5-11t-5 11z"
WALLET = "M8 20h32v24H8zM8 28h32v3H8z"
RING = "M24 22a14 14 0 1 0 .1 0zm0 5a9 9 0 1 1-.1 0zM19 16l5-8 5 8-5 7z"
NECKLACE = "M8 10q2 26 16 30 14-4 16-30h-3q-2 22-13 26-11-4-13-26zM24 40l5 6-5 7-5-7z"
WATCH = "M18 8h12v12H18zM18 40h12v12H18zM24 18a12 12 0 1 0 .1 0zm0 4a8 8 0 1 1-.1 0z"
BOTTLE = "M20 8h8v8h-8zM15 20h18q4 3 4 8v24H11V28q0-5 4-8z"
BELT = "M4 26h40v8H4zM4 22h10v16H4zm3 4v8h4v-8z"
HAT = "M14 34q0-16 10-16t10 16zM4 36q20-6 40 0-20 8-40 0z"
GLOVE = "M16 50V28l-5-6 4-4 3 4V12h4v10-12h4v12-10h4v12-8h4v20l-4 6v12z"
GLASSES = "M6 24h36v4q-2 12-9 12t-8-9h-2q-1 9-8 9T6 28z"
VASE = "M18 10h12l-3 8q11 8 9 20-2 12-8 14h-8q-6-2-8-14-2-12 9-20z"
PLATE = "M24 14a16 16 0 1 0 .1 0zm0 8a8 8 0 1 1-.1 0z"
SQUARE = "M10 12h28v36H10zM14 16v28h20V16z"
# By the end of the product type; by its department otherwise.
SHAPES = {
    "Dresses": DRESS, "Gowns": DRESS, "Abayas": DRESS, "Kaftans": DRESS,
    "Tops": TOP, "Shirts": TOP, "Knitwear": TOP, "Jackets": COAT, "Coats": COAT,
    "Trousers": TROUSERS, "Jeans": TROUSERS, "Skirts": SKIRT, "Heels": HEEL, "Sandals": HEEL, "Boots": BOOT,
    "Shoes": FLAT_SHOE, "Wallets": WALLET, "Bags": BAG, "Rings": RING, "Jewellery": NECKLACE, "Watches": WATCH,
    "Belts": BELT, "Hats": HAT, "Gloves": GLOVE, "Sunglasses": GLASSES, "Vases": VASE, "Tableware": PLATE,
    "Candles": BOTTLE, "Kids": TOP, "Scarves": SQUARE, "Throws": SQUARE, "Frames": SQUARE, "Beauty": BOTTLE,
    "Clothing": TOP,
}  # fmt: skip
# Colours that browsers do not know by name, or know as something else.
COLOURS = {
    "beige": "#d9c7a7", "camel": "#b98d55", "nude": "#e3bfa4", "blush": "#e8b4b8", "burgundy": "#6d1a2d",
    "emerald": "#0b6e4f", "champagne": "#e9d8b4", "rose": "#d98a96", "cream": "#efe6d2", "ecru": "#ddd3bb",
    "off": "#ece8df", "white": "#f4f2ee", "charcoal": "#3b3f44", "anthracite": "#33373b", "midnight": "#191f45",
    "noir": "#000", "cobalt": "#0047ab", "sky": "#87bdd8", "dove": "#a9a9a9", "slate": "#5b6670", "lilac": "#c2a5cf",
    "aubergine": "#472c4c", "bronze": "#8c6a3b", "gold": "#c9a13b", "silver": "#bfc3c7", "rust": "#9c4a2f",
    "black": "#1c1c1c", "grey": "#7f8487", "gray": "#7f8487", "navy": "#1f2a4d", "blue": "#2f5fa8", "red": "#b3262e",
    "green": "#3d6b4f", "brown": "#6b4a33", "pink": "#e59ab0", "purple": "#6b3f7c", "orange": "#d9772b",
    "jet": "#141414", "onyx": "#26262a", "optic": "#fafafa", "sand": "#d8c6a0", "taupe": "#8b7d70", "cognac": "#9a5a2c",
    "chocolate": "#4a2c1d", "espresso": "#3a261c", "tobacco": "#7a5536", "indigo": "#2e2f6e", "powder": "#b5cbe0",
    "sage": "#9caf88", "mint": "#a9d8c0", "scarlet": "#c1121f", "bordeaux": "#5e1224", "fuchsia": "#c2277f",
    "coral": "#f08067", "terracotta": "#b5583c", "mustard": "#c99a2e",
    "yellow": "#e2b93b", "ivory": "#eee8d8", "tan": "#c19a6b", "khaki": "#8f8a5b", "olive": "#6b6b3a",
}  # fmt: skip


def draw_sample(product_type: str, colour: str) -> str:
    """The picture as an address for `src`. An unknown kind is a square; an unknown colour is one by its name."""
    levels = [level.strip() for level in reversed(product_type.split(">"))]
    words = [level.rpartition(" ")[2] for level in levels]
    shape = next((SHAPES[word] for word in [*levels, *words] if word in SHAPES), SQUARE)
    name = colour.lower().replace("/", " ").split(" ")[0]
    fill = COLOURS.get(name) or f"hsl({crc32(colour.encode()) % 360} 35% 45%)"
    drawing = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 60"><path fill="#efedf2" d="M0 0h48v60H0z"/>'
        f'<path fill="{fill}" stroke="#0003" fill-rule="evenodd" d="{shape}"/></svg>'
    )
    return f"data:image/svg+xml,{quote(drawing)}"
