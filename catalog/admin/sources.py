"""Where a feed comes from: the form of its source, the panel on its page, and the buttons to fetch and to try."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldAdminTimeWidget,
)

from catalog.errors import CatalogError
from catalog.fetching.credentials import check_private_key
from catalog.fetching.edit import save_source
from catalog.fetching.notices import fetch_facts, source_warning
from catalog.fetching.schedule import DAYS, EVERY_DAY, Timing, next_fetch_at, read_timing, timing_in_words
from catalog.fetching.sources import shown_address
from catalog.fetching.targets import Login as Credentials
from catalog.models import Feed, FeedSource, Fetch, FetchOutcome, Login

SHOWN_FETCHES = 60
NEVER, AT_A_TIME, EVERY, AS_IT_IS = "never", "time", "minutes", "as_it_is"
WHEN = [
    (NEVER, _("Only on demand")),
    (AT_A_TIME, _("At a time of the day")),
    (EVERY, _("Every so many minutes")),
]
MAX_MINUTES = 24 * 60


class SourceForm(forms.Form):
    """The source of a feed. Secrets are written and never shown: empty fields keep what is there."""

    address = forms.CharField(
        label=_("Address"),
        max_length=2000,
        widget=UnfoldAdminTextInputWidget,
        help_text=_(
            "For example https://shop.example/feed.xml, sftp://shop.example/outgoing/, ftps://shop.example/feeds/, "
            "s3://bucket/feeds/ or folder:noor"
        ),
    )
    pattern = forms.CharField(
        label=_("Pattern"),
        max_length=200,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("For folders, SFTP, FTP and S3: the newest complete file that fits, for example feed-*.xml.gz"),
    )
    marker = forms.CharField(
        label=_("Marker"),
        max_length=50,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text=_(
            "The ending of a second file that says that the first is complete, for example .done. Without one, a file "
            "is complete when nobody has written to it for a minute."
        ),
    )
    kind = forms.ChoiceField(label=_("Login"), choices=Login.choices, widget=UnfoldAdminSelectWidget)
    username = forms.CharField(
        label=_("User name or key ID"),
        max_length=500,
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
    )
    secret = forms.CharField(
        label=_("Password, token or secret"),
        max_length=5000,
        required=False,
        strip=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
    )
    private_key = forms.CharField(
        label=_("Private key"),
        max_length=20_000,
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "autocomplete": "off", "spellcheck": "false"}),
        help_text=_("For SFTP: the text of the file, in OpenSSH's or in PEM format."),
    )
    passphrase = forms.CharField(
        label=_("Passphrase of the key"),
        max_length=500,
        required=False,
        strip=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
    )
    endpoint = forms.CharField(
        label=_("S3 endpoint"),
        max_length=500,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Unless the bucket is at Amazon's, for example https://s3.example.com"),
    )
    region = forms.RegexField(
        r"\A[a-z0-9-]*\Z", label=_("S3 region"), max_length=50, required=False, widget=UnfoldAdminTextInputWidget
    )
    when = forms.ChoiceField(label=_("When"), choices=WHEN, widget=UnfoldAdminRadioSelectWidget)
    at = forms.TimeField(label=_("Time"), required=False, widget=UnfoldAdminTimeWidget)
    days = forms.TypedMultipleChoiceField(
        label=_("On"),
        choices=list(enumerate(DAYS, start=1)),
        coerce=int,
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )
    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        required=False,
        choices=lambda: [(name, name) for name in sorted(available_timezones())],
        widget=UnfoldAdminSelectWidget,
    )
    minutes = forms.IntegerField(
        label=_("Minutes"), required=False, min_value=1, max_value=MAX_MINUTES, widget=UnfoldAdminIntegerFieldWidget
    )
    expected_hours = forms.IntegerField(
        label=_("Expect a new file within, in hours"),
        required=False,
        min_value=1,
        max_value=24 * 366,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text=_("When nothing new came for longer, the first page and the digest say that the feed is quiet."),
    )

    def __init__(self, data: Any, feed: Feed, source: FeedSource | None) -> None:
        self.feed, self.source = feed, source
        super().__init__(data, initial=_initial_values(source))
        if source and source.job and read_timing(source) is None:
            words = timing_in_words(source)
            self.fields["when"].choices = [*WHEN, (AS_IT_IS, _("As the periodic task says: %s") % words)]  # type: ignore[attr-defined]
        if source and source.credentials:
            kept = _("Entered already, and never shown. Leave it empty to keep it.")
            for name in ("username", "secret"):
                self.fields[name].help_text = kept

    def clean_address(self) -> str:
        """The address that was meant: one that came back as it was shown is the one that is kept."""
        address: str = self.cleaned_data["address"].strip()
        if self.source and address == shown_address(self.source):
            return self.source.address
        return address

    def clean_username(self) -> str:
        return self._one_line("username")

    def clean_secret(self) -> str:
        return self._one_line("secret")

    def _one_line(self, name: str) -> str:
        text: str = self.cleaned_data[name]
        if not text.isprintable() and text:
            raise forms.ValidationError(_("Write it in one line, without control characters."))
        return text

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        when = cleaned.get("when")
        if when == EVERY and not cleaned.get("minutes") and "minutes" not in self.errors:
            self.add_error("minutes", _("Say how many minutes."))
        if when == AT_A_TIME and not cleaned.get("at") and "at" not in self.errors:
            self.add_error("at", _("Say at which time, for example 05:30."))
        if when == AT_A_TIME and not cleaned.get("days"):
            self.add_error("days", _("Choose at least one day."))
        if cleaned.get("kind") == Login.KEY and cleaned.get("private_key"):
            try:
                check_private_key(cleaned["private_key"], cleaned.get("passphrase", ""))
            except ValueError as error:
                self.add_error("private_key", str(error))
        return cleaned

    def save(self, by: Any) -> FeedSource | None:
        """The source as it was entered; None when it cannot be, which the form then says."""
        entered = self.cleaned_data
        try:
            return save_source(
                self.feed,
                by=by,
                address=entered["address"],
                kind=entered["kind"],
                login=self._entered_login(),
                timing=self._timing(),
                keep_timing=entered["when"] == AS_IT_IS,
                **{name: entered[name] for name in ("pattern", "marker", "endpoint", "region", "expected_hours")},
            )
        except CatalogError as refused:
            at = "address" if refused.code.startswith("fetch.") else None
            self.add_error(at, refused.message)
            return None

    def _entered_login(self) -> Credentials | None:
        entered = self.cleaned_data
        kind, secret = entered["kind"], entered["private_key" if entered["kind"] == Login.KEY else "secret"]
        if kind == Login.NONE or not (entered["username"] or secret):
            return None
        return Credentials(kind, entered["username"], secret, entered["passphrase"])

    def _timing(self) -> Timing | None:
        entered = self.cleaned_data
        if entered["when"] == EVERY:
            return Timing(minutes=entered["minutes"])
        if entered["when"] == AT_A_TIME:
            zone = entered["time_zone"] or settings.TIME_ZONE
            return Timing(at=entered["at"], days=tuple(sorted(entered["days"])), time_zone=zone)
        return None


def _initial_values(source: FeedSource | None) -> dict[str, Any]:
    timing = read_timing(source) if source else None
    values: dict[str, Any] = {
        "when": NEVER if source and source.job is None else AT_A_TIME,
        "at": time(5, 30),
        "days": EVERY_DAY,
        "time_zone": settings.TIME_ZONE,
        "kind": Login.NONE,
        "expected_hours": 48,
    }
    if source is None:
        return values
    if timing is None and source.job:
        values["when"] = AS_IT_IS
    elif timing and timing.minutes:
        values |= {"when": EVERY, "minutes": timing.minutes}
    elif timing:
        values |= {"at": timing.at, "days": timing.days, "time_zone": timing.time_zone}
    names = ("pattern", "marker", "endpoint", "region", "expected_hours")
    values |= {name: getattr(source, name) for name in names}
    return values | {"address": shown_address(source), "kind": source.login}


# --- the panel --------------------------------------------------------------------------------------------

COLOURS = {
    FetchOutcome.NEW: "good",
    FetchOutcome.UNCHANGED: "same",
    FetchOutcome.REFUSED: "bad",
    FetchOutcome.FAILED: "bad",
}


@dataclass(frozen=True)
class Bar:
    """One fetch in the picture: its colour, and its heights from 0 to 1."""

    colour: str
    bytes: float
    items: float
    late: float
    words: str


def arrival_context(request: HttpRequest, feed: Feed) -> dict[str, Any]:
    """What the feed's page says about its source and its last fetches."""
    sources: Any = FeedSource.objects.select_related("job__interval", "job__crontab")
    source = sources.annotate(**fetch_facts("feed")).filter(feed=feed).first()
    fetches: list[Any] = list(feed.fetches.select_related("run", "by")[:SHOWN_FETCHES])
    for fetch in fetches:
        fetch.shown_late = _in_minutes(fetch.late_seconds)
    may = request.user.has_perm
    return {
        "feed": feed,
        "source": source,
        "address": shown_address(source) if source else "",
        "timing": timing_in_words(source) if source else "",
        "next_at": next_fetch_at(source) if source else None,
        "warning": source_warning(source, source, timezone.now()) if source else "",
        "fetches": fetches,
        "bars": picture_of(fetches),
        "is_busy": any(fetch.is_open for fetch in fetches),
        "can_fetch": source is not None and may("catalog.add_importrun"),
        "can_change": may("catalog.change_feed"),
    }


