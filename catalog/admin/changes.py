"""The lists of an import's page of what it would do to products, did, or left alone."""

from collections import Counter
from typing import Any
from urllib.parse import urlencode

from django.forms.models import model_to_dict
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from catalog.admin.differences import field_differences, field_label, product_facts
from catalog.admin.pictures import thumbnail
from catalog.admin.tabs import Tab
from catalog.feeds.issues import code_named
from catalog.imports.planning.changed_fields import EXTRA_PREFIX
from catalog.imports.planning.facets import MAX_VALUES, replaced_edits
from catalog.imports.reports.changes import (
    FACETS,
    changes_with,
    count_found,
    facets_of,
    filtered_facets,
    find_changes,
    numbers_by_field,
    numbers_by_operation,
    sync_before,
    with_new_items,
)
from catalog.imports.reports.pages import of_operation
from catalog.models import Change, ImportRun, Mode, Operation, Outcome, Product, Status
from catalog.models.fields import SHARED

# The bars of `catalog.imports.planning.facets.PRICE_STEPS`.
PRICE_LABELS = (
    _("fall by more than 50 %"),
    _("fall by 20 to 50 %"),
    _("fall by 5 to 20 %"),
    _("fall by up to 5 %"),
    _("rise by up to 5 %"),
    _("rise by 5 to 20 %"),
    _("rise by 20 to 50 %"),
    _("rise by 50 % or more"),
)
# What the list is filtered by beside operation and field: the facet, and the choice of all.
FACET_LABELS = {
    "brand": _("All brands"),
    "product_type": _("All product types"),
    "gender": _("All genders"),
    "condition": _("All conditions"),
    "currency": _("All currencies"),
    "move": _("All moves of the price"),
    "issue": _("With and without issues"),
    "edit": _("All, whoever edited"),
}
SORTS = {"falls": ("share", _("Biggest falls of the price")), "rises": ("-share", _("Biggest rises of the price"))}
SHIFT_LABELS = {
    "brand": _("brand"),
    "product_type": _("product type"),
    "gender": _("gender"),
    "condition": _("condition"),
}


class ChangesTab(Tab):
    key = "changes"
    label = _("Changes")
    filters = ("operation", "outcome", "product_id", "field", "q", "to", *FACETS, "sort")
    template = "admin/catalog/importrun/_changes.html"

    def count_rows(self, run: ImportRun) -> int:
        changes = run.created + run.changed + run.archived + run.conflict + run.archive_conflict + run.pinned
        changes += run.left_out + run.archive_left_out
        return 0 if run.status == Status.DISCARDED else changes

    def chosen_filters(self, request: HttpRequest) -> dict[str, str]:
        """The filters, without blanks around what was typed."""
        stripped = {name: value.strip() for name, value in super().chosen_filters(request).items()}
        return {name: value for name, value in stripped.items() if value}

    def context(self, run: ImportRun, request: HttpRequest) -> dict[str, Any]:
        chosen = self.chosen_filters(request)
        filters = {name: value for name, value in chosen.items() if name != "sort"}
        by, _label = SORTS.get(chosen.get("sort", ""), ("", ""))
        has_facets = bool(run.meaning.get("facets"))
        is_narrow = bool(by or filters.keys() & {*FACETS})
        # What is left out has no narrow row, and may be in the wide list.
        is_whole = is_narrow or not (run.left_out or run.archive_left_out or "outcome" in filters)
        is_counted = bool(has_facets and filters and is_whole)
        listed = find_changes(run, **{name: filters[name] for name in filters.keys() - {*FACETS}})
        facets = filtered_facets(run, listed, **filters)
        counted = count_found(run, facets) if is_counted else None
        found = counted.values if counted else None
        if is_narrow or (is_counted and listed.words is not None):
            narrow = facets_of(run, counted.changes) if counted else facets
            context = self.page_context(request, narrow, "change_id", by)
            changes = run.changes.in_bulk([each.change_id for each in context["rows"]])
            context["rows"] = [changes[each.change_id] for each in context["rows"]]
        else:
            context = self.page_context(request, with_new_items(run, listed), "id")
        context["rows"] = rows_of(run, context["rows"])
        return context | {
            "corrected": listed.corrected,
            "chosen_label": name_of_field(chosen.get("field", "")),
            "chosen_shift": shift_in_words(chosen),
            "kinds": kind_chips(run, chosen, found),
            "fields": field_choices(run, chosen),
            "facets": facet_choices(run, filters, found) if has_facets else [],
            "sorts": [(name, label) for name, (_by, label) in SORTS.items()] if run.meaning.get("prices") else [],
            "found": sum(found["operation"].values()) if found else None,
            "is_over": is_counted and found is None,
        }


