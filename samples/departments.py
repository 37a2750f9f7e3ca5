"""What the made-up shop sells: departments, the kinds of products in them, their sizes, colours and prices.

The order of the entries is part of the generator's promise (same arguments, same bytes): a new one changes every
sample feed, and the golden hashes in the tests with it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from math import lcm

from samples.houses import BEAUTY, FASHION, HOME, KIDS, PRECIOUS, Guild

# --- Who it is for ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Audience:
    """Who a product is for, in the words of the shop and of Merchant Center."""

    label: str
    gender: str
    age_group: str = "adult"


WOMEN = Audience("Women", "female")
MEN = Audience("Men", "male")
EVERYONE = Audience("Unisex", "unisex")
GIRLS = Audience("Girls", "female", "kids")
BOYS = Audience("Boys", "male", "kids")
BABIES = Audience("Baby", "unisex", "infant")

# --- Sizes -----------------------------------------------------------------------------------------------------------

ONE_SIZE = ("One Size",)
LETTERS = ("XXS", "XS", "S", "M", "L", "XL", "XXL", "3XL")
NUMBERS = ("34", "36", "38", "40", "42", "44", "46", "48")
SHOES = ("35", "35.5", "36", "36.5", "37", "37.5", "38", "38.5", "39", "39.5", "40", "40.5", "41")
MENS_SHOES = ("39", "40", "41", "41.5", "42", "42.5", "43", "43.5", "44", "45", "46")
CHILDREN = ("2 years", "3 years", "4 years", "5 years", "6 years", "8 years", "10 years", "12 years")
BABY = ("1 month", "3 months", "6 months", "9 months", "12 months", "18 months", "24 months")
CHILDRENS_SHOES = ("24", "25", "26", "27", "28", "29", "30", "31", "32", "33")
BAGS = ("Mini", "Small", "Medium", "Large")
RINGS = ("48", "50", "52", "54", "56", "58")
WRISTS = ("16 cm", "17 cm", "18 cm", "19 cm")
BELTS = ("75 cm", "80 cm", "85 cm", "90 cm", "95 cm", "100 cm", "105 cm")
LENGTHS = ("40 cm", "45 cm", "50 cm", "60 cm")
WATCH_CASES = ("26 mm", "28 mm", "33 mm", "36 mm", "39 mm", "40 mm", "42 mm", "44 mm")
VOLUMES = ("30 ml", "50 ml", "75 ml", "100 ml", "150 ml", "200 ml")
WEIGHTS = ("3 g", "5 g", "9 g", "15 g")
CANDLES = ("190 g", "220 g", "600 g", "1.5 kg")
HOME_SIZES = ("Small", "Medium", "Large", "Extra Large")

_SCALES = (
    ONE_SIZE,
    LETTERS,
    NUMBERS,
    SHOES,
    MENS_SHOES,
    CHILDREN,
    BABY,
    CHILDRENS_SHOES,
    BAGS,
    RINGS,
    WRISTS,
    BELTS,
    LENGTHS,
    WATCH_CASES,
    VOLUMES,
    WEIGHTS,
    CANDLES,
    HOME_SIZES,
)
# The number after the underscore in an item's id: 205042570_242 is the one size of style 205042570.
SIZE_CODES = {label: 242 + n for n, label in enumerate(dict.fromkeys(label for scale in _SCALES for label in scale))}

# --- Colours ---------------------------------------------------------------------------------------------------------

# Sixty spellings of fourteen families; one in twenty is a pair, one in fifty is in another language or case.
COLOURS = (
    *("Black", "Black", "Black", "Jet Black", "Onyx", "White", "White", "Off-White", "Ivory", "Optic White", "Cream"),
    *("Beige", "Sand", "Camel", "Nude", "Taupe", "Brown", "Chocolate", "Cognac", "Tan", "Espresso", "Tobacco"),
    *("Grey", "Charcoal", "Slate", "Dove Grey", "Anthracite", "Navy", "Midnight Blue", "Blue", "Sky Blue", "Cobalt"),
    *("Indigo", "Powder Blue", "Green", "Emerald", "Olive", "Sage", "Khaki", "Mint", "Red", "Burgundy", "Scarlet"),
    *("Bordeaux", "Pink", "Blush", "Fuchsia", "Rose", "Coral", "Orange", "Terracotta", "Yellow", "Mustard", "Purple"),
    *("Lilac", "Aubergine", "Gold", "Silver", "Bronze", "Black/White", "Navy/Ivory", "Beige/Gold", "Noir", "BLACK"),
)
METALS = ("Yellow Gold", "Rose Gold", "White Gold", "Silver", "Gold", "Silver/Gold", "Platinum", "Rhodium")
SHADES = (
    *("Colourless", "Colourless", "Colourless", "Rosewood", "Nude Beige", "Ruby", "Berry", "Coral", "Mauve", "Cocoa"),
    *("Ivory", "Sand", "Honey", "Caramel", "Espresso", "Peach", "Plum", "Dusty Rose", "Brick", "Champagne"),
)

# --- Departments -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of product: its name, shelf, sizes, price range in AED and customers.

    `materials` replace those of its department when some of them make no sense.
    """

    noun: str
    shelf: str
    category: str
    scale: tuple[str, ...]
    cheapest: int
    dearest: int
    audiences: tuple[Audience, ...] = (WOMEN,)
    materials: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Department:
    """A part of the shop.

    `sizes_per_style` are equally likely numbers of items in a group. `details` and `materials` begin a title; without
    `materials` the feed names none. `craft` are sentences of its descriptions.
    """

    name: str
    product_class: str
    guild: Guild
    kinds: tuple[Kind, ...]
    sizes_per_style: tuple[int, ...]
    colours: tuple[str, ...]
    details: tuple[str, ...]
    materials: tuple[str, ...]
    craft: tuple[str, ...]
    single_size: bool = False  # a style with one item has "One Size" instead of a size of the scale


