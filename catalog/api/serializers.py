"""What the calls take and answer: the serializers render, read bodies, and describe.

Only products are rendered as plain dicts, which is forty times as fast; a test compares them with the serializer.
"""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any

from rest_framework import serializers

from catalog.feeds.attributes import COLUMNS, Attribute, Type
from catalog.feeds.issues import Severity
from catalog.feeds.write import with_decimals
from catalog.imports.confirm import REASON_CHARS
from catalog.imports.permissions import API_FEED
from catalog.models import ImportRun, Mode, Status
from catalog.models.fields import MONEY_NAMES, SHARED

# --- products -----------------------------------------------------------------------------------------

STORED_FIELDS = ("id", *SHARED, "extra", "created_at", "updated_at")
PRODUCT_FIELDS = (*STORED_FIELDS, "market")


def render_product(row: dict[str, Any], market: str) -> dict[str, Any]:
    """A row of `STORED_FIELDS` and its market's code as they are sent: amounts with the decimals of their currency."""
    row["extra"] = json.loads(row["extra"])
    for name in MONEY_NAMES:
        if row[name] is not None:
            row[name] = str(with_decimals(row[name], row["currency"]))
    row["market"] = market
    return row


def field_of(attribute: Attribute) -> serializers.Field[Any, Any, Any, Any]:
    about: dict[str, Any] = {"help_text": attribute.help}
    match attribute.type:
        case Type.MONEY:
            return serializers.CharField(**about, allow_null=True)
        case Type.INTEGER:
            return serializers.IntegerField(**about, allow_null=True)
        case Type.BOOLEAN:
            return serializers.BooleanField(**about, allow_null=True)
        case Type.URLS:
            return serializers.ListField(**about, child=serializers.CharField())
    return serializers.CharField(**about, allow_blank=True)


ProductSerializer = type(
    "ProductSerializer",
    (serializers.Serializer,),
    {
        "__doc__": "A product by the names of its feed attributes.\n\nAn unknown text is empty, an unknown number is "
        "null. Amounts are texts with as many decimals as their `currency` has: 155.00 in AED, 1.250 in KWD, 1299 in "
        "JPY.",
        **{attribute.name: field_of(attribute) for attribute in COLUMNS},
        "currency": serializers.CharField(allow_blank=True, help_text="The ISO 4217 code of all amounts."),
        "extra": serializers.DictField(help_text="Every other attribute of the item, unchanged."),
        "created_at": serializers.DateTimeField(),
        "updated_at": serializers.DateTimeField(),
        "market": serializers.CharField(help_text="The code of its market."),
    },
)


class PageSerializer(serializers.Serializer[Any]):
    count = serializers.IntegerField(help_text="How many there are on all pages together.")
    total_pages = serializers.IntegerField()
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)


class ProductPageSerializer(PageSerializer):
    results = ProductSerializer(many=True)


class FilterOptionsSerializer(serializers.Serializer[Any]):
    """The values that the listed products have, sorted."""

    conditions = serializers.ListField(child=serializers.CharField())
    genders = serializers.ListField(child=serializers.CharField())
    brands = serializers.ListField(child=serializers.CharField())


class MarketSerializer(serializers.Serializer[Any]):
    """A country in one language and currency. What nobody has set is empty."""

    code = serializers.CharField(help_text="What the parameter `market` of other calls takes.")
    name = serializers.CharField()
    country = serializers.CharField(allow_blank=True, help_text="ISO 3166; the feed label in Merchant Center.")
    language = serializers.CharField(allow_blank=True, help_text="BCP 47; the content language in Merchant Center.")
    currency = serializers.CharField(allow_blank=True, help_text="ISO 4217.")
    is_default = serializers.BooleanField(help_text="Whether calls without a market are about it.")


# --- imports ------------------------------------------------------------------------------------------


class AsSent(serializers.Field[Any, Any, Any, Any]):
    """An empty text in a form counts as a value. The package would use the default instead."""

    def get_value(self, form: Any) -> Any:
        return form.get(self.field_name, serializers.empty)


class ChoiceAsSent(AsSent, serializers.ChoiceField):
    pass


class SlugAsSent(AsSent, serializers.SlugField):
    pass


class BooleanAsSent(AsSent, serializers.BooleanField):
    pass


