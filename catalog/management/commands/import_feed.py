"""Import a feed from the shell: the same operations as in the admin, in this process."""

from __future__ import annotations

import json
import re
import resource
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.files.base import File
from django.core.management.base import BaseCommand, CommandError
from django.utils.text import slugify

from catalog.errors import CatalogError
from catalog.fetching.download import download, read_stream
from catalog.imports.local import import_locally
from catalog.models import Feed, ImportRun, Mode, Status

KIB_PER_MB = 1024
SLUG_CHARS = Feed._meta.get_field("slug").max_length or 0


class Command(BaseCommand):
    help = "Import a product feed. Exit 0: it was read, even if it waits now; 1: it was refused; 2: wrong usage."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "file",
            help="XML (RSS, Atom, a list of products), CSV, TSV, XLSX or JSON, as it is, in gzip or in a zip; "
            "an address to fetch it from, or - for standard input",
        )
        parser.add_argument("--feed", default="main", metavar="SLUG", help="the feed it belongs to (default: main)")
        parser.add_argument("--mode", choices=Mode.values, default=Mode.UPDATE, help="default: update")
        parser.add_argument("--dry-run", action="store_true", help="plan, print, and leave the catalogue as it is")
        parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")

    def handle(self, *, file: str | Path, feed: str, mode: str, dry_run: bool, json: bool, **_: Any) -> None:
        file = str(file)
        if not _is_elsewhere(file) and not Path(file).is_file():
            raise CommandError(f"There is no file {file}.", returncode=2)
        if slugify(feed) != feed or not 0 < len(feed) <= SLUG_CHARS:
            would_do = f"use small letters, digits, - and _, up to {SLUG_CHARS} of them"
            raise CommandError(f"{feed!r} is not a short name: {would_do}.", returncode=2)
        belongs_to, made = Feed.objects.get_or_create(slug=feed, defaults={"name": feed.replace("-", " ").capitalize()})
        if made:
            self.stderr.write(f"The feed {feed!r} is new.")
        progress = _ProgressBar() if sys.stderr.isatty() else None
        run, error = None, ""
        try:
            with _opened(file) as upload:
                run = import_locally(upload, feed=belongs_to, mode=mode, dry_run=dry_run, on_progress=progress)
            error = run.error
        except CatalogError as refused:
            error = refused.message
        finally:
            if progress:
                progress.close()
        if json:
            self.stdout.write(_as_json(run, error))
        elif run and not error:
            self.stdout.write(_sentence(run))
        if error:
            # With --json the sentence is in the object; standard error repeats it for people.
            raise CommandError(error, returncode=1)


def _is_elsewhere(file: str) -> bool:
    """Whether it is standard input or an address, and no file of this machine."""
    return file == "-" or (re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", file) is not None and not Path(file).exists())


@contextmanager
def _opened(file: str) -> Iterator[File[bytes]]:
    """The file, wherever it is. Raises `CatalogError` when it cannot be fetched."""
    if file == "-":
        with read_stream(sys.stdin.buffer) as spooled:
            yield File(spooled, name="stdin")
    elif _is_elsewhere(file):
        with download(file) as (spooled, name):
            yield File(spooled, name=name or "feed")
    else:
        with Path(file).open("rb") as stream:
            yield File(stream, name=Path(file).name)


def _sentence(run: ImportRun) -> str:
    """“Import 7 applied: 639 items; 639 new, …”."""
    numbers = [
        f"{count:,} {ImportRun._meta.get_field(name).verbose_name}"  # type: ignore[union-attr]
        for name, count in run.counts.items()
        if name != "items" and count
    ]
    said = f"{run} {run.get_status_display().lower()}: {run.items:,} items; {', '.join(numbers) or 'nothing to do'}."
    return "\n".join([said, *(hold["message"] for hold in run.holds)])


def _as_json(run: ImportRun | None, error: str) -> str:
    """The contract of the shell's `--json`; a file refused at first sight has no run."""
    counts = run.counts if run else dict.fromkeys(ImportRun.COUNTS, 0)
    issues = list(run.issues.values("code", "severity", "attribute", "count")) if run else []
    seconds = {step: run.seconds.get(step, 0.0) if run else 0.0 for step in ("stage", "plan", "apply")}
    return json.dumps(
        {
            "id": run.pk if run else None,
            "status": run.status if run else Status.FAILED,
            "counts": counts,
            "issues": issues,
            "holds": run.holds if run else [],
            "error": error or None,
            "seconds": seconds,
            "metrics": run.metrics if run else {},
            "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_MB, 1),
        },
        ensure_ascii=False,
    )


class _ProgressBar:
    """One line on the terminal: items, share, speed."""

    WIDTH = 30

    def __init__(self) -> None:
        self._start = time.monotonic()

    def __call__(self, run: ImportRun) -> None:
        share = run.bytes_read / max(run.file_size, 1)
        bar = ("█" * int(share * self.WIDTH)).ljust(self.WIDTH, "·")
        speed = run.items / max(time.monotonic() - self._start, 0.001)
        sys.stderr.write(f"\r{bar} {share:4.0%}  {run.items:,} items  {speed:,.0f}/s ")
        sys.stderr.flush()

    def close(self) -> None:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