_APPAREL = "Apparel & Accessories"
_CLOTHING = f"{_APPAREL} > Clothing"
_DRESSES = f"{_CLOTHING} > Dresses"
_TOPS = f"{_CLOTHING} > Shirts & Tops"
_PANTS = f"{_CLOTHING} > Pants"
_COATS = f"{_CLOTHING} > Outerwear > Coats & Jackets"
_BABY = f"{_CLOTHING} > Baby & Toddler Clothing"
_SHOES = f"{_APPAREL} > Shoes"
_ACCESSORIES = f"{_APPAREL} > Clothing Accessories"
_SUNGLASSES = f"{_ACCESSORIES} > Sunglasses"
_GLOVES = f"{_ACCESSORIES} > Gloves & Mittens"
_JEWELLERY = f"{_APPAREL} > Jewelry"
_WATCHES = f"{_JEWELLERY} > Watches"
_LEATHER_GOODS = f"{_APPAREL} > Handbags, Wallets & Cases"
_HANDBAGS = f"{_LEATHER_GOODS} > Handbags"
_WALLETS = f"{_LEATHER_GOODS} > Wallets & Money Clips"
_COSMETICS = "Health & Beauty > Personal Care > Cosmetics"
_PERFUME = f"{_COSMETICS} > Perfume & Cologne"
_DECOR = "Home & Garden > Decor"
_BLANKETS = "Home & Garden > Linens & Bedding > Bedding > Blankets"
_TABLEWARE = "Home & Garden > Kitchen & Dining > Tableware"
_ANYONE = (WOMEN, WOMEN, MEN)
_YARNS = ("Cashmere", "Merino-Wool", "Mohair", "Cotton", "Cashmere-Blend")
_JERSEYS = ("Cotton-Jersey", "Organic-Cotton", "Stretch-Jersey", "Cotton-Blend")
_DENIMS = ("Denim", "Stretch-Denim", "Raw-Denim", "Washed-Denim")
_OUTER = ("Cotton-Gabardine", "Wool", "Wool-Twill", "Cashmere-Blend", "Leather", "Tweed")
_LEATHERS = ("Leather", "Calfskin", "Suede", "Grained-Leather")
_FRAMES = ("Acetate", "Metal", "Titanium", "Recycled-Acetate")

