"""`manage.py export_feed`: the catalogue as a Google-Merchant XML feed, which imported again changes nothing."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from catalog.management.output import STDOUT, write_feed_to
from catalog.models import Feed, Product
from catalog.resources import feed_xml

USAGE_ERROR = 2


class Command(BaseCommand):
    help = "Write the products that are not archived as a Google Merchant XML feed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--feed", metavar="SLUG", help="only the products of this feed (default: all)")
        parser.add_argument("--out", required=True, metavar="FILE", help=f"where to; {STDOUT} is standard output")

    def handle(self, *, out: str, feed: str | None, **_: Any) -> None:
        products = Product.objects.active()
        if feed is not None:
            if not Feed.objects.filter(slug=feed).exists():
                raise CommandError(f"There is no feed {feed!r}.", returncode=USAGE_ERROR)
            products = products.filter(feed__slug=feed)
        write_feed_to(out, feed_xml(products))
