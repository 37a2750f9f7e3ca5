"""Where the commands write feeds to."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from django.core.management.base import CommandError

STDOUT = "-"


def write_feed_to(out: str, feed: Iterable[bytes]) -> None:
    """Write to a file, or to standard output. Raises `CommandError` when the file cannot be written."""
    try:
        if out == STDOUT:
            sys.stdout.buffer.writelines(feed)
        else:
            with Path(out).open("wb", buffering=1 << 20) as stream:
                stream.writelines(feed)
    except BrokenPipeError:
        # The reader, perhaps `head`, has seen enough; without this Python complains about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        raise CommandError(f"{out} cannot be written: {error.strerror}.") from error