CLOTHING = Department(
    "Clothing",
    "Ready-to-Wear",
    FASHION,
    (
        Kind("Midi Dress", "Dresses", _DRESSES, LETTERS, 650, 9_500),
        Kind("Maxi Dress", "Dresses", _DRESSES, NUMBERS, 950, 14_000),
        Kind("Evening Gown", "Gowns", _DRESSES, NUMBERS, 2_400, 32_000),
        Kind("Belted Abaya", "Abayas", f"{_CLOTHING} > Traditional & Ceremonial Clothing", LETTERS, 850, 7_500),
        Kind("Evening Kaftan", "Kaftans", _DRESSES, LETTERS, 700, 8_900),
        Kind("Tie-Neck Blouse", "Tops", _TOPS, NUMBERS, 450, 4_900),
        Kind("T-Shirt", "Tops", _TOPS, LETTERS, 290, 2_400, _ANYONE, _JERSEYS),
        Kind("Overshirt", "Shirts", _TOPS, LETTERS, 590, 4_800, (MEN,)),
        Kind("Crew-Neck Sweater", "Knitwear", _TOPS, LETTERS, 690, 6_900, _ANYONE, _YARNS),
        Kind("Buttoned Cardigan", "Knitwear", _TOPS, LETTERS, 750, 7_800, _ANYONE, _YARNS),
        Kind("Tailored Blazer", "Jackets", _COATS, NUMBERS, 1_400, 15_500, _ANYONE, _OUTER),
        Kind("Trench Coat", "Coats", _COATS, NUMBERS, 2_200, 19_500, _ANYONE, _OUTER),
        Kind("Wide-Leg Trousers", "Trousers", _PANTS, NUMBERS, 550, 5_900),
        Kind("Slim-Fit Trousers", "Trousers", _PANTS, NUMBERS, 550, 4_900, (MEN,)),
        Kind("Straight-Leg Jeans", "Jeans", _PANTS, NUMBERS, 490, 3_900, _ANYONE, _DENIMS),
        Kind("Pencil Skirt", "Skirts", f"{_CLOTHING} > Skirts", NUMBERS, 490, 5_400),
    ),
    (3, 4, 4, 5, 5, 5, 5, 6, 6, 7),
    COLOURS,
    (
        *("Pleated", "Draped", "Embroidered", "Bow-Detail", "Ruffle-Trim", "Cut-Out", "Logo-Print", "Beaded"),
        *("Floral-Print", "Belted", "Asymmetric", "Ribbed", "Double-Breasted", "Lace-Trim", "Feather-Trim", "Pintuck"),
    ),
    (
        *("Silk", "Silk-Satin", "Wool", "Cashmere", "Cotton-Poplin", "Linen", "Viscose-Crepe", "Velvet", "Wool-Twill"),
        *("Tweed", "Organza", "Jersey", "Chiffon", "Stretch-Cotton", "Mohair", "Cotton-Twill"),
    ),
    (
        "Cut from {material}, it skims the body and keeps its line from desk to dinner.",
        "The seams are finished by hand, so that the inside is as clean as the outside.",
        "A concealed fastening at the back leaves the silhouette uninterrupted.",
        "Generous side pockets make it as practical as it is polished.",
        "The fabric is woven in a family-run mill and softened before it is cut.",
        "It is fully lined for comfort and drapes without clinging.",
        "Darts at the waist shape the figure; a vent at the hem gives room to move.",
        "Covered buttons run along the cuffs, a quiet sign of the atelier's patience.",
    ),
)

