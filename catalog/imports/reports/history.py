"""Who or what set each field of a product, when, and from where."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime

from catalog.models import Change, Operation, Outcome, Product, Status
from catalog.models.fields import SHARED

_DONE = (Outcome.APPLIED, Outcome.UNDONE, Outcome.KEPT, Outcome.GONE)
_EMPTY: tuple[Any, ...] = (None, "", [], {})
_ASKED = {False: (Status.APPLYING, Status.REDOING), True: (Status.UNDOING,)}


@dataclass(frozen=True, slots=True)
class Event:
    """One change of a product: of an import, or by hand. `by` is who edited, confirmed or undid; "" is nobody.

    `values` are those that a new product began with, where they are known.
    """

    change: Change
    at: datetime | None
    by: str
    undone: bool
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def run(self) -> int | None:
        return self.change.run_id


@dataclass(frozen=True, slots=True)
class History:
    """A product's events, the newest first, and the event that set each field. In `extra` each name is a field."""

    events: list[Event]
    setters: dict[str, Event]
    extra_setters: dict[str, Event]


def history(product: Product) -> History:
    """Reconstructed backwards from the product as it is, because the change that creates one holds no values."""
    changes = Change.objects.filter(product_id=product.pk, outcome__in=_DONE)
    values: dict[str, Any] = {name: getattr(product, name) for name in (*SHARED, "extra", "pinned")}
    events: list[Event] = []
    setters: dict[str, Event] = {}
    extra_setters: dict[str, Event] = {}
    known = True
    for change in changes.select_related("run").order_by("-made_at", "-id"):
        undone = change.outcome == Outcome.UNDONE
        made = known and change.operation == Operation.CREATE and not undone
        began_with = {name: value for name, value in values.items() if value not in _EMPTY} if made else {}
        event = Event(change, change.made_at, _asked(change, undone), undone, began_with)
        events.append(event)
        if undone or not known:
            continue
        _note(event, setters, extra_setters)
        values |= change.before
        known = not made  # what came before was another product by the same id
    return History(events, setters, extra_setters)


def _note(event: Event, setters: dict[str, Event], extra_setters: dict[str, Event]) -> None:
    """The event has set what no later one did."""
    before, after = event.change.before, event.values or event.change.after
    for name in after:
        setters.setdefault(name, event)
    old, new = before.get("extra") or {}, after.get("extra") or {}
    for name in old.keys() | new.keys():
        if old.get(name) != new.get(name):
            extra_setters.setdefault(name, event)


def _asked(change: Change, undone: bool) -> str:
    """Who edited the product; of an import, who confirmed it or, if it was undone, who undid it."""
    if change.run is None:
        return change.actor
    steps = [step for step in change.run.history if step["status"] in _ASKED[undone]]
    before = [step for step in steps if _is_before(step["at"], change.made_at)]
    return str((before or steps or [{"by": ""}])[-1]["by"])


def _is_before(at: str, moment: datetime | None) -> bool:
    told = parse_datetime(at)
    return bool(told and moment and told <= moment)
