"""A product's history as its page shows it."""

from typing import Any

from catalog.admin.differences import as_text, field_differences, field_label, product_facts, shown_value
from catalog.imports.reports.history import product_history
from catalog.models import Operation, Product
from catalog.models.fields import SHARED

SHOWN_EVENTS = 100


def history_context(product: Product) -> dict[str, Any]:
    """Each filled field with the event that set it, and the newest events."""
    past = product_history(product)
    fields = [
        {
            "label": field_label(name),
            "value": shown_value(name, value, product.currency),
            "event": past.setters.get(name),
        }
        for name in SHARED
        if (value := getattr(product, name)) not in (None, "", []) or name in past.setters
    ]
    fields += [
        {"label": name, "value": as_text(value), "event": past.extra_setters.get(name)}
        for name, value in sorted(product.extra.items())
    ]
    events = []
    for event in past.events[:SHOWN_EVENTS]:
        is_new = event.change.operation == Operation.CREATE
        if not is_new:
            changed = list(field_differences(event.change, product.currency))
        elif event.values:
            changed = list(product_facts({**event.values, "id": product.id}, event.values.get("currency", "")))
        else:
            changed = []
        events.append({"event": event, "change": event.change, "fields": changed, "is_new": is_new})
    return {"fields": fields, "events": events, "more": max(len(past.events) - SHOWN_EVENTS, 0)}
