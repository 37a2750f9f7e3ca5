"""The call that sends all products that pass the filters, in one answer."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Generator, Iterator
from threading import BoundedSemaphore
from typing import Any

from django.db import transaction
from django.http import StreamingHttpResponse
from django.utils.cache import patch_vary_headers
from drf_spectacular.types import OpenApiTypes
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.api.schema import Answer, documented
from accounts.models import Scope
from catalog.api import examples
from catalog.api.lines import line_of
from catalog.api.openapi import VERSION_HEADER
from catalog.api.products import filter_products
from catalog.api.queries import ExportQuery
from catalog.exports.export import require_export
from catalog.exports.formats import CSV, FEED, JSON_LINES, ExportFormat, joined
from catalog.exports.rows import product_rows
from catalog.models import MarketState
from catalog.models.product import ProductQuerySet

MAX_STREAMS = 2
"""As many at once in a web process: each holds one of its threads, and a transaction."""
LINES_AT_ONCE = 250  # from the database: a megabyte, and more is not quicker
FORMATS = {each.name: each for each in (JSON_LINES, CSV, FEED)}

_STREAMS = BoundedSemaphore(MAX_STREAMS)

Pieces = Generator[bytes, None, None]


class TooManyStreams(APIException):
    """The threads of the web process are for the other calls."""

    status_code = 503
    default_code = "too_many_exports"
    default_detail = "Other exports are on their way. Try again in half a minute."
    wait = 30


class ProductsExportView(APIView):
    query = ExportQuery()
    key_scopes = (Scope.READ,)

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """The parameter `format` decides, and no header."""
        return super().perform_content_negotiation(request, force=True)

    @documented(
        "products",
        "export_products",
        {
            200: (
                Answer(OpenApiTypes.STR, examples.PRODUCT_LINES, media_type=JSON_LINES.content_type),
                Answer(OpenApiTypes.STR, examples.PRODUCT_CSV, media_type="text/csv"),
                Answer(OpenApiTypes.STR, examples.PRODUCT_FEED, media_type=FEED.content_type),
            )
        },
        errors=(400, 403, 503),
        parameters=[ExportQuery(), VERSION_HEADER],
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        """All products that pass the filters, sorted by id, in one answer: JSON lines, CSV or a feed.

        It takes the permission to export products. The products are of one moment. An answer that breaks off goes on
        after the last whole product, with `after`.
        """
        require_export(request.user)
        asked = self.query.read(request.query_params)
        market, chosen = asked["market"], FORMATS[asked["format"]]
        products = filter_products(market.id, asked).filter(id__gt=asked["after"]).order_by("id")
        return stream_answer(
            request, lambda: _pieces_of(products, chosen, market.code), chosen, f"products-{market.code}", market
        )


def stream_answer(
    request: Request, start: Callable[[], Pieces], chosen: ExportFormat, name: str, market: MarketState
) -> StreamingHttpResponse:
    """A file whose pieces are made while it is sent, packed for clients that take that.

    Raises `TooManyStreams`. `start` is called when there is a place.
    """
    is_packed = "gzip" in request.headers.get("Accept-Encoding", "")
    headers = {
        "Content-Disposition": f'attachment; filename="{name}.{chosen.extension}"',
        "Cache-Control": "private, no-store",
        **({"Content-Encoding": "gzip"} if is_packed else {}),
        # It was read before the products are, so that none of its changes is missing.
        "Catalogue-Version": str(market.version),
    }
    stream = Stream(lambda: gzipped(start()) if is_packed else start())
    response = StreamingHttpResponse(stream, content_type=chosen.content_type, headers=headers)
    patch_vary_headers(response, ["Accept-Encoding"])
    return response


class Stream:
    """The pieces of an answer. Takes one of the places until it is read to its end, or the server closes it."""

    def __init__(self, start: Callable[[], Pieces]) -> None:
        self._pieces: Pieces | None = None
        self._places = _STREAMS
        if not self._places.acquire(blocking=False):
            raise TooManyStreams
        self._pieces = start()

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._pieces or ()
        finally:
            self.close()

    def close(self) -> None:
        if self._pieces is not None:
            self._pieces.close()  # ends the transaction, too
            self._pieces = None
            self._places.release()

    __del__ = close  # nobody closes an answer in whose place another one was sent


def _pieces_of(products: ProductQuerySet, chosen: ExportFormat, market: str) -> Pieces:
    with transaction.atomic():  # the cursor's: one moment, and rows as soon as the server finds them
        yield from (
            joined(product_lines(products, market)) if chosen is JSON_LINES else chosen.write(product_rows(products))
        )


def product_lines(products: ProductQuerySet, market: str) -> Iterator[str]:
    """Each product in a line, as the other calls send it."""
    for line in products.values_list(line_of(market), flat=True).iterator(chunk_size=LINES_AT_ONCE):
        yield f"{line}\n"


def gzipped(pieces: Pieces) -> Pieces:
    packer = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    for piece in pieces:
        if packed := packer.compress(piece):
            yield packed
    yield packer.flush()
