"""The words that a misspelled one may be taken for: learnt after imports, at once from edits, forgotten at night."""

from __future__ import annotations

import pytest

from catalog.imports.discard import clean_up
from catalog.imports.retention import forget_old
from catalog.models import Feed, Product, Word
from catalog.tests.api import product
from catalog.tests.factories import applied, brought_back, item, taken_back

pytestmark = pytest.mark.django_db


def known() -> set[str]:
    return set(Word.objects.values_list("word", flat=True))


def found(words: str) -> list[str]:
    return list(Product.objects.search(words).order_by("id").values_list("id", flat=True))


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
    run = taken_back(applied(feed, item("1", title="Kaftan")))
    forget_old()
    assert known() == set()
    clean_up(brought_back(run))
    assert found("kaftn") == ["1"]


def test_an_edit_is_learnt_at_once() -> None:
    one = product("1", title="Kaftan")
    one.title = "Sandals"
    one.save(update_fields=["title"])
    assert found("sandls") == ["1"]


def test_words_that_no_product_has_are_forgotten_at_night() -> None:
    product("1", title="Kaftan")
    Product.objects.update(title="Sandals")
    Product.objects.filter(pk="1").update(brand="")
    assert known() == {"kaftan", "noor"}
    assert forget_old()["words"] == 2
    assert known() == {"sandals"}


def test_a_number_is_not_taken_for_another_one() -> None:
    product("1", gtin="4006381333931", title="Sneaker 990v5")
    assert found("4006381333931") == found("990v5") == ["1"]
    assert found("4006381333932") == found("990v6") == []
    assert known() == {"sneaker", "noor"}


@pytest.mark.parametrize("capital", ["KAFTAN", "Kaft", "KAFTN", "ÉCLAT", "éclt"])
def test_capitals_make_no_difference_to_a_word(capital: str) -> None:
    product("1", title="Éclat Kaftan")
    assert found(capital) == ["1"]


def test_the_word_most_like_it_is_taken() -> None:
    for id, title in enumerate(("Dresses", "Dressing gown", "Dress", "Address"), start=1):
        product(str(id), title=title)
    assert found("drss") == ["1", "2", "3"]  # dress, and what begins so


def test_the_index_is_asked_for_the_rarest_word_alone() -> None:
    for id, title in enumerate(("Silk kaftan", "Silk dress", "Silk abaya"), start=1):
        product(str(id), title=title)
    forget_old()
    assert Word.begun_by(["sil", "kaft", "SILK", "7"]) == {"sil": 3, "kaft": 1, "SILK": 3}
    where = str(Product.objects.search("silk kaft").query).partition("WHERE")[2]
    assert "'kaft':*" in where.partition("strip")[0]
    assert "'silk':*" in where.partition("strip")[2]
    assert found("silk kaft") == ["1"]
