"""What holds a plan for a person: a file that was broken, or a guard of its feed that the plan trips."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from django.db.models import QuerySet, Sum

from catalog.imports.sql import fetch_row, fetch_rows
from catalog.models import ImportRun, Mode, Product, Reading, RunIssue, Status
from catalog.models.fields import MONEY_NAMES

# A share of a few products says nothing: a guard is only tripped by more than this many.
MAX_PASSING_PRODUCTS = 3

GUARD_PREFIX = "guard."
# Confirming these changes products; the other reasons are about items that were left out or repaired.
SERIOUS_GUARDS = frozenset(
    f"guard.{name}" for name in ("archived", "items", "price_change", "currency", "out_of_stock")
)


def find_holds(run: ImportRun) -> list[dict[str, str]]:
    """The reasons to hold the plan that is being made, each a code and a sentence. `run` has the counts of the plan."""
    reasons = _reading_reason(run)
    # A plan without changes can do no harm, and one that only adds products to an empty feed has nothing to be compared
    # with. A feed of prices has no products of its own, but it changes those of others.
    if run.has_changes and (run.changed or _own_products(run).exists()):
        reasons |= {f"{GUARD_PREFIX}{name}": check(run) for name, check in GUARDS.items()}
    return [{"code": code, "message": sentence} for code, sentence in reasons.items() if sentence]


def needs_reason(run: ImportRun) -> bool:
    """Whether confirming takes a written reason, because a guard was tripped. Repairs only have to be looked at."""
    return any(hold["code"].startswith(GUARD_PREFIX) for hold in run.holds)


def repairs_of(run: ImportRun) -> QuerySet[RunIssue]:
    """What was repaired in the run's file."""
    return run.issues.filter(code__startswith="feed.repaired.")


# --- a broken file ------------------------------------------------------------------------------------


def _reading_reason(run: ImportRun) -> dict[str, str]:
    """Why a person has to look at a file that was not well-formed."""
    if run.reading == Reading.STRICT:
        return {}
    repairs = "; ".join(f"{issue.count:,} × {issue.title} ({_lines_of(issue)})" for issue in repairs_of(run))
    if run.reading == Reading.REPAIRED:
        sentence = f"The file is not well-formed XML and was repaired while it was read: {repairs}."
        return {"feed.repaired": f"{sentence} Check the repairs, then confirm."}
    kinds = {"item.not_well_formed": "not well-formed"}
    lost = " and ".join(
        f"{issue.count:,} of {run.items:,} {kinds.get(issue.code, 'over a limit')} ({_lines_of(issue)})"
        for issue in run.issues.filter(code__startswith="item.").order_by("code")
    )
    sentences = [
        "The file cannot be read as a whole, so its items were read one by one.",
        f"Left out: {lost}." if lost else "All of them are whole.",
        f"Repaired: {repairs}." if repairs else "",
        "Check what is left, then confirm.",
    ]
    return {"feed.salvaged": " ".join(filter(None, sentences))}


def _lines_of(issue: RunIssue) -> str:
    """“line 3” or “lines 3, 8, 12, …”."""
    lines = list(dict.fromkeys(example["line"] for example in issue.examples))
    more = ", …" if issue.count > len(issue.examples) else ""
    return f"{'lines' if len(lines) > 1 else 'line'} {', '.join(f'{line:,}' for line in lines)}{more}"


# --- the guards: each returns its sentence, or "" -----------------------------------------------------


def check_archived(run: ImportRun) -> str:
    """How many of the feed's products would be archived."""
    limit = run.feed.guard_archived
    if limit is None or run.archived <= MAX_PASSING_PRODUCTS:
        return ""
    products = _own_products(run).count()
    if not _exceeds(run.archived, products, limit):
        return ""
    share = _share_of(run.archived, products)
    return f"{share} of this feed's products would be archived, since they are not in the file. {_limit_of(limit)}"


def check_items(run: ImportRun) -> str:
    """How much longer or shorter than before the file is. Only a sync says that the file is the whole feed."""
    limit = run.feed.guard_items
    if limit is None or run.mode != Mode.SYNC:
        return ""
    applied = ImportRun.objects.filter(feed=run.feed_id, mode=Mode.SYNC, status=Status.APPLIED, pk__lt=run.pk)
    before = applied.order_by("-pk").first()
    difference = abs(run.items - before.items) if before else 0
    if not before or difference <= MAX_PASSING_PRODUCTS or not _exceeds(difference, before.items, limit):
        return ""
    more = "more" if run.items > before.items else "fewer"
    was = f"import {before.pk}, the feed's last in this mode, had {before.items:,}"
    share = _percent_of(difference, before.items)
    return f"The file has {run.items:,} items, {share} {more} than before: {was}. {_limit_of(limit)}"