SHOES_DEPARTMENT = Department(
    "Shoes",
    "Footwear",
    FASHION,
    (
        Kind("Court Pumps", "Heels", _SHOES, SHOES, 890, 5_900),
        Kind("Slingback Pumps", "Heels", _SHOES, SHOES, 990, 6_400),
        Kind("Heeled Sandals", "Sandals", _SHOES, SHOES, 850, 6_900),
        Kind("Flat Slides", "Sandals", _SHOES, SHOES, 390, 3_400),
        Kind("Ballerina Flats", "Flats", _SHOES, SHOES, 690, 4_200),
        Kind("Ankle Boots", "Boots", _SHOES, SHOES, 1_300, 8_900),
        Kind("Penny Loafers", "Loafers", _SHOES, MENS_SHOES, 990, 5_900, (MEN,)),
        Kind("Low-Top Sneakers", "Sneakers", _SHOES, MENS_SHOES, 590, 4_900, (MEN,)),
        Kind("Platform Sneakers", "Sneakers", _SHOES, SHOES, 590, 4_900),
        Kind("Oxford Shoes", "Lace-Ups", _SHOES, MENS_SHOES, 1_200, 6_500, (MEN,)),
    ),
    (5, 6, 6, 7, 7, 7, 8, 8, 9, 10),
    COLOURS,
    (
        *("Crystal-Strap", "Pointed-Toe", "Square-Toe", "Braided", "Logo-Plaque", "Bow-Embellished", "Chain-Trim"),
        *("Woven", "Two-Tone", "Buckled", "Studded", "Quilted"),
    ),
    ("Leather", "Suede", "Patent-Leather", "Nappa-Leather", "Satin", "Calfskin", "Raffia", "Grained-Leather", "Velvet"),
    (
        "Made from supple {material}, it moulds to the foot after the first few wears.",
        "A cushioned insole takes the weight off long evenings.",
        "The sole is stitched rather than glued and can be replaced by a cobbler.",
        "The heel is wrapped by hand and balanced for a steady step.",
        "A slim strap keeps the foot in place without a single visible stitch.",
        "The lining is breathable leather, cool in summer and dry in winter.",
        "Each pair passes through the hands of eleven craftspeople before it is boxed.",
    ),
)

BAGS_DEPARTMENT = Department(
    "Bags",
    "Leather Goods",
    FASHION,
    (
        Kind("Tote Bag", "Totes", _HANDBAGS, BAGS, 1_900, 18_500),
        Kind("Shoulder Bag", "Shoulder Bags", _HANDBAGS, BAGS, 2_200, 24_000),
        Kind("Crossbody Bag", "Crossbody Bags", _HANDBAGS, BAGS, 1_200, 14_500),
        Kind("Top-Handle Bag", "Top-Handle Bags", _HANDBAGS, BAGS, 3_400, 38_000),
        Kind("Evening Clutch", "Clutches", _HANDBAGS, BAGS, 1_100, 12_500),
        Kind("Backpack", "Backpacks", "Luggage & Bags > Backpacks", BAGS, 1_600, 13_900, (MEN, WOMEN)),
        Kind("Bifold Wallet", "Wallets", _WALLETS, BAGS, 690, 3_900, (MEN, WOMEN), _LEATHERS),
        Kind("Card Holder", "Wallets", _WALLETS, BAGS, 590, 2_400, (MEN, WOMEN), _LEATHERS),
    ),
    (1, 1, 1, 1, 1, 2, 2, 3, 3),
    COLOURS,
    (
        *("Quilted", "Chain-Strap", "Woven", "Logo-Embossed", "Fringed", "Bow-Detail", "Crystal-Clasp", "Structured"),
        *("Monogram", "Bamboo-Handle", "Knotted", "Colour-Block"),
    ),
    ("Leather", "Calfskin", "Suede", "Canvas", "Nappa-Leather", "Raffia", "Satin", "Grained-Leather", "Lambskin"),
    (
        "The body is cut from a single piece of {material} and edged by brush, layer upon layer.",
        "Inside, a zipped pocket and two card slots keep small things where they belong.",
        "Protective feet at the base keep it standing on any floor.",
        "The adjustable strap turns it from a shoulder piece into a crossbody in a moment.",
        "Its clasp closes with a soft click and is plated to resist the years.",
        "The lining is moiré, in the tone of the stitching.",
        "It holds a phone, keys, a wallet and the evening's secrets.",
    ),
    single_size=True,
)

