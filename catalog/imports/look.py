"""What a file is, by its first bytes, before it is uploaded. Nothing is stored."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from django.conf import settings

from catalog.errors import CatalogError, FeedRefused
from catalog.feeds.cleaning.check import OWN_TABLE, Occurring
from catalog.feeds.cleaning.cleaned import Item
from catalog.feeds.cleaning.values import SIGNS
from catalog.feeds.reading.formats import Kind, open_content
from catalog.feeds.reading.items import read_items
from catalog.imports.permissions import require
from catalog.imports.reading.copy import clean_items
from catalog.models import Feed, ImportRun, Market, Product

LOOKED_AT_BYTES = 256 * 1024
LOOKED_AT_ITEMS = 50
KINDS = {Kind.XML: "XML", Kind.TABLE: "a table of text", Kind.JSON: "JSON", Kind.WORKBOOK: "an Excel workbook"}


@dataclass
class Look:
    """What was found, each part only as far as it came. `feed` is the likely one, with the reason in `why`."""

    kind: str = ""
    encoding: str = ""
    is_packed: bool = False
    item: Item | None = None
    names: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    problem: str = ""
    note: str = ""
    feed: Feed | None = None
    why: str = ""
    market: Market | None = None


def look_at(head: bytes, *, is_whole: bool, file_name: str, feed: Feed, by: Any) -> Look:
    """Read the beginning of a file as an import into the feed would. Raises `NotAllowed` if `by` may not upload."""
    require(by, "catalog.add_importrun")
    look, items = Look(), []
    occurring = Occurring(feed.rules)
    try:
        content = open_content(io.BytesIO(head), settings.FEED_LIMITS, feed.file_settings)
        look.kind, look.is_packed = KINDS[content.kind], content.is_packed
        if content.kind is Kind.WORKBOOK and not is_whole:
            look.note = "A workbook is read once all of it is there."
        else:
            look.encoding = "" if content.kind is Kind.WORKBOOK else content.text_encoding.upper()
            raws = read_items(io.BytesIO(head), settings.FEED_LIMITS, feed.file_settings)
            for item in islice(clean_items(raws, feed.rules, occurring), LOOKED_AT_ITEMS):
                items.append(item)
    except FeedRefused as refused:
        if is_whole or not (look.kind or items):
            look.problem = refused.message
    except CatalogError as refused:
        look.problem = refused.message
    if items:
        look.item = items[0]
        look.names = sorted(occurring.names - SIGNS - {OWN_TABLE})
        look.unknown = sorted(occurring.unknown)
    elif look.kind and not look.problem and not look.note:
        look.note = "The first item is longer than what was looked at."
    look.feed, look.why = _likely_feed(items, file_name)
    currencies = Counter(item.values.get("currency") for item in items if item.values.get("currency"))
    look.market = look.feed.market if look.feed else _likely_market(currencies)
    return look


def _likely_feed(items: list[Item], file_name: str) -> tuple[Feed | None, str]:
    """The feed that most of the ids are of; else the one that a file of this name was last for."""
    ids = {item.id for item in items if item.id}
    feeds: Any = Feed.objects.select_related("market")
    known = Product.objects.filter(market__in=Market.objects.values("pk"), id__in=ids, feed__isnull=False)
    found = Counter(known.order_by().values_list("feed", flat=True)) if ids else Counter()
    if found:
        (key, number) = found.most_common(1)[0]
        return feeds.get(pk=key), f"{number} of the first {len(ids)} ids are products of this feed."
    last = ImportRun.objects.filter(file_name=file_name).order_by("-pk").values_list("feed", flat=True)[:1]
    if file_name and last:
        return feeds.get(pk=last[0]), "The last file of this name was for this feed."
    return None, ""


def _likely_market(currencies: Counter[Any]) -> Market | None:
    """The only market in the currency of most items."""
    markets = list(Market.objects.filter(currency=currencies.most_common(1)[0][0])[:2]) if currencies else []
    return markets[0] if len(markets) == 1 else None
