"""What an import of some items would do, found out by doing it in a transaction that is rolled back."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import transaction

from catalog.feeds.cleaning.check import OWN_TABLE, Occurring
from catalog.feeds.cleaning.values import SIGNS
from catalog.feeds.reading.items import RawItem
from catalog.imports.issues import add_issues
from catalog.imports.planning.plan import make_plan
from catalog.imports.reading.copy import ItemBatch, clean_items
from catalog.models import Feed, ImportRun, Mode, Status

BATCH_ITEMS = 2000


def plan_on_trial(feed: Feed, raw_items: Iterator[RawItem], mode: Mode | str) -> ImportRun:
    """A run with the counts of the items' plan, and with what would hold it. Nothing of it is in the database.

    Raises `FeedRefused` as staging and planning do. Meant for a few megabytes: somebody waits.
    """
    occurring = Occurring(feed.rules)
    with transaction.atomic():
        run = ImportRun.objects.create(feed=feed, mode=mode, status=Status.STAGING, file_size=0)
        items = clean_items(raw_items, feed.rules, occurring)
        while True:
            batch = ItemBatch(run, items, BATCH_ITEMS)
            batch.copy()
            if not batch.count:
                break
            run.items += batch.count
            run.invalid += batch.invalid
            add_issues(run, batch.tally.counts())
        run.names = sorted(occurring.names - SIGNS - {OWN_TABLE})
        make_plan(run, has_many=False)
        transaction.set_rollback(True)
    return run
