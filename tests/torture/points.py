"""The named points of an import at which something may happen to it, and how the worker comes by them."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from importlib import import_module
from typing import Any

import devservers
from catalog import connections, tasks
from catalog.imports.planning import plan
from catalog.imports.reading import chunks, stage
from catalog.imports.work import attempts
from catalog.webhooks import deliver
from notifications import delivery
from tests.torture.blows import BLOWS

# The modules: of their names the package has the operations.
apply, discard, undo = (import_module(f"catalog.imports.{name}") for name in ("apply", "discard", "undo"))
# A point is before or after a call, by the name that its module knows it by.
POINTS: dict[str, tuple[Any, str, str]] = {
    "reading, before the file is cut": (stage, "start_over", "after"),
    "reading, while the file is cut": (chunks, "is_wanted", "after"),
    "a chunk, before its first row": (chunks, "stage_items", "before"),
    "a chunk, before the commit": (chunks, "add_issues", "after"),
    "a chunk, after the commit": (chunks, "stage_items", "after"),
    "gathering, before": (stage, "gather_chunks", "before"),
    "gathering, before the commit": (chunks, "forget_chunks", "after"),
    "the plan, before": (stage, "make_plan", "before"),
    "the plan, before the commit": (plan, "find_holds", "after"),
    "the plan, after the commit": (stage, "make_plan", "after"),
    "apply, before the first product": (apply, "create_products", "before"),
    "apply, between products": (apply, "create_products", "after"),
    "apply, before the commit": (apply, "settle_conflicts", "after"),
    "apply, after the commit": (apply, "retried", "after"),
    "clean-up, before": (tasks, "clean_up", "before"),
    "clean-up, before the commit": (discard, "forget_chunks", "after"),
    "clean-up, after the commit": (tasks, "clean_up", "after"),
    "undo, before the first product": (undo, "stage_again", "before"),
    "undo, between products": (undo, "remove_created", "after"),
    "undo, before the commit": (undo, "settle_outcomes", "after"),
    "undo, after the commit": (tasks, "undo", "after"),
    "redo, before the first product": (undo, "lay_over", "before"),
    "redo, before the commit": (undo, "lay_over", "after"),
    "redo, after the commit": (tasks, "redo", "after"),
    "mail, before it is sent": (delivery.MailConnection, "send", "before"),
    "mail, taken by the server": (delivery.MailConnection, "send", "after"),
    "mail, noted as sent": (delivery, "release_message", "before"),
}
# A file here, named like a point, has the blow that comes upon who is there first.
ARMED = devservers.STATE / "points"
# Big files in small chunks, and quick hearts: an import here takes a second or two.
PIECE_BYTES = 100_000
BEAT_SECONDS = 0.5
IDLE = 3


def prepare() -> None:
    """What both sides must agree on. Fails when the program has no such function any more, before a worker would."""
    for owner, function, _when in POINTS.values():
        getattr(owner, function)
    vars(chunks)["PIECE_BYTES"] = PIECE_BYTES
    attempts.BEAT_SECONDS = BEAT_SECONDS
    connections.IDLE = IDLE
    deliver.PAUSES[:] = [timedelta(seconds=1)] * len(deliver.PAUSES)
    delivery.PAUSES[:] = [timedelta(seconds=1)] * len(delivery.PAUSES)


def install() -> None:
    """Have this process come by the points."""
    prepare()
    for name, (owner, function, when) in POINTS.items():
        setattr(owner, function, _passing(name, getattr(owner, function), when))


def arm(point: str, blow: str) -> None:
    (ARMED / point).write_text(blow)


def disarm() -> set[str]:
    """Forget every blow that was set, and say which points they came at."""
    came = {file.name for file in ARMED.iterdir() if file.suffix == SPENT}
    for file in ARMED.iterdir():
        file.unlink()
    return {name.removesuffix(SPENT) for name in came}


SPENT = ".spent"


def _passing(name: str, call: Callable[..., Any], when: str) -> Callable[..., Any]:
    @wraps(call)
    def passing(*args: Any, **options: Any) -> Any:
        if when == "before":
            _happens(name)
        result = call(*args, **options)
        if when == "after":
            _happens(name)
        return result

    return passing


def _happens(name: str) -> None:
    """What was set for this point, once."""
    armed = ARMED / name
    spent = armed.with_name(name + SPENT)
    try:
        armed.rename(spent)
    except FileNotFoundError:
        return
    BLOWS[spent.read_text()](os.getpid())
