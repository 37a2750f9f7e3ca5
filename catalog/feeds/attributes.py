"""The table of product attributes.

Parsing, cleaning, the database columns, exports and error texts all read this one table. Names, lengths and values are
those of Google's product data specification; the other names are those that this shop's channels use.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class Type(StrEnum):
    """How a value is read. A value is text unless its attribute says otherwise: a GTIN keeps its zeros."""

    TEXT = "text"
    URL = "URL"
    URLS = "list of URLs"
    MONEY = "price"
    CHOICE = "choice"
    BOOLEAN = "yes or no"
    INTEGER = "whole number"
    GTIN = "GTIN"
    DATE = "date"
    PERIOD = "start and end"
    MEASURE = "number and unit"
    VERBATIM = "kept as found"  # not read further, for example a group
    # Only in groups.
    NUMBER = "number"
    TIME = "time of day"
    COUNTRY = "country"


class Need(StrEnum):
    """What happens to an item without the attribute."""

    REQUIRED = "required"  # it is invalid
    RECOMMENDED = "recommended"  # it is imported with a warning
    OPTIONAL = "optional"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One product attribute.

    `aliases` are other element names for it. `choices` maps every accepted spelling (lower case, spaces and hyphens
    as underscores) to the stored value. `max_length` is how many characters channels accept in each value; `limit` is
    how many we accept, so that every value fits every index. A group must contain the elements in `parts`; `elements`
    says how each is read that is not text. A date may be at most `days_ahead` days in the future.
    """

    name: str
    type: Type = Type.TEXT
    help: str = ""
    need: Need = Need.OPTIONAL
    max_length: int | None = None
    limit: int = 10_000
    aliases: tuple[str, ...] = ()
    choices: Mapping[str, str] = field(default_factory=dict)
    column: bool = True
    repeated: bool = False
    parts: tuple[str, ...] = ()
    elements: Mapping[str, Type] = field(default_factory=dict)
    days_ahead: int | None = None

    @property
    def expected(self) -> str:
        """What a correct value looks like, as a sentence for people."""
        if self.choices:
            return f"One of: {', '.join(self.values)}."
        what = f"A group with {', '.join(self.parts)}" if self.parts else _EXPECTED[self.type]
        return f"{what}, up to {self.max_length:,} characters." if self.max_length else f"{what}."

    @property
    def values(self) -> tuple[str, ...]:
        """The stored values of a choice, in the order of the specification."""
        return tuple(dict.fromkeys(self.choices.values()))


_EXPECTED = {
    Type.TEXT: "Text",
    Type.URL: "A whole web address, for example https://www.example.com/page",
    Type.URLS: "Whole web addresses, one in each element",
    Type.MONEY: "An amount and an ISO 4217 currency, for example 155.00 AED",
    Type.CHOICE: "One of the allowed values",
    Type.BOOLEAN: "yes or no",
    Type.INTEGER: "A whole number of up to nine digits, for example 4",
    Type.GTIN: "8, 12, 13 or 14 digits, the last one the check digit",
    Type.DATE: "An ISO 8601 date or time, for example 2026-11-22T14:30+0400",
    Type.PERIOD: "An ISO 8601 start and end, for example 2026-11-22T00:00+0400/2026-11-30T23:59+0400",
    Type.MEASURE: "A number and a unit, for example 3.5 kg",
    Type.VERBATIM: "A value as Google's specification describes it",
    Type.NUMBER: "A number, for example 8.25",
    Type.TIME: "A time of the day in four digits, for example 1530",
    Type.COUNTRY: "The two letters of a country in ISO 3166-1, for example AE",
}


def _spellings_of(**spellings: str) -> Mapping[str, str]:
    """`new="brand_new unused"`: both spellings, and `new` itself, stand for `new`."""
    return MappingProxyType({s: value for value, others in spellings.items() for s in (value, *others.split())})


