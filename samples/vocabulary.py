"""The words around a product: seasons, labels, and the sentences that descriptions are made of. All invented."""

from dataclasses import dataclass

# --- Seasons and labels ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Season:
    """A season of the collection and how many percent of its styles are on sale."""

    name: str
    on_sale: int


SEASONS = (
    *(Season("AW26", 15),) * 8,
    *(Season("SS26", 40),) * 6,
    *(Season("AW25", 50),) * 4,
    *(Season("Carry Over", 20),) * 2,
)
DISCOUNTS = (20, 25, 30, 30, 40, 40, 50, 60, 70)
TIERS = ("bestseller", "core", "core", "core", "long-tail", "long-tail", "new-arrival")
ICONS = ("new-season", "exclusive", "two-hour-delivery", "bestseller", "conscious")
PREORDER_DATES = ("2027-01-15T00:00+0400", "2027-02-01T00:00+0400", "2027-03-01T00:00+0400", "2027-04-15T00:00+0400")
STYLE_NAMES = (
    *("Alina", "Amara", "Aurora", "Beatrice", "Calista", "Carmen", "Celeste", "Delphine", "Elara", "Elodie"),
    *("Fatima", "Florence", "Gemma", "Hayat", "Imogen", "Isla", "Jumana", "Kenza", "Lucia", "Luna", "Margot"),
    *("Marisol", "Nerissa", "Ophelia", "Palma", "Qamar", "Rania", "Romy", "Safira", "Selene", "Sienna"),
    *("Soraya", "Tatiana", "Thalia", "Valentina", "Vesper", "Viola", "Willow", "Yara", "Zelie"),
)

# --- Sentences -------------------------------------------------------------------------------------------------------

# Each reads well with "tote bag" and with "cufflinks".
OPENINGS = (
    "With the {noun} in {colour}, {brand} returns to what it does best.",
    "Every wardrobe leans on a few good things; {brand} adds one more with the {noun}.",
    "Seen first on the runway: the {noun} by {brand}, now in {colour}.",
    "There is nothing loud about the {noun} by {brand}, and that is the charm.",
    "{brand} made the {noun} a study in proportion: nothing missing, nothing too much.",
    "Conceived for warm evenings and cool interiors: {brand}, {noun}, {colour}.",
    "The archive meets the everyday in the {noun} by {brand}.",
    "A favourite of our stylists: {colour}, and a {brand} signature on the {noun}.",
)
STYLING = (
    "Pair it with neutral tones and let the details speak.",
    "Our buyers like it best with gold accents and an easy attitude.",
    "It feels at ease by day and comes into its own after dark.",
    "It suits a wedding as well as a slow brunch by the marina.",
    "Keep the rest understated: one statement is enough.",
    "Enjoy it the way you enjoy your favourite scent: often, and without thinking.",
)
CLOSINGS = (
    "Colours may differ slightly from screen to screen.",
    "Part of the {season} collection, in limited numbers.",
    "Each piece is checked by hand before it leaves the boutique.",
    "Delivered in the house's signature box.",
    "A certificate of authenticity is included.",
    "Care instructions are stitched or printed inside.",
)
ORIGINS = ("Italy", "France", "Spain", "Portugal", "Japan", "Switzerland", "the United Kingdom", "India", "Türkiye")
CARE = (
    "Store away from direct sunlight",
    "Specialist care only",
    "Handle gently; keep dry",
    "Wipe with a soft cloth",
    "Follow the label inside",
)
ARABIC = (
    "قطعة أنيقة من {brand} تجمع بين البساطة والفخامة في تفاصيلها.",
    "صُنعت بعناية فائقة على أيدي حرفيين مهرة لتدوم معك سنوات طويلة.",
    "تصميم عصري يناسب إطلالات النهار والمساء على حد سواء.",
    "خامات مختارة بدقة تمنحك ملمساً ناعماً وراحة تدوم طوال اليوم.",
    "نسّقيها مع إكسسوارات ذهبية لإطلالة متكاملة تلفت الأنظار.",
    "تأتي في علبة فاخرة تحمل توقيع الدار، وهي هدية مثالية لمن تحب.",
    "لمسة نهائية راقية تعكس روح المجموعة الجديدة من {brand}.",
    "ألوان هادئة وخطوط واضحة تجعلها رفيقة كل المناسبات.",
    "ننصح بالعناية بها وفق التعليمات المرفقة للحفاظ على رونقها.",
)
