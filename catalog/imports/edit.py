"""Change products by hand: one, or many in the same way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any

from django.db import transaction
from django.db.models import F, Model

from catalog.errors import NotPossible
from catalog.imports.permissions import require
from catalog.imports.sql import execute, fetch_row, fetch_rows
from catalog.imports.work.queue import CATALOGUE_LOCK
from catalog.models import CatalogState, CatalogVersion, ItemFields, Product, Word
from events.log import log_event


@transaction.atomic
def edit_product(product: Product, *, by: Any, fields: Iterable[str] | None = None) -> None:
    """Write the product, or only these fields of it, and a line of its history that says who did so.

    The product gets a new version, so that a plan made before leaves it alone. A product that is not stored yet is
    added. Raises `NotAllowed` without permission, `NotPossible` when the product has been removed.
    """
    require(by, "catalog.change_product")
    stored = "SELECT to_jsonb(product)::text FROM catalog_product product WHERE key = %(key)s FOR UPDATE"
    earlier = next((row for (row,) in fetch_rows(stored, key=product.pk)), None)
    if not product._state.adding:
        if earlier is None:
            raise NotPossible("product_gone", f"The product {product.id} was removed while you edited it.")
        product.version = F("version") + 1
    product.change_number = CatalogVersion.new_number()
    written = {"version", "change_number", "updated_at"}
    Model.save(product, update_fields=None if fields is None else {*fields, *written})
    CatalogState.bump(product.market_id, change_number=product.change_number, product_id=product.id)
    execute(_ADD_TO_HISTORY, key=product.pk, earlier=earlier, actor=str(by or ""), fields=_FIELDS)
    Word.learn(product.market_id, "product.key = %(key)s", key=product.pk)
    product.refresh_from_db(fields=["version"])
    log_event("edit", by=by, product=product.id, market=product.market.code, version=product.version)


_FIELDS = [*(field.attname for field in ItemFields._meta.local_fields), "pinned"]
# PostgreSQL knows best which of two stored values differ. `earlier` is the row from before, null for a new product.
_ADD_TO_HISTORY = """
    INSERT INTO catalog_change
        (run_id, market_id, product_id, operation, before, after, base_version, outcome, actor, made_at)
    SELECT
        NULL, product.market_id, product.id,
        CASE
            WHEN earlier IS NULL THEN 'create'
            WHEN earlier ->> 'archived_at' IS NULL AND product.archived_at IS NOT NULL THEN 'archive'
            WHEN earlier ->> 'archived_at' IS NOT NULL AND product.archived_at IS NULL THEN 'restore'
            ELSE 'update'
        END,
        COALESCE(difference.before, '{}'), COALESCE(difference.after, '{}'),
        NULLIF(product.version - 1, 0), 'applied', %(actor)s, statement_timestamp()
    FROM catalog_product product
    CROSS JOIN (SELECT %(earlier)s::jsonb AS earlier) AS was
    CROSS JOIN LATERAL (
        SELECT jsonb_object_agg(key, old.value) AS before, jsonb_object_agg(key, new.value) AS after
        FROM jsonb_each(earlier) old JOIN jsonb_each(to_jsonb(product)) new USING (key)
        WHERE old.value <> new.value AND key = ANY(%(fields)s)
    ) AS difference
    WHERE product.key = %(key)s AND (
        earlier IS NULL OR difference.before IS NOT NULL
        OR (earlier ->> 'archived_at' IS NULL) <> (product.archived_at IS NULL)
    )
"""


class Edit(StrEnum):
    """What can be done to many products at once."""

    ARCHIVE = "archive"
    RESTORE = "restore"
    PIN = "pin"
    UNPIN = "unpin"


MAX_EDITED_PRODUCTS = CatalogVersion.MAX_LISTED_PRODUCTS  # so that a plan says which it has to look at again


@transaction.atomic
def edit_products(keys: Sequence[int], edit: Edit, *, by: Any, market: int, fields: Sequence[str] = ()) -> int:
    """Do it to the market's products with these keys, each as `edit_product` would: how many it changed.

    `fields` are those to pin, or to pin no longer. A product that is so already stays as it is. Raises `NotAllowed`
    without permission, and `NotPossible` while an import changes the catalogue or for more than
    `MAX_EDITED_PRODUCTS`.
    """
    require(by, "catalog.change_product")
    if len(keys) > MAX_EDITED_PRODUCTS:
        raise NotPossible("too_many", f"At most {MAX_EDITED_PRODUCTS:,} products at once. Choose fewer.")
    (is_free,) = fetch_row("SELECT pg_try_advisory_xact_lock(%(lock)s, 0)", lock=CATALOGUE_LOCK)
    if not is_free:
        raise NotPossible("busy", "An import is changing products just now. Nothing was done. Try again in a minute.")
    rows = fetch_rows(
        _EDIT_EACH.format(**_EDITS[edit]),
        keys=list(keys),
        market=market,
        fields=sorted(fields),
        operation=edit if edit in (Edit.ARCHIVE, Edit.RESTORE) else "update",
        actor=str(by or ""),
    )
    if rows:
        CatalogState.bump_each(market, rows)
        log_event("edit_many", by=by, edit=edit.value, products=len(rows), market=market)
    return len(rows)


_PINNED = "ARRAY(SELECT unnest(product.pinned) UNION SELECT unnest(%(fields)s::text[]) ORDER BY 1)"
_UNPINNED = "ARRAY(SELECT unnest(product.pinned) EXCEPT SELECT unnest(%(fields)s::text[]) ORDER BY 1)"
# Which products are not so yet, and what makes them so.
_EDITS = {
    Edit.ARCHIVE: {"differs": "archived_at IS NULL", "change": "archived_at = statement_timestamp()"},
    Edit.RESTORE: {"differs": "archived_at IS NOT NULL", "change": "archived_at = NULL"},
    Edit.PIN: {"differs": "NOT pinned @> %(fields)s::text[]", "change": f"pinned = {_PINNED}"},
    Edit.UNPIN: {"differs": "pinned && %(fields)s::text[]", "change": f"pinned = {_UNPINNED}"},
}
_EDIT_EACH = """
    WITH earlier AS (
        SELECT key, pinned FROM catalog_product
        WHERE market_id = %(market)s AND key = ANY(%(keys)s) AND {differs}
        ORDER BY key FOR UPDATE
    ), edited AS (
        UPDATE catalog_product product
        SET {change}, version = version + 1, updated_at = statement_timestamp(),
            change_number = nextval('catalog_change_number')
        FROM earlier WHERE product.key = earlier.key
        RETURNING product.id, product.version, product.change_number, earlier.pinned AS before, product.pinned AS after
    ), noted AS (
        INSERT INTO catalog_change
            (run_id, market_id, product_id, operation, before, after, base_version, outcome, actor, made_at)
        SELECT
            NULL, %(market)s, id, %(operation)s,
            CASE WHEN before = after THEN '{{}}' ELSE jsonb_build_object('pinned', before) END,
            CASE WHEN before = after THEN '{{}}' ELSE jsonb_build_object('pinned', after) END,
            version - 1, 'applied', %(actor)s, statement_timestamp()
        FROM edited
    )
    SELECT id, change_number FROM edited ORDER BY change_number
"""