JEWELLERY = Department(
    "Jewellery",
    "Jewellery",
    PRECIOUS,
    (
        Kind("Stacking Ring", "Rings", f"{_JEWELLERY} > Rings", RINGS, 450, 38_000),
        Kind("Pendant Necklace", "Necklaces", f"{_JEWELLERY} > Necklaces", LENGTHS, 490, 42_000),
        Kind("Hoop Earrings", "Earrings", f"{_JEWELLERY} > Earrings", HOME_SIZES, 350, 24_000),
        Kind("Drop Earrings", "Earrings", f"{_JEWELLERY} > Earrings", HOME_SIZES, 450, 46_000),
        Kind("Chain Bracelet", "Bracelets", f"{_JEWELLERY} > Bracelets", WRISTS, 390, 28_000),
        Kind("Cufflinks", "Cufflinks", f"{_ACCESSORIES} > Cufflinks", HOME_SIZES, 490, 6_900, (MEN,)),
    ),
    (1, 1, 1, 1, 1, 2, 2, 3, 3),
    METALS,
    ("Pavé", "Diamond-Set", "Twisted", "Pearl-Drop", "Emerald-Cut", "Hammered", "Enamelled", "Crescent", "Star-Motif"),
    ("Gold", "Gold-Plated", "Sterling-Silver", "Rose-Gold", "White-Gold", "Vermeil", "Platinum"),
    (
        "Cast in {material} and polished by hand until it catches every light.",
        "The stones are set one by one under the microscope.",
        "A secure clasp with a safety catch keeps it where it should be.",
        "It layers well with finer pieces and carries an outfit alone.",
        "The metal is hypoallergenic and free of nickel.",
        "It arrives in a lined box, ready to be given.",
    ),
    single_size=True,
)

BEAUTY_DEPARTMENT = Department(
    "Beauty",
    "Beauty",
    BEAUTY,
    (
        Kind("Matte Lipstick", "Make-Up", f"{_COSMETICS} > Makeup > Lip Makeup", WEIGHTS, 95, 320),
        Kind("Liquid Foundation", "Make-Up", f"{_COSMETICS} > Makeup > Face Makeup", VOLUMES, 140, 620),
        Kind("Concealer Palette", "Make-Up", f"{_COSMETICS} > Makeup > Face Makeup", WEIGHTS, 110, 380),
        Kind("Eyeshadow Palette", "Make-Up", f"{_COSMETICS} > Makeup > Eye Makeup", WEIGHTS, 160, 590),
        Kind("Eau de Parfum", "Fragrance", _PERFUME, VOLUMES, 290, 2_400, (WOMEN, MEN, EVERYONE)),
        Kind("Oud Extrait", "Fragrance", _PERFUME, VOLUMES, 590, 3_900, (EVERYONE,)),
        Kind("Nourishing Night Cream", "Skincare", f"{_COSMETICS} > Skin Care", VOLUMES, 180, 2_100),
        Kind("Brightening Serum", "Skincare", f"{_COSMETICS} > Skin Care", VOLUMES, 220, 1_900, (WOMEN, EVERYONE)),
        Kind(
            "Repairing Hair Mask",
            "Haircare",
            "Health & Beauty > Personal Care > Hair Care",
            VOLUMES,
            110,
            590,
            (EVERYONE,),
        ),
    ),
    (1, 1, 1, 2, 2, 3, 4),
    SHADES,
    ("Velvet-Finish", "Long-Wear", "Luminous", "Overnight", "Hydrating", "Amber-Rose", "Saffron", "Featherlight"),
    (),
    (
        "A few drops are enough: the texture melts in and leaves no trace.",
        "The formula is made without parabens and was tested by dermatologists.",
        "Pigments ground three times give an even colour in a single stroke.",
        "It opens with bergamot, settles into rose and stays as warm amber.",
        "Wear it alone for a bare-skin look, or build it up for the evening.",
        "The case can be refilled, and its magnet closes with a satisfying snap.",
        "It keeps its promise for up to twelve hours, heat included.",
    ),
)

