"""Random imports over random catalogues: an oracle that knows the rules and no SQL agrees on every row."""

import random
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from catalog.imports.columns import SHARED
from catalog.models import Feed, ImportRun, Mode, Product
from catalog.tests.factories import FLAWLESS, counts, edit, execute, item, planned

IDS = [f"p{n}" for n in range(8)]
CONSTANT = {name: FLAWLESS[name] for name in ("description", "brand", "mpn", "link", "image_link", "availability")}
BLANK = {name: getattr(Product(), name) for name in SHARED}
MONEY = {"price", "sale_price"}
IMAGES = ["https://www.example.com/2.jpg", "https://www.example.com/3.jpg"]

# An element, what may be written in it, and what the columns and `extra` hold of it then.
Written = tuple[Any, dict[str, Any], dict[str, Any]]
ELEMENTS: dict[str, list[Written]] = {
    "title": [(title, {"title": title}, {}) for title in ("Dress", "Coat")],
    "price": [
        ("10.00 AED", {"price": Decimal(10), "currency": "AED"}, {}),
        ("AED 10", {"price": Decimal(10), "currency": "AED"}, {}),
        ("12.50 AED", {"price": Decimal("12.5"), "currency": "AED"}, {}),
        ("10.00 SAR", {"price": Decimal(10), "currency": "SAR"}, {}),
    ],
    "sale_price": [("5.00", {"sale_price": Decimal(5)}, {}), ("6.00", {"sale_price": Decimal(6)}, {})],
    "color": [("Red", {"color": "Red"}, {}), (" Blue ", {"color": "Blue"}, {}), ("", {}, {})],
    "gender": [("male", {"gender": "male"}, {}), ("Herren", {}, {"gender": "Herren"})],
    "quantity": [("3", {"quantity": 3}, {}), ("0", {"quantity": 0}, {}), ("four", {}, {"quantity": "four"})],
    "adult": [("yes", {"adult": True}, {}), ("no", {"adult": False}, {})],
    "additional_image_link": [
        (IMAGES, {"additional_image_link": IMAGES}, {}),
        (IMAGES[0], {"additional_image_link": IMAGES[:1]}, {}),
    ],
    "c__heel": [("70", {}, {"c:heel": "70"}), ("80", {}, {"c:heel": "80"}), ("", {}, {})],
    "note": [("n", {}, {"note": "n"}), (["n", "m"], {}, {"note": ["n", "m"]})],
}
REQUIRED = ["title", "price"]
OPTIONAL = [name for name in ELEMENTS if name not in REQUIRED]


@dataclass
class Item:
    """One item as it is written, and what it means."""

    id: str
    elements: dict[str, Written]
    valid: bool = True

    @property
    def xml(self) -> str:
        written = {name: written for name, (written, _, _) in self.elements.items()}
        return item(self.id, **dict.fromkeys(REQUIRED) | written)

    @property
    def names(self) -> set[str]:
        return {name.replace("__", ":") for name in self.elements} | {*CONSTANT, "id"}

    @property
    def columns(self) -> dict[str, Any]:
        return {**BLANK, **CONSTANT, **{k: v for _, columns, _ in self.elements.values() for k, v in columns.items()}}

    @property
    def extra(self) -> dict[str, Any]:
        return {k: v for _, _, extra in self.elements.values() for k, v in extra.items()}


@dataclass
class Row:
    """One product."""

    columns: dict[str, Any]
    extra: dict[str, Any]
    feed: int | None
    version: int = 1
    archived: bool = False


@dataclass
class Plan:
    counts: Counter[str] = field(default_factory=Counter)
    # Of each product: operation, before, after, base version.
    changes: dict[str, tuple[str, dict[str, Any], dict[str, Any], int | None]] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    spoken: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)

    def laid_over(self, row: Row, found: Item) -> tuple[dict[str, Any], dict[str, Any]]:
        """The columns and `extra` of the product once the item's values are laid over it."""
        columns = {name: found.columns[name] if name in self.spoken else old for name, old in row.columns.items()}
        kept = {name: value for name, value in row.extra.items() if name not in self.names}
        return columns, kept | found.extra


Catalogue = dict[str, Row]


def random_file(dice: random.Random) -> list[Item]:
    """Now and then a supplemental one, that is silent about what a new product needs."""
    required = [name for name in REQUIRED if dice.random() < 0.85]
    spoken = dice.sample(OPTIONAL, dice.randint(0, len(OPTIONAL)))
    return [random_item(dice, required, spoken) for _ in range(dice.randint(1, 9))]


def random_item(dice: random.Random, required: list[str], spoken: list[str]) -> Item:
    names = [*required, *(name for name in spoken if dice.random() < 0.7)]
    elements = {name: dice.choice(ELEMENTS[name]) for name in names}
    valid = dice.random() < 0.8
    if not valid:
        wrong = "price" if "price" in required else "link"
        elements[wrong] = ("free", {}, {wrong: "free"})
    return Item(dice.choice(IDS), elements, valid)


