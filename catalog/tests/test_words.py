"""The words by which products are found: learnt after imports, at once from edits, forgotten at night."""

from __future__ import annotations

import string
from datetime import timedelta

import pytest
from django.utils import timezone

from catalog.imports.discard import clean_up
from catalog.imports.edit import edit_product
from catalog.imports.retention import forget_old
from catalog.models import Feed, ImportRun, Product, Word
from catalog.tests.api import product
from catalog.tests.factories import applied, item, redone, search, undone

pytestmark = pytest.mark.django_db


def known() -> set[str]:
    return set(Word.objects.values_list("word", flat=True))


def found(words: str) -> list[str]:
    return list(search(words).order_by("id").values_list("id", flat=True))


def test_an_import_teaches_its_words_when_it_is_cleaned_up(feed: Feed) -> None:
    run = applied(feed, item("1", title="Embroidered kaftan"))
    assert "kaftan" not in known()
    assert found("kaftan") == ["1"]
    assert found("kaftn") == []
    clean_up(run)
    assert {"embroidered", "kaftan"} <= known()
    assert found("kaftn") == ["1"]


def test_a_changed_title_is_learnt_and_an_unchanged_one_not_again(feed: Feed) -> None:
    applied(feed, item("1", title="Kaftan"), item("2", title="Abaya"))
    clean_up(applied(feed, item("1", title="Loafers"), item("2", title="Abaya", price="7.00 AED")))
    assert "loafers" in known()
    assert "abaya" not in known()


def test_what_is_brought_back_is_found_again(feed: Feed) -> None:
    run = undone(applied(feed, item("1", title="Kaftan")))
    forget_old()
    assert known() == set()
    clean_up(redone(run))
    assert found("kaftn") == ["1"]


def test_an_edit_is_learnt_at_once() -> None:
    one = product("1", title="Kaftan")
    one.title = "Sandals"
    edit_product(one, by=None, fields=["title"])
    assert found("sandls") == ["1"]


def test_words_that_no_product_has_are_forgotten_at_night() -> None:
    product("1", title="Kaftan")
    Product.objects.update(title="Sandals")
    Product.objects.filter(id="1").update(brand="")
    assert known() == {"kaftan", "noor"}
    assert forget_old()["words"] == 2
    assert known() == {"sandals"}


def test_a_number_is_not_taken_for_another_one() -> None:
    product("1", gtin="4006381333931", title="Sneaker 990v5 iPhone15")
    assert found("4006381333931") == found("990v5") == found("iphone1") == ["1"]
    assert found("4006381333932") == found("990v6") == found("iphone14") == []
    assert known() == {"sneaker", "iphone0", "noor"}


@pytest.mark.parametrize("capital", ["KAFTAN", "Kaft", "KAFTN", "ÉCLAT", "éclt"])
def test_capitals_make_no_difference_to_a_word(capital: str) -> None:
    product("1", title="Éclat Kaftan")
    assert found(capital) == ["1"]


def test_the_word_most_like_it_is_taken() -> None:
    for id, title in enumerate(("Dresses", "Dressing gown", "Dress", "Address"), start=1):
        product(str(id), title=title)
    assert found("drss") == ["1", "2", "3"]  # dress, and what begins so


def asked_of_the_index(words: str) -> str:
    where = str(search(words).query).partition("WHERE")[2]
    return where.partition("setweight")[0]


def test_the_index_is_asked_for_words_and_not_for_their_beginning() -> None:
    product("1", title="Silk kaftan")
    product("2", title="Silky abaya")
    assert "'sil' | 'silk' | 'silky'" in asked_of_the_index("Sil")
    assert ":*" not in asked_of_the_index("Sil")
    assert found("sil") == ["1", "2"]


def test_of_beginnings_the_index_is_asked_for_the_rarest_alone() -> None:
    for id, title in enumerate(("Silk0 kaftan2", "Silk1 dress", "Silk2 abaya"), start=1):
        product(str(id), title=title)
    forget_old()
    assert "'kaft':*" in asked_of_the_index("sil kaft")
    assert "'sil':*" not in asked_of_the_index("sil kaft")
    assert found("sil kaft") == ["1"]