WATCHES = Department(
    "Watches",
    "Watches",
    PRECIOUS,
    (
        Kind("Automatic Watch", "Automatic Watches", _WATCHES, WATCH_CASES, 3_900, 92_000, (MEN, WOMEN)),
        Kind("Quartz Watch", "Quartz Watches", _WATCHES, WATCH_CASES, 890, 18_000, (WOMEN, MEN)),
        Kind("Chronograph Watch", "Chronographs", _WATCHES, WATCH_CASES, 2_900, 68_000, (MEN,)),
    ),
    (1, 1, 1, 2),
    METALS,
    ("Mother-of-Pearl Dial", "Skeleton", "Moon-Phase", "Diamond-Bezel", "Open-Heart", "Sunray-Dial", "Small-Seconds"),
    ("Stainless-Steel", "Rose-Gold", "Titanium", "Ceramic", "Yellow-Gold", "Leather-Strap"),
    (
        "The case is machined from {material} and brushed along the flanks.",
        "Sapphire crystal protects a dial with applied indices.",
        "The movement keeps going for forty-two hours after the last turn of the crown.",
        "It is water resistant to fifty metres and built for daily wear.",
        "A folding clasp adjusts without tools.",
        "An open case back shows the decorated rotor at work.",
    ),
)

ACCESSORIES = Department(
    "Accessories",
    "Accessories",
    FASHION,
    (
        Kind("Square Scarf", "Scarves", f"{_ACCESSORIES} > Scarves & Shawls", HOME_SIZES, 350, 3_900, _ANYONE),
        Kind("Fringed Shawl", "Scarves", f"{_ACCESSORIES} > Scarves & Shawls", HOME_SIZES, 490, 6_900),
        Kind("Reversible Belt", "Belts", f"{_ACCESSORIES} > Belts", BELTS, 590, 3_900, _ANYONE, _LEATHERS),
        Kind("Cat-Eye Sunglasses", "Sunglasses", _SUNGLASSES, HOME_SIZES, 590, 3_200, materials=_FRAMES),
        Kind("Aviator Sunglasses", "Sunglasses", _SUNGLASSES, HOME_SIZES, 590, 3_200, (MEN, EVERYONE), _FRAMES),
        Kind("Bucket Hat", "Hats", f"{_ACCESSORIES} > Hats", LETTERS, 390, 2_900, _ANYONE),
        Kind("Evening Gloves", "Gloves", _GLOVES, LETTERS, 390, 2_600, materials=_LEATHERS),
    ),
    (1, 1, 1, 1, 2, 2),
    COLOURS,
    ("Hand-Rolled", "Monogram", "Paisley-Print", "Equestrian-Print", "Oversized", "Engraved", "Braided", "Tonal-Logo"),
    ("Silk-Twill", "Cashmere", "Modal", "Wool", "Cotton-Blend", "Lurex"),
    (
        "Made of {material} that grows softer with wear.",
        "The edges are rolled and stitched by hand, four hours of work for each side.",
        "It is finished with a discreet plaque of the house.",
        "Fold it, knot it or let it fall: it never takes the same shape twice.",
        "The print is drawn in ink before it ever sees a screen.",
        "It comes with a pouch that is worth keeping.",
    ),
    single_size=True,
)

