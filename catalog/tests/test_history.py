"""History: who or what set each field of a product, when, from which import and line."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from catalog.errors import NotAllowed, NotPossible
from catalog.imports.confirm import confirm
from catalog.imports.discard import clean_up
from catalog.imports.edit import edit_product
from catalog.imports.reports.history import History, product_history
from catalog.models import Change, Feed, Product
from catalog.tests.factories import add_product, applied, edit, execute, item, person, planned, redone, undone
from catalog.tests.pages import active_parts, browser, text_of, texts, tree


def of(product_id: str = "1") -> History:
    return product_history(Product.objects.get(id=product_id))


def setters(told: History) -> dict[str, Any]:
    """Of the fields that tests change: the import's number, or the person."""
    every = {**told.setters, **told.extra_setters}
    return {
        name: every[name].run or every[name].by for name in ("title", "color", "price", "note", "heel") if name in every
    }


# --- edits by hand ------------------------------------------------------------------------------------
@pytest.fixture
def mona(db: None) -> User:
    return person("mona", "change_product")


def test_an_edit_by_hand_is_a_change_with_who_and_what(feed: Feed, mona: User) -> None:
    applied(feed, item("1", note="old"))
    product = Product.objects.get()
    product.price, product.extra = 9, {"note": "new"}
    edit_product(product, by=mona)
    change = Change.objects.get(run=None)
    assert (change.operation, change.outcome, change.actor, change.base_version) == ("update", "applied", "mona", 1)
    assert change.before == {"price": 100, "extra": {"note": "old"}}
    assert change.after == {"price": 9, "extra": {"note": "new"}}
    assert change.made_at is not None


def test_what_is_saved_without_a_difference_is_no_change(feed: Feed) -> None:
    applied(feed, item("1"))
    edit("1")
    assert not Change.objects.filter(run=None).exists()


def test_only_people_who_may_change_products_edit_them(feed: Feed, alice: User) -> None:
    applied(feed, item("1"))
    product = Product.objects.get()
    product.title = "Mine"
    with pytest.raises(NotAllowed, match=r"catalog\.change_product"):
        edit_product(product, by=alice)
    assert Product.objects.get().title == "Silk dress"


def test_a_product_is_not_saved_past_its_history(feed: Feed) -> None:
    applied(feed, item("1"))
    product = Product.objects.get()
    product.title = "Mine"
    for save in (product.save, lambda: Product.objects.create(id="2"), lambda: product.save(update_fields=["title"])):
        with pytest.raises(TypeError, match="edit_product"):
            save()
    assert [*Product.objects.values_list("id", "title", "version")] == [("1", "Silk dress", 1)]


@pytest.mark.parametrize(("archived_at", "operation"), [(timezone.now(), "archive"), (None, "restore")])
def test_the_archive_by_hand_is_a_change(feed: Feed, archived_at: Any, operation: str) -> None:
    applied(feed, item("1"))
    Product.objects.update(archived_at=None if archived_at else timezone.now())
    edit("1", archived_at=archived_at)
    change = Change.objects.get(run=None)
    assert (change.operation, change.before, change.after) == (operation, {}, {})


def test_a_product_made_by_hand_begins_its_history(mona: User) -> None:
    edit_product(Product(id="1", title="By hand"), by=mona)
    (event,) = of().events
    assert (event.change.operation, event.by, event.values) == ("create", "mona", {"title": "By hand"})


# --- who set what -------------------------------------------------------------------------------------
def test_each_field_knows_its_import_and_line(feed: Feed) -> None:
    first = applied(feed, item("0"), item("1", color="Red", note="n", heel="70"))
    second = applied(feed, item("1", price="9 AED", color="Red", note="m", heel="70"))
    told = of()
    assert setters(told) == {
        "title": first.pk,
        "color": first.pk,
        "heel": first.pk,
        "price": second.pk,
        "note": second.pk,
    }
    assert (told.setters["title"].change.line, told.setters["price"].change.line) == (3, 2)


def test_who_confirmed_is_who_set_it(feed: Feed, alice: User) -> None:
    run = planned(feed, item("1"))
    confirm(run, plan_hash=run.plan_hash, by=alice)
    from catalog.imports.apply import apply

    apply(run)
    assert of().setters["title"].by == "alice"


def test_a_person_who_edited_since_is_who_set_it(feed: Feed, mona: User) -> None:
    run = applied(feed, item("1", color="Red"))
    product = Product.objects.get()
    product.color = "Blue"
    edit_product(product, by=mona)
    assert setters(of()) == {"title": run.pk, "price": run.pk, "color": "mona"}