def picture_of(fetches: list[Fetch]) -> list[Bar]:
    """The last fetches as bars, the oldest first."""
    ended = [fetch for fetch in reversed(fetches) if not fetch.is_open]
    most_bytes = max([fetch.bytes or 0 for fetch in ended] + [1])
    most_items = max([fetch.run.items if fetch.run else 0 for fetch in ended] + [1])
    latest = max([fetch.late_seconds or 0 for fetch in ended] + [60.0])
    bars = []
    for fetch in ended:
        items = fetch.run.items if fetch.run else 0
        words = f"{timezone.localtime(fetch.due_at):%-d %b %H:%M}: {fetch.get_outcome_display()}"
        if fetch.bytes:
            words += f", {fetch.bytes:,} bytes"
        if items:
            words += f", {items:,} items"
        if (fetch.late_seconds or 0) >= 60:
            words += f", {_in_minutes(fetch.late_seconds)} minutes late"
        bars.append(
            Bar(
                COLOURS[FetchOutcome(fetch.outcome)],
                (fetch.bytes or 0) / most_bytes,
                items / most_items,
                (fetch.late_seconds or 0) / latest,
                words,
            )
        )
    return bars


def _in_minutes(seconds: float | None) -> str:
    return "–" if seconds is None else f"{int(seconds // 60):,}"
