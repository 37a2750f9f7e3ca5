"""Try a source out: what answers, and how the file would be read. Nothing is stored or imported."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from django.conf import settings

from catalog.errors import CatalogError, FeedRefused
from catalog.feeds.cleaning.check import check_item
from catalog.feeds.cleaning.cleaned import Item
from catalog.feeds.reading.formats import Kind, open_content
from catalog.feeds.reading.items import RawItem, read_items
from catalog.fetching.connections import Pace
from catalog.fetching.edit import PERMISSION
from catalog.fetching.sources import fetch_from, target_of_source
from catalog.fetching.targets import EnoughRead, Found, Known, Spool, Target
from catalog.imports.permissions import require
from catalog.imports.planning.guards import check_items
from catalog.imports.trial import plan_on_trial
from catalog.models import Feed, FeedSource, ImportRun, Mode
from events.log import log_event

SAMPLE_BYTES = 1024 * 1024
MAX_SECONDS = 20.0  # somebody waits for the page
COUNTS = ("created", "changed", "unchanged", "archived", "invalid", "duplicate", "existing")
KINDS = {Kind.XML: "XML", Kind.TABLE: "a table of text", Kind.JSON: "JSON", Kind.WORKBOOK: "an Excel workbook"}


@dataclass
class Report:
    """What the test found, each part only as far as it came."""

    seconds: float = 0.0
    problem: str = ""
    code: str = ""
    status: int | None = None
    file_name: str = ""
    size: int | None = None
    kind: str = ""
    is_packed: bool = False
    item: Item | None = None
    items: int | None = None
    is_estimate: bool = False
    counts: dict[str, int] = field(default_factory=dict)  # of the plan, if the whole file was read
    guards: list[str] = field(default_factory=list)
    fingerprint: str = ""
    new_key: str = ""  # for a person to confirm, before anybody logs in
    notes: list[str] = field(default_factory=list)


def probe(source: FeedSource, *, by: Any) -> Report:
    """Connect, log in, and look at the first part of the file. For people who may change feeds.

    Of an SFTP server whose key is not known, only the key is looked at: a password would go to whoever answers.
    """
    require(by, PERMISSION)
    report, begun = Report(), time.monotonic()
    try:
        target = target_of_source(source, conditional=False)
        if target.place.scheme == "sftp":
            from catalog.fetching.sftp import key_fingerprint, read_host_key  # its library is large

            if not target.host_key:
                pace = Pace(MAX_SECONDS)
                with pace.running():
                    report.new_key = read_host_key(target, pace)
            report.fingerprint = key_fingerprint(report.new_key or target.host_key)
        if not report.new_key:
            _look_at(target, source, report)
    except CatalogError as error:
        report.problem, report.code = error.message, error.code
        report.status = getattr(error, "status", None) or report.status
    report.seconds = time.monotonic() - begun
    log_event("source_tested", by=by, feed=source.feed.slug, code=report.code)
    return report


def _look_at(target: Target, source: FeedSource, report: Report) -> None:
    pace = Pace(MAX_SECONDS)
    spool = Spool(pace, most=SAMPLE_BYTES)
    feed = source.feed
    try:
        found, is_whole = Found(), False
        with pace.running():
            try:
                found = fetch_from(replace(target, known=Known()), spool)
                is_whole = True
            except EnoughRead:
                pass
        report.status, report.file_name = found.status, found.name
        report.size = spool.size if is_whole else spool.announced
        spool.file.seek(0)
        content = open_content(spool.file, settings.FEED_LIMITS, feed.file_settings)
        report.kind, report.is_packed = KINDS[content.kind], content.is_packed
        if content.kind is Kind.WORKBOOK and not is_whole:
            report.notes.append("A workbook cannot be read before all of it is there.")
            return
        spool.file.seek(0)
        items = _read_sample(spool, feed, report, is_whole=is_whole)
        trial = plan_on_trial(feed, items, feed.mode if is_whole else Mode.UPDATE)
    finally:
        spool.close()
    report.guards = [hold["message"] for hold in trial.holds]
    report.is_estimate = not is_whole
    if is_whole:
        report.items = trial.items
        report.counts = {name: getattr(trial, name) for name in COUNTS}
        return
    part = f"Only the first {trial.items:,} items were read. "
    if feed.mode == Mode.SYNC:
        part += "What a sync would archive is not known from them."
    report.notes.append(part.strip())
    if not report.size:
        report.notes.append("The server does not say how long the file is, so its items cannot be estimated.")
        return
    report.items = round(trial.items * report.size / max(spool.size, 1))
    if held := check_items(ImportRun(pk=sys.maxsize, feed=feed, mode=feed.mode, items=report.items)):
        report.guards.append(held)


def _read_sample(spool: Spool, feed: Feed, report: Report, *, is_whole: bool) -> Iterator[RawItem]:
    """The items, of which the report gets the first. A part of a file ends where it was cut off."""
    try:
        for raw in read_items(spool.file, settings.FEED_LIMITS, feed.file_settings):
            report.item = report.item or check_item(raw, feed.rules)
            yield raw
    except FeedRefused:
        if is_whole:
            raise