# How many of what was found have each value of each facet; None where that is not counted.
Found = dict[str, dict[Any, int]] | None


class MissingTab(Tab):
    """The feed's products that are not in the file, of a run that archives them."""

    key = "missing"
    label = _("Missing from the file")
    template = "admin/catalog/importrun/_missing.html"

    def is_for(self, run: ImportRun) -> bool:
        return run.mode == Mode.SYNC

    def count_rows(self, run: ImportRun) -> int:
        missing = run.archived + run.archive_conflict + run.archive_left_out
        return 0 if run.status == Status.DISCARDED else missing

    def context(self, run: ImportRun, request: HttpRequest) -> dict[str, Any]:
        missing = run.changes.filter(**of_operation(Operation.ARCHIVE))
        context = self.page_context(request, missing, "id")
        context["rows"] = rows_of(run, context["rows"])
        context["missing"] = self.count_rows(run)
        context["before"] = sync_before(run)
        return context


def kind_chips(run: ImportRun, chosen: dict[str, str], found: Found = None) -> list[dict[str, Any]]:
    """The chips above the list. Each keeps the other filters, and has a number if it is that of the list.

    What is left out is no part of the plan, so its brands and prices are not known: that chip keeps only the field.
    The numbers are the run's own. Only the few products that return from the archive are counted in the table.
    """
    others = {name: value for name, value in chosen.items() if name not in ("operation", "outcome")}
    restored_changes = run.changes.filter(operation=Operation.RESTORE)
    restored = restored_changes.exclude(outcome__in=[Outcome.CONFLICT, Outcome.LEFT_OUT]).count()
    by_operation = {
        Operation.CREATE: run.created,
        Operation.UPDATE: run.changed - restored,
        Operation.RESTORE: restored,
        Operation.ARCHIVE: run.archived,
        Operation.KEEP: run.pinned,
    }
    if run.status == Status.DISCARDED:
        by_operation = {}
    elif field := others.get("field"):
        numbers = numbers_by_operation(run, field)
        by_operation = {operation: numbers.get(operation, 0) for operation in by_operation}
    by_outcome = {
        Outcome.LEFT_OUT: (_("Left out"), changes_with(run, outcome=Outcome.LEFT_OUT).count()),
        Outcome.CONFLICT: (_("Left alone"), run.conflict + run.archive_conflict),
        Outcome.UNDONE: (_("Undone"), run.undone),
        Outcome.KEPT: (_("Not undone: changed since"), run.kept),
        Outcome.GONE: (_("Not undone: gone"), run.gone),
    }
    is_searched = not others.keys() <= {"field", "sort"}
    is_exact = not is_searched
    if is_searched and found is not None and not chosen.keys() & {"operation", "outcome"}:
        is_exact, by_operation = True, {operation: found["operation"].get(operation, 0) for operation in by_operation}
    of_field = {name: value for name, value in others.items() if name == "field"}
    kept = {outcome: of_field if outcome == Outcome.LEFT_OUT else others for outcome in by_outcome}
    kinds: list[tuple[str, str, Any, int, bool, dict[str, str]]] = [
        *(("operation", op.value, op.label, count, is_exact, others) for op, count in by_operation.items()),
        *(
            ("outcome", outcome.value, label, count, not kept[outcome].keys() - {"sort"}, kept[outcome])
            for outcome, (label, count) in by_outcome.items()
        ),
    ]

    def address(filters: dict[str, str]) -> str:
        return "?" + urlencode({"tab": ChangesTab.key, **filters})

    return [{"label": _("All"), "query": address(others), "is_chosen": len(others) == len(chosen)}] + [
        {
            "label": label,
            "count": count if is_shown else None,
            "query": address(filters | {name: value}),
            "is_chosen": chosen.get(name) == value,
        }
        for name, value, label, count, is_shown, filters in kinds
        if count or (name == "operation" and chosen.get(name) == value)
    ]