def is_enough(found: Item, row: Row | None, names: set[str]) -> bool:
    """Whether the item has all that it needs: a new product more than one that is on sale."""
    return found.valid and (names >= {*REQUIRED} or (row is not None and not row.archived))


def expected_plan(catalogue: Catalogue, file: list[Item], mode: str, feed: int) -> Plan:
    plan = Plan(Counter(items=len(file)))
    plan.names = {name for found in file for name in found.names}
    plan.spoken = plan.names | ({"currency"} if "price" in plan.names else set())
    for found in file:
        if not is_enough(found, catalogue.get(found.id), plan.names):
            plan.counts["invalid"] += 1
            continue
        plan.counts["duplicate"] += found.id in plan.items
        plan.items[found.id] = found
    for id, found in plan.items.items():
        row = catalogue.get(id)
        if row is None:
            plan.counts["created"] += 1
            plan.changes[id] = ("create", {}, {}, None)
        elif mode == Mode.ADD:
            plan.counts["existing"] += 1
        else:
            columns, extra = plan.laid_over(row, found)
            before = {**row.columns, "extra": row.extra}
            after = {**columns, "extra": extra}
            differing = [name for name in after if after[name] != before[name]]
            plan.counts["changed" if differing or row.archived else "unchanged"] += 1
            if differing or row.archived:
                operation = "restore" if row.archived else "update"
                old, new = ({name: values[name] for name in differing} for values in (before, after))
                plan.changes[id] = (operation, old, new, row.version)
    if mode == Mode.SYNC:
        named = {found.id for found in file}
        for id, row in catalogue.items():
            if row.feed == feed and not row.archived and id not in named:
                plan.counts["archived"] += 1
                plan.changes[id] = ("archive", {}, {}, row.version)
    return plan


def expected_apply(catalogue: Catalogue, plan: Plan, feed: int) -> dict[str, str]:
    """Change the catalogue as the plan says; return the outcome of each of its changes."""
    outcomes = {}
    for id, (operation, _, _, version) in plan.changes.items():
        row = catalogue.get(id)
        outcomes[id] = "applied"
        if (row.version if row else None) != version:
            outcomes[id] = "conflict"
            kind = {"create": "created", "archive": "archived"}.get(operation, "changed")
            plan.counts[kind] -= 1
            plan.counts["archive_conflict" if operation == "archive" else "conflict"] += 1
        elif row is None:
            catalogue[id] = Row(plan.items[id].columns, plan.items[id].extra, feed)
        else:
            row.version += 1
            row.archived = operation == "archive"
            if operation != "archive":
                row.columns, row.extra = plan.laid_over(row, plan.items[id])
    return outcomes


def edit_by_hand(dice: random.Random, catalogue: Catalogue) -> None:
    """Up to three edits, as people make them between a plan and its confirmation."""
    for id in dice.sample(IDS, dice.randint(0, 3)):
        row = catalogue.get(id)
        if row is None:
            Product.objects.create(id=id, title="By hand")
            catalogue[id] = Row({**BLANK, "title": "By hand"}, {}, None)
        elif dice.random() < 0.3:
            Product.objects.get(pk=id).delete()
            del catalogue[id]
        else:
            color, archived = dice.choice(["Red", "Green"]), dice.random() < 0.5
            edit(id, color=color, archived_at=timezone.now() if archived else None)
            row.columns, row.version, row.archived = {**row.columns, "color": color}, row.version + 1, archived


def stored_catalogue() -> Catalogue:
    return {
        p.id: Row({n: getattr(p, n) for n in SHARED}, p.extra, p.feed_id, p.version, p.archived_at is not None)
        for p in Product.objects.all()
    }


def stored_changes(run: ImportRun) -> dict[str, tuple[Any, ...]]:
    return {c.product_id: (c.operation, c.before, c.after, c.base_version) for c in run.changes.all()}


def stored_outcomes(run: ImportRun) -> dict[str, str]:
    return dict(run.changes.values_list("product_id", "outcome"))


@pytest.mark.parametrize("seed", range(30))
def test_an_import_does_what_a_naive_one_would(feed: Feed, other_feed: Feed, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311
    catalogue: Catalogue = {}
    for _ in range(4):
        source, mode, file = dice.choice([feed, other_feed]), dice.choice(list(Mode)), random_file(dice)
        plan = expected_plan(catalogue, file, mode, source.pk)
        run = planned(source, *(found.xml for found in file), mode=mode)
        assert counts(run) == {name: count for name, count in plan.counts.items() if count}
        assert stored_changes(run) == plan.changes
        assert stored_catalogue() == catalogue
        edit_by_hand(dice, catalogue)
        outcomes = expected_apply(catalogue, plan, source.pk)
        execute(run)
        assert stored_outcomes(run) == outcomes
        assert counts(run) == {name: count for name, count in plan.counts.items() if count}
        assert stored_catalogue() == catalogue
