"""Fetch a feed from its source, from the shell: the same operation as in the admin, in this process."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from catalog.errors import CatalogError
from catalog.fetching.fetch import fetch_here
from catalog.models import Feed, Fetch
from catalog.models.fetching import BAD_FETCHES


class Command(BaseCommand):
    help = "Fetch a feed from its source now. Exit 0: a new file, or the same; 1: refused or failed; 2: wrong usage."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", help="the short name of the feed")
        parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")

    def handle(self, *, slug: str, json: bool, **_: Any) -> None:
        feed = Feed.objects.filter(slug=slug).first()
        if feed is None:
            raise CommandError(f"There is no feed with the short name {slug!r}.", returncode=2)
        try:
            fetch = fetch_here(feed)
        except CatalogError as refused:
            raise CommandError(refused.message, returncode=1) from refused
        if json:
            self.stdout.write(_as_json(fetch))
        elif fetch.outcome not in BAD_FETCHES:
            self.stdout.write(f"{fetch.get_outcome_display()}. {fetch.sentence}")
        if fetch.outcome in BAD_FETCHES:
            raise CommandError(fetch.sentence, returncode=1)


def _as_json(fetch: Fetch) -> str:
    is_bad = fetch.outcome in BAD_FETCHES
    return json.dumps(
        {
            "id": fetch.pk,
            "outcome": fetch.outcome,
            "code": fetch.code or None,
            "sentence": fetch.sentence,
            "error": fetch.sentence if is_bad else None,
            "status": fetch.status,
            "bytes": fetch.bytes,
            "seconds": fetch.seconds,
            "import": fetch.run_id,
        },
        ensure_ascii=False,
    )