def facet_choices(run: ImportRun, filters: dict[str, str], found: Found) -> list[dict[str, Any]]:
    """What the list can be narrowed to, each with its number where that is known.

    Numbers are those of the plan while nothing else is chosen, and else of what was found.
    """
    facets = []
    for name, all_label in FACET_LABELS.items():
        planned = dict(run.meaning.get("facets", {}).get(name, []))
        value: Any = filters.get(name)
        value = int(value) if name == "move" and value and value.isdecimal() else value
        counts: dict[Any, int | None]
        if not filters.keys() - {name}:
            counts = dict(planned)
        elif found is None:
            counts = dict.fromkeys(planned)
        elif value is None:
            counts = dict(Counter(found[name]).most_common(MAX_VALUES))
        else:
            counts = dict.fromkeys(planned)
        if value is not None:
            counts[value] = counts.get(value) or (found[name].get(value, 0) if found else None)
        choices = [
            {"value": each, "label": facet_label(name, each), "count": count, "is_chosen": each == value}
            for each, count in counts.items()
            if (each != "" and count != 0) or each == value
        ]
        if name == "move":
            choices.sort(key=lambda choice: str(choice["value"]))
        if value is not None or len(choices) > (name not in ("move", "issue", "edit")):
            facets.append({"name": name, "all_label": all_label, "choices": choices, "is_chosen": value is not None})
    return facets


def facet_label(name: str, value: Any) -> Any:
    if name == "move":
        return PRICE_LABELS[value] if isinstance(value, int) and value < len(PRICE_LABELS) else value
    if name == "issue":
        return code_named(value).title
    if name == "edit":
        return _("Replaces a person’s edit")
    return str(value).replace("_", " ") if name in ("gender", "condition") else value


def shift_in_words(chosen: dict[str, str]) -> str:
    """Which products a bar of *What it means* lists."""
    for shift, words in (("gain", _("What %(name)s “%(value)s” gets")), ("loss", _("What %(name)s “%(value)s” loses"))):
        name, _colon, value = chosen.get(shift, "").partition(":")
        if name in SHIFT_LABELS:
            return words % {"name": SHIFT_LABELS[name], "value": value}
    return ""


def name_of_field(name: str) -> str:
    """The field of a plan as people know it."""
    return field_label(name) if name in SHARED or name == "pinned" else name.removeprefix(EXTRA_PREFIX)


def field_choices(run: ImportRun, chosen: dict[str, str]) -> list[dict[str, Any]]:
    """The fields to choose from, those with most changes first; each has a number if it is that of the list."""
    numbers = numbers_by_field(run, chosen.get("operation", ""))
    is_exact = chosen.keys() <= {"operation", "field"}
    names = sorted(numbers, key=lambda name: (-numbers[name], name))
    if (field := chosen.get("field")) and field not in numbers:
        names.append(field)
    return [
        {
            "name": name,
            "label": name_of_field(name),
            "count": numbers.get(name, 0) if is_exact else None,
        }
        for name in names
    ]


_HINTS = {
    Operation.ARCHIVE: _("It is no longer in the file. It stays in the archive and can come back."),
    Operation.RESTORE: _("It comes back from the archive unchanged."),
}
_USUAL_OUTCOMES = (Outcome.PROPOSED, Outcome.APPLIED, Outcome.PINNED)


def badge_of(change: Change) -> Any:
    """What is unusual about a change; "" if nothing is."""
    if change.outcome not in _USUAL_OUTCOMES:
        return change.get_outcome_display()
    return "" if change.left_out is None else _("Partly left out")


def rows_of(run: ImportRun, changes: list[Change]) -> list[dict[str, Any]]:
    """Each change as the lists show it, with the product as it would be, or is: four queries for the whole page."""
    ids = [change.product_id for change in changes]
    products = {product.id: product for product in Product.objects.in_market(run.market_id).filter(id__in=ids)}
    positions = [change.position for change in changes if change.operation == Operation.CREATE and change.position]
    staged = {item.position: item for item in run.staged.filter(position__in=positions)}
    has_replaced = run.meaning.get("facets", {}).get("edit")
    replaced = replaced_edits(run, [change.pk for change in changes]) if has_replaced else {}
    rows = []
    for change in changes:
        is_new = change.operation == Operation.CREATE
        item: Any = staged.get(change.position or 0)
        # The product of a conflict with a new one is not the plan's: another import created it in between.
        if item is None and not (is_new and change.outcome == Outcome.CONFLICT):
            item = products.get(change.product_id)
        currency = item.currency if item else ""
        if not is_new:
            fields = list(field_differences(change, currency))
        elif item:
            values = model_to_dict(item) | {"id": change.product_id}
            fields = list(product_facts(values, currency, change.left_out or {}))
        else:
            fields = []
        rows.append(
            {
                "change": change,
                "item": item,
                "picture": thumbnail(item.image_link, item) if item else "",
                "fields": fields,
                "is_new": is_new,
                "kind": change.operation,
                "label": change.get_operation_display(),
                "badge": badge_of(change),
                "replaced": replaced.get(change.pk),
                "headings": (_("Old"), _("New")),
                "hint": "" if fields else _HINTS.get(Operation(change.operation), ""),
                "in_catalogue": change.product_id in products,
            }
        )
    return rows