def test_a_product_began_with_what_it_was_created_with(feed: Feed) -> None:
    clean_up(applied(feed, item("1", color="Red", note="n")))
    edit("1", color="Blue")
    applied(feed, item("1", price="9 AED", note="m"))
    applied(feed, item("1", title="Third", price="8 AED", color="Green", note="m"))
    values = of().events[-1].values
    assert {name: values[name] for name in ("title", "color", "price", "extra")} == {
        "title": "Silk dress",
        "color": "Red",
        "price": 100,
        "extra": {"note": "n"},
    }


def test_an_undo_is_told_and_the_one_before_set_it(feed: Feed) -> None:
    first = applied(feed, item("1", color="Red"))
    second = undone(applied(feed, item("1", color="Blue")))
    told = of()
    assert setters(told)["color"] == first.pk
    assert [(event.run, event.undone) for event in told.events] == [(second.pk, True), (first.pk, False)]
    redone(second)
    assert setters(of())["color"] == second.pk


def test_another_product_by_the_same_id_is_not_mixed_up(feed: Feed) -> None:
    undone(applied(feed, item("1", color="Red")))
    second = applied(feed, item("1"))
    told = of()
    assert setters(told) == {"title": second.pk, "price": second.pk}
    assert [event.undone for event in told.events] == [False, True]


def test_a_conflict_set_nothing(feed: Feed) -> None:
    applied(feed, item("1"))
    run = planned(feed, item("1", color="Red"))
    edit("1", color="Blue")
    execute(run)
    assert [event.run for event in of().events] == [None, run.pk - 1]


# --- its page -----------------------------------------------------------------------------------------
def page(client: Client, product_id: str = "1") -> Any:
    return client.get(reverse("admin:catalog_product_history", args=[product_id]))


def test_the_page_shows_who_set_each_field(feed: Feed) -> None:
    mona = browser("mona")
    run = applied(feed, item("1", color="Red", note="n"))
    mona_edits(mona, "color", "Blue")
    rows = {row[0]: row[1:3] for row in rows_of(page(browser("bob")))}
    assert rows["Title"] == ("Silk dress", f"Import {run.pk}, line 2")
    assert rows["Colour"] == ("Blue", "mona")
    assert rows["note"] == ("n", f"Import {run.pk}, line 2")


def mona_edits(mona: Client, name: str, value: str) -> None:
    address = reverse("admin:catalog_product_change", args=["1"])
    (form,) = tree(mona.get(address)).xpath("//form[@id='product_form']")
    assert mona.post(address, {**dict(form.form_values()), name: value}).status_code == 302


def rows_of(response: Any) -> list[tuple[str, ...]]:
    rows = tree(response).xpath("//table[contains(@class, 'stacked')]/tbody/tr")
    return [tuple(text_of(cell) for cell in row.xpath("th|td")) for row in rows]


def test_the_page_lists_every_change(feed: Feed) -> None:
    applied(feed, item("1", color="Red"))
    undone(applied(feed, item("1", color="Blue")))
    shown = texts(page(browser("bob")), "//ul[@class='changes']/li//summary")
    assert [line.split()[0] for line in shown] == ["Changed", "New"]
    assert "Undone" in shown[0]


def test_a_product_without_history_says_so(db: None) -> None:
    Product.objects.bulk_create([Product(id="1", title="Old")])
    answer = text_of(tree(page(browser("bob"))))
    assert "before history began" in answer
    assert "This product has no recorded changes." in answer


def test_the_history_is_not_for_charlie(feed: Feed) -> None:
    applied(feed, item("1"))
    assert page(browser("charlie")).status_code == 403


def test_a_product_that_is_not_there_has_no_history(db: None) -> None:
    assert page(browser("bob")).status_code == 302


def test_nothing_hostile_becomes_part_of_the_page(feed: Feed) -> None:
    applied(feed, item("1", c__x="plain"))
    harmless = active_parts(page(browser("bob")))
    Change.objects.all().delete()
    Product.objects.all().delete()
    applied(feed, item("1", title="<script>alert(1)</script>", c__x='"><img src=x onerror=alert(1)>'))
    assert active_parts(page(browser("bob"))) == harmless


def test_an_edit_of_a_product_that_was_removed_meanwhile_is_refused(db: None) -> None:
    product = add_product(id="1", title="Silk dress")
    Product.objects.get(id="1").delete()
    with pytest.raises(NotPossible, match="was removed while you edited it"):
        edit_product(product, by=None)
    assert not Product.objects.exists()
