"""An importer that knows the rules and no SQL: one product at a time, slow, and plain to read."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from catalog.models import Mode, Product
from catalog.models.fields import MONEY_NAMES, SHARED
from catalog.tests.factories import FLAWLESS, item

BLANK = {name: getattr(Product(), name) for name in SHARED}
CONSTANT = {name: FLAWLESS[name] for name in ("description", "brand", "mpn", "link", "image_link", "availability")}
AMOUNTS = {*MONEY_NAMES, "currency"}
IMAGES = ["https://www.example.com/2.jpg", "https://www.example.com/3.jpg"]

# What stands there is not understood: a product keeps its own value, and a new one has none.
UNREAD = object()
# An element, what may be written in it, and what the columns and `extra` hold of it then.
Written = tuple[Any, dict[str, Any], dict[str, Any]]
ELEMENTS: dict[str, list[Written]] = {
    "title": [(title, {"title": title}, {}) for title in ("Dress", "Coat")],
    "price": [
        ("10.00 AED", {"price": Decimal(10), "currency": "AED"}, {}),
        ("AED 10", {"price": Decimal(10), "currency": "AED"}, {}),
        ("12.50 AED", {"price": Decimal("12.5"), "currency": "AED"}, {}),
        ("10.00 SAR", {"price": Decimal(10), "currency": "SAR"}, {}),
        ("10.00", {"price": Decimal(10), "currency": UNREAD}, {}),
    ],
    "sale_price": [
        ("5.00", {"sale_price": Decimal(5)}, {}),
        ("6.00", {"sale_price": Decimal(6)}, {}),
        ("soon", {"sale_price": UNREAD}, {}),
    ],
    "color": [("Red", {"color": "Red"}, {}), (" Blue ", {"color": "Blue"}, {}), ("", {}, {})],
    "gender": [("male", {"gender": "male"}, {}), ("Herren", {"gender": UNREAD}, {})],
    "quantity": [("3", {"quantity": 3}, {}), ("0", {"quantity": 0}, {}), ("four", {"quantity": UNREAD}, {})],
    "adult": [("yes", {"adult": True}, {}), ("no", {"adult": False}, {})],
    "additional_image_link": [
        (IMAGES, {"additional_image_link": IMAGES}, {}),
        (IMAGES[0], {"additional_image_link": IMAGES[:1]}, {}),
    ],
    "c__heel": [("70", {}, {"c:heel": "70"}), ("80", {}, {"c:heel": "80"}), ("", {}, {})],
    "note": [("n", {}, {"note": "n"}), (["n", "m"], {}, {"note": ["n", "m"]})],
}
REQUIRED = ("title", "price")
OPTIONAL = tuple(name for name in ELEMENTS if name not in REQUIRED)
WRONG: Written = ("free", {}, {})  # as a price or a link


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
    """One product; `values` are its columns and `extra`. `setters` says of each field which import set it, if any."""

    values: dict[str, Any]
    feed: int | None
    born: int
    setters: dict[str, int | None]
    version: int = 1
    archived: bool = False
    pinned: list[str] = field(default_factory=list)


@dataclass
class Change:
    operation: str
    before: dict[str, Any]
    after: dict[str, Any]
    base: int | None
    pinned: dict[str, Any] | None = None
    outcome: str = "proposed"
    made: int = 0
    values: dict[str, Any] = field(default_factory=dict)  # of a new product
    setters: dict[str, int | None] = field(default_factory=dict)  # of the product before

    @property
    def spoken(self) -> set[str]:
        """The fields that it speaks of: those that differ, changed or kept; of `extra` each name."""
        both = {name: (self.before[name], value) for name, value in self.after.items()}
        both |= {name: (values["kept"], values["file"]) for name, values in (self.pinned or {}).items()}
        old, new = both.pop("extra", ({}, {}))
        return {*both, *(f"extra.{name}" for name in {*old, *new} if old.get(name) != new.get(name))}


@dataclass
class Run:
    number: int
    feed: int
    planned: int
    counts: Counter[str]
    changes: dict[str, Change] = field(default_factory=dict)


class Naive:
    """A catalogue, and what imports and people do to it."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.clock = 0

    def tick(self) -> int:
        self.clock += 1
        return self.clock

    # --- imports --------------------------------------------------------------------------------------
    def plan(self, number: int, file: list[Item], mode: str, feed: int) -> Run:
        run = Run(number, feed, self.tick(), Counter(items=len(file)))
        names = {name for found in file for name in found.names}
        winners: dict[str, Item] = {}
        for found in file:
            if not self._is_enough(found, names):
                run.counts["invalid"] += 1
                continue
            run.counts["duplicate"] += found.id in winners
            winners[found.id] = found
        for id, found in winners.items():
            run.counts[self._planned(run, names, id, found, mode)] += 1
        if mode == Mode.SYNC:
            named = {found.id for found in file}
            for id, row in self.rows.items():
                if row.feed == feed and not row.archived and id not in named:
                    run.changes[id] = Change("archive", {}, {}, row.version)
                    run.counts["archived"] += 1
        run.counts["pinned"] = sum(change.operation == "keep" for change in run.changes.values())
        return run

    def _is_enough(self, found: Item, names: set[str]) -> bool:
        """Whether the item has all that it needs: a new product more than one that is on sale."""
        row = self.rows.get(found.id)
        return found.valid and (names >= {*REQUIRED} or (row is not None and not row.archived))

    def _planned(self, run: Run, names: set[str], id: str, found: Item, mode: str) -> str:
        """Plan one item; in which count it is."""
        row = self.rows.get(id)
        if row is None:
            columns = {name: BLANK[name] if value is UNREAD else value for name, value in found.columns.items()}
            run.changes[id] = Change("create", {}, {}, None, values={**columns, "extra": found.extra})
            return "created"
        is_full = names >= {*REQUIRED}
        if mode == Mode.ADD or (row.feed not in (None, run.feed) and (is_full or row.archived)):
            return "existing"
        spoken = names | ({"currency"} if "price" in names else set())
        new = {name: found.columns[name] for name in SHARED if name in spoken}
        self._keep_known(row, new)
        kept = {name: value for name, value in row.values["extra"].items() if name not in names}
        new["extra"] = kept | found.extra
        differing = {name for name in new if new[name] != row.values[name]}
        held = {name for name in differing if name in row.pinned or name in self._held_amounts(row, new)}
        if not differing and not row.archived:
            return "unchanged"
        operation = "restore" if row.archived else "update" if differing - held else "keep"
        run.changes[id] = Change(
            operation,
            {name: row.values[name] for name in differing - held},
            {name: new[name] for name in differing - held},
            row.version,
            {name: {"kept": row.values[name], "file": new[name]} for name in held} or None,
            "pinned" if operation == "keep" else "proposed",
        )
        return "unchanged" if operation == "keep" else "changed"

    @staticmethod
    def _keep_known(row: Row, new: dict[str, Any]) -> None:
        """What is not understood stays as it is known; of a sale only as long as the price does."""
        if new.get("currency") is UNREAD:
            new["currency"] = row.values["currency"]
        is_same_price = all(new[name] == row.values[name] for name in ("price", "currency") if name in new)
        for name in [name for name, value in new.items() if value is UNREAD]:
            new[name] = row.values[name] if name != "sale_price" or is_same_price else None

    @staticmethod
    def _held_amounts(row: Row, new: dict[str, Any]) -> set[str]:
        other = "currency" in new and new["currency"] != row.values["currency"]
        return AMOUNTS if other and AMOUNTS & {*row.pinned} else set()

    def apply(self, run: Run) -> None:
        """Also what was undone, again."""
        now = self.tick()
        for change in run.changes.values():
            if change.outcome in ("kept", "gone"):
                change.outcome = "applied"
        for id, change in run.changes.items():
            if change.outcome in ("proposed", "undone"):
                self._apply(run, id, change, now)
        for name in ("undone", "kept", "gone"):
            run.counts[name] = 0

    def _apply(self, run: Run, id: str, change: Change, now: int) -> None:
        row = self.rows.get(id)
        if (row.version if row else None) != change.base or (row and row.born > run.planned):
            change.outcome = "conflict"
            counted = {"create": "created", "archive": "archived"}.get(change.operation, "changed")
            run.counts[counted] -= 1
            run.counts["archive_conflict" if change.operation == "archive" else "conflict"] += 1
            return
        change.outcome, change.made = "applied", now
        if row is None:
            filled = [name for name, value in change.values.items() if value not in (None, "", [], {})]
            self.rows[id] = Row(deepcopy(change.values), run.feed, now, dict.fromkeys(filled, run.number))
            return
        change.setters = dict(row.setters)
        self._lay(row, change.after, run.number)
        row.archived = change.operation == "archive"

    def undo(self, run: Run) -> None:
        now = self.tick()
        for id, change in run.changes.items():
            if change.outcome != "applied":
                continue
            row = self.rows.get(id)
            if row is None:
                change.outcome = "gone"
            elif row.version != (change.base or 0) + 1 or row.born > change.made:
                change.outcome = "kept"
            else:
                self._undo(id, row, change, now)
            run.counts[change.outcome] += 1

    def _undo(self, id: str, row: Row, change: Change, now: int) -> None:
        change.outcome, change.made = "undone", now
        if change.operation == "create":
            del self.rows[id]
            return
        self._lay(row, change.before, None)
        row.archived = change.operation == "restore"
        row.setters = change.setters
        change.base = row.version

    @staticmethod
    def _lay(row: Row, values: dict[str, Any], number: int | None) -> None:
        row.values = {**row.values, **deepcopy(values)}
        row.setters = {**row.setters, **dict.fromkeys(values, number)}
        row.version += 1

    # --- people ---------------------------------------------------------------------------------------
    def edit(self, id: str, *, archived: bool, pinned: list[str], **values: Any) -> None:
        row = self.rows[id]
        self._lay(row, {name: value for name, value in values.items() if row.values[name] != value}, None)
        row.archived = archived
        if row.pinned != pinned:
            row.pinned, row.setters["pinned"] = pinned, None

    def make(self, id: str, title: str) -> None:
        self.rows[id] = Row({**BLANK, "title": title, "extra": {}}, None, self.tick(), {"title": None})

    def remove(self, id: str) -> None:
        del self.rows[id]