def check_price_change(run: ImportRun) -> str:
    """How many prices would change by more than the feed allows, or to another currency."""
    most, limit = run.feed.guard_price_change, run.feed.guard_price_products
    if most is None or limit is None or run.changed <= MAX_PASSING_PRODUCTS:
        return ""
    # Another currency is another price, whatever the amounts are. Where there was no currency, there was no price.
    (count,) = fetch_row(
        """
        SELECT count(*)
        FROM catalog_change
        WHERE run_id = %(run)s AND operation IN ('update', 'restore') AND CASE WHEN after ? 'currency' THEN
            before ->> 'currency' <> '' AND after ->> 'currency' <> ''
        ELSE
            abs((after ->> 'price')::numeric - (before ->> 'price')::numeric) * 100
                > (before ->> 'price')::numeric * %(most)s
            OR abs((after ->> 'sale_price')::numeric - (before ->> 'sale_price')::numeric) * 100
                > (before ->> 'sale_price')::numeric * %(most)s
        END
        """,
        run=run.pk,
        most=most,
    )
    compared = run.changed + run.unchanged
    if count <= MAX_PASSING_PRODUCTS or not _exceeds(count, compared, limit):
        return ""
    change = f"by more than {most} %, or to another currency"
    return f"The price of {_share_of(count, compared)} of the products would change {change}. {_limit_of(limit)}"


def check_currency(run: ImportRun) -> str:
    """Whether the file has a currency that no product in question has yet, while some have one."""
    if not run.feed.guard_currency:
        return ""
    has_products = _own_products(run).exists()
    in_question = "feed_id = %(feed)s" if has_products else "id IN (SELECT product_id FROM working_table)"
    new = fetch_rows(
        f"""
        SELECT currency, count
        FROM (
            SELECT currency, count(*) FROM working_table WHERE currency <> '' GROUP BY currency
        ) AS found
        WHERE NOT EXISTS (
                SELECT FROM catalog_product product
                WHERE {in_question} AND archived_at IS NULL AND product.currency = found.currency
            )
            AND EXISTS (
                SELECT FROM catalog_product WHERE {in_question} AND archived_at IS NULL AND currency <> ''
            )
        ORDER BY count DESC, currency
        """,
        feed=run.feed_id,
    )
    if not new:
        return ""
    named = ", ".join(f"{name} ({count:,} {'item' if count == 1 else 'items'})" for name, count in new)
    whose = "this feed's products" if has_products else "the products in the file"
    return f"None of {whose} has been in {named} so far. Check that the currency is right."


def check_out_of_stock(run: ImportRun) -> str:
    """How many products that could be bought would no longer be in stock."""
    limit = run.feed.guard_out_of_stock
    if limit is None or run.changed <= MAX_PASSING_PRODUCTS:
        return ""
    (count,) = fetch_row(
        """
        SELECT count(*)
        FROM catalog_change
        WHERE run_id = %(run)s AND operation IN ('update', 'restore') AND after ->> 'availability' = 'out_of_stock'
        """,
        run=run.pk,
    )
    compared = run.changed + run.unchanged
    if count <= MAX_PASSING_PRODUCTS or not _exceeds(count, compared, limit):
        return ""
    return f"{_share_of(count, compared)} of the products would go out of stock. {_limit_of(limit)}"


def check_zero_price(run: ImportRun) -> str:
    """How many prices in the file are zero or negative."""
    limit = run.feed.guard_zero_price
    if limit is None:
        return ""
    prices = run.issues.filter(code__in=("price.zero", "price.negative"), attribute__in=MONEY_NAMES)
    count = prices.aggregate(count=Sum("count"))["count"] or 0
    if count <= MAX_PASSING_PRODUCTS or not _exceeds(count, run.items, limit):
        return ""
    return f"{count:,} prices in {run.items:,} items are zero or negative. {_limit_of(limit)}"


def check_invalid(run: ImportRun) -> str:
    """How many items are invalid."""
    limit = run.feed.guard_invalid
    if limit is None or run.invalid <= MAX_PASSING_PRODUCTS or not _exceeds(run.invalid, run.items, limit):
        return ""
    return f"{_share_of(run.invalid, run.items)} of the items are invalid and would be skipped. {_limit_of(limit)}"


GUARDS: Mapping[str, Callable[[ImportRun], str]] = {
    "archived": check_archived,
    "items": check_items,
    "price_change": check_price_change,
    "currency": check_currency,
    "out_of_stock": check_out_of_stock,
    "zero_price": check_zero_price,
    "invalid": check_invalid,
}


def _own_products(run: ImportRun) -> QuerySet[Product]:
    """The feed's products that are not archived: those that a sync can harm."""
    return Product.objects.filter(feed=run.feed_id).active()


# --- shares, in numbers and in words -------------------------------------------------------------------


def _exceeds(count: int, whole: int, limit: int) -> bool:
    return count * 100 > whole * limit


def _share_of(count: int, whole: int) -> str:
    return f"{count:,} of {whole:,} ({_percent_of(count, whole)})"


def _percent_of(count: int, whole: int) -> str:
    return f"{count / max(whole, 1):.1%}".replace("%", " %")


def _limit_of(limit: int) -> str:
    return f"This feed's limit is {limit} %."
