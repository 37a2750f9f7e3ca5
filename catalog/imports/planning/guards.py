"""What holds a plan for a person: a file that was broken, or a guard of its feed that the plan trips."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from django.db.models import F, QuerySet, Sum

from catalog.imports.planning.known_values import count_ended_sales
from catalog.imports.planning.other_market import check_market
from catalog.imports.planning.working_table import EVERY_CURRENCY
from catalog.imports.sql import column_list, fetch_row, fetch_rows
from catalog.models import ImportRun, Mode, Product, Reading, RunIssue, Status
from catalog.models.fields import MONEY_NAMES, SHARED

# A share of a few products says nothing: a guard is only tripped by more than this many.
MAX_PASSING_PRODUCTS = 3

GUARD_PREFIX = "guard."
ENCODING_CODE = "feed.encoding_likely"
# Confirming these changes products; the other reasons are about items that were left out or repaired.
SERIOUS_GUARDS = frozenset(
    f"guard.{name}"
    for name in (
        "archived items price_change currency out_of_stock lost_values unread_sale other_feeds lost_ids "
        "market_currency market_language"
    ).split()
)
# A row that cannot be read may have lost its id.
LOST_CODES = ("row.quotes", "row.character", "row.json", "item.too_large", "item.value_too_long")
# Values that come and go with a sale or a season. Products keep the others, as a rule, from one day to the next.
_PASSING_NAMES = frozenset(
    "sale_price sale_price_effective_date old_price final_price discount_percent availability_date product_season "
    "custom_label_0 custom_label_1 custom_label_2 custom_label_3 custom_label_4 adwords_labels".split()
)
LASTING_NAMES = frozenset(SHARED) - _PASSING_NAMES


def find_holds(run: ImportRun) -> list[dict[str, str]]:
    """The reasons to hold the plan that is being made, each a code and a sentence. `run` has the counts of the plan."""
    reasons = _reading_reason(run)
    reasons["guard.nothing_valid"] = check_nothing_valid(run)
    if run.has_changes:
        reasons["guard.duplicates"] = check_duplicates(run)
        reasons |= check_market(run)
    # A plan without changes can do no harm, and one that only adds products to an empty feed has nothing to be compared
    # with. A feed of prices has no products of its own, but it changes those of others.
    if run.has_changes and (run.changed or _own_products(run).exists()):
        reasons |= {f"{GUARD_PREFIX}{name}": check(run) for name, check in GUARDS.items()}
    return [{"code": code, "message": sentence} for code, sentence in reasons.items() if sentence]


# The guards that only look at what a plan would change.
_ABOUT_CHANGES = ("archived", "lost_ids", "price_change", "out_of_stock", "lost_values")


def check_again(run: ImportRun) -> list[dict[str, str]]:
    """The reasons that still hold the plan after a part of it was left out."""
    holds = []
    for hold in run.holds:
        name = hold["code"].removeprefix(GUARD_PREFIX)
        sentence = GUARDS[name](run) if name in _ABOUT_CHANGES else hold["message"]
        holds += [{"code": hold["code"], "message": sentence}] if sentence else []
    return holds


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
    proposed = "; ".join(
        example["found"] for issue in run.issues.filter(code=ENCODING_CODE) for example in issue.examples
    )
    proposal = (
        f"Some texts read better in another encoding, which the feed's settings can say: {proposed}."
        if proposed
        else ""
    )
    if run.reading == Reading.REPAIRED:
        sentences = [
            f"The file is not well-formed XML and was repaired while it was read: {repairs}.",
            proposal,
            "Check the repairs, then confirm.",
        ]
        return {"feed.repaired": " ".join(filter(None, sentences))}
    kinds = {"item.not_well_formed": "not well-formed"}
    lost = " and ".join(
        f"{issue.count:,} of {run.items:,} {kinds.get(issue.code, 'over a limit')} ({_lines_of(issue)})"
        for issue in run.issues.filter(code__startswith="item.").order_by("code")
    )
    sentences = [
        "The file cannot be read as a whole, so its items were read one by one.",
        f"Left out: {lost}." if lost else "All of them are whole.",
        f"Repaired: {repairs}." if repairs else "",
        proposal,
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


def check_lost_ids(run: ImportRun) -> str:
    """Whether a sync would archive products while rows of its file are lost with their ids."""
    if run.mode != Mode.SYNC or not run.archived or not run.issues.filter(code__in=LOST_CODES).exists():
        return ""
    (count,) = fetch_row(
        """
        SELECT count(*) FROM catalog_stageditem
        WHERE run_id = %(run)s AND state = 'invalid' AND product_id = ''
            AND EXISTS (SELECT FROM jsonb_array_elements(issues) AS issue WHERE issue ->> 0 = ANY(%(codes)s::text[]))
        """,
        run=run.pk,
        codes=list(LOST_CODES),
    )
    if not count:
        return ""
    rows = "One row" if count == 1 else f"{count:,} rows"
    return f"{rows} could not be read, not even the id. Their products may be among those that would be archived."


def check_items(run: ImportRun) -> str:
    """How much longer or shorter than before the file is. Only a sync says that the file is the whole feed."""
    limit = run.feed.guard_items
    if limit is None or run.mode != Mode.SYNC:
        return ""
    applied = ImportRun.objects.filter(feed=run.feed_id, mode=Mode.SYNC, status=Status.APPLIED, pk__lt=run.pk)
    before = applied.exclude(invalid=F("items")).order_by("-pk").first()
    if before and run.items > before.items and run.archived <= MAX_PASSING_PRODUCTS:
        return ""  # a feed that grows and loses nothing
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
    in_question = (
        "feed_id = %(feed)s"
        if has_products
        else "market_id = %(market)s AND id IN (SELECT product_id FROM working_table)"
    )
    new = fetch_rows(
        f"""
        SELECT currency, count
        FROM (
            SELECT currency, count(*) FROM {EVERY_CURRENCY} WHERE currency <> '' GROUP BY currency
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
        run=run.pk,
        feed=run.feed_id,
        market=run.market_id,
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


def check_lost_values(run: ImportRun) -> str:
    """How many products would lose a value that products usually keep."""
    limit = run.feed.guard_lost_values
    if limit is None or run.changed <= MAX_PASSING_PRODUCTS:
        return ""
    compared = run.changed + run.unchanged
    counted = run.changed_fields.filter(name__in=LASTING_NAMES).values("name").annotate(changes=Sum("number"))
    suspects = [each["name"] for each in counted if _exceeds(each["changes"], compared, limit)]
    if not suspects:
        return ""
    lost = fetch_rows(
        """
        SELECT name, count(*)
        FROM catalog_change, unnest(%(names)s::text[]) AS name
        WHERE run_id = %(run)s AND operation IN ('update', 'restore') AND after -> name IN ('null', '""', '[]')
        GROUP BY name ORDER BY count(*) DESC, name
        """,
        run=run.pk,
        names=suspects,
    )
    named = [
        f"{name} of {_share_of(count, compared)}"
        for name, count in lost
        if count > MAX_PASSING_PRODUCTS and _exceeds(count, compared, limit)
    ]
    return f"Products would lose a value: {', '.join(named)}. {_limit_of(limit)}" if named else ""


def check_unread_sale(run: ImportRun) -> str:
    """Whether products would lose a sale, since the file's is not understood and their price is a new one."""
    count = count_ended_sales(run)
    if not count:
        return ""
    products = "One product" if count == 1 else f"{count:,} products"
    return f"{products} would lose the sale price or its dates: the file's are not understood, and the price is new."


def check_other_feeds(run: ImportRun) -> str:
    """Whose products a supplemental file would change, unless the feed's settings allow it."""
    if run.feed.may_change_others:
        return ""
    owners = fetch_rows(
        """
        SELECT feed.name, count(*) FROM working_table JOIN catalog_feed feed ON feed.id = owner
        WHERE differs GROUP BY feed.name ORDER BY count(*) DESC, feed.name
        """
    )
    if not owners:
        return ""
    named = ", ".join(f"{count:,} of “{name}”" for name, count in owners)
    return f"Products of other feeds would change: {named}. Allow it on this feed's page, or confirm it this once."


def check_nothing_valid(run: ImportRun) -> str:
    """Whether no item at all can be imported."""
    if not run.items or run.invalid < run.items:
        return ""
    return f"All items of the file are invalid: {run.items:,}. Nothing would be imported."


def check_duplicates(run: ImportRun) -> str:
    """How many items would be lost to another one with their id, which has other values."""
    limit = run.feed.guard_duplicates
    if limit is None or run.duplicate <= MAX_PASSING_PRODUCTS or not _exceeds(run.duplicate, run.items, limit):
        return ""
    values = (*SHARED, "extra")
    count, ids = fetch_row(
        f"""
        SELECT count(*), (array_agg(DISTINCT item.product_id))[:3]
        FROM catalog_stageditem item
        JOIN working_table ON working_table.product_id = item.product_id
        JOIN catalog_stageditem last ON last.run_id = item.run_id AND last.position = working_table.position
        WHERE item.run_id = %(run)s AND item.state = 'duplicate'
            AND ({column_list(values, "item")}) IS DISTINCT FROM ({column_list(values, "last")})
        """,
        run=run.pk,
    )
    if count <= MAX_PASSING_PRODUCTS or not _exceeds(count, run.items, limit):
        return ""
    share = _share_of(count, run.items)
    which = f"have the id of a later item and other values, for example {', '.join(ids)}"
    return f"{share} of the items {which}. Only the last one of each id would be imported. {_limit_of(limit)}"


def check_invalid(run: ImportRun) -> str:
    """How many items are invalid."""
    limit = run.feed.guard_invalid
    if limit is None or run.invalid <= MAX_PASSING_PRODUCTS or not _exceeds(run.invalid, run.items, limit):
        return ""
    return f"{_share_of(run.invalid, run.items)} of the items are invalid and would be skipped. {_limit_of(limit)}"


GUARDS: Mapping[str, Callable[[ImportRun], str]] = {
    "archived": check_archived,
    "lost_ids": check_lost_ids,
    "items": check_items,
    "price_change": check_price_change,
    "currency": check_currency,
    "out_of_stock": check_out_of_stock,
    "zero_price": check_zero_price,
    "invalid": check_invalid,
    "lost_values": check_lost_values,
    "unread_sale": check_unread_sale,
    "other_feeds": check_other_feeds,
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
