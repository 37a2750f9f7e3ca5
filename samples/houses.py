"""The invented houses whose brands the catalogue carries."""

from dataclasses import dataclass
from itertools import accumulate, product

from samples.draws import Shuffle, pick


@dataclass(frozen=True, slots=True)
class House:
    """A brand, and the GS1 prefix its makers number their products under."""

    name: str
    gs1_prefix: str


class Guild:
    """Houses of one trade, most frequent first, drawn by Zipf's law (the n-th is n times as rare as the first)."""

    def __init__(self, names: list[str]) -> None:
        self.houses = [House(name, pick(_GS1_PREFIXES, n * 9973 % 65536)) for n, name in enumerate(names)]
        self.cumulative = list(accumulate(1_000_000 // rank for rank in range(1, len(names) + 1)))


# Prefixes of countries where such goods are made; none from the ranges for coupons or use inside one company.
_GS1_PREFIXES = ("301", "318", "337", "346", "376", "400", "426", "501", "506", "629", "761", "800", "803", "843")

# Known for everything from gowns to scent: the most frequent ones in three guilds.
_GRAND_HOUSES = (
    "Valmere",
    "Casa Lumiero",
    "Noor & Sable",
    "Maison Delacourt",
    "Ottavia Reni",
    "L'Orangerie Blanche",
    "Hartwell",
    "Zahra Idris",
    "Kestrel & Vane",
    "Aurélien Marchetti",
)
_FAMILIES = (
    *("Abernay", "Aldori", "Amsel", "Anvers", "Arkwright", "Avelar", "Ballister", "Barrani", "Bellocchi"),
    *("Benedetti", "Bexley", "Bianchetti", "Bramante", "Brisset", "Calloway", "Caravelle", "Castellane"),
    *("Cavanna", "Chalmont", "Corvane", "Dalisay", "Delmas", "Desroches", "Dorsey", "Duvallon", "Eberhart"),
    *("Edgecombe", "Elbaz", "Ellingham", "Escoffet", "Fairbourne", "Farouk", "Feraud", "Fiorelli"),
    *("Fontanelle", "Galvani", "Garamond", "Gauthrin", "Ghislain", "Haddad", "Halden", "Harcourt", "Hisaki"),
    *("Holloway", "Iversen", "Jardine", "Jourdan", "Kaddoura", "Kallis", "Kirkwall", "Kobari", "Lachance"),
    *("Laurier", "Leclair", "Lindqvist", "Lovatt", "Mabrouk", "Maddox", "Malaspina", "Mansour", "Marlowe"),
    *("Mazzanti", "Merrion", "Mirzoyan", "Montreuil", "Naderi", "Nakashiro", "Navarre", "Olander", "Orsini"),
    *("Paravel", "Pellegrin", "Quillon", "Rahimi", "Ravenel", "Rosalba", "Rothsay", "Sabatini"),
    *("Salvatierra", "Sauvage-Roy", "Serrano", "Sorrel", "Tamaris", "Thessaly", "Tournier", "Umberlee"),
    *("Valcourt", "Verlaine", "Vestergaard", "Wexford", "Yamanobe", "Zeller"),
)
_GIVEN = (
    *("Adèle", "Alba", "Amara", "Bastien", "Camille", "Cosima", "Dario", "Elio", "Émile", "Farah", "Freja"),
    *("Giulia", "Hana", "Ilaria", "Jasper", "Karim", "Layla", "Leonie", "Lucien", "Maha", "Matteo", "Mika"),
    *("Nadia", "Odette", "Orla", "Paloma", "Rafael", "Reem", "Saskia", "Sébastien", "Tariq", "Thea"),
    *("Yasmin", "Yuki", "Zeno"),
)


def _houses(count: int, *patterns: str) -> list[str]:
    """`count` names, each a family in one of the `patterns`, in a fixed random order."""
    names = [pattern.format(family) for pattern, family in product(patterns, _FAMILIES)]
    shuffle = Shuffle(len(names), seed=len(patterns), purpose="houses")
    return [names[shuffle.place(n)] for n in range(count)]


_FASHION_PATTERNS = (
    *(f"{given} {{}}" for given in _GIVEN),
    *("{}", "Maison {}", "Atelier {}", "Casa {}", "House of {}", "{} & Daughters", "{} 1924", "L'Atelier {}"),
)
_PRECIOUS_PATTERNS = ("{} Joaillier", "{} & Fils", "{} Orafi", "{} Fine Jewels", "{} Horlogers")
_BEAUTY_PATTERNS = ("{} Beauté", "{} Parfums", "Dr. {}", "{} Botanics", "Laboratoires {}")

FASHION = Guild([*_GRAND_HOUSES, *_houses(790, *_FASHION_PATTERNS)])
PRECIOUS = Guild([*_GRAND_HOUSES, *_houses(240, *_PRECIOUS_PATTERNS)])
BEAUTY = Guild([*_GRAND_HOUSES, *_houses(270, *_BEAUTY_PATTERNS)])
KIDS = Guild(_houses(90, "Petit {}", "{} & Little Ones", "Mini {}"))
HOME = Guild(_houses(90, "{} Living", "Manifattura {}", "{} & Hearth"))
