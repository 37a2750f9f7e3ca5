"""The columns that products and staged items share."""

from collections.abc import Iterable
from decimal import Decimal
from json import JSONDecoder
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils.translation import gettext_lazy as _

from catalog.feeds.attributes import BY_NAME, COLUMNS, MONEY

MONEY_NAMES = frozenset(a.name for a in MONEY)
# In the order of the attribute table. The id is the key of both tables, under two names; `extra` is merged instead.
SHARED = (*(a.name for a in COLUMNS if a.name != "id"), "currency")


def columns_in_file(names: Iterable[str]) -> list[str]:
    """The columns of the attributes that occur in a file. An import leaves all others alone.

    The currency belongs to the price: other amounts are only taken in the currency that the product has.
    """
    occurring = set(names) - {"currency"}
    if "price" in occurring:
        occurring.add("currency")
    return [column for column in SHARED if column in occurring]


def text_field(label: Any, **options: Any) -> "models.TextField[str, str]":
    """A text column: never null, and never narrow, since limits live in the attribute table."""
    return models.TextField(label, blank=True, default="", **options)


def money_field(label: Any) -> "models.DecimalField[Any, Any]":
    return models.DecimalField(label, max_digits=15, decimal_places=3, null=True, blank=True)


def choice_field(label: Any, attribute: str) -> "models.TextField[str, str]":
    stored = BY_NAME[attribute].values
    return text_field(label, choices=[(value, value.replace("_", " ").capitalize()) for value in stored])


class ExactDecoder(JSONDecoder):
    """Amounts come back as they were written, not as the nearest binary fraction."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, parse_float=Decimal)


def exact_json_field(**options: Any) -> models.JSONField:
    return models.JSONField(encoder=DjangoJSONEncoder, decoder=ExactDecoder, **options)


class ItemFields(models.Model):
    """One column per attribute of `catalog.feeds.attributes.COLUMNS`, but for the id; a test holds the two together.

    Amounts share one `currency`. `extra` keeps every other attribute as it was found.
    """

    title = text_field(_("title"))
    description = text_field(_("description"))
    brand = text_field(_("brand"))
    product_type = text_field(_("product type"))
    google_product_category = text_field(_("Google product category"))
    condition = choice_field(_("condition"), "condition")
    product_class = text_field(_("product class"))
    product_season = text_field(_("product season"))

    link = text_field(_("link"))
    mobile_link = text_field(_("mobile link"))
    image_link = text_field(_("image link"))
    additional_image_link = ArrayField(
        models.TextField(), verbose_name=_("additional images"), blank=True, default=list
    )
    additional_images_count = models.IntegerField(_("additional images count"), null=True, blank=True)
    icon_media_url = text_field(_("icon media URL"))

    price = money_field(_("price"))
    sale_price = money_field(_("sale price"))
    old_price = money_field(_("old price"))
    final_price = money_field(_("final price"))
    currency = text_field(_("currency"))
    discount_percent = text_field(_("discount percent"))
    sale_price_effective_date = text_field(_("sale price effective date"))

    availability = choice_field(_("availability"), "availability")
    availability_date = text_field(_("availability date"))
    quantity = models.IntegerField(_("quantity"), null=True, blank=True)

    gtin = text_field(_("GTIN"))
    mpn = text_field(_("MPN"))
    identifier_exists = models.BooleanField(_("identifier exists"), null=True, blank=True)

    item_group_id = text_field(_("item group id"))
    gender = choice_field(_("gender"), "gender")
    gender_orig_value = text_field(_("gender, original value"))
    age_group = choice_field(_("age group"), "age_group")
    color = text_field(_("colour"))
    size = text_field(_("size"))
    material = text_field(_("material"))
    pattern = text_field(_("pattern"))
    all_sizes_skus = text_field(_("all sizes' SKUs"))
    sizes_of_all_skus = text_field(_("sizes of all SKUs"))
    options_percentage = text_field(_("options percentage"))
    adult = models.BooleanField(_("adult"), null=True, blank=True)

    adwords_labels = text_field(_("AdWords labels"))
    custom_label_0 = text_field(_("custom label 0"))
    custom_label_1 = text_field(_("custom label 1"))
    custom_label_2 = text_field(_("custom label 2"))
    custom_label_3 = text_field(_("custom label 3"))
    custom_label_4 = text_field(_("custom label 4"))
    ios_url = text_field(_("URL for iOS"))
    ios_app_store_id = text_field(_("App Store id for iOS"))
    ios_app_name = text_field(_("app name for iOS"))
    iphone_url = text_field(_("URL for iPhone"))
    iphone_app_store_id = text_field(_("App Store id for iPhone"))
    iphone_app_name = text_field(_("app name for iPhone"))
    android_package = text_field(_("Android package"))
    android_app_name = text_field(_("Android app name"))

    extra = models.JSONField(_("other attributes"), blank=True, default=dict)

    class Meta:
        abstract = True
