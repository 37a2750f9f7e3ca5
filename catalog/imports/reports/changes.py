"""Lists of a run's changes: by operation, outcome, product and field; and by their facets, which are counted."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import BooleanField, Exists, ExpressionWrapper, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.expressions import RawSQL

from catalog.imports.planning.changed_fields import EXTRA_PREFIX
from catalog.imports.planning.facets import DIMENSIONS, PRICE_STEPS, count_values
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


@dataclass(frozen=True, slots=True)
class FoundChanges:
    """What passes the filters of the list, but for new items that a text finds.

    No search of products finds these. They are the changes `new` whose narrow rows meet the condition `words`; both are
    None where there are none. `corrected` has the words of the text that were corrected, each with what it was taken
    for.
    """

    changes: Rows[Change]
    new: QuerySet[Change] | None = None
    words: Q | None = None
    corrected: Mapping[str, str] = dataclasses.field(default_factory=dict)


def find_changes(run: ImportRun, *, field: str = "", q: str = "", to: str = "", **chosen: str) -> FoundChanges:
    """As `changes_with`, also only those that concern one field, or whose product a text finds.

    `to` is an availability that products get; it chooses the field, too. No new item has a field that changes.
    """
    rows = changes_with(run, **chosen)
    if to:
        field, rows = "availability", _with(rows, "change.after ->> 'availability' = %s", to)
    if not q:
        return FoundChanges(_changes_of_field(rows, run, field) if field else rows)
    text = q[:SEARCH_CHARS]
    begun = run.changes.filter(product_id__gte=text, product_id__lt=f"{text}\U0010ffff")
    pks = [*begun.values_list("pk", flat=True).order_by()[: MAX_LISTED_CHANGES + 1]]
    new, words = None, None
    corrected: Mapping[str, str] = {}
    if len(pks) > MAX_LISTED_CHANGES:
        found = rows.filter(product_id__gte=text, product_id__lt=f"{text}\U0010ffff")
    elif pks:
        found = rows.filter(pk__in=pks)
    else:
        products, words, corrected = _with_words(run, text)
        new = rows.filter(**of_operation(Operation.CREATE)) if words else None
        found = _changes_of_products(rows, run, products)
    if field:
        return FoundChanges(_with_field(found, field), corrected=corrected)
    return FoundChanges(found, new, words, corrected)


def filtered_changes(run: ImportRun, **chosen: str) -> tuple[Rows[Change], Mapping[str, str]]:
    """All that `find_changes` finds, and the words that were corrected."""
    found = find_changes(run, **chosen)
    return with_new_items(run, found), found.corrected


def with_new_items(run: ImportRun, found: FoundChanges) -> Rows[Change]:
    """What was found with the new items among it."""
    if found.new is None or not isinstance(found.changes, QuerySet):
        return found.changes
    facets = run.facets.filter(found.words)
    pks = [*facets.values_list("change_id", flat=True).order_by()[: MAX_LISTED_CHANGES + 1]]
    if not pks:
        return found.changes
    has_words = Q(pk__in=pks) if len(pks) <= MAX_LISTED_CHANGES else Exists(facets.filter(change_id=OuterRef("pk")))
    lists = [found.new.filter(has_words)]
    if not found.changes.query.is_empty():
        others = (each for each in Operation.values if each != Operation.CREATE)
        lists += [found.changes.filter(**of_operation(each)) for each in others]
    return [each.order_by("operation", "id") for each in lists]


def _with_words(run: ImportRun, text: str) -> tuple[ProductQuerySet, Q | None, Mapping[str, str]]:
    """The products that have the words, what new items with them are found by, and the words that were corrected.

    A word of a new item is no misspelling of one that products have.
    """
    terms = [term for term in text.split() if any(map(str.isalnum, term))]
    products = Product.objects.search(text, market=run.market_id)
    corrected = products.corrected
    if not terms or not run.created:
        return products, None, corrected
    words = _of_new_items(terms)
    if corrected and run.facets.filter(words).exists():
        return Product.objects.none(), words, {}
    return products, _of_new_items([corrected.get(term, term) for term in terms]), corrected


def _of_new_items(terms: list[str]) -> Q:
    """A condition on narrow rows: they are of new items with these words.

    As one that costs more than comparing a brand, so that PostgreSQL compares the brand first.
    """
    sql = f"(operation = %s{' AND words LIKE %s' * len(terms)}) IS TRUE"
    patterns = [f"%{connection.ops.prep_for_like_query(term.lower())}%" for term in terms]
    return Q(RawSQL(sql, [Operation.CREATE, *patterns], output_field=BooleanField()))  # noqa: S611 - only parameters


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
    run: ImportRun, found: FoundChanges, *, operation: str = "", **chosen: str
) -> QuerySet[ChangeFacets]:
    """The narrow rows of the changes that pass every filter: those of `FACETS`, and those of `find_changes`, which
    gave `found`.

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
    wide = chosen.keys() - {*FACETS}
    if not wide:
        return facets
    is_found = _among([found.changes] if isinstance(found.changes, QuerySet) else found.changes)
    if found.new is None or found.words is None:
        return facets.filter(is_found) if is_found else facets.none()
    new = found.words
    if wide - {"q"}:
        is_new = _among([found.new])
        new = new & Q(is_new) if is_new else Q(change_id__in=[])
    return facets.filter(new | Q(is_found) if is_found else new)


def _among(lists: list[QuerySet[Change]]) -> RawSQL | None:
    """A condition on narrow rows: their changes are in one of the lists; None where these are empty."""
    written = []
    for each in lists:
        with suppress(EmptyResultSet):  # nothing can pass
            written.append(each.order_by().values("pk").query.sql_with_params())
    if not written:
        return None
    # As SQL of its own: within another query the ORM would give the table another name than the conditions do.
    found = " UNION ALL ".join(sql for sql, _values in written)
    values = [value for _sql, some in written for value in some]
    return RawSQL(f"change_id IN ({found})", values, output_field=BooleanField())  # noqa: S611


def _with_move(facets: QuerySet[ChangeFacets], bar: int) -> QuerySet[ChangeFacets]:
    if not 0 <= bar <= len(PRICE_STEPS):
        return facets.none()
    if bar > 0:
        facets = facets.filter(share__gte=PRICE_STEPS[bar - 1])
    return facets.filter(share__lt=PRICE_STEPS[bar]) if bar < len(PRICE_STEPS) else facets


@dataclass(frozen=True, slots=True)
class Counted:
    """What a filter finds: the keys of the changes, and how many of them have each value of each facet."""

    changes: list[int]
    values: dict[str, dict[Any, int]]


def count_found(run: ImportRun, facets: QuerySet[ChangeFacets]) -> Counted | None:
    """These narrow rows counted; None when there are more than `MAX_COUNTED_CHANGES`."""
    changes: list[int] = []
    values: dict[str, dict[Any, int]] = {name: {} for name in (*COLUMN_FACETS, "operation", "move", "edit", "issue")}
    for name, value, number in count_values(run, facets, MAX_COUNTED_CHANGES):
        if name == "change":
            changes.append(int(value))
        elif name != "all":
            values[name][int(value) if name == "move" else value] = number
        elif number > MAX_COUNTED_CHANGES:
            return None
    return Counted(changes, values)


def facets_of(run: ImportRun, changes: list[int]) -> QuerySet[ChangeFacets]:
    """The narrow rows of these changes of the run."""
    return run.facets.filter(RawSQL("change_id = ANY(%s::bigint[])", [changes], output_field=BooleanField()))
