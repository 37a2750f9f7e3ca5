"""Try a source out: what answers, and how the file would be read. Nothing is stored or imported."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field, replace
from typing import Any

from django.conf import settings

from catalog.errors import CatalogError, FeedRefused
from catalog.feeds.cleaning.check import check_item
from catalog.feeds.cleaning.cleaned import Item
from catalog.feeds.reading.formats import Content, Kind, open_content
from catalog.feeds.reading.items import read_items
from catalog.fetching.connections import Pace
from catalog.fetching.edit import PERMISSION
from catalog.fetching.sources import fetch_from, target_of_source
from catalog.fetching.targets import EnoughRead, Found, Known, Spool, Target
from catalog.imports.permissions import require
from catalog.imports.planning.guards import check_items
from catalog.models import FeedSource, ImportRun

SAMPLE_BYTES = 1024 * 1024
MAX_SECONDS = 20.0  # somebody waits for the page
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
    guard: str = ""
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
    return report


def _look_at(target: Target, source: FeedSource, report: Report) -> None:
    pace = Pace(MAX_SECONDS)
    spool = Spool(pace, most=SAMPLE_BYTES)
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
        content = open_content(spool.file, settings.FEED_LIMITS, source.feed.file_settings)
        report.kind, report.is_packed = KINDS[content.kind], content.is_packed
        _count_items(spool, source, report, content, is_whole=is_whole)
    finally:
        spool.close()


def _count_items(spool: Spool, source: FeedSource, report: Report, content: Content, *, is_whole: bool) -> None:
    if content.kind is Kind.WORKBOOK and not is_whole:
        report.notes.append("A workbook cannot be read before all of it is there.")
        return
    spool.file.seek(0)
    feed = source.feed
    count = 0
    try:
        for raw in read_items(spool.file, settings.FEED_LIMITS, feed.file_settings):
            count += 1
            if report.item is None:
                report.item = check_item(raw, feed.rules)
    except FeedRefused as refused:
        if is_whole:
            report.problem, report.code = refused.message, refused.code
            return
    report.is_estimate = not is_whole
    if not is_whole and not report.size:
        report.notes.append("The server does not say how long the file is, so its items cannot be estimated.")
    else:
        report.items = count if is_whole else round(count * (report.size or 0) / max(spool.size, 1))
        report.guard = check_items(ImportRun(pk=sys.maxsize, feed=feed, mode=feed.mode, items=report.items))
