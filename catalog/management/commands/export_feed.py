"""`manage.py export_feed`: the catalogue as a Google-Merchant XML feed, which imported again changes nothing."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from catalog.exports.formats import feed_xml
from catalog.management.output import STDOUT, write_feed_to
from catalog.models import DEFAULT_MARKET, Feed, Market, Product

USAGE_ERROR = 2


class Command(BaseCommand):
    help = "Write the products that are not archived as a Google Merchant XML feed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--feed", metavar="SLUG", help="only the products of this feed, with the ids of its files")
        parser.add_argument("--market", metavar="CODE", help="the products of this market (default: the default one)")
        parser.add_argument("--out", required=True, metavar="FILE", help=f"where to; {STDOUT} is standard output")

    def handle(self, *, out: str, feed: str | None, market: str | None, **_: Any) -> None:
        source, place = self.find_feed(feed), self.find_market(market)
        if source and place and source.market_id != place.pk:
            raise CommandError(f"The feed {feed!r} is in the market {source.market.code!r}.", returncode=USAGE_ERROR)
        if source:
            products = Product.objects.filter(feed=source)
        else:
            products = Product.objects.in_market(place.pk if place else DEFAULT_MARKET)
        write_feed_to(out, feed_xml(products.active(), source))

    def find_feed(self, slug: str | None) -> Feed | None:
        feed = Feed.objects.select_related("market").filter(slug=slug).first()
        if slug is not None and feed is None:
            raise CommandError(f"There is no feed {slug!r}.", returncode=USAGE_ERROR)
        return feed

    def find_market(self, code: str | None) -> Market | None:
        markets = {market.code: market for market in Market.objects.all()}
        if code is not None and code not in markets:
            known = ", ".join(markets)
            raise CommandError(f"There is no market {code!r}. Use one of these: {known}.", returncode=USAGE_ERROR)
        return markets.get(code or "")
