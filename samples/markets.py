"""The same invented products in other markets: in another currency, and with Arabic texts.

Ids, pictures, stock and brands stay. The amounts follow price lists of the shop's own, which are no exchange rates.
"""

import re
from dataclasses import dataclass

from samples.assortment import Offer
from samples.draws import between
from samples.items import Fields, Item
from samples.vocabulary import ARABIC

_MONEY = re.compile(r"\b(\d+)\.(\d\d) AED\b")


@dataclass(frozen=True, slots=True)
class SampleMarket:
    """A country with its currency. An amount in it is `per_mille` thousandths of that in dirhams."""

    country: str
    currency: str
    per_mille: int
    decimals: int
    is_arabic: bool

    def money_text(self, fils: int) -> str:
        """As `samples.items.money_text`, in the market's currency: whole riyals, or quarters of a dinar."""
        if self.decimals == 2:
            return f"{-(-fils * self.per_mille // 100_000)}.00 {self.currency}"
        quarters = -(-fils * self.per_mille * 4 // 100_000)
        return f"{quarters // 4}.{quarters % 4 * 25:02}0 {self.currency}"

    def in_currency(self, text: str) -> str:
        """The text with each of its amounts in dirhams as one of the market."""
        converted = _MONEY.sub(lambda found: self.money_text(int(found[1] + found[2])), text)
        return converted.replace("AED", self.currency)


_COUNTRIES = {
    "ae": ("AED", 1000, 2),
    "sa": ("SAR", 1050, 2),
    "qa": ("QAR", 1020, 2),
    "kw": ("KWD", 85, 3),
    "bh": ("BHD", 105, 3),
    "om": ("OMR", 108, 3),
}
CODES = tuple(f"{country}-{language}" for country in _COUNTRIES for language in ("en", "ar"))


def sample_market(code: str) -> SampleMarket:
    """The market with this code. Raises ValueError, with a sentence for people, for an unknown one."""
    if code not in CODES:
        raise ValueError(f"There is no sample market {code!r}. Use one of these: {', '.join(CODES)}.")
    country, language = code.split("-")
    return SampleMarket(country.upper(), *_COUNTRIES[country], language == "ar")


def localise(item: Item, offer: Offer, market: SampleMarket) -> None:
    """Make it an item of the market."""
    if market.is_arabic:
        item.fields |= _arabic_texts(offer)
    if market.currency != "AED":
        item.fields |= {name: market.in_currency(text) for name, text in item.fields.items() if text and "AED" in text}
        item.extras = market.in_currency(item.extras)
    item.extras = item.extras.replace("<g:country>AE<", f"<g:country>{market.country}<")


def _arabic_texts(offer: Offer) -> Fields:
    style = offer.style
    noun = _NOUNS[style.kind.shelf]
    start, count = style.number % len(ARABIC), between(4, 7, style.story[0])
    sentences = (ARABIC[(start + n) % len(ARABIC)].format(brand=style.house.name) for n in range(count))
    return {
        "title": f"{noun} {_LOOKS[style.number % len(_LOOKS)]} من {style.house.name}".replace("&", "&amp;"),
        "description": " ".join(sentences).replace("&", "&amp;"),
    }


_LOOKS = (
    "فاخرة الصنع", "من التشكيلة الجديدة", "إصدار محدود", "للمناسبات", "للاستخدام اليومي", "بلمسة كلاسيكية",
    "هدية مثالية", "بجودة عالية",
)  # fmt: skip
# What each shelf of the shop holds.
_NOUNS = {
    "Abayas": "عباية", "Automatic Watches": "ساعة أوتوماتيكية", "Baby": "بدلة للأطفال الرضع",
    "Backpacks": "حقيبة ظهر", "Belts": "حزام", "Boots": "جزمة", "Bracelets": "سوار", "Candles": "شمعة معطرة",
    "Chronographs": "ساعة كرونوغراف", "Clutches": "حقيبة كلتش", "Coats": "معطف", "Crossbody Bags": "حقيبة كروس",
    "Cufflinks": "أزرار أكمام", "Dresses": "فستان", "Earrings": "أقراط", "Flats": "حذاء مسطح", "Fragrance": "عطر",
    "Frames": "إطار صور", "Gloves": "قفازات", "Gowns": "فستان سهرة", "Haircare": "قناع للشعر", "Hats": "قبعة",
    "Heels": "حذاء بكعب", "Jackets": "سترة", "Jeans": "جينز", "Kaftans": "قفطان", "Knitwear": "كنزة محبوكة",
    "Lace-Ups": "حذاء برباط", "Loafers": "حذاء لوفر", "Make-Up": "مستحضر تجميل", "Necklaces": "عقد",
    "Quartz Watches": "ساعة كوارتز", "Rings": "خاتم", "Sandals": "صندل", "Scarves": "وشاح", "Shirts": "قميص",
    "Shoes": "حذاء", "Shoulder Bags": "حقيبة كتف", "Skincare": "مستحضر للعناية بالبشرة", "Skirts": "تنورة",
    "Sneakers": "حذاء رياضي", "Sunglasses": "نظارة شمسية", "Tableware": "طقم فناجين", "Throws": "بطانية",
    "Top-Handle Bags": "حقيبة يد", "Tops": "بلوزة", "Totes": "حقيبة توت", "Trousers": "بنطال", "Vases": "مزهرية",
    "Wallets": "محفظة",
}  # fmt: skip