AVAILABILITY = _spellings_of(
    in_stock="instock available available_for_order limited_availability yes true 1 "
    "http://schema.org/instock https://schema.org/instock",
    out_of_stock="out_stock outofstock oos sold_out soldout discontinued no false 0 "
    "http://schema.org/outofstock https://schema.org/outofstock http://schema.org/discontinued "
    "https://schema.org/discontinued http://schema.org/soldout https://schema.org/soldout",
    preorder="pre_order http://schema.org/preorder https://schema.org/preorder",
    backorder="back_order http://schema.org/backorder https://schema.org/backorder",
)
CONDITION = _spellings_of(new="brand_new", refurbished="renewed", used="pre_owned preowned second_hand")
GENDER = _spellings_of(
    male="m man men mens men's male's",
    female="f woman women womens women's ladies lady",
    unisex="uni male,female female,male",
)
AGE_GROUP = _spellings_of(newborn="", infant="infants", toddler="toddlers", kids="kid", adult="adults")

REQUIRED, RECOMMENDED = Need.REQUIRED, Need.RECOMMENDED

VEHICLE_NAMES = (
    "vin model trim body_style year mileage electric_range fuel_consumption fuel_consumption_discharged_battery "
    "energy_consumption co2_emissions date_first_registered engine emissions_standard certified_pre_owned "
    "vehicle_msrp vehicle_all_in_price vehicle_price_type vehicle_mandatory_inspection_included vehicle_expenses "
    "vehicle_fulfillment vehicle_option"
).split()
PROPERTY_NAMES = (
    "display_address latitude longitude neighborhood unit_area number_of_units property_name number_of_bedrooms "
    "number_of_bathrooms property_type amenity_feature utilities_included pet_policy specialty_housing_type "
    "product_fee lease_term"
).split()
# The Merchant API names what may be repeated in the plural; feeds use the singular.
_MERCHANT_API_NAMES = {
    name: (f"{name}s",)
    for name in (
        "lifestyle_image_link video_link document_link loyalty_program size_type product_detail product_highlight "
        "promotion_id included_destination excluded_destination certification minimum_order_value "
        "handling_cutoff_time display_ads_similar_id sustainability_incentive variant_option related_product return"
    ).split()
} | {
    "question_and_answer": ("questions_and_answers",),
    "shopping_ads_excluded_country": ("shopping_ads_excluded_countries",),
}


def _group_of(line: str) -> Attribute:
    """`shipping country!:country price:price`: a group must have the elements with `!`; a type is after the colon."""
    name, *written = line.split()
    names = [element.partition(":")[0] for element in written]
    types = {n.rstrip("!"): Type(kind.replace("_", " ")) for n, _, kind in (e.partition(":") for e in written) if kind}
    return Attribute(
        name,
        Type.VERBATIM,
        column=False,
        parts=tuple(n.rstrip("!") for n in names if n.endswith("!")),
        elements=MappingProxyType(types),
        aliases=_MERCHANT_API_NAMES.get(name, ()),
    )


# Elements that are texts, and that may be missing, are not listed.
_GROUPS = tuple(
    map(
        _group_of,
        """
        structured_title content!
        structured_description content!
        installment months!:whole_number amount!:price downpayment:price annual_percentage_rate:number \
            total_amount:price
        subscription_cost period! period_length!:whole_number amount!:price
        variant_option name! value!
        product_detail attribute_name! attribute_value!
        question_and_answer question! answer!
        related_product relationship_type! identifier_type! identifier!
        shipping country!:country price:price min_handling_time:whole_number max_handling_time:whole_number \
            min_transit_time:whole_number max_transit_time:whole_number handling_cutoff_time:time_of_day
        carrier_shipping origin_postal_code! country:country flat_price:price min_handling_time:whole_number \
            max_handling_time:whole_number
        tax country!:country rate:number tax_ship:yes_or_no
        free_shipping_threshold country!:country price_threshold!:price
        minimum_order_value country!:country price!:price
        handling_cutoff_time cutoff_time!:time_of_day country:country disable_delivery_after_cutoff:yes_or_no
        shipping_transit_business_days business_days! country:country
        shipping_handling_business_days business_days! country:country
        return country!:country item_condition! method! shipping_fee!
        pickup_cost flat_rate!:price free_threshold:price
        loyalty_program price:price cashback_for_future_use:price loyalty_points:whole_number \
            member_price_effective_date:start_and_end
        loyalty_points points_value:whole_number ratio:number
        certification certification_authority! certification_name! certification_document_link:URL \
            certification_label_link:URL
        sustainability_incentive amount:price percentage:number
        """.replace("\\\n", " ")
        .strip()
        .splitlines(),
    )
)

