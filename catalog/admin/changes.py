"""The lists of an import's page, of what it would do to products, did, or left alone."""

from typing import Any
from urllib.parse import urlencode

from django.forms.models import model_to_dict
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from catalog.admin.differences import differences, facts, label
from catalog.admin.tabs import Tab
from catalog.errors import NotPossible
from catalog.feeds.attributes import BY_NAME
from catalog.imports.planning import changed_fields
from catalog.imports.reports import pages
from catalog.models import Change, ImportRun, Mode, Operation, Outcome, Product, Status


class ChangesTab(Tab):
    key = "changes"
    label = _("Changes")
    filters = ("operation", "outcome", "product_id", "field", "q")
    template = "admin/catalog/importrun/_changes.html"

    def count(self, run: ImportRun) -> int:
        changes = run.created + run.changed + run.archived + run.conflict + run.archive_conflict + run.pinned
        return 0 if run.status == Status.DISCARDED else changes

    def chosen(self, request: HttpRequest) -> dict[str, str]:
        """What is typed has no blanks at its ends."""
        stripped = {name: value.strip() for name, value in super().chosen(request).items()}
        return {name: value for name, value in stripped.items() if value}

    def context(self, run: ImportRun, request: HttpRequest) -> dict[str, Any]:
        chosen = self.chosen(request)
        refused = ""
        try:
            rows = pages.filtered_changes(run, **chosen)
        except NotPossible as error:
            rows, refused = run.changes.none(), str(error)
        context = self.page(request, rows, "id")
        context["rows"] = with_products(run, context["rows"])
        context["refused"] = refused
        context["kinds"] = _kinds(run, chosen)
        context["fields"] = _fields(run, chosen)
        return context


class MissingTab(Tab):
    """The feed's products that are not in the file, of a run that archives them."""

    key = "missing"
    label = _("Missing from the file")
    template = "admin/catalog/importrun/_missing.html"

    def is_for(self, run: ImportRun) -> bool:
        return run.mode == Mode.SYNC

    def count(self, run: ImportRun) -> int:
        return 0 if run.status == Status.DISCARDED else run.archived + run.archive_conflict

    def context(self, run: ImportRun, request: HttpRequest) -> dict[str, Any]:
        context = self.page(request, pages.changes_with(run, operation=Operation.ARCHIVE), "id")
        context["rows"] = with_products(run, context["rows"])
        context["missing"] = self.count(run)
        context["before"] = pages.sync_before(run)
        return context


def _kinds(run: ImportRun, chosen: dict[str, str]) -> list[dict[str, Any]]:
    """The chips over the list, which keep the other filters. A number is shown where it is that of the list."""
    others = {name: value for name, value in chosen.items() if name not in ("operation", "outcome")}
    searched = "q" in others or "product_id" in others
    operations, outcomes = _operation_counts(run), _outcome_counts(run)
    if field := others.get("field"):
        numbers = changed_fields.numbers_by_operation(run, field)
        operations = [(value, label, numbers.get(value, 0)) for value, label, _count in operations]
    chips = [("operation", *kind, not searched) for kind in operations]
    chips += [("outcome", *kind, not others) for kind in outcomes]
    return [{"label": _("All"), "query": _query(others), "is_chosen": len(others) == len(chosen)}] + [
        {
            "label": label,
            "count": count if is_exact else None,
            "query": _query(others | {name: value}),
            "is_chosen": chosen.get(name) == value,
        }
        for name, value, label, count, is_exact in chips
        if count or chosen.get(name) == value
    ]


def _query(chosen: dict[str, str]) -> str:
    return "?" + urlencode({"tab": ChangesTab.key, **chosen})


def _fields(run: ImportRun, chosen: dict[str, str]) -> list[dict[str, Any]]:
    """The fields to choose from, those of most changes first; the number where it is that of the list."""
    numbers = changed_fields.numbers_by_field(run, chosen.get("operation", ""))
    is_exact = chosen.keys() <= {"operation", "field"}
    names = sorted(numbers, key=lambda name: (-numbers[name], name))
    if (field := chosen.get("field")) and field not in numbers:
        names.append(field)
    return [
        {"name": name, "label": _label(name), "count": numbers.get(name, 0) if is_exact else None} for name in names
    ]


def _label(name: str) -> str:
    known = name in BY_NAME or name in ("currency", "pinned")
    return label(name) if known else name.removeprefix(changed_fields.EXTRA_PREFIX)


def _operation_counts(run: ImportRun) -> list[tuple[str, Any, int]]:
    """What the chips over the list say: the run's own counts. Only the few that return are counted in the table."""
    if run.status == Status.DISCARDED:
        return []
    restored = run.changes.filter(operation=Operation.RESTORE).exclude(outcome=Outcome.CONFLICT).count()
    numbers = {
        Operation.CREATE: run.created,
        Operation.UPDATE: run.changed - restored,
        Operation.RESTORE: restored,
        Operation.ARCHIVE: run.archived,
        Operation.KEEP: run.pinned,
    }
    return [(operation.value, operation.label, number) for operation, number in numbers.items()]


def _outcome_counts(run: ImportRun) -> list[tuple[str, Any, int]]:
    """What became of the changes, where it is not the usual."""
    numbers = {
        Outcome.CONFLICT: (_("Left alone"), run.conflict + run.archive_conflict),
        Outcome.UNDONE: (_("Undone"), run.undone),
        Outcome.KEPT: (_("Not undone: changed since"), run.kept),
        Outcome.GONE: (_("Not undone: gone"), run.gone),
    }
    return [(outcome.value, label, number) for outcome, (label, number) in numbers.items() if number]


_HINTS = {
    Operation.ARCHIVE: _("It is no longer in the file. It stays in the archive and can come back."),
    Operation.RESTORE: _("It comes back from the archive unchanged."),
}


def with_products(run: ImportRun, changes: list[Change]) -> list[dict[str, Any]]:
    """Each change with the product as it would be, or is: three queries for the whole page."""
    products = Product.objects.in_bulk([change.product_id for change in changes])
    positions = [change.position for change in changes if change.operation == Operation.CREATE and change.position]
    staged = {item.position: item for item in run.staged.filter(position__in=positions)}
    rows = []
    for change in changes:
        item: Any = staged.get(change.position or 0)
        if item is None and not _is_somebody_elses(change):
            item = products.get(change.product_id)
        rows.append(_row(change, item) | {"in_catalogue": change.product_id in products})
    return rows


def _row(change: Change, item: Any) -> dict[str, Any]:
    """A change as the lists show it."""
    currency = item.currency if item else ""
    is_new = change.operation == Operation.CREATE
    if is_new:
        fields = list(facts(model_to_dict(item) | {"id": change.product_id}, currency)) if item else []
    else:
        fields = list(differences(change, currency))
    usual = change.outcome in (Outcome.PROPOSED, Outcome.APPLIED, Outcome.PINNED)
    return {
        "change": change,
        "item": item,
        "fields": fields,
        "is_new": is_new,
        "kind": change.operation,
        "label": change.get_operation_display(),
        "badge": "" if usual else change.get_outcome_display(),
        "headings": (_("Old"), _("New")),
        "hint": "" if fields else _HINTS.get(Operation(change.operation), ""),
    }


def _is_somebody_elses(change: Change) -> bool:
    """The product that exists is not the one of the plan: it was created by another import in between."""
    return change.operation == Operation.CREATE and change.outcome == Outcome.CONFLICT
