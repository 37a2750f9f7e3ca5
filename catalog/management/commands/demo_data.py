"""A few hundred believable products, so that a first look finds something to look at."""

import tempfile
from argparse import ArgumentParser
from typing import Any

from django.core.files.base import File
from django.core.management.base import BaseCommand

from catalog.imports.local import import_locally
from catalog.models import Feed, Mode, Product
from samples import write_feed

ITEMS = 300
SEED = 2026


class Command(BaseCommand):
    help = "Load the demo catalogue. Safe to repeat: products that are there are left alone."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--if-empty", action="store_true", help="only when there is no product yet")

    def handle(self, *, if_empty: bool, **_: Any) -> None:
        if if_empty and Product.objects.exists():
            return
        feed, _made = Feed.objects.get_or_create(slug="demo", defaults={"name": "Demo catalogue"})
        with tempfile.TemporaryFile() as file:
            write_feed(file, items=ITEMS, seed=SEED, profile="typical")
            file.seek(0)
            run = import_locally(File(file, name="demo.xml"), feed=feed, mode=Mode.ADD)
        self.stdout.write(f"Demo catalogue: {run.created} new products, {run.existing} already there.")