ATTRIBUTES: tuple[Attribute, ...] = (
    # What it is
    Attribute("id", help="The shop's own stable key.", need=REQUIRED, max_length=50, limit=500, aliases=("sku_id",)),
    Attribute("title", help="The name people search for.", need=REQUIRED, max_length=150),
    Attribute(
        "description",
        help="What the product is, in up to 5,000 characters.",
        need=RECOMMENDED,
        max_length=5000,
        limit=200_000,
    ),
    Attribute("brand", help="The maker's name as the maker writes it.", need=RECOMMENDED, max_length=70),
    Attribute(
        "product_type", help="The shop's own category path.", max_length=750, repeated=True, aliases=("product_types",)
    ),
    Attribute("google_product_category", help="Google's category: its number or its full path."),
    Attribute("condition", Type.CHOICE, "new, refurbished or used.", choices=CONDITION),
    Attribute("product_class", help="The shop's merchandise class."),
    Attribute("product_season", help="The season that the product belongs to."),
    # Where it is shown
    Attribute("link", Type.URL, "The product's page.", need=REQUIRED, max_length=2000),
    Attribute("mobile_link", Type.URL, "The product's page for phones.", max_length=2000),
    Attribute("image_link", Type.URL, "The main picture.", need=RECOMMENDED, max_length=2000),
    Attribute(
        "additional_image_link",
        Type.URLS,
        "More pictures, up to ten.",
        max_length=2000,
        repeated=True,
        aliases=("additional_image_links",),
    ),
    Attribute("additional_images_count", Type.INTEGER, "The number of additional pictures that the shop has."),
    Attribute("icon_media_url", help="A small picture."),
    # What it costs
    Attribute("price", Type.MONEY, "The amount and its ISO 4217 currency, for example 155.00 AED.", need=REQUIRED),
    Attribute("sale_price", Type.MONEY, "The reduced price; lower than the price."),
    Attribute("old_price", Type.MONEY, "The earlier price.", aliases=("oldprice",)),
    Attribute("final_price", Type.MONEY, "The price that the customer pays.", aliases=("finalprice",)),
    Attribute(
        "currency",
        Type.VERBATIM,
        "The currency of the item's amounts, where it does not stand beside them. It is kept with the amounts.",
        column=False,
    ),
    Attribute("discount_percent", help="The reduction as the shop shows it."),
    Attribute("sale_price_effective_date", Type.PERIOD, "When the sale price applies: start/end.", max_length=51),
    # Whether it can be had
    Attribute(
        "availability",
        Type.CHOICE,
        "in_stock, out_of_stock, preorder or backorder.",
        need=REQUIRED,
        choices=AVAILABILITY,
    ),
    Attribute("availability_date", Type.DATE, "When a preorder or backorder arrives.", max_length=25, days_ahead=365),
    Attribute("quantity", Type.INTEGER, "Pieces in stock."),
    # How it is identified
    Attribute(
        "gtin",
        Type.GTIN,
        "8, 12, 13 or 14 digits with a correct check digit.",
        max_length=50,
        repeated=True,
        aliases=("gtins",),
    ),
    Attribute("mpn", help="The maker's part number.", max_length=70),
    Attribute("identifier_exists", Type.BOOLEAN, "no if the maker assigns neither a GTIN nor a part number."),
    # Who wears it, and how it varies
    Attribute("item_group_id", help="The same for all variants of one product.", max_length=50),
    Attribute("gender", Type.CHOICE, "male, female or unisex.", choices=GENDER),
    Attribute("gender_orig_value", help="The gender as the supplier wrote it."),
    Attribute("age_group", Type.CHOICE, "newborn, infant, toddler, kids or adult.", choices=AGE_GROUP),
    Attribute("color", help="Up to three colours: Red/Pink/Blue.", max_length=100),
    Attribute("size", help="One size.", max_length=100),
    Attribute("material", help="The main material and up to two more.", max_length=200),
    Attribute("pattern", help="The pattern or print.", max_length=100),
    Attribute("all_sizes_skus", help="The ids of all sizes."),
    Attribute("sizes_of_all_skus", help="The sizes of all ids."),
    Attribute("options_percentage", help="The percentage of its sizes that are in stock."),
    Attribute("adult", Type.BOOLEAN, "yes if the product is for adults only."),
    # Labels and apps
    Attribute("adwords_labels", help="Advertising labels."),
    *(Attribute(f"custom_label_{n}", help="A label for campaigns.", max_length=100) for n in range(5)),
    Attribute("ios_url", help="Deep link for iOS."),
    Attribute("ios_app_store_id", help="The app's number in the App Store."),
    Attribute("ios_app_name", help="The iOS app's name."),
    Attribute("iphone_url", help="Deep link for iPhone."),
    Attribute("iphone_app_store_id", help="The iPhone app's number in the App Store."),
    Attribute("iphone_app_name", help="The iPhone app's name."),
    Attribute("android_package", help="The Android app's package."),
    Attribute("android_app_name", help="The Android app's name."),
    # Known to Merchant Center, kept in `extra` as found
    *_GROUPS,
    Attribute("expiration_date", Type.DATE, column=False, days_ahead=30),
    *(
        Attribute(name, Type.MEASURE, column=False)
        for name in (
            "unit_pricing_measure unit_pricing_base_measure product_length product_width product_height "
            "product_weight shipping_weight shipping_length shipping_width shipping_height"
        ).split()
    ),
    *(
        Attribute(name, Type.VERBATIM, column=False, aliases=_MERCHANT_API_NAMES.get(name, ()))
        for name in (
            "short_title canonical_link lifestyle_image_link video_link virtual_model_link document_link "
            "cost_of_goods_sold auto_pricing_min_price maximum_retail_price size_type "
            "size_system item_group_title is_bundle multipack product_highlight popularity_rank disclosure_date "
            "sell_on_google_quantity warranty "
            "cloud_export_additional_properties "
            "link_template mobile_link_template pickup_method pickup_sla store_code pickup_link_template "
            "mobile_pickup_link_template display_ads_id display_ads_similar_id display_ads_title display_ads_link "
            "display_ads_value "
            "energy_efficiency_class min_energy_efficiency_class max_energy_efficiency_class ads_redirect "
            "promotion_id excluded_destination included_destination shopping_ads_excluded_country pause "
            "external_seller_id shipping_label transit_time_label ships_from_country "
            "min_handling_time max_handling_time return_policy_label tax_category ads_labels adwords_redirect "
            "adwords_grouping ads_grouping android_url"
        ).split()
    ),
    *(
        Attribute(name, Type.VERBATIM, "Of a vehicle." if name in VEHICLE_NAMES else "Of a home.", column=False)
        for name in (*VEHICLE_NAMES, *PROPERTY_NAMES)
    ),
)

