"""Why a plan waits for a person, whatever was said about applying it by itself."""

from collections.abc import Iterable

from django.db.models import QuerySet

from catalog.imports.planning import guards
from catalog.models import ImportRun, Reading, RunIssue

REPAIRED = "feed.repaired."
GUARD = "guard."
_LOST = {"item.not_well_formed": "not well-formed"}
# What confirming would do to products; the other reasons are about items that are left out or were repaired.
SERIOUS = frozenset(f"guard.{what}" for what in ("archived", "items", "price_change", "currency", "out_of_stock"))


def holds(run: ImportRun) -> list[dict[str, str]]:
    """The reasons that hold the run, of the plan that is being made: a code and a sentence each."""
    return [*_reading(run), *(_hold(code, message) for code, message in guards.tripped(run))]


def asks_why(run: ImportRun) -> bool:
    """Whether who confirms has to give a reason: a guard was tripped. What was repaired has only to be looked at."""
    return any(hold["code"].startswith(GUARD) for hold in run.holds)


def _reading(run: ImportRun) -> list[dict[str, str]]:
    if run.reading == Reading.STRICT:
        return []
    repairs = "; ".join(f"{issue.count:,} × {issue.title} ({_lines(issue)})" for issue in repairs_of(run))
    if run.reading == Reading.REPAIRED:
        message = f"The file is not well-formed XML and was repaired while it was read: {repairs}."
        return [_hold("feed.repaired", f"{message} Look at what was repaired, then confirm.")]
    lost = " and ".join(
        f"{issue.count:,} of {run.items:,} {_LOST.get(issue.code, 'over a limit')} ({_lines(issue)})"
        for issue in run.issues.filter(code__startswith="item.").order_by("code")
    )
    what = f"{lost} and left out" if lost else "all whole"
    message = f"The file cannot be read as a whole, and its items were read one by one: {what}."
    also = f" Repaired were {repairs}." if repairs else ""
    return [_hold("feed.salvaged", f"{message}{also} Look at what is left, then confirm.")]


def repairs_of(run: ImportRun) -> QuerySet[RunIssue]:
    """What was repaired in the run's file."""
    return run.issues.filter(code__startswith=REPAIRED)


def _hold(code: str, message: str) -> dict[str, str]:
    return {"code": code, "message": message}


def _lines(issue: RunIssue) -> str:
    """“line 3” or “lines 3, 8, 12, …”."""
    lines = list(dict.fromkeys(example["line"] for example in issue.examples))
    more = ", …" if issue.count > len(issue.examples) else ""
    return f"{_plural(lines)} {', '.join(f'{line:,}' for line in lines)}{more}"


def _plural(lines: Iterable[int]) -> str:
    return "lines" if len(list(lines)) > 1 else "line"
