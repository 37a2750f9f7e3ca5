"""A product's history as its page shows it."""

from typing import Any

from catalog.admin.differences import as_text, differences, facts, label, shown
from catalog.imports.reports.history import HistoryEvent, product_history
from catalog.models import Operation, Product
from catalog.models.fields import SHARED

SHOWN_EVENTS = 100


def history_context(product: Product) -> dict[str, Any]:
    """Each filled field with the event that set it, and the newest events."""
    told = product_history(product)
    fields = [
        {"label": label(name), "value": shown(name, value, product.currency), "event": told.setters.get(name)}
        for name in SHARED
        if (value := getattr(product, name)) not in (None, "", []) or name in told.setters
    ]
    fields += [
        {"label": name, "value": as_text(value), "event": told.extra_setters.get(name)}
        for name, value in sorted(product.extra.items())
    ]
    return {
        "fields": fields,
        "events": [_row(event, product) for event in told.events[:SHOWN_EVENTS]],
        "more": max(len(told.events) - SHOWN_EVENTS, 0),
    }


def _row(event: HistoryEvent, product: Product) -> dict[str, Any]:
    change = event.change
    if change.operation == Operation.CREATE:
        fields = list(
            facts({**event.values, "id": product.pk}, event.values.get("currency", "")) if event.values else []
        )
    else:
        fields = list(differences(change, product.currency))
    return {"event": event, "change": change, "fields": fields, "is_new": change.operation == Operation.CREATE}