BY_NAME: Mapping[str, Attribute] = MappingProxyType({a.name: a for a in ATTRIBUTES})
BY_ALIAS: Mapping[str, Attribute] = MappingProxyType({n: a for a in ATTRIBUTES for n in (a.name, *a.aliases)})
COLUMNS: tuple[Attribute, ...] = tuple(a for a in ATTRIBUTES if a.column)
NAMED_ELEMENT = "custom"
"""The element in Google's namespace whose attribute `name` says what it is, since no element can have that name."""
ORIGINAL = "_orig_value"
"""The end of a name in `extra` that keeps an attribute's value as it was found, when the stored value differs."""


def is_known(name: str) -> bool:
    """Whether the table has this name, or it keeps the original value of an attribute in the table."""
    return name in BY_NAME or name.removesuffix(ORIGINAL) in BY_NAME


def expected_value(name: str) -> str:
    """What an attribute, or an element of a group such as shipping.country, should contain; "" for an unknown one."""
    group, _, element = name.partition(".")
    known = BY_NAME.get(group)
    if known and element in known.elements:
        return f"{_EXPECTED[known.elements[element]]}."
    return known.expected if known else ""


MONEY: tuple[Attribute, ...] = tuple(a for a in COLUMNS if a.type is Type.MONEY)
