"""The call that says which products changed since a version of the catalogue."""

from __future__ import annotations

import json
from typing import Any

from django.db import connection
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.utils.urls import replace_query_param

from accounts.api.schema import Answer, documented
from catalog.api import examples
from catalog.api.etag import CatalogueView
from catalog.api.exports import Pieces, stream_answer
from catalog.api.lines import LINE
from catalog.api.openapi import NOT_MODIFIED, conditional
from catalog.api.products import FORM
from catalog.api.queries import ChangesQuery, Place
from catalog.api.serializers import STORED_FIELDS, ProductSerializer, render_product
from catalog.exports.formats import JSON_LINES, joined
from catalog.models import MarketState

LISTED, ARCHIVED, REMOVED = "listed", "archived", "removed"
ROWS_AT_ONCE = 500  # of a stream

# Each product is at one place: at the version that changed it last. The versions are gone through one by one, and of
# each at most a page is taken, however many products it changed.
_ROWS = """
    SELECT version.version, changed.*
    FROM catalog_catalogversion version
    CROSS JOIN LATERAL (
        (
            SELECT
                id AS product_id, CASE WHEN archived_at IS NULL THEN '{listed}' ELSE '{archived}' END AS state,
                {columns}
            FROM catalog_product
            WHERE market_id = %(market)s AND change_number = version.change_number
                AND id > CASE version.version WHEN %(first)s THEN %(after)s ELSE '' END
            ORDER BY id LIMIT %(limit)s
        )
        UNION ALL
        (
            SELECT product_id, '{removed}', {nothing}
            FROM catalog_removedproduct
            WHERE market_id = %(market)s AND change_number = version.change_number
                AND product_id > CASE version.version WHEN %(first)s THEN %(after)s ELSE '' END
            ORDER BY product_id LIMIT %(limit)s
        )
    ) AS changed
    WHERE version.market_id = %(market)s AND version.version BETWEEN %(first)s AND %(last)s
    ORDER BY version.version, changed.product_id
    LIMIT %(limit)s
"""


def rows_with(*columns: str) -> str:
    """The statement with these of each product."""
    states = {"listed": LISTED, "archived": ARCHIVED, "removed": REMOVED}
    return _ROWS.format(columns=", ".join(columns), nothing=", ".join(["NULL"] * len(columns)), **states)


_STORED_ROWS = rows_with(*(f'"{name}"' for name in STORED_FIELDS))
_LINES = rows_with(f"CASE WHEN archived_at IS NULL THEN {LINE} END")


class ChangesForgotten(APIException):
    """The products have to be loaded again, all of them."""

    status_code = 410
    default_code = "changes_forgotten"


class ProductChangeSerializer(serializers.Serializer[Any]):
    """A product that changed: where it stands now."""

    version = serializers.IntegerField(help_text="The version of the market's products that changed it last.")
    id = serializers.CharField()
    state = serializers.ChoiceField(
        (LISTED, ARCHIVED, REMOVED),
        help_text="`listed`: it is in the other calls. `archived`: it is not, and may come back. `removed`: it is no "
        "more, because the import that had added it was undone, or it was deleted.",
    )
    cursor = serializers.CharField(help_text="Send it as `since` to go on after this product.")
    product = ProductSerializer(allow_null=True, help_text="As the other calls have it; null unless it is listed.")


class ProductChangesSerializer(serializers.Serializer[Any]):
    version = serializers.IntegerField(help_text="The version of the market's products by now.")
    cursor = serializers.CharField(help_text="Keep it, and send it as `since` to go on after this answer.")
    next = serializers.URLField(allow_null=True, help_text="The next page; null when nothing more has changed by now.")
    results = ProductChangeSerializer(many=True)


