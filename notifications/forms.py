"""The form in which people choose their e-mails."""

from functools import cache
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminSelectWidget

from notifications.models import Preference
from notifications.subscriptions import kinds_for, wants_message


@cache
def time_zones() -> list[tuple[str, str]]:
    return [(name, name.replace("_", " ")) for name in sorted(available_timezones()) if name != "localtime"]


class PreferenceForm(forms.ModelForm):  # type: ignore[type-arg]
    """A person's own choices. Messages about what the person may not look at are neither offered nor changed."""

    messages = forms.MultipleChoiceField(
        label=_("Send me at once"), required=False, widget=UnfoldAdminCheckboxSelectMultipleWidget
    )
    hour = forms.TypedChoiceField(
        label=_("At"),
        coerce=int,
        choices=[(hour, f"{hour:02}:00") for hour in range(24)],
        widget=UnfoldAdminSelectWidget,
    )
    time_zone = forms.ChoiceField(label=_("Time zone"), choices=time_zones, widget=UnfoldAdminSelectWidget)

    class Meta:
        model = Preference
        fields = ("digest", "weekday", "hour", "time_zone")
        widgets = {"digest": UnfoldAdminSelectWidget, "weekday": UnfoldAdminSelectWidget}
        labels = {"digest": _("Digest of problems"), "weekday": _("Once a week, on")}
        help_texts = {
            "digest": _(
                "Failed, refused, held, stuck and waiting imports, feeds that fail, invalid items, unsent mails."
            ),
        }

    field_order = ("messages", "digest", "weekday", "hour", "time_zone")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.kinds = kinds_for(self.instance.person)
        field: Any = self.fields["messages"]
        field.choices = [(kind.name, f"{kind.label}: {kind.help}") for kind in self.kinds]
        field.initial = [kind.name for kind in self.kinds if wants_message(self.instance.person, kind.name)]
        if not self.kinds:
            del self.fields["messages"]

    def save(self, commit: bool = True) -> Preference:
        chosen = self.cleaned_data.get("messages", ())
        self.instance.choices |= {kind.name: kind.name in chosen for kind in self.kinds}
        preference: Preference = super().save(commit)
        return preference