@pytest.mark.parametrize("words", ["abaya t-shirt", "t-sh abaya", "abaya coat-7", "coat-7 t-shirt abaya"])
def test_a_word_of_several_parts_is_found_beside_a_rare_one(words: str) -> None:
    product("coat-7", title="Abaya T-Shirt")
    product("coat-8", title="Abaya shirt T")
    assert found(words) == ["coat-7"]


@pytest.mark.parametrize("words", ["white", "wh", "black/wh", "511704", "334", "376-5117", "neill", "o'nei", "new.com"])
def test_punctuation_stands_between_words(words: str) -> None:
    product("1", title="Coat Black/White", brand="O'Neill www.new.com", mpn="376-511704-334")
    product("2", title="Coat Black White-ish Nei O", mpn="511")
    assert "1" in found(words)
    assert ("2" in found(words)) == (words in ("white", "wh", "black/wh"))


def test_every_mark_of_ascii_stands_between_words_and_no_other() -> None:
    for number, mark in enumerate(string.punctuation):
        product(f"p{number:02}", title=f"aa{mark}bb")
    product("one", title="aaébb")
    everywhere = [f"p{number:02}" for number in range(len(string.punctuation))]
    assert found("bb") == everywhere
    assert all(found(f"aa{mark}b") == everywhere for mark in string.punctuation)


def test_a_word_that_is_not_learnt_yet_is_found_by_its_beginning(feed: Feed) -> None:
    clean_up(applied(feed, item("1", title="Kaftan")))
    run = applied(feed, item("2", title="Kaftandress"))
    assert found("kaft") == ["1", "2"]
    assert ":*" in asked_of_the_index("kaft")
    clean_up(run)
    assert found("kaft") == ["1", "2"]
    assert ":*" not in asked_of_the_index("kaft")


def test_of_what_is_found_a_few_are_told_and_of_nothing_none() -> None:
    for id in ("1", "2", "3"):
        product(id, title="Silk")
    assert len(set(search("silk").some_ids(2))) == 2
    assert sorted(search("sil").some_ids(9)) == ["1", "2", "3"]
    assert [*search("qqqxxx").some_ids(9), *search("!").some_ids(9)] == []


def test_what_is_learnt_changes_nothing_that_is_found(feed: Feed) -> None:
    titles = (
        "T-shirt",
        "t-shirts O'Neill",
        "Coat a\\b",
        "Coats2go",
        "Éclat",
        "İstanbul ISTANBUL",
        "ΣΟΦΟΣ σοφός",
        "straße",
    )
    run = applied(feed, *(item(str(number), title=title) for number, title in enumerate(titles)))
    beginnings = {word[:end] for title in titles for word in title.split() for end in range(1, len(word) + 1)}
    before = {beginning: found(beginning) for beginning in beginnings}
    assert all(before.values())
    clean_up(run)
    assert {beginning: found(beginning) for beginning in beginnings} == before


def test_too_many_words_are_asked_for_by_their_beginning() -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    product("1", title=" ".join(f"silk{letter}" for letter in letters))
    assert ":*" not in asked_of_the_index("silk")
    product("2", title=" ".join(f"silky{letter}" for letter in letters))
    assert ":*" in asked_of_the_index("silk")
    assert found("silk") == ["1", "2"]


def test_words_of_an_import_whose_clean_up_was_lost_are_learnt_at_night(feed: Feed) -> None:
    applied(feed, item("1", title="Kaftan"))
    ImportRun.objects.update(changed_at=timezone.now() - timedelta(days=2))
    forget_old()
    assert not ImportRun.objects.filter(words_due=True).exists()


def test_a_word_that_comes_back_while_words_are_forgotten_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    one = product("1", title="Kaftan")
    Product.objects.update(title="Sandals")
    forget = Word._forget

    def forget_late(words: list[tuple[int, str]]) -> int:
        edit_product(one, by=None)
        return forget(words)

    monkeypatch.setattr(Word, "_forget", forget_late)
    Word.renew()
    assert "kaftan" in known()
