"""Change a product by hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import F, Model

from catalog.errors import NotPossible
from catalog.imports.permissions import require
from catalog.imports.sql import execute, fetch_rows
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
