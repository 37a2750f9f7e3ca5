"""The upload form."""

from typing import Any

from django import forms
from django.conf import settings
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext_lazy as _
from unfold.contrib.import_export.forms import ImportForm
from unfold.widgets import UnfoldAdminRadioSelectWidget, UnfoldAdminSelectWidget

from catalog.models import Feed, Mode


class FeedImportForm(ImportForm):
    """import-export's form, with the feed and what the import may do."""

    feed = forms.ModelChoiceField(
        Feed.objects.all(),
        label=_("Feed"),
        empty_label=None,
        widget=UnfoldAdminSelectWidget,
        help_text=_("The source that the file comes from. Only its own products can be archived."),
    )
    mode = forms.ChoiceField(
        label=_("What the import may do"), choices=Mode.choices, widget=UnfoldAdminRadioSelectWidget
    )
    field_order = ["import_file", "format", "feed", "mode"]

    def __init__(self, formats: Any, resources: Any, **options: Any) -> None:
        super().__init__(formats, resources, **options)
        self.fields["format"].required = False
        file = self.fields["import_file"]
        file.label = _("File")
        file.help_text = _("XML, RSS 2.0 or Atom, up to %(size)s. Nothing is changed until you confirm the plan.") % {
            "size": filesizeformat(settings.FEED_MAX_BYTES)
        }
        file.widget.attrs["accept"] = (
            ".xml,.rss,.atom,application/xml,text/xml,application/rss+xml,application/atom+xml"
        )
