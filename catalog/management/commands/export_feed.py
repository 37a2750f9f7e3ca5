"""`manage.py export_feed`: the catalogue as a Google-Merchant XML feed, which imported again changes nothing."""

import os
import sys
from argparse import ArgumentParser
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import BaseCommand, CommandError

from catalog.models import Feed, Product
from catalog.resources import feed_xml

STDOUT = "-"
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
        try:
            with _opened(out) as stream:
                stream.writelines(feed_xml(products))
        except BrokenPipeError:
            # The reader, perhaps `head`, has seen enough; without this Python complains about it at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except OSError as error:
            raise CommandError(f"{out} cannot be written: {error.strerror}.") from error


def _opened(out: str) -> AbstractContextManager[BinaryIO]:
    return nullcontext(sys.stdout.buffer) if out == STDOUT else Path(out).open("wb")
