"""What went wrong with a server, in a sentence that says what to do."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from devservers.addresses import STATE


class EmbeddedError(RuntimeError):
    """A server cannot be had. The text is one sentence or two: what was found, and what to do."""


def reason_in_log(log: Path) -> str:
    """The line of a server's log that says why it ended."""
    try:
        return line_with_reason(log.read_text(errors="replace")[-4000:])
    except OSError:
        return "it left no log"


def line_with_reason(text: str) -> str:
    """The line that says what went wrong: best the system's own word, else the last complaint."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["it said nothing"]
    # The log also has the refusals of clients that came too early, which say nothing about the cause.
    complaints = [line for line in lines if re.search(r"FATAL|PANIC|rror|Fail", line) and "database system" not in line]
    causes = [line for line in lines if re.search(r"No space left|quota|denied|Read-only|not permitted", line)]
    return re.sub(r"^.*?(FATAL|PANIC|ERROR):\s*", "", (causes or complaints or lines)[-1]).rstrip(".")


def advice_for(text: str) -> str:
    """What to do about a problem that a tool or the system reports."""
    if "No space left" in text or "quota" in text:
        return " Free some space, or set EMBEDDED_DIR to a folder on another disk."
    if "denied" in text or "Read-only" in text or "not permitted" in text:
        return " Make the folder writable, or set EMBEDDED_DIR to one that is."
    if "too long" in text:
        return " Move the project, or set EMBEDDED_DIR to a shorter path."
    return " Set EMBEDDED_DIR to another folder, or DATABASE_URL and REDIS_URL to servers of your own."


@contextlib.contextmanager
def as_sentence() -> Iterator[None]:
    """Turn a failure of the file system into an EmbeddedError."""
    try:
        yield
    except OSError as error:
        text = error.strerror or str(error)
        raise EmbeddedError(f"The servers cannot use {error.filename or STATE}: {text}.{advice_for(text)}") from error
