"""What the page of an import shows of one run to one person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy as _

from catalog.admin.changes import PRICE_LABELS, SHIFT_LABELS, ChangesTab, MissingTab
from catalog.admin.tabs import AttributesTab, InvalidTab, IssuesTab, Tab
from catalog.feeds.issues import Severity
from catalog.imports.ask import NOTE_CHARS
from catalog.imports.confirm import REASON_CHARS, is_current
from catalog.imports.notices import confirmers
from catalog.imports.planning import supplemental
from catalog.imports.planning.guards import SERIOUS_GUARDS, needs_reason, repairs_of
from catalog.imports.reports import diagnosis, source
from catalog.imports.undo import keeps_values
from catalog.imports.work import attempts
from catalog.models import ImportRun, Mode, Reading, RunIssue, Status
from catalog.templatetags.catalog import effect, undo_effect

STATUS_COLORS = {
    Status.RECEIVED: "info",
    Status.STAGING: "info",
    Status.REVIEW: "warning",
    Status.APPLYING: "info",
    Status.APPLIED: "success",
    Status.UNDOING: "info",
    Status.UNDONE: "warning",
    Status.REDOING: "info",
    Status.FAILED: "danger",
}
# An applied import of invalid items only.
NOTHING_IMPORTED = _("Nothing imported")
STEPS = (
    (_("Upload"), ()),
    (_("Read and compare"), (Status.RECEIVED, Status.STAGING)),
    (_("Review"), (Status.REVIEW,)),
    (_("Apply"), (Status.APPLYING,)),
    (_("Done"), (Status.APPLIED, Status.UNDOING, Status.UNDONE, Status.REDOING)),
)
# What each step of the run's metrics did with the items.
STEP_VERBS = {
    "stage": _("read"),
    "plan": _("compared"),
    "apply": _("applied"),
    "undo": _("undone"),
    "redo": _("applied again"),
}
TABS: dict[str, Tab] = {
    tab.key: tab for tab in (ChangesTab(), MissingTab(), IssuesTab(), InvalidTab(), AttributesTab())
}
# Where a guard's products or items are listed.
LISTS_OF_GUARDS = {
    "guard.archived": "?tab=missing",
    "guard.lost_ids": "?tab=missing",
    "guard.price_change": "?tab=changes&field=price",
    "guard.currency": "?tab=changes&field=currency",
    "guard.out_of_stock": "?tab=changes&field=availability",
    "guard.invalid": "?tab=invalid",
    "guard.nothing_valid": "?tab=invalid",
    "guard.duplicates": "?tab=issues&code=id.duplicate&attribute=id",
}
SHOWN_ISSUES = 5  # while the file is read


@dataclass(frozen=True, slots=True)
class Count:
    """A number in large print. Unless it is zero it has a colour, and leads to what it counts."""

    label: Any
    number: int
    color: str = ""
    query: str = ""


class RunPage:
    """The facts of the page, each computed when the template asks for it."""

    reason_chars = REASON_CHARS
    note_chars = NOTE_CHARS
    max_attempts = attempts.MAX_ATTEMPTS

    def __init__(self, run: ImportRun, user: Any) -> None:
        self.run = run
        self.user = user

    # --- how far it is ------------------------------------------------------------------------------------
    @property
    def status(self) -> Any:
        return status_label(self.run)

    @property
    def status_color(self) -> str:
        return "danger" if self.status == NOTHING_IMPORTED else STATUS_COLORS.get(Status(self.run.status), "default")

    @property
    def steps(self) -> list[dict[str, Any]]:
        """The way of an import, up to where this one is or ended. A step beside the way is called by its status."""
        run = self.run
        is_stopped = run.status in (Status.FAILED, Status.DISCARDED)
        statuses_before = (step["status"] for step in reversed(run.history) if step["status"] != run.status)
        reached = next(statuses_before, Status.RECEIVED) if is_stopped else run.status
        current = next((i for i, (_label, statuses) in enumerate(STEPS) if reached in statuses), 0)
        labels: list[Any] = [label for label, _statuses in STEPS]
        if (
            is_stopped
            or self.status == NOTHING_IMPORTED
            or run.status in (Status.UNDOING, Status.UNDONE, Status.REDOING)
        ):
            labels[current] = status_label(run)
        return [{"label": label, "done": i < current, "current": i == current} for i, label in enumerate(labels)]

    @cached_property
    def progress(self) -> dict[str, Any]:
        return reading_progress(self.run)

    @cached_property
    def sign(self) -> attempts.Sign | None:
        """The last sign of life of the worker."""
        return attempts.last_sign(self.run) if self.run.is_busy else None

    @property
    def waits_for_storage(self) -> bool:
        return self._waits and self.run.status in (Status.RECEIVED, Status.STAGING)

    @property
    def waits_for_catalogue(self) -> bool:
        return self._waits and self.run.status == Status.APPLYING

    @property
    def _waits(self) -> bool:
        """A worker has looked at it, and had to leave it for later."""
        return self.run.next_try_at is not None and self.sign is None

    @cached_property
    def early_verdict(self) -> RunIssue | None:
        return diagnosis.early_verdict(self.run)

    @cached_property
    def first_issues(self) -> list[RunIssue]:
        found = sorted(self.run.issues.all(), key=lambda issue: (Severity(issue.severity).rank, -issue.count))
        return found[:SHOWN_ISSUES]

    # --- the plan, or what came of it ---------------------------------------------------------------------
    @property
    def heading(self) -> Any:
        run = self.run
        if run.status == Status.FAILED:
            return _("This import failed. No product was changed.")
        if run.status == Status.DISCARDED:
            return _("This import was discarded. No product was changed.")
        if run.status == Status.UNDONE:
            return _("This import was undone: %(what)s.") % {"what": undo_effect(run, "did")}
        if run.status == Status.REVIEW and (run.has_changes or run.holds):
            return _("Confirming %(what)s.") % {"what": effect(run, "will") + self.of_edits + self.left_to_others}
        if run.is_useless:
            return _("No item of this file can be imported. No product was changed.")
        if run.has_changes or run.conflict or (run.archive_conflict and not run.pinned):
            return _("This import %(what)s.") % {"what": effect(run, "did") + self.left_to_others}
        if self.left_to_others:
            return _("Nothing to confirm%(others)s.") % {"others": self.left_to_others}
        if run.pinned:
            return _("Nothing to confirm: every difference is in a pinned field.")
        return _("Nothing to confirm: the catalogue already matches the file.")

    @property
    def of_edits(self) -> str:
        """The part of the heading about edits that the plan replaces."""
        count = sum(count for _value, count in self.run.meaning.get("facets", {}).get("edit", []))
        return f"; {count:,} {'replaces' if count == 1 else 'replace'} a person’s edit" if count else ""

    @cached_property
    def left_to_others(self) -> str:
        """The end of the heading: what was left out, and how many products of the file belong to other feeds."""
        left = self.run.left_out + self.run.archive_left_out
        left_out = f"; {left:,} {'is' if left == 1 else 'are'} left out" if left else ""
        count = self.run.issues.filter(code="id.other_feed").values_list("count", flat=True).first()
        if not count:
            return left_out
        if count == 1:
            return f"{left_out}; one product of another feed stays as it is"
        return f"{left_out}; {count:,} products of other feeds stay as they are"

    @property
    def counts(self) -> Iterator[Count]:
        run = self.run
        if run.status == Status.UNDONE:
            yield Count(_("undone"), run.undone, "good", "?tab=changes&outcome=undone")
            yield Count(_("kept: changed since"), run.kept, "warn", "?tab=changes&outcome=kept")
            yield Count(_("no longer in the catalogue"), run.gone, "bad", "?tab=changes&outcome=gone")
        yield Count(_("items read"), run.items)
        yield Count(_("new"), run.created, "good", "?tab=changes&operation=create")
        yield Count(_("changed"), run.changed, "info", "?tab=changes&operation=update")
        if run.mode == Mode.ADD:
            yield Count(_("existing, left alone"), run.existing)
        else:
            yield Count(_("unchanged"), run.unchanged)
        if run.pinned:
            yield Count(_("unchanged because pinned"), run.pinned, query="?tab=changes&operation=keep")
        if run.mode == Mode.SYNC:
            yield Count(_("archived: not in the file"), run.archived, "warn", "?tab=missing")
        yield Count(_("duplicates, skipped"), run.duplicate, "warn", "?tab=issues&code=id.duplicate&attribute=id")
        yield Count(_("invalid, skipped"), run.invalid, "bad", "?tab=invalid")
        if left_out := run.left_out + run.archive_left_out:
            yield Count(_("left out"), left_out, "warn", "?tab=changes&outcome=left_out")
        if conflicts := run.conflict + run.archive_conflict:
            yield Count(_("conflicts, left alone"), conflicts, "bad", "?tab=changes&outcome=conflict")

    @property
    def price_moves(self) -> list[dict[str, Any]]:
        """The bars of the histogram of prices, each with its part of the highest; none when no price moves."""
        counts = self.run.meaning.get("prices", []) if self.run.status == Status.REVIEW else []
        return [
            {
                "label": label,
                "count": count,
                "percent": round(100 * count / max(counts)),
                "bar": bar,
                "is_fall": bar < 4,
            }
            for bar, (label, count) in enumerate(zip(PRICE_LABELS, counts, strict=False))
        ]

    @property
    def price_extremes(self) -> list[tuple[str, str]]:
        """The products whose prices fall and rise the farthest, with the move."""
        meaning = self.run.meaning
        farthest = [*meaning.get("falls", []), *reversed(meaning.get("rises", []))]
        return [(product_id, f"{share:+.0%}".replace("-", "−").replace("%", " %")) for product_id, share in farthest]

    @property
    def availability_moves(self) -> list[tuple[str, Any, int]]:
        """To which availability how many products change."""
        moves = self.run.meaning.get("availability", []) if self.run.status == Status.REVIEW else []
        return [(value, value.replace("_", " "), count) for value, count in moves if value]

    @property
    def meaning(self) -> dict[str, Any]:
        """What the plan means, while it can be decided."""
        return self.run.meaning if self.run.status == Status.REVIEW else {}

    @property
    def has_meaning(self) -> bool:
        """Whether there is anything to say beside the counts."""
        told = ("prices", "availability", "currency", "shifts", "appearing", "vanishing")
        return any(self.meaning.get(name) for name in told) or len(self.currencies) > 1

    @property
    def currencies(self) -> list[list[Any]]:
        """In which currencies the plan's products are, with their numbers."""
        return list(self.meaning.get("facets", {}).get("currency", []))

    @property
    def shifts(self) -> list[dict[str, Any]]:
        """What brands, categories and the like get and lose, each with its parts of the longest bar."""
        shown = []
        for name, (values, count) in self.meaning.get("shifts", {}).items():
            longest = max(max(gained, lost) for _value, gained, lost in values)
            rows = [
                (value, gained, lost, round(100 * gained / longest), round(100 * lost / longest))
                for value, gained, lost in values
            ]
            shown.append({"name": name, "label": SHIFT_LABELS[name], "rows": rows, "more": count - len(rows)})
        return shown

    @property
    def filter_values(self) -> list[tuple[Any, str, list[dict[str, Any]]]]:
        """Which values the API's filters get and lose, with the way to list their products."""
        kinds = (("appearing", "gain", _("New in the API’s filters")), ("vanishing", "loss", _("Gone from them")))
        return [
            (
                label,
                shift,
                [
                    {
                        "name": name,
                        "label": SHIFT_LABELS[name],
                        "values": [value for value, _gained, _lost in values],
                        "more": count - len(values),
                    }
                    for name, (values, count) in found.items()
                ],
            )
            for kind, shift, label in kinds
            if (found := self.meaning.get(kind))
        ]

    @property
    def holds(self) -> list[tuple[str, bool, str]]:
        """Each reason to look, whether it is about products, and where these or the items are listed."""
        return [
            (hold["message"], hold["code"] in SERIOUS_GUARDS, LISTS_OF_GUARDS.get(hold["code"], ""))
            for hold in self.run.holds
        ]

    @cached_property
    def repairs(self) -> list[RunIssue]:
        return [] if self.run.reading == Reading.STRICT else list(repairs_of(self.run))

    @cached_property
    def kept_attributes(self) -> list[RunIssue]:
        """What a supplemental feed does not have."""
        return supplemental.kept_attributes(self.run)

    @property
    def needs_reason(self) -> bool:
        return needs_reason(self.run)

    @property
    def confirm_variant(self) -> str:
        """The look of the button: a plan that tripped a guard is not confirmed like any other."""
        return "danger" if self.needs_reason else "primary"

    @property
    def reason(self) -> str:
        """Why somebody confirmed or discarded it."""
        return next((step["reason"] for step in self.run.history if "reason" in step), "")

    @property
    def person(self) -> str:
        """Who caused its status. The worker that applies or undoes does so for the person before it."""
        return next((step["by"] for step in reversed(self.run.history) if step["by"]), "")

    @property
    def durations(self) -> list[dict[str, Any]]:
        metrics = self.run.metrics
        return [{"label": label, **metrics[step]} for step, label in STEP_VERBS.items() if step in metrics]

    @property
    def has_aged(self) -> bool:
        return self.run.status == Status.REVIEW and not is_current(self.run)

    @property
    def has_error_line(self) -> bool:
        return self.run.status == Status.FAILED and source.place_of_error(self.run) is not None

    # --- its lists ----------------------------------------------------------------------------------------
    @property
    def tabs(self) -> list[tuple[Tab, int]]:
        return [(tab, tab.count_rows(self.run)) for tab in TABS.values() if tab.is_for(self.run)]

    def tab_named(self, key: str) -> Tab:
        """The list of this name; the changes, where the run has none."""
        tab = TABS.get(key, TABS["changes"])
        return tab if tab.is_for(self.run) else TABS["changes"]

    # --- what this person may do --------------------------------------------------------------------------
    @property
    def can_upload(self) -> bool:
        return bool(self.user.has_perm("catalog.add_importrun"))

    @property
    def can_change_feed(self) -> bool:
        return bool(self.user.has_perm("catalog.change_feed"))

    @property
    def can_confirm(self) -> bool:
        return bool(self.user.has_perm("catalog.confirm_importrun"))

    @property
    def can_ask(self) -> bool:
        return self.can_upload and self.run.status == Status.REVIEW and bool(self.askable)

    @cached_property
    def waits_for(self) -> list[Any]:
        """Who may confirm the plan."""
        return confirmers()

    @property
    def askable(self) -> list[Any]:
        return [person for person in self.waits_for if person != self.user]

    @property
    def asked(self) -> list[dict[str, Any]]:
        return [{**each, "at": parse_datetime(each["at"])} for each in self.run.asked]

    @property
    def can_leave_out(self) -> bool:
        return self.can_confirm and self.run.status == Status.REVIEW

    @property
    def can_discard(self) -> bool:
        return bool(self.user.has_perm("catalog.discard_importrun"))

    @property
    def can_stop(self) -> bool:
        return self.can_discard and self.run.finished_at is None and self.run.status != Status.APPLYING

    @property
    def can_plan_again(self) -> bool:
        return self.can_upload and self.can_discard

    @property
    def can_plan_conflicts(self) -> bool:
        run = self.run
        has_conflicts = run.status == Status.APPLIED and run.file and (run.conflict or run.archive_conflict)
        return bool(has_conflicts and self.can_plan_again)

    @property
    def can_take_again(self) -> bool:
        """Whether a new plan may have again what was left out of this one."""
        run = self.run
        was_left_out = run.status == Status.APPLIED and run.file
        return bool(was_left_out and self.can_plan_again)

    @property
    def may_undo(self) -> bool:
        return bool(self.user.has_perm("catalog.undo_importrun"))

    @property
    def can_undo(self) -> bool:
        return self.may_undo and self.run.status == Status.APPLIED and self.run.has_changes

    @cached_property
    def can_redo(self) -> bool:
        return self.may_undo and self.run.status == Status.UNDONE and keeps_values(self.run)

    @property
    def is_past_redo(self) -> bool:
        """The values of the products that it added are gone, and this person would have wanted to know."""
        return self.may_undo and self.run.status == Status.UNDONE and not self.can_redo


def status_label(run: ImportRun) -> Any:
    """The status in words. What came to nothing is not called applied."""
    return NOTHING_IMPORTED if run.status == Status.APPLIED and run.is_useless else run.get_status_display()


def reading_progress(run: ImportRun) -> dict[str, Any]:
    """How far the reading is: percent, items a second, seconds left; empty while nothing is read."""
    # What a lost worker read of a file in one piece is read again; of one in chunks, it counts.
    steps = run.history if run.in_chunks else reversed(run.history)
    started = next((h["at"] for h in steps if h["status"] == Status.STAGING), None)
    if not run.is_busy or not started:
        return {}
    seconds = max((timezone.now() - (parse_datetime(started) or timezone.now())).total_seconds(), 0.001)
    share = run.bytes_read / max(run.file_size, 1)
    return {
        "percent": round(share * 100),
        "per_second": round(run.items / seconds),
        "seconds_left": round(seconds / share - seconds) if share else None,
    }