class UploadSerializer(serializers.Serializer[Any]):
    file = serializers.FileField(
        max_length=1000, allow_empty_file=True, help_text="The feed: XML, CSV, TSV, XLSX or JSON, also in gzip or zip."
    )
    mode = ChoiceAsSent(Mode.choices, default=Mode.ADD, help_text="What the import may do. Everybody may use `add`.")
    feed = SlugAsSent(
        default=API_FEED,
        max_length=50,
        help_text="The short name of the feed that the products belong to, if you may upload in the admin.",
    )
    review = BooleanAsSent(
        default=False,
        help_text="Whether the plan waits until somebody confirms it, even if nothing holds it. Where the server has "
        "`API_UPLOAD_REVIEW`, every plan does.",
    )


NEEDS_CONFIRMATION = "The import waits in review. No product changes before somebody who may confirm imports does so."

GOES_ON = "The file was received. The address in `url` says what becomes of it."


class ReceivedSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    status = serializers.ChoiceField(Status.choices)
    url = serializers.HyperlinkedIdentityField("import", help_text="Where to see how far the import is.")
    message = serializers.CharField(read_only=True, help_text="How it goes on, for people.")

    def to_representation(self, instance: ImportRun) -> dict[str, Any]:
        is_waiting = instance.status in (Status.RECEIVED, Status.STAGING, Status.REVIEW)
        needs_person = is_waiting and (instance.holds or not instance.auto_apply)
        return super().to_representation(instance) | {"message": NEEDS_CONFIRMATION if needs_person else GOES_ON}


class HoldSerializer(serializers.Serializer[Any]):
    """Why an import waits for a person."""

    code = serializers.CharField()
    message = serializers.CharField()


CountsSerializer = type(
    "CountsSerializer",
    (serializers.Serializer,),
    {
        "__doc__": "How many items there are, and what happens to them. Archived products are not in the file.",
        **{name: serializers.IntegerField() for name in ImportRun.COUNTS},
    },
)


class ImportSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    url = serializers.HyperlinkedIdentityField("import")
    feed = serializers.CharField(source="feed.slug")
    mode = serializers.ChoiceField(Mode.choices)
    status = serializers.ChoiceField(Status.choices)
    file_name = serializers.CharField()
    file_size = serializers.IntegerField()
    uploaded_by = serializers.CharField(source="uploaded_by.username", allow_null=True)
    created_at = serializers.DateTimeField(default_timezone=UTC)
    finished_at = serializers.DateTimeField(default_timezone=UTC, allow_null=True)
    bytes_read = serializers.IntegerField(help_text="How much of the file has been read so far.")
    counts = CountsSerializer()
    plan_hash = serializers.CharField(allow_blank=True, help_text="Names the plan; send it to confirm the plan.")
    holds = HoldSerializer(many=True)
    error = serializers.SerializerMethodField(help_text="Why it failed, and what to do.")
    issues_url = serializers.HyperlinkedIdentityField("import-issues")
    invalid_csv_url = serializers.HyperlinkedIdentityField("import-invalid-csv")
    invalid_xml_url = serializers.HyperlinkedIdentityField("import-invalid-xml")

    def get_error(self, run: ImportRun) -> str | None:
        return run.error or None


class ImportPageSerializer(PageSerializer):
    results = ImportSerializer(many=True)


class FoundSerializer(serializers.Serializer[Any]):
    """One place where the issue was found."""

    line = serializers.IntegerField()
    id = serializers.CharField(source="product_id", allow_blank=True, help_text="The id of the item.")
    found = serializers.CharField(allow_blank=True)


class IssueSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    severity = serializers.ChoiceField([severity.value for severity in Severity])
    attribute = serializers.CharField(allow_blank=True)
    count = serializers.IntegerField(help_text="How often it occurs in the file.")
    title = serializers.CharField()
    advice = serializers.CharField(help_text="How to correct it.")
    examples = FoundSerializer(many=True, help_text="The first five places.")


class IssuePageSerializer(PageSerializer):
    results = IssueSerializer(many=True)


class ApplySerializer(serializers.Serializer[Any]):
    plan_hash = serializers.CharField(max_length=64, help_text="The hash of the plan that you have read.")
    reason = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=REASON_CHARS,
        help_text="Why, if a guard holds the import.",
    )


class UndoSerializer(serializers.Serializer[Any]):
    seen = serializers.CharField(
        required=False, allow_blank=True, max_length=100, help_text="What the preview of the undo says as `seen`."
    )
