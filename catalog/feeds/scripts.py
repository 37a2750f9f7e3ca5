"""The scripts that languages are written in, and the script of a text."""

from bisect import bisect_right
from collections import Counter
from functools import lru_cache

# The ranges of letters of each script, by its name for people, in the order of Unicode. Digits, marks and punctuation
# are of no script.
SCRIPTS: dict[str, tuple[tuple[int, int], ...]] = {
    "Latin": ((0x41, 0x5A), (0x61, 0x7A), (0xC0, 0xD6), (0xD8, 0xF6), (0xF8, 0x24F), (0x1E00, 0x1EFF)),
    "Greek": ((0x370, 0x3FF), (0x1F00, 0x1FFF)),
    "Cyrillic": ((0x400, 0x52F), (0x1C80, 0x1C8F), (0x2DE0, 0x2DFF), (0xA640, 0xA69F)),
    "Armenian": ((0x531, 0x58A),),
    "Hebrew": ((0x5D0, 0x5F2), (0xFB1D, 0xFB4F)),
    "Arabic": ((0x620, 0x64A), (0x66E, 0x6D3), (0x6FA, 0x6FF), (0x750, 0x77F), (0x8A0, 0x8C9), (0xFB50, 0xFDFF),
               (0xFE70, 0xFEFC)),
    "Devanagari": ((0x900, 0x963), (0x970, 0x97F)),
    "Bengali": ((0x980, 0x9E3),),
    "Gurmukhi": ((0xA05, 0xA74),),
    "Gujarati": ((0xA81, 0xAE3),),
    "Tamil": ((0xB82, 0xBD7),),
    "Telugu": ((0xC00, 0xC63),),
    "Kannada": ((0xC80, 0xCE3),),
    "Malayalam": ((0xD00, 0xD63),),
    "Sinhala": ((0xD82, 0xDDF),),
    "Thai": ((0xE01, 0xE3A), (0xE40, 0xE4E)),
    "Lao": ((0xE81, 0xEC4),),
    "Myanmar": ((0x1000, 0x103F),),
    "Georgian": ((0x10A0, 0x10FF), (0x1C90, 0x1CBF)),
    "Ethiopic": ((0x1200, 0x137F),),
    "Khmer": ((0x1780, 0x17D3),),
    "Korean": ((0x1100, 0x11FF), (0x3131, 0x318E), (0xAC00, 0xD7A3)),
    "Chinese or Japanese": ((0x3041, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF)),
}  # fmt: skip

_RANGES = sorted((first, last, script) for script, ranges in SCRIPTS.items() for first, last in ranges)
_STARTS = [first for first, _last, _script in _RANGES]

# ISO 15924, for the languages that say it.
_BY_TAG = {
    "arab": "Arabic", "armn": "Armenian", "beng": "Bengali", "cyrl": "Cyrillic", "deva": "Devanagari",
    "ethi": "Ethiopic", "geor": "Georgian", "grek": "Greek", "gujr": "Gujarati", "guru": "Gurmukhi",
    "hang": "Korean", "hani": "Chinese or Japanese", "hans": "Chinese or Japanese", "hant": "Chinese or Japanese",
    "hebr": "Hebrew", "jpan": "Chinese or Japanese", "khmr": "Khmer", "knda": "Kannada", "kore": "Korean",
    "laoo": "Lao", "latn": "Latin", "mlym": "Malayalam", "mymr": "Myanmar", "sinh": "Sinhala", "taml": "Tamil",
    "telu": "Telugu", "thai": "Thai",
}  # fmt: skip
# The script of a language. Others are written in Latin, except those that have several.
_BY_LANGUAGE = {
    language: script
    for script, languages in {
        "Arabic": "ar fa ur ps ckb",
        "Armenian": "hy",
        "Bengali": "bn as",
        "Chinese or Japanese": "zh yue ja",
        "Cyrillic": "ru uk be bg mk ky tg",
        "Devanagari": "hi mr ne sa kok mai",
        "Ethiopic": "am ti",
        "Georgian": "ka",
        "Greek": "el",
        "Gujarati": "gu",
        "Hebrew": "he iw yi",
        "Kannada": "kn",
        "Khmer": "km",
        "Korean": "ko",
        "Lao": "lo",
        "Malayalam": "ml",
        "Myanmar": "my",
        "Sinhala": "si",
        "Tamil": "ta",
        "Telugu": "te",
        "Thai": "th",
    }.items()
    for language in languages.split()
}

_IN_SEVERAL = frozenset("az bs dv ha ku kk mn pa sd sr tt ug uz".split())


def script_of_language(tag: str) -> str:
    """The script that a language is written in, by its BCP 47 tag; "" when that is not certain."""
    language, *subtags = tag.lower().split("-")
    if not language:
        return ""
    named = next((_BY_TAG[subtag] for subtag in subtags if subtag in _BY_TAG), "")
    return named or ("" if language in _IN_SEVERAL else _BY_LANGUAGE.get(language, "Latin"))


def script_of_text(text: str) -> str:
    """The script of most of its letters; "" when it has none."""
    letters: Counter[str] = Counter()
    for letter, number in Counter(text).items():
        if script := _script_of_letter(letter):
            letters[script] += number
    return max(letters, key=letters.__getitem__, default="")


@lru_cache(maxsize=10_000)
def _script_of_letter(letter: str) -> str:
    place = bisect_right(_STARTS, ord(letter)) - 1
    if place < 0:
        return ""
    _first, last, script = _RANGES[place]
    return script if ord(letter) <= last else ""
