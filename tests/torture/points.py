"""The named points of an import at which something may happen to it, and how the worker comes by them."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import Any

from catalog.imports import apply, attempts, batch, chunks, plan, stage
from config import embedded
from tests.torture.blows import BLOWS

# A point is before or after a call, by the name that its module knows it by.
POINTS: dict[str, tuple[Any, str, str]] = {
    "a chunk, before its first row": (chunks, "_read", "before"),
    "a chunk, before the commit": (batch.Batch, "count_issues", "after"),
    "a chunk, after the commit": (chunks, "_read", "after"),
    "before the file is cut": (stage, "_start_over", "after"),
    "before the plan": (stage, "plan", "before"),
    "the plan, before the commit": (plan, "holds", "after"),
    "after the plan": (stage, "plan", "after"),
    "apply, before the first product": (apply, "_create_products", "before"),
    "apply, between products": (apply, "_create_products", "after"),
    "apply, before the commit": (apply, "_settle_conflicts", "after"),
    "apply, after the commit": (apply, "retried", "after"),
}
# A file here, named like a point, has the blow that comes upon who is there first.
ARMED = embedded.STATE / "points"
# Big files in small chunks, and quick hearts: an import here takes a second or two.
PIECE_BYTES = 200_000
BEAT = 0.5


def prepare() -> None:
    """What both sides must agree on."""
    vars(chunks)["PIECE_BYTES"] = PIECE_BYTES
    attempts.BEAT = BEAT


def install() -> None:
    """Have this process come by the points."""
    prepare()
    for name, (owner, function, when) in POINTS.items():
        setattr(owner, function, _passing(name, getattr(owner, function), when))


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
    spent = armed.with_name(f"{name}, spent")
    try:
        armed.rename(spent)
    except FileNotFoundError:
        return
    BLOWS[spent.read_text()](os.getpid())
