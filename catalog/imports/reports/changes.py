"""Lists of a run's changes: by operation, outcome, product and field."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet
from django.db.models.expressions import RawSQL

from catalog.errors import NotPossible
from catalog.imports.reports.pages import Rows, of_operation
from catalog.models import Change, ImportRun, Mode, Product
from catalog.models.changes import UNUSUAL
from catalog.models.product import SEARCH_CHARS

EXTRA_PREFIX = "extra."  # in the names of fields that are names in `extra`
MAX_FOUND_PRODUCTS = 1000  # products that a text may find
MAX_SEARCHED_CHANGES = 5000  # a plan of so few is searched itself, whatever else in the catalogue has the words


def changes_with(run: ImportRun, *, operation: str = "", outcome: str = "", product_id: str = "") -> QuerySet[Change]:
    """The run's changes, all or those of one operation, one outcome or one product."""
    by_outcome = "unusual" if outcome in UNUSUAL else "outcome"
    chosen = {name: value for name, value in ((by_outcome, outcome), ("product_id", product_id)) if value}
    return run.changes.filter(**chosen, **(of_operation(operation) if operation else {}))


def filtered_changes(run: ImportRun, *, field: str = "", q: str = "", **chosen: str) -> Rows[Change]:
    """As `changes_with`, also only those that concern one field, or products that a text finds.

    Raises `NotPossible` when the text finds more than `MAX_FOUND_PRODUCTS`.
    """
    rows = changes_with(run, **chosen)
    if q:
        rows = rows.filter(pk__in=_changes_of_products(run, q))
        return [(_with_field(rows, field) if field else rows).order_by("id")]
    return _changes_of_field(rows, run, field) if field else rows


def _changes_of_products(run: ImportRun, text: str) -> list[int]:
    """The run's changes of products whose id begins so; if there are none, of those in the catalogue with the words."""
    text = text[:SEARCH_CHARS]
    begun = run.changes.filter(product_id__gte=text, product_id__lt=f"{text}\U0010ffff")
    if found := _at_most([*begun.values_list("pk", flat=True).order_by()[: MAX_FOUND_PRODUCTS + 1]]):
        return found
    products = Product.objects.search(text, market=run.market_id)
    changed_ids = run.changes.values_list("product_id", flat=True).order_by()
    size = sum((run.created, run.changed, run.archived, run.pinned, run.conflict, run.archive_conflict))
    if size <= MAX_SEARCHED_CHANGES:
        products = products.filter(id__in=changed_ids)
    ids = _at_most(products.some_ids(MAX_FOUND_PRODUCTS + 1))
    return [*run.changes.filter(product_id__in=ids).values_list("pk", flat=True).order_by()]


def _at_most(found: list[Any]) -> list[Any]:
    """The list, unless it is longer than `MAX_FOUND_PRODUCTS`."""
    if len(found) > MAX_FOUND_PRODUCTS:
        limit = f"{MAX_FOUND_PRODUCTS:,}"
        raise NotPossible("too_many", f"More than {limit} products match. Type more of the id, or more words.")
    return found


def sync_before(run: ImportRun) -> ImportRun | None:
    """The feed's last run before this one that was planned as a sync."""
    return ImportRun.objects.before(run).planned().filter(mode=Mode.SYNC).first()


# --- by field -----------------------------------------------------------------------------------------


def numbers_by_field(run: ImportRun, operation: str = "") -> dict[str, int]:
    """How many changes concern each field: all of them, or those of one operation."""
    fields = run.changed_fields.filter(**({"operation": operation} if operation else {}))
    counted: Counter[str] = Counter()
    for name, number in fields.values_list("name", "number"):
        counted[name] += number
    return dict(counted)


def numbers_by_operation(run: ImportRun, field: str) -> dict[str, int]:
    """How many changes of each operation concern the field."""
    return dict(run.changed_fields.filter(name=field).values_list("operation", "number"))


def _changes_of_field(rows: QuerySet[Change], run: ImportRun, name: str) -> list[QuerySet[Change]]:
    """The rows, of this run's changes, that concern the field: a list per operation, each in the order of an index."""
    is_listed = ExpressionWrapper(Q(changes__isnull=False), BooleanField())
    lists = []
    for field in run.changed_fields.filter(name=name).defer("changes").annotate(is_listed=is_listed):
        if field.is_listed:
            # By key, one by one: for a join the planner would expect to read all of the run's changes.
            listed = """
                catalog_change.id = ANY((
                    SELECT changes FROM catalog_changedfield WHERE (run_id, operation, name) = (%s, %s, %s)
                )::bigint[])
            """
            chosen = RawSQL(listed, field.pk, output_field=BooleanField())  # noqa: S611 - the key is a parameter
            lists.append(rows.filter(chosen).order_by("id"))
        else:
            # Nothing is read before the field's first change, nor after its last.
            between = rows.filter(**of_operation(field.operation), pk__range=(field.first, field.last))
            lists.append(_with_field(between, name).order_by("operation", "id"))
    return lists


def _with_field(rows: QuerySet[Change], name: str) -> QuerySet[Change]:
    """The rows that concern the field, each looked at: for a few rows."""
    if name.startswith(EXTRA_PREFIX):
        concerns = RawSQL(
            """(
                (before -> 'extra' -> %s) IS DISTINCT FROM (after -> 'extra' -> %s)
                OR (pinned #> ARRAY['extra', 'kept', %s]) IS DISTINCT FROM (pinned #> ARRAY['extra', 'file', %s])
            )""",
            [name.removeprefix(EXTRA_PREFIX)] * 4,
        )
    else:
        concerns = RawSQL("(after ? %s OR COALESCE(pinned ? %s, false))", [name] * 2)
    return rows.alias(concerns=concerns).filter(concerns=True)
