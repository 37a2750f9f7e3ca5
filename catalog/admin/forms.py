"""The upload form, and the form of a product."""

from contextlib import suppress
from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.postgres.forms import SimpleArrayField
from django.core.validators import MinValueValidator
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext_lazy as _
from unfold.contrib.import_export.forms import ImportForm
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
)

from catalog.admin.differences import field_label
from catalog.errors import FeedRefused
from catalog.feeds.reading.formats import Kind, open_content
from catalog.feeds.write import with_decimals
from catalog.models import Feed, Mode
from catalog.models.fields import MONEY_NAMES, SHARED

SMALLEST = Decimal("0.001")
# What the browser offers first; what a file is, its content tells.
ACCEPTED = (
    ".xml,.rss,.rdf,.atom,.csv,.tsv,.txt,.xlsx,.json,.jsonl,.ndjson,.gz,.zip,application/xml,text/xml,application/rss+xml,application/rdf+xml,"
    "application/atom+xml,text/csv,text/tab-separated-values,text/plain,"
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet,application/json,application/x-ndjson,"
    "application/gzip,application/zip"
)


KIND_NAMES = {
    Kind.XML: _("XML"),
    Kind.TABLE: _("a table of text (CSV or TSV)"),
    Kind.JSON: _("JSON"),
    Kind.WORKBOOK: _("an Excel workbook"),
}


class FeedImportForm(ImportForm):
    """import-export's form, with the feed and what the import may do."""

    feed = forms.ModelChoiceField(
        Feed.objects.select_related("market"),
        label=_("Feed"),
        empty_label=None,
        widget=UnfoldAdminSelectWidget,
        help_text=_("Where the file comes from. An import can archive only this feed's products."),
    )
    mode = forms.ChoiceField(
        label=_("What the import may do"), choices=Mode.choices, widget=UnfoldAdminRadioSelectWidget
    )
    field_order = ["import_file", "format", "feed", "mode"]

    @property
    def media(self) -> Any:
        """Without the script of import-export that chooses the format by the name of the file."""
        return sum((field.widget.media for field in self.fields.values()), forms.Media())

    def __init__(self, formats: Any, resources: Any, **options: Any) -> None:
        super().__init__(formats, resources, **options)
        if len({feed.market_id for feed in self.fields["feed"].queryset}) > 1:
            self.fields["feed"].label_from_instance = lambda feed: f"{feed}, {feed.market}"
        self._formats = formats
        kind = self.fields["format"]
        kind.required = False
        kind.widget.choices = [("", _("As its content says")), *kind.choices[1:]]
        kind.help_text = _(
            "What a file is, its content says, whatever its name. Choose one to be told if it is another."
        )
        file = self.fields["import_file"]
        file.label = _("File")
        file.allow_empty_file = True  # it is refused as a feed, which leaves a trace
        file.help_text = _(
            "XML (RSS, Atom or a list of products), a table (CSV, TSV, Excel) with a line of attribute names, "
            "or JSON (a list of objects, or one in each line). At most %(size)s. A gzip file, or a zip file with one "
            "feed, is unpacked. Nothing changes until you confirm the plan."
        ) % {"size": filesizeformat(settings.FEED_MAX_BYTES)}
        file.widget.attrs["accept"] = ACCEPTED

    def clean(self) -> Any:
        """A file of another format than the chosen one is refused. What is no feed at all is refused later."""
        cleaned = super().clean() or self.cleaned_data
        file, chosen = cleaned.get("import_file"), cleaned.get("format")
        if file and chosen:
            wanted = self._formats[int(chosen)]()
            with suppress(FeedRefused):
                found = open_content(file, settings.FEED_LIMITS).kind
                if found is not wanted.kind:
                    self.add_error(
                        "format",
                        _("This file is not %(wanted)s. It is %(found)s.")
                        % {"wanted": wanted.get_title(), "found": KIND_NAMES[found]},
                    )
            file.seek(0)
        return cleaned


# A pinned amount keeps its currency too.
PINNABLE = [name for name in (*SHARED, "extra") if name != "currency"]


class ProductForm(forms.ModelForm):  # type: ignore[type-arg]
    """A product, its amounts with as many decimals as its currency has. Pinned fields say so.

    The form holds every value that the page showed. If the product has changed since, saving would bring the old values
    back, so the form is refused.
    """

    pinned = forms.MultipleChoiceField(
        label=_("Pinned fields"),
        required=False,
        choices=lambda: [(name, field_label(name)) for name in PINNABLE],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=_("Imports do not change these fields. A plan shows the file's value and keeps yours."),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for name in MONEY_NAMES & self.initial.keys():
            if (amount := self.initial[name]) is not None:
                self.initial[name] = with_decimals(amount, self.instance.currency)
        for name in set(self.instance.pinned) & self.fields.keys():
            self.fields[name].help_text = _("Pinned: imports do not change this field.")
        if price := self.fields.get("price"):
            price.validators.append(MinValueValidator(SMALLEST, _("Leave this empty until there is a price.")))

    @property
    def seen(self) -> str:
        """The version of the product that the page showed."""
        return str(self.data.get("seen", self.instance.version))

    def clean(self) -> Any:
        if self.seen != str(self.instance.version):
            raise forms.ValidationError(
                _(
                    "An import or another person has changed this product since you opened this page. Its history "
                    "says what changed. Nothing was saved. Open the product again and repeat your changes."
                )
            )
        return super().clean()


class LinesField(SimpleArrayField):
    """A list, one value per line: the usual comma may be part of a web address."""

    def __init__(self, base_field: forms.Field, **options: Any) -> None:
        super().__init__(base_field, **{**options, "delimiter": "\n"})

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str):
            value = "\n".join(line for line in value.splitlines() if line.strip())
        return super().to_python(value)
