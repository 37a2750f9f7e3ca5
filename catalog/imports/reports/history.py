"""Which person or import set each field of a product, when, and from where."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime

from catalog.models import Change, Operation, Outcome, Product, Status
from catalog.models.fields import SHARED

_MADE_OUTCOMES = (Outcome.APPLIED, Outcome.UNDONE, Outcome.KEPT, Outcome.GONE)
_BLANK_VALUES: tuple[Any, ...] = (None, "", [], {})


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    """One change of a product, by an import or by hand.

    `by` is the person who edited, confirmed or undid; "" is nobody. `values` are those that a new product began with,
    where they are known.
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

    events: list[HistoryEvent]
    setters: dict[str, HistoryEvent]
    extra_setters: dict[str, HistoryEvent]


def product_history(product: Product) -> History:
    """Reconstructed backwards from the product as it is, because the change that creates one holds no values."""
    changes = Change.objects.filter(product_id=product.id, market=product.market_id, outcome__in=_MADE_OUTCOMES)
    values: dict[str, Any] = {name: getattr(product, name) for name in (*SHARED, "extra", "pinned")}
    history = History([], {}, {})
    is_known = True
    for change in changes.select_related("run").order_by("-made_at", "-id"):
        undone = change.outcome == Outcome.UNDONE
        is_creation = is_known and change.operation == Operation.CREATE and not undone
        began_with = {name: value for name, value in values.items() if is_creation and value not in _BLANK_VALUES}
        event = HistoryEvent(change, change.made_at, _responsible_person(change), undone, began_with)
        history.events.append(event)
        if undone or not is_known:
            continue
        # The event has set the fields that no later one did.
        after = event.values or change.after
        for name in after:
            history.setters.setdefault(name, event)
        old, new = change.before.get("extra") or {}, after.get("extra") or {}
        for name in old.keys() | new.keys():
            if old.get(name) != new.get(name):
                history.extra_setters.setdefault(name, event)
        values |= change.before
        is_known = not is_creation  # what came before was another product with the same id
    return history


def _responsible_person(change: Change) -> str:
    """The person who edited the product; for an import, who confirmed it or, if it was undone, who undid it."""
    if change.run is None:
        return change.actor
    asked = (Status.UNDOING,) if change.outcome == Outcome.UNDONE else (Status.APPLYING, Status.REDOING)
    steps = [step for step in change.run.history if step["status"] in asked]
    times = [(parse_datetime(step["at"]), step) for step in steps]
    before = [step for at, step in times if at and change.made_at and at <= change.made_at]
    return str((before or steps or [{"by": ""}])[-1]["by"])
