"""`manage.py generate_feed`: a sample feed of any size, for trying things out and for measuring them."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from catalog.management.output import STDOUT, write_feed_to
from samples import MAX_ITEMS, PROFILES, Changes, iter_feed

USAGE_ERROR = 2


class Command(BaseCommand):
    help = (
        "Write a believable product feed of an invented catalogue. The same arguments give the same bytes everywhere. "
        "With --from-seed it is another day's feed of that catalogue."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        day = Changes(from_seed=0)
        parser.add_argument("--items", type=int, required=True, help=f"size of the catalogue, up to {MAX_ITEMS:,}")
        parser.add_argument("--seed", type=int, default=1, help="which catalogue, or which day's changes (default 1)")
        parser.add_argument("--profile", choices=PROFILES, default="clean", help="how much is wrong with the feed")
        parser.add_argument(
            "--market", default="", metavar="CODE", help="the same products in another market, as ae-ar"
        )
        parser.add_argument("--out", required=True, metavar="FILE", help=f"where to; {STDOUT} is standard output")
        later = parser.add_argument_group("another day's feed (shares in percent of the items)")
        later.add_argument("--from-seed", type=int, metavar="SEED", help="the catalogue it is a later feed of")
        later.add_argument("--changed", type=float, help=f"items that differ (default {day.changed})")
        later.add_argument("--added", type=float, help=f"new items, at the end (default {day.added})")
        later.add_argument("--removed", type=float, help=f"items left out (default {day.removed})")

    def handle(self, *, out: str, items: int, seed: int, profile: str, market: str, **options: Any) -> None:
        try:
            changes = _changes(**{name: options[name] for name in ("from_seed", "changed", "added", "removed")})
            feed = iter_feed(items=items, seed=seed, profile=profile, changes=changes, market=market)
            write_feed_to(out, feed)
        except ValueError as error:
            raise CommandError(str(error), returncode=USAGE_ERROR) from error


def _changes(from_seed: int | None, **shares: float | None) -> Changes | None:
    """The differences asked for. Raises ValueError when there is no catalogue that they could change."""
    given = {name: share for name, share in shares.items() if share is not None}
    if from_seed is not None:
        return Changes(from_seed, **given)
    if given:
        raise ValueError(f"--{next(iter(given))} needs --from-seed, the seed of the catalogue that it changes.")
    return None
