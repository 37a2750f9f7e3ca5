"""A few hundred believable products, so that a first look finds something to look at."""

import tempfile
from argparse import ArgumentParser
from typing import Any

from django.core.files.base import File
from django.core.management.base import BaseCommand

from catalog.imports.local import import_locally
from catalog.models import DEFAULT_MARKET, Feed, Market, Mode, Product
from samples import write_feed

ITEMS = 300
SEED = 2026
ENGLISH = {"code": "ae-en", "name": "UAE, English", "country": "AE", "language": "en", "currency": "AED"}
ARABIC = {"code": "sa-ar", "name": "Saudi Arabia, Arabic", "country": "SA", "language": "ar", "currency": "SAR"}


class Command(BaseCommand):
    help = (
        "Load the demo catalogue in two markets, one in English and one in Arabic. Safe to repeat: products that are "
        "there are left alone."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--if-empty", action="store_true", help="only when there is no product yet")

    def handle(self, *, if_empty: bool, **_: Any) -> None:
        if if_empty and Product.objects.exists():
            return
        # The default market says where it is only if nobody has said so.
        Market.objects.filter(pk=DEFAULT_MARKET, code="default", feeds=None).update(**ENGLISH)
        arabic, _made = Market.objects.get_or_create(code=ARABIC["code"], defaults=ARABIC)
        for market, slug, name, sample in (
            (Market.objects.get(pk=DEFAULT_MARKET), "demo", "Demo catalogue", ""),
            (arabic, "demo-ar", "Demo catalogue, Arabic", "sa-ar"),
        ):
            feed, _made = Feed.objects.get_or_create(slug=slug, defaults={"name": name, "market": market})
            with tempfile.TemporaryFile() as file:
                write_feed(file, items=ITEMS, seed=SEED, profile="typical", market=sample)
                file.seek(0)
                run = import_locally(File(file, name=f"{slug}.xml"), feed=feed, mode=Mode.ADD)
            said = f"{run.created} new products, {run.existing} already there."
            self.stdout.write(f"Demo catalogue in the market “{feed.market}” ({feed.market.code}): {said}")
