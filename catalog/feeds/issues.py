"""The registry of issues: what can be wrong with an item or a file, how bad it is, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from catalog.feeds.attributes import BY_NAME, COLUMNS, Need

FOUND_MAX = 100  # characters of the found value that an issue keeps


class Severity(StrEnum):
    """`error`: the item is invalid. `warning`: it is imported with a problem. `notice`: read leniently."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of issue. `title` says what is wrong, `advice` what to do; both are shown to people."""

    name: str
    severity: Severity
    title: str
    advice: str


_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTICE

CODES: tuple[Code, ...] = (
    *(
        Code(
            f"{a.name}.missing",
            _E if a.need is Need.REQUIRED else _W,
            f"{a.name} is missing",
            f"Add {a.name} to every item. {a.help}",
        )
        for a in COLUMNS
        if a.need is not Need.OPTIONAL
    ),
    *(
        Code(
            f"{a.name}.too_long",
            _W,
            f"{a.name} is longer than {a.max_length:,} characters",
            "Shorten it: channels cut or refuse it. It is imported whole.",
        )
        for a in COLUMNS
        if a.max_length
    ),
    *(
        Code(
            f"{a.name}.unknown",
            _E,
            f"{a.name} has a value outside its list",
            f"Use one of: {', '.join(a.values)}.",
        )
        for a in COLUMNS
        if a.choices
    ),
    Code(
        "row.cells",
        _E,
        "A row of the table has more or fewer cells than there are columns",
        "Put a cell that holds the delimiter or a line break in quotation marks; an empty cell keeps its delimiter.",
    ),
    Code(
        "attribute.repeated",
        _W,
        "An attribute that can have one value occurs more than once",
        "Send one value. The first one is used; the others are kept beside it.",
    ),
    Code(
        "attribute.list",
        _N,
        "Several values stand in one element",
        "Repeat the element for each. They were taken apart at the commas; as found they are kept, too.",
    ),
    Code(
        "attribute.two_names",
        _N,
        "Two elements give different values for one attribute",
        "Send the attribute once. The one in Google's namespace is used; the other is kept beside it.",
    ),
    Code(
        "value.too_large", _E, "The value is far longer than any channel accepts", "Check what writes this attribute."
    ),
    Code(
        "text.control_chars",
        _W,
        "The text holds control, private-use or replacement characters",
        "Check the encoding where the feed is made. The text is imported as it is.",
    ),
    Code(
        "text.markup",
        _N,
        "Elements stand inside the text",
        "Escape them or put the text into CDATA. The text was kept, the elements around it were not.",
    ),
    Code(
        "text.placeholder",
        _E,
        "A template placeholder was not filled in",
        "Look at the template that writes the feed: a variable had no value.",
    ),
    Code(
        "text.whitespace",
        _N,
        "A text of one line holds line breaks, tabs or several blanks in a row",
        "Write it in one line with single blanks. It is imported as it is.",
    ),
    Code(
        "text.double_escaped",
        _N,
        "A character reference such as &amp; is still in the text",
        "Escape the text once where the feed is made. It is imported as it is.",
    ),
    Code(
        "title.all_caps",
        _W,
        "The title is written in capitals only",
        "Write it as a sentence or a name: channels turn capitals down.",
    ),
    Code("description.html", _N, "The description holds HTML", "Nothing needs to be done: it is shown as text."),
    Code(
        "description.equals_title",
        _W,
        "The description only repeats the title",
        "Describe the product: what it is made of, how it fits, what is special.",
    ),
    Code(
        "attribute.empty",
        _N,
        "The element is empty",
        "Leave the element out where there is no value. The product's value is cleared.",
    ),
    Code(
        "attribute.unknown",
        _N,
        "An element that no attribute goes by; said once for each name",
        "Correct its name, or say in the feed's settings which attribute it is. It is kept as found.",
    ),
    Code(
        "group.subattribute_missing",
        _W,
        "A group lacks one of its elements",
        "Add the element, as <g:country>AE</g:country> inside <g:shipping>. The group is kept as found.",
    ),
    Code(
        "group.equals_id",
        _N,
        "The item_group_id is the item's own id",
        "Give all variants of one product the same group, and leave it out where there are none.",
    ),
    Code(
        "group.single",
        _N,
        "No other item of the file has this item_group_id",
        "Leave it out where there are no variants. If the others come in another file, nothing needs to be done.",
    ),
    Code(
        "group.brand_differs",
        _W,
        "Items of one item_group_id have different brands",
        "A group is one product in several variants: give all the same brand, or each product its own group.",
    ),
    Code(
        "group.title_differs",
        _W,
        "Items of one item_group_id have different item_group_titles",
        "Give all variants of a product the same item_group_title.",
    ),
    Code(
        "group.no_difference",
        _W,
        "Items of one item_group_id do not differ from each other",
        "Say in what each variant differs: colour, size, material, pattern, gender or age group.",
    ),
    Code(
        "category.unknown",
        _W,
        "This is neither the number nor the path of one of Google's categories",
        "Write the number, as 2271, or the path, as Apparel & Accessories > Clothing > Dresses.",
    ),
    Code(
        "brand.generic",
        _W,
        "This is no brand",
        "Send the maker's name, or leave the brand out and send identifier_exists no.",
    ),
    Code(
        "color.bad",
        _W,
        "This does not name a colour",
        "Write up to three names with slashes between, as Red/Pink/Blue; no codes, numbers or multicolor.",
    ),
    Code(
        "size.several",
        _W,
        "Several sizes stand in one value",
        "Send one item for each size, all of them with the same item_group_id. The text was imported as it is.",
    ),
    *(
        Code(
            f"apparel.{name}",
            _W,
            f"{what} has no {name}",
            f"Add {name} to every item of this category: channels show it less without.",
        )
        for name, what in (
            ("color", "An item of apparel"),
            ("gender", "An item of apparel"),
            ("age_group", "An item of apparel"),
            ("size", "Clothing or a shoe"),
        )
    ),
    Code(
        "identifiers.missing",
        _W,
        "The item has neither GTIN nor mpn",
        "Send one of them, or identifier_exists no when the maker gives neither.",
    ),
    Code(
        "identifiers.contradiction",
        _W,
        "identifier_exists is no, and there is a GTIN",
        "Leave out one of the two.",
    ),
    Code(
        "item.not_well_formed",
        _E,
        "The item is not well-formed XML",
        "Is an element or a CDATA section left open, or closed twice, or by another name? The other items were read.",
    ),
    Code(
        "item.too_large",
        _E,
        "The item is larger than the limit",
        "Send less of it, or raise FEED_MAX_ITEM_BYTES. The other items were read.",
    ),
    Code(
        "item.too_many_attributes",
        _E,
        "The item has more elements or attributes than the limit",
        "Send fewer, or raise FEED_MAX_ATTRIBUTES. The other items were read.",
    ),
    Code(
        "item.too_deep",
        _E,
        "Elements of the item lie in one another deeper than the limit",
        "Flatten them, or raise FEED_MAX_DEPTH. The other items were read.",
    ),
    Code(
        "item.value_too_long",
        _E,
        "A value of the item is longer than the limit",
        "Shorten it, or raise FEED_MAX_VALUE_CHARS. The other items were read.",
    ),
    Code(
        "feed.repaired.bare_ampersand",
        _W,
        "An & stands for itself",
        "Write it as &amp; in the feed, or put the text into CDATA. It was read as an &.",
    ),
    Code(
        "feed.repaired.html_entity",
        _W,
        "An HTML entity that XML does not know",
        "Write the character itself. It was read as the character that it is in HTML.",
    ),
    Code(
        "feed.repaired.control_character",
        _W,
        "A control character that XML forbids",
        "Remove it where the feed is made. A space was read in its place.",
    ),
    Code(
        "feed.repaired.foreign_bytes",
        _W,
        "Bytes that are not in the file's encoding",
        "Export the whole feed as UTF-8. Each of these bytes was read as windows-1252: check how the text looks.",
    ),
    Code(
        "feed.repaired.encoding",
        _W,
        "The file declares an encoding that it does not have",
        "Declare the encoding in which the feed is written. It was read as UTF-8.",
    ),
    Code(
        "feed.repaired.junk_before",
        _W,
        "Something stands before the XML",
        "Let the feed begin with <?xml or its outermost element. What stood before was dropped.",
    ),
    Code(
        "feed.repaired.namespace_undeclared",
        _W,
        "A prefix is used and not declared",
        'Write xmlns:g="http://base.google.com/ns/1.0" on the outermost element. It was read as if that were there.',
    ),
    Code(
        "feed.repaired.namespace_address",
        _W,
        "A namespace is no address, but has one in it",
        'Write it as xmlns:g="http://base.google.com/ns/1.0", without braces. It was read as if that were there.',
    ),
    Code(
        "feed.repaired.attribute_twice",
        _W,
        "An attribute stands twice in one tag",
        "Write it once. Both had the same value, so the second was dropped.",
    ),
    Code(
        "feed.supplemental",
        _N,
        "The attribute occurs nowhere in this file; products that exist keep theirs",
        "Nothing needs to be done for a supplemental feed. A new product needs it: send that in a feed that has it.",
    ),
    Code("id.duplicate", _E, "The id occurs again later in the file", "Give every item its own id. The last one wins."),
    Code(
        "id.case",
        _W,
        "Two ids differ only in capital and small letters",
        "Look whether they are one product. Ids are compared letter by letter, so both are imported.",
    ),
    Code("id.control_chars", _E, "The id holds invisible characters", "Write the id with visible characters only."),
    Code(
        "price.format", _E, "This is not an amount of money", "Write it as 155.00 AED: digits, a point, the currency."
    ),
    Code(
        "price.lenient",
        _W,
        "The amount is written in an unusual way",
        "Write it as 155.00 AED. It was understood and imported.",
    ),
    Code(
        "price.ambiguous",
        _E,
        "The amount can be read in two ways",
        "Write thousands without a separator and cents after a point, as in 1234.00 AED.",
    ),
    Code(
        "price.rounded",
        _W,
        "The amount has more decimals than its currency",
        "Round it where the feed is made. It was rounded half up.",
    ),
    Code("price.currency", _E, "This is not an ISO 4217 currency", "Use the three-letter code, as in 155.00 AED."),
    Code(
        "price.no_currency",
        _W,
        "The amount has no currency",
        "Write the currency after the amount, as in 155.00 AED, or set the feed's default currency.",
    ),
    Code(
        "price.currency_differs",
        _E,
        "The amount is in another currency than the price",
        "Give all amounts of one item in one currency. This one was set aside.",
    ),
    Code(
        "price.currency_mixed",
        _W,
        "The price is not in the currency of most items of the file",
        "Send each currency in a feed of its own. The price was imported as it is.",
    ),
    Code("price.zero", _E, "The amount is zero", "Leave the item out until it has a price."),
    Code("price.negative", _E, "The amount is negative", "Send the amount without a minus, or leave the item out."),
    Code("price.too_large", _E, "The amount has more than nine digits before the point", "Check the amount."),
    Code(
        "sale.not_lower",
        _W,
        "The sale price is not lower than the price",
        "Send the sale price only while the product is reduced.",
    ),
    Code(
        "sale.date_format",
        _W,
        "These are not two dates with a slash between, the earlier one first",
        "Write start/end, as 2026-11-22T00:00+0400/2026-11-30T23:59+0400. The text was imported as it is.",
    ),
    Code(
        "sale.date_without_price",
        _W,
        "There are dates of a sale and no sale price",
        "Send sale_price too, or leave sale_price_effective_date out.",
    ),
    Code(
        "availability.date_missing",
        _W,
        "A preorder has no availability_date",
        "Say when it can be delivered, as 2026-11-22T14:30+0400.",
    ),
    Code(
        "date.format",
        _W,
        "This is not a date of ISO 8601",
        "Write it as 2026-11-22 or 2026-11-22T14:30+0400. The text was imported as it is.",
    ),
    Code(
        "date.too_far",
        _W,
        "The date is further ahead than channels accept",
        "Send a date within a year for availability_date, and within thirty days for expiration_date.",
    ),
    Code(
        "measure.format",
        _W,
        "This is not a number with a unit",
        "Write it as 3.5 kg. It is kept as found.",
    ),
    Code("availability.legacy", _N, "An old spelling of the availability", "Write in_stock, out_of_stock and so on."),
    Code("choice.lenient", _N, "The value is written in an unusual way", "Use the specified value."),
    Code("boolean.unknown", _E, "This is neither yes nor no", "Write yes or no."),
    Code("integer.format", _E, "This is not a whole number", "Write digits only, as in 4."),
    Code("url.scheme", _E, "The address does not begin with http:// or https://", "Write the whole address."),
    Code("url.format", _E, "This is not a web address", "Write it as https://www.example.com/page."),
    Code(
        "url.space",
        _N,
        "The address holds a space",
        "Write it as %20. It was encoded; the address as found is kept beside it.",
    ),
    Code(
        "url.non_ascii",
        _N,
        "The address holds letters beyond ASCII",
        "Percent-encode them. They were encoded; the address as found is kept beside it.",
    ),
    Code(
        "url.characters",
        _N,
        "The address holds characters that need encoding",
        'Percent-encode characters like < > " { } and |. The address was imported as it is.',
    ),
    Code(
        "url.relative",
        _W,
        "The address is not whole",
        "Write it with https:// and the host. It was completed with the base address; as found it is kept too.",
    ),
    Code(
        "url.domain",
        _W,
        "The link is not on the shop's domain",
        "Link to the shop's own pages, or correct the domain in the feed's settings.",
    ),
    Code(
        "image.placeholder",
        _W,
        "The picture is a placeholder by its name",
        "Send a picture of the product, or leave the attribute out until there is one.",
    ),
    Code("images.too_many", _W, "More than ten additional pictures", "Send the ten best. All were imported."),
    Code(
        "gtin.not_digits",
        _W,
        "The GTIN holds other characters than digits",
        "Send digits only. A spreadsheet writes 8.80E+12 unless the column is formatted as text.",
    ),
    Code("gtin.length", _W, "A GTIN has 8, 12, 13 or 14 digits", "Check for leading zeros lost in a spreadsheet."),
    Code("gtin.checksum", _W, "The GTIN's check digit is wrong", "Copy the GTIN from the product or its maker."),
    Code(
        "gtin.restricted",
        _W,
        "The GTIN is from a range for use inside a company",
        "Send the maker's GTIN, or leave the attribute out.",
    ),
    Code(
        "gtin.coupon",
        _W,
        "The GTIN is from a range for coupons",
        "Send the maker's GTIN, or leave the attribute out.",
    ),
    Code(
        "gtin.reserved",
        _W,
        "The GTIN is from a range that was given to nobody",
        "Send the maker's GTIN, or leave the attribute out.",
    ),
    Code(
        "gtin.bulk",
        _W,
        "The GTIN is that of goods sold by measure",
        "Send the GTIN of what is sold; one of 14 digits that begins with 9 names no single product.",
    ),
    Code(
        "gtin.placeholder",
        _W,
        "The GTIN is made up",
        "Send the maker's GTIN, or leave the attribute out.",
    ),
    Code(
        "gtin.duplicate",
        _W,
        "Several ids have the same GTIN",
        "A GTIN is one thing to buy: each size and colour has its own. Correct it, or send the product once.",
    ),
    Code("gtin.isbn10", _N, "This is an ISBN of ten digits", "Send the one of 13 digits. It is imported as it is."),
)

BY_CODE: dict[str, Code] = {code.name: code for code in CODES}


def words(name: str, severity: str = Severity.WARNING) -> Code:
    """The code of that name. One that an older version reported may be gone from the registry; its name is left."""
    return BY_CODE.get(name) or Code(name, Severity(severity), name, "")


class Issue(NamedTuple):
    """Something wrong with one item.

    `found` is the value as it was found, cut to `FOUND_MAX` characters; `line` is that of the element in the file, or
    of the item where the element is missing.
    """

    code: str
    attribute: str
    found: str = ""
    line: int = 0

    @property
    def severity(self) -> Severity:
        return severity(self.code, self.attribute)


def severity(code: str, attribute: str) -> Severity:
    """An error on an attribute that is not required does not cost the item: its value is set aside with a warning.

    Without an attribute it is the whole item that is wrong.
    """
    worst = BY_CODE[code].severity
    known = BY_NAME.get(attribute)
    if worst is Severity.ERROR and attribute and (known is None or known.need is not Need.REQUIRED):
        return Severity.WARNING
    return worst