KIDS_DEPARTMENT = Department(
    "Kids",
    "Kidswear",
    KIDS,
    (
        Kind("Party Dress", "Dresses", _DRESSES, CHILDREN, 290, 2_900, (GIRLS,)),
        Kind("Polo Shirt", "Tops", _TOPS, CHILDREN, 190, 1_200, (BOYS,), _JERSEYS),
        Kind("Hooded Sweatshirt", "Tops", _TOPS, CHILDREN, 240, 1_600, (BOYS, GIRLS), _JERSEYS),
        Kind("Chino Trousers", "Trousers", _PANTS, CHILDREN, 220, 1_300, (BOYS, GIRLS)),
        Kind("Knitted Romper", "Baby", f"{_BABY} > Baby One-Pieces", BABY, 190, 1_500, (BABIES,), _YARNS),
        Kind("Velcro Sneakers", "Shoes", _SHOES, CHILDRENS_SHOES, 290, 1_700, (BOYS, GIRLS), _LEATHERS),
    ),
    (3, 4, 4, 5, 5, 6),
    COLOURS,
    ("Teddy-Bear-Print", "Smocked", "Striped", "Star-Embroidered", "Scalloped", "Gingham", "Dinosaur-Print"),
    ("Cotton", "Organic-Cotton", "Cotton-Poplin", "Tulle", "Fleece", "Merino-Wool", "Linen"),
    (
        "Soft {material} is kind to sensitive skin and easy to wash.",
        "Elasticated where it should be, it leaves room to run.",
        "The snaps are free of nickel and open with one hand.",
        "It was made to be handed down to the next one in line.",
        "Seams lie flat, so that nothing scratches at nap time.",
        "A name tag is sewn into the collar.",
    ),
)

HOME_DEPARTMENT = Department(
    "Home",
    "Home & Living",
    HOME,
    (
        Kind("Scented Candle", "Candles", f"{_DECOR} > Home Fragrances > Candles", CANDLES, 150, 1_900, (EVERYONE,)),
        Kind("Bud Vase", "Vases", f"{_DECOR} > Vases", HOME_SIZES, 290, 6_900, (EVERYONE,)),
        Kind("Throw Blanket", "Throws", _BLANKETS, HOME_SIZES, 690, 8_900, (EVERYONE,), _YARNS),
        Kind("Espresso Cup Set", "Tableware", _TABLEWARE, HOME_SIZES, 390, 3_900, (EVERYONE,)),
        Kind("Photo Frame", "Frames", f"{_DECOR} > Picture Frames", HOME_SIZES, 250, 2_900, (EVERYONE,)),
    ),
    (1, 1, 2, 2),
    COLOURS,
    ("Hand-Finished", "Sculpted", "Marbled", "Two-Tone", "Geometric", "Palm-Motif", "Gilded", "Arabesque"),
    ("Porcelain", "Glass", "Alabaster", "Brass", "Travertine", "Stoneware"),
    (
        "Shaped from {material}, no two pieces are quite alike.",
        "It is signed underneath by the person who made it.",
        "Its finish took two winters of trials in the house's own workshop.",
        "It looks at home on a mantelpiece, a desk or a dining table.",
        "Packed by hand, it travels safely and makes a generous gift.",
        "Wipe it clean with a soft, dry cloth.",
    ),
    single_size=True,
)

# How often a style is of a department, in parts of a hundred styles; clothing and shoes have the larger groups.
_STYLE_SHARES = {
    CLOTHING: 19,
    SHOES_DEPARTMENT: 8,
    BAGS_DEPARTMENT: 15,
    JEWELLERY: 10,
    BEAUTY_DEPARTMENT: 17,
    WATCHES: 5,
    ACCESSORIES: 16,
    KIDS_DEPARTMENT: 3,
    HOME_DEPARTMENT: 7,
}
DEPARTMENTS = tuple(_STYLE_SHARES)


def _weighted_groups() -> Iterator[tuple[tuple[Department, int], int]]:
    """Every (department, number of sizes) a style can have, with its weight."""
    equal_parts = lcm(*(len(department.sizes_per_style) for department in DEPARTMENTS))
    for department, share in _STYLE_SHARES.items():
        for size in department.sizes_per_style:
            yield (department, size), share * equal_parts // len(department.sizes_per_style)


GROUPS = tuple(group for group, _ in _weighted_groups())
CUMULATIVE_GROUPS = tuple(accumulate(weight for _, weight in _weighted_groups()))
