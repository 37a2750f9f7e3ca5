"""Lists of a run's changes: by operation, outcome, product and field; and by their facets, which are counted."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db.models import BooleanField, Exists, ExpressionWrapper, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.expressions import RawSQL

from catalog.imports.planning.changed_fields import EXTRA_PREFIX
from catalog.imports.planning.facets import DIMENSIONS, PRICE_STEPS
from catalog.imports.reports.pages import Rows, of_operation
from catalog.models import Change, ChangeFacets, ImportRun, Mode, Operation, Outcome, Product
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
    run: ImportRun, *, field: str = "", q: str = "", to: str = "", **chosen: str
) -> tuple[Rows[Change], Mapping[str, str]]:
    """As `changes_with`, also only those that concern one field, or whose product a text finds.

    `to` is an availability that products get; it chooses the field, too. With them the words of the text that were
    corrected, each with what it was taken for.
    """
    rows = changes_with(run, **chosen)
    if to:
        field, rows = "availability", _with(rows, "change.after ->> 'availability' = %s", to)
    if not q:
        return _changes_of_field(rows, run, field) if field else rows, {}
    text = q[:SEARCH_CHARS]
    begun = run.changes.filter(product_id__gte=text, product_id__lt=f"{text}\U0010ffff")
    pks = [*begun.values_list("pk", flat=True).order_by()[: MAX_LISTED_CHANGES + 1]]
    found: Rows[Change]
    corrected: Mapping[str, str] = {}
    if len(pks) > MAX_LISTED_CHANGES:
        found = rows.filter(product_id__gte=text, product_id__lt=f"{text}\U0010ffff")
    elif pks:
        found = rows.filter(pk__in=pks)
    else:
        found, corrected = _changes_with_words(rows, run, text)
    if not field:
        return found, corrected
    if isinstance(found, QuerySet):
        return _with_field(found, field), corrected
    return [_with_field(each, field) for each in found], corrected


def _changes_with_words(rows: QuerySet[Change], run: ImportRun, text: str) -> tuple[Rows[Change], Mapping[str, str]]:
    """The rows whose product has these words, and the new ones whose item has them.

    A word of a new item is no misspelling of one that products have.
    """
    terms = [term for term in text.split() if any(map(str.isalnum, term))]
    products = Product.objects.search(text, market=run.market_id)
    new, corrected = _new_with_words(rows, run, terms), products.corrected
    if corrected and new is not None:
        products, corrected = Product.objects.none(), {}
    elif corrected:
        new = _new_with_words(rows, run, [corrected.get(term, term) for term in terms])
    found = _changes_of_products(rows, run, products)
    if new is None:
        return found, corrected
    if found.query.is_empty():
        return [new], corrected
    others = (found.filter(**of_operation(operation)) for operation in Operation.values if operation != "create")
    return [new, *(each.order_by("operation", "id") for each in others)], corrected


def _new_with_words(rows: QuerySet[Change], run: ImportRun, terms: list[str]) -> QuerySet[Change] | None:
    """The rows of new products whose items have all of the words; None when there are none."""
    words = Q(*(Q(words__contains=term.lower()) for term in terms), operation=Operation.CREATE)
    pks = [*run.facets.filter(words).values_list("change_id", flat=True)[: MAX_LISTED_CHANGES + 1]] if terms else []
    if not pks:
        return None
    created = rows.filter(**of_operation(Operation.CREATE)).order_by("operation", "id")
    if len(pks) <= MAX_LISTED_CHANGES:
        return created.filter(pk__in=pks)
    return created.filter(Exists(run.facets.filter(words, change_id=OuterRef("pk"))))


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


# --- by facets ----------------------------------------------------------------------------------------

MAX_COUNTED_CHANGES = 10_000
# Filters that are columns of the narrow rows, and the others that only these rows know.
COLUMN_FACETS = (*DIMENSIONS, "currency")
FACETS = (*COLUMN_FACETS, "move", "issue", "edit", "gain", "loss")


def filtered_facets(
    run: ImportRun, rows: Rows[Change], *, operation: str = "", **chosen: str
) -> QuerySet[ChangeFacets]:
    """The narrow rows of the changes that pass every filter: those of `FACETS`, and those of `filtered_changes`, which
    gave `rows`.

    `move` is a bar of the histogram of prices, `issue` a code, `gain` and `loss` are like `brand:Acme`.
    """
    facets = run.facets.filter(**({"operation": operation} if operation else {}))
    columns = {name: chosen[name] for name in COLUMN_FACETS if chosen.get(name)}
    facets = facets.filter(**columns)
    if move := chosen.get("move"):
        facets = _with_move(facets, int(move) if move.isdecimal() and len(move) < 3 else -1)
    if code := chosen.get("issue"):
        facets = facets.filter(position__in=run.item_issues.filter(code=code).values("position"))
    if chosen.get("edit"):
        facets = facets.filter(replaces_edit=True)
    if gain := chosen.get("gain"):
        name, _colon, value = gain.partition(":")
        is_taken = Q(operation=Operation.UPDATE, **{f"lost_{name}__isnull": False}) if name in DIMENSIONS else Q()
        comes = Q(operation__in=[Operation.CREATE, Operation.RESTORE]) | is_taken
        facets = facets.filter(comes, **{name: value}) if name in DIMENSIONS else facets.none()
    if loss := chosen.get("loss"):
        name, _colon, value = loss.partition(":")
        facets = facets.filter(**{f"lost_{name}": value}) if name in DIMENSIONS else facets.none()
    if not chosen.keys() - {*FACETS}:
        return facets
    written = []
    for each in [rows] if isinstance(rows, QuerySet) else rows:
        with suppress(EmptyResultSet):  # nothing can pass
            written.append(each.order_by().values("pk").query.sql_with_params())
    if not written:
        return facets.none()
    # As SQL of its own: within another query the ORM would give the table another name than the conditions do.
    found = " UNION ALL ".join(sql for sql, _values in written)
    values = [value for _sql, some in written for value in some]
    is_found = RawSQL(f"change_id IN ({found})", values, output_field=BooleanField())  # noqa: S611
    return facets.filter(is_found)


def _with_move(facets: QuerySet[ChangeFacets], bar: int) -> QuerySet[ChangeFacets]:
    if not 0 <= bar <= len(PRICE_STEPS):
        return facets.none()
    if bar > 0:
        facets = facets.filter(share__gte=PRICE_STEPS[bar - 1])
    return facets.filter(share__lt=PRICE_STEPS[bar]) if bar < len(PRICE_STEPS) else facets


def count_found(run: ImportRun, facets: QuerySet[ChangeFacets]) -> dict[str, dict[Any, int]] | None:
    """How many of these have each value of each facet; None when there are more than `MAX_COUNTED_CHANGES`."""
    names = (*COLUMN_FACETS, "operation", "share", "position", "replaces_edit")
    rows = [*facets.order_by().values_list(*names)[: MAX_COUNTED_CHANGES + 1]]
    if len(rows) > MAX_COUNTED_CHANGES:
        return None
    columns = dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(names, ())
    found: dict[str, dict[Any, int]] = {name: Counter(columns[name]) for name in (*COLUMN_FACETS, "operation")}
    found["move"] = Counter(bisect_right(PRICE_STEPS, share) for share in columns["share"] if share is not None)
    found["edit"] = {"replaced": sum(columns["replaces_edit"])}
    positions = [place for place in columns["position"] if place is not None]
    has_issues = run.meaning.get("facets", {}).get("issue")
    listed = run.item_issues.filter(position__in=positions).values_list("code", "position").distinct()
    found["issue"] = Counter(code for code, _position in listed) if has_issues else {}
    return found
