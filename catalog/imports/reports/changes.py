"""Lists of a run's changes: by operation, outcome, product and field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from django.db.models import BooleanField, ExpressionWrapper, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.expressions import RawSQL

from catalog.imports.planning.changed_fields import EXTRA_PREFIX
from catalog.imports.planning.meaning import PRICE_BAR
from catalog.imports.reports.pages import Rows, of_operation
from catalog.models import Change, ImportRun, Mode, Outcome, Product
from catalog.models.changes import UNUSUAL
from catalog.models.product import SEARCH_CHARS, ProductQuerySet

MAX_LISTED_CHANGES = 5000  # so many that a text finds are looked up by key; of more the first ones are soon met
MAX_SEARCHED_CHANGES = 5000  # a plan of so few is searched itself, whatever else in the catalogue has the words


def changes_with(run: ImportRun, *, operation: str = "", outcome: str = "", product_id: str = "") -> QuerySet[Change]:
    """The run's changes, all or those of one operation, one outcome or one product.

    The outcome *left out* has every change of which a part was.
    """
    rows = run.changes.filter(**(of_operation(operation) if operation else {}))
    if operation:
        rows = rows.exclude(outcome=Outcome.LEFT_OUT)
    if outcome == Outcome.LEFT_OUT:
        rows = rows.filter(left_out__isnull=False)
    elif outcome:
        rows = rows.filter(**{"unusual" if outcome in UNUSUAL else "outcome": outcome})
    return rows.filter(product_id=product_id) if product_id else rows


def filtered_changes(
    run: ImportRun, *, field: str = "", q: str = "", move: str = "", to: str = "", **chosen: str
) -> tuple[Rows[Change], Mapping[str, str]]:
    """As `changes_with`, also only those that concern one field, or whose product a text finds.

    `move` is a bar of the histogram of prices, `to` an availability that products get; either chooses the field, too.
    With them the words of the text that were corrected, each with what it was taken for.
    """
    rows = changes_with(run, **chosen)
    if move:
        bar = int(move) if move.isdecimal() and len(move) < 3 else -1
        field, rows = "price", _with(rows, f"({PRICE_BAR}) = %s", bar)
    elif to:
        field, rows = "availability", _with(rows, "change.after ->> 'availability' = %s", to)
    if not q:
        return _changes_of_field(rows, run, field) if field else rows, {}
    corrected: Mapping[str, str] = {}
    text = q[:SEARCH_CHARS]
    begun = run.changes.filter(product_id__gte=text, product_id__lt=f"{text}\U0010ffff")
    pks = [*begun.values_list("pk", flat=True).order_by()[: MAX_LISTED_CHANGES + 1]]
    if len(pks) > MAX_LISTED_CHANGES:
        rows = rows.filter(product_id__gte=text, product_id__lt=f"{text}\U0010ffff")
    elif pks:
        rows = rows.filter(pk__in=pks)
    else:
        products = Product.objects.search(text, market=run.market_id)
        rows, corrected = _changes_of_products(rows, run, products), products.corrected
    return _with_field(rows, field) if field else rows, corrected


def _changes_of_products(rows: QuerySet[Change], run: ImportRun, products: ProductQuerySet) -> QuerySet[Change]:
    """The rows whose product is one of these.

    A few products lead to their changes. Of many, or in a small plan, each change's product is asked for the words:
    then a page is soon full.
    """
    if products.query.is_empty():
        return rows.none()
    size = sum((run.created, run.changed, run.archived, run.pinned, run.conflict, run.left_out))
    if size > MAX_SEARCHED_CHANGES:
        ids = products.some_ids(MAX_LISTED_CHANGES + 1)
        if len(ids) <= MAX_LISTED_CHANGES:
            found = run.changes.filter(product_id__in=ids).values_list("pk", flat=True).order_by()
            return rows.filter(pk__in=[*found])
    own = products.order_by().filter(id=OuterRef("product_id")).values(is_found=Value(True))[:1]
    return rows.filter(Subquery(own, output_field=BooleanField()))


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


def _with(rows: QuerySet[Change], condition: str, value: Any) -> QuerySet[Change]:
    """The rows that meet the condition on `change`, in SQL, each looked at."""
    own = f"(SELECT {condition} FROM (SELECT catalog_change.before, catalog_change.after) AS change)"
    met = RawSQL(own, [value], output_field=BooleanField())  # noqa: S611 - the value is a parameter
    return rows.filter(met)


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
