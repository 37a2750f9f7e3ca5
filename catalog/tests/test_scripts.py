"""The script of a language, and of a text."""

import pytest

from catalog.feeds.scripts import script_of_language, script_of_text

CJK = "Chinese or Japanese"


@pytest.mark.parametrize(
    ("tag", "script"),
    [
        ("en", "Latin"), ("ar", "Arabic"), ("ar-SA", "Arabic"), ("AR", "Arabic"), ("fa", "Arabic"), ("ru", "Cyrillic"),
        ("he", "Hebrew"), ("el", "Greek"), ("zh-Hant", CJK), ("ja", CJK),
        ("ko", "Korean"), ("hi", "Devanagari"), ("th", "Thai"), ("sr", ""), ("sr-Cyrl", "Cyrillic"),
        ("uz-Latn", "Latin"), ("tr", "Latin"), ("", ""),
    ],
)  # fmt: skip
def test_the_script_of_a_language(tag: str, script: str) -> None:
    assert script_of_language(tag) == script


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Silk dress", "Latin"), ("Élégante çà", "Latin"), ("فستان Gucci", "Arabic"), ("Платье", "Cyrillic"),
        ("שמלה", "Hebrew"), ("φόρεμα", "Greek"), ("丝绸连衣裙", CJK), ("ワンピース", CJK),
        ("드레스", "Korean"), ("पोशाक", "Devanagari"), ("ชุด", "Thai"), ("ﻓﺴﺘﺎن", "Arabic"),
        ("100 % – 42", ""), ("", ""),
    ],
)  # fmt: skip
def test_the_script_of_a_text(text: str, script: str) -> None:
    assert script_of_text(text) == script