class ProductChangesView(CatalogueView):
    """Which products changed since a version, one row for each, with what became of it."""

    form = FORM
    query = ChangesQuery()

    @documented(
        "products",
        "product_changes",
        {
            200: (
                Answer(ProductChangesSerializer, examples.CHANGES),
                Answer(OpenApiTypes.STR, examples.CHANGE_LINES, media_type=JSON_LINES.content_type),
            ),
            304: NOT_MODIFIED,
        },
        errors=(400, 404, 410, 503),
        parameters=[ChangesQuery(), *conditional(has_streams=True)],
    )
    def get(self, request: Request, **place: str) -> HttpResponseBase:
        """The products of a market that changed since a version or a cursor, each once, in the order of the versions.

        Archived and removed products are among them. Versions are in the order in which changes took effect, so a
        program that goes on from `cursor` to `cursor` misses nothing. 410 says that it was away for too long: load all
        products again.
        """
        asked = self.query.read(request.query_params)
        market: MarketState = asked["market"]
        if asked["format"] == "json":
            return super().get(request, **place)
        start, name = start_of(market, asked["since"]), f"changes-{market.code}"
        return stream_answer(request, lambda: change_pieces(market, start), JSON_LINES, name, market)

    def answer(self, request: Request, market: MarketState, asked: dict[str, Any]) -> dict[str, Any]:
        rows, end, has_next = read_page(market, start_of(market, asked["since"]), asked["page_size"])
        address = replace_query_param(request.build_absolute_uri(), "since", str(end))
        return {
            "version": market.version,
            "cursor": str(end),
            "next": address if has_next else None,
            "results": [render_change(row, market.code) for row in rows],
        }


def start_of(market: MarketState, since: Place | None) -> Place:
    """Where to begin; now, if nothing is asked for. Raises `ChangesForgotten`."""
    if since is None:
        return Place(market.version)
    known = since.version - bool(since.after)  # of the cursor's version a part is still to come
    if known < market.known_since:
        raise ChangesForgotten(
            f"What changed since version {known} is not known any more, only since version {market.known_since}. "
            "Load all products again, then go on from there."
        )
    if since.version > market.version:
        raise ChangesForgotten(
            f"There is no version {since.version}: the market {market.code} is at {market.version}. "
            "Load all products again, then go on from there."
        )
    return since


def read_page(market: MarketState, start: Place, size: int) -> tuple[list[tuple[Any, ...]], Place, bool]:
    """A page of changes, the place after it, and whether more follow by now."""
    rows = read_changes(market, start, size + 1)
    if len(rows) <= size:
        return rows, Place(market.version, market=market.code), False
    version, id, *_ = rows[size - 1]
    return rows[:size], Place(version, id, market.code), True


def read_changes(market: MarketState, start: Place, limit: int, rows: str = _STORED_ROWS) -> list[tuple[Any, ...]]:
    """So many changes after the place, up to the market's version: version, id, state and `STORED_FIELDS` of each."""
    values: dict[str, Any] = {
        "market": market.id,
        "first": start.version if start.after else start.version + 1,
        "after": start.after,
        "last": market.version,
        "limit": limit,
        "code": market.code,
    }
    with connection.cursor() as cursor:
        cursor.execute(rows, values)
        return list(cursor.fetchall())


def render_change(row: tuple[Any, ...], market: str) -> dict[str, Any]:
    version, id, state, *values = row
    listed = render_product(dict(zip(STORED_FIELDS, values, strict=True)), market) if state == LISTED else None
    cursor = str(Place(version, id, market))
    return {"version": version, "id": id, "state": state, "cursor": cursor, "product": listed}


def change_pieces(market: MarketState, start: Place) -> Pieces:
    """Everything up to the market's version, page after page: no transaction stays open for a slow reader."""
    while rows := read_changes(market, start, ROWS_AT_ONCE, _LINES):
        yield from joined(change_line(row, market.code) for row in rows)
        start = Place(rows[-1][0], rows[-1][1])


def change_line(row: tuple[Any, ...], market: str) -> str:
    version, id, state, product = row
    return (
        f'{{"version": {version}, "id": {json.dumps(id, ensure_ascii=False)}, "state": "{state}", '
        f'"cursor": "{Place(version, id, market)}", "product": {product or "null"}}}\n'
    )
