"""The registry of issues: what can be wrong with an item or a file, how bad it is, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from catalog.feeds.attributes import BY_NAME, COLUMNS, Need

FOUND_MAX = 100  # characters of the found value that an issue keeps


class Severity(StrEnum):
    """How bad an issue is, the worst first.

    `error`: the item is invalid. `warning`: it is imported with a problem. `notice`: it was read leniently.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"

    @property
    def rank(self) -> int:
        """0 is the worst."""
        return list(Severity).index(self)


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
            "Shorten it: channels cut or reject longer values. The whole value is imported.",
        )
        for a in COLUMNS
        if a.max_length
    ),
    *(
        Code(
            f"{a.name}.unknown",
            _E if a.need is Need.REQUIRED else _W,
            f"{a.name} is not one of the allowed values",
            f"Use one of: {', '.join(a.values)}.",
        )
        for a in COLUMNS
        if a.choices
    ),
    Code(
        "row.cells",
        _E,
        "The row has more or fewer cells than the table has columns",
        "Quote a cell that contains the delimiter or a line break. Keep the delimiters of empty cells.",
    ),
    Code(
        "row.quotes",
        _E,
        "The quotation marks of a cell do not match",
        "Put the whole cell in quotation marks and write each one inside it twice. The other rows were read.",
    ),
    Code(
        "row.quotes_as_text",
        _N,
        "A cell begins with a quotation mark that nothing closes",
        "Put the whole cell in quotation marks and write each one inside it twice. Here the marks were read as text.",
    ),
    Code(
        "row.archived",
        _E,
        "The product is in the archive, as the exported table says",
        "Nothing has to be done. To bring the product back, clear the cell archived.",
    ),
    Code(
        "row.extra",
        _E,
        "The cell extra is not an object in JSON, as the export wrote it",
        "Copy the cell from the exported table again, or take the column out.",
    ),
    Code(
        "row.character",
        _E,
        "The item has a character that cannot be part of a text, or a byte of another encoding",
        "Remove the character, or export the file in UTF-8. A table's encoding can also be named in the feed's "
        "settings. The other items were read.",
    ),
    Code(
        "row.json",
        _E,
        "The line or value is not an object in JSON",
        "Write each item as one object in braces. The other items were read.",
    ),
    Code(
        "attribute.repeated",
        _W,
        "The attribute appears more than once but allows only one value",
        "Send one value. The first one is used; the others are kept beside it.",
    ),
    Code(
        "attribute.list",
        _N,
        "One element contains several values",
        "Repeat the element for each value. The text was split and is also kept as found.",
    ),
    Code(
        "attribute.two_names",
        _N,
        "Two elements give different values for one attribute",
        "Send the attribute once. The element in Google's namespace is used; the other is kept beside it.",
    ),
    Code(
        "value.too_large",
        _E,
        "The value is far longer than any channel accepts",
        "Check the program that writes this attribute.",
    ),
    Code(
        "text.control_chars",
        _W,
        "The text contains control, private-use or replacement characters",
        "Check the encoding in the program that writes the feed. The text is imported as it is.",
    ),
    Code(
        "text.markup",
        _N,
        "The text contains elements",
        "Escape them or put the text into CDATA. The text was kept; the elements around it were dropped.",
    ),
    Code(
        "text.invisible_marks",
        _N,
        "The value contains characters that nobody sees",
        "Remove them in the program that writes the feed. The value was read without them.",
    ),
    Code(
        "text.placeholder",
        _E,
        "A template placeholder was not filled in, or a program wrote an error instead of the value",
        "Check the program or the spreadsheet that writes the feed: a variable had no value.",
    ),
    Code(
        "text.whitespace",
        _N,
        "A one-line text contains line breaks, tabs or several spaces in a row",
        "Write it on one line with single spaces. It is imported as it is.",
    ),
    Code(
        "text.double_escaped",
        _N,
        "The value still contains a character reference such as &amp;, or an address %25 before two digits",
        "Escape the value only once. It is imported as it is.",
    ),
    Code(
        "title.all_caps",
        _W,
        "The title is in capitals only",
        "Write it like a sentence or a name: channels reject titles in capitals.",
    ),
    Code("description.html", _N, "The description contains HTML", "No action is needed: it is shown as text."),
    Code(
        "description.equals_title",
        _W,
        "The description only repeats the title",
        "Describe the product: what it is made of, how it fits, what is special about it.",
    ),
    Code(
        "attribute.empty",
        _N,
        "The element is empty, or has a word for nothing such as NULL",
        "Leave out the element when there is no value. The product's value is cleared.",
    ),
    Code(
        "attribute.unknown",
        _N,
        "The element is not a known attribute; each name is reported once",
        "Correct the name, or map it to an attribute in the feed's settings. The value is kept as found.",
    ),
    Code(
        "group.parts",
        _W,
        "The cell does not have the elements that its column's heading names",
        "Below shipping(country:price) write AE:10 AED, and a comma between several. The text is kept as found.",
    ),
    Code(
        "group.subattribute_missing",
        _W,
        "The group lacks one of its elements",
        "Add the element, for example <g:country>AE</g:country> inside <g:shipping>. The group is kept as found.",
    ),
    Code(
        "group.subattribute_format",
        _W,
        "An element of the group is not understood",
        "Write it as expected. The group is kept as found.",
    ),
    Code(
        "group.equals_id",
        _N,
        "The item_group_id is the item's own id",
        "Give all variants of one product the same group. Leave it out when there are no variants.",
    ),
    Code(
        "group.single",
        _N,
        "No other item in the file has this item_group_id",
        "Leave it out when there are no variants. If the others come in another file, no action is needed.",
    ),
    Code(
        "group.brand_differs",
        _W,
        "Items with the same item_group_id have different brands",
        "A group is one product in several variants. Give all of them one brand, or each product its own group.",
    ),
    Code(
        "group.title_differs",
        _W,
        "Items with the same item_group_id have different item_group_titles",
        "Give all variants of a product the same item_group_title.",
    ),
    Code(
        "group.no_difference",
        _W,
        "Items with the same item_group_id do not differ from each other",
        "Say how each variant differs: colour, size, material, pattern, gender or age group.",
    ),
    Code(
        "category.unknown",
        _W,
        "The category is neither the number nor the path of one of Google's categories",
        "Write the number, for example 2271, or the path, for example Apparel & Accessories > Clothing > Dresses.",
    ),
    Code(
        "brand.generic",
        _W,
        "The value is not a brand",
        "Send the maker's name, or leave out the brand and send identifier_exists no.",
    ),
    Code(
        "color.bad",
        _W,
        "The value is not the name of a colour",
        "Write up to three names, for example Red/Pink/Blue. Send no codes, numbers or multicolor.",
    ),
    Code(
        "size.several",
        _W,
        "One value contains several sizes",
        "Send one item for each size, all with the same item_group_id. The known value stays.",
    ),
    *(
        Code(
            f"apparel.{name}",
            _W,
            f"{what} has no {name}",
            f"Add {name} to every item of this category. Channels show an item less without it.",
        )
        for name, what in (
            ("color", "An item of apparel"),
            ("gender", "An item of apparel"),
            ("age_group", "An item of apparel"),
            ("size", "An item of clothing or a shoe"),
        )
    ),
    Code(
        "identifiers.missing",
        _W,
        "The item has neither a GTIN nor an mpn",
        "Send one of them, or send identifier_exists no if the maker assigns neither.",
    ),
    Code(
        "identifiers.contradiction",
        _W,
        "identifier_exists is no, but the item has a GTIN",
        "Leave out one of the two.",
    ),
    Code(
        "item.not_well_formed",
        _E,
        "The item is not well-formed XML",
        "Check that each element and CDATA section is closed once, by its own name. The other items were read.",
    ),
    Code(
        "item.too_large",
        _E,
        "The item is larger than the limit",
        "Make it smaller, or raise FEED_MAX_ITEM_BYTES. The other items were read.",
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
        "The item's elements are nested deeper than the limit",
        "Nest them less, or raise FEED_MAX_DEPTH. The other items were read.",
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
        "An & is not escaped",
        "Write it as &amp; in the feed, or put the text into CDATA. It was read as an &.",
    ),
    Code(
        "feed.repaired.html_entity",
        _W,
        "XML does not define this HTML entity",
        "Write the character itself. The entity was read as the character that it stands for in HTML.",
    ),
    Code(
        "feed.repaired.control_character",
        _W,
        "XML forbids this control character",
        "Remove it from the feed. It was read as a space.",
    ),
    Code(
        "feed.repaired.surrogate_pair",
        _W,
        "A character is written as its two halves in UTF-16",
        "Write the character itself, in UTF-8. The two halves were read as the one character that they are.",
    ),
    Code(
        "feed.repaired.foreign_bytes",
        _W,
        "These bytes are not in the file's encoding",
        "Export the whole feed as UTF-8, or set the encoding in the feed's settings. Without it, each of these bytes "
        "was read as windows-1252: check how the text looks.",
    ),
    Code(
        "feed.repaired.encoding",
        _W,
        "The file declares an encoding that it does not have",
        "Declare the encoding that the feed is written in. The file was read as UTF-8.",
    ),
    Code(
        "feed.repaired.junk_before",
        _W,
        "Other content comes before the XML",
        "Begin the feed with <?xml or its outermost element. What came before was dropped.",
    ),
    Code(
        "feed.repaired.junk_after",
        _W,
        "Other content comes after the XML",
        "End the feed with the end of its outermost element. What came after was dropped.",
    ),
    Code(
        "feed.repaired.cut_character",
        _W,
        "A character is cut in half",
        "Shorten texts by characters and not by bytes. The character cannot be known and was read as \ufffd.",
    ),
    Code(
        "feed.encoding_likely",
        _W,
        "These texts read better in another encoding",
        "Compare both readings. If the second one is right, set that encoding in the feed's settings and import the "
        "file again.",
    ),
    Code(
        "feed.repaired.section_open",
        _W,
        "A CDATA section is not closed",
        "Write ]]> where it ends. It was closed before the end of its element.",
    ),
    Code(
        "feed.repaired.outside_root",
        _W,
        "Items stand outside of the outermost element",
        "Put all items into one outermost element, for example <rss> and <channel>. They were read as if they were.",
    ),
    Code(
        "feed.repaired.namespace_undeclared",
        _W,
        "A prefix is used but not declared",
        'Write xmlns:g="http://base.google.com/ns/1.0" on the outermost element. It was read as if it were there.',
    ),
    Code(
        "feed.repaired.namespace_address",
        _W,
        "A namespace contains an address but is not one",
        'Write it as xmlns:g="http://base.google.com/ns/1.0", without braces. The file was read as if it said so.',
    ),
    Code(
        "feed.repaired.attribute_twice",
        _W,
        "A tag contains the same attribute twice",
        "Write it once. Both had the same value, so the second was dropped.",
    ),
    Code(
        "feed.lines_skipped",
        _N,
        "Lines of the table are no rows",
        "No action is needed if these are titles, comments or headings. Begin the table with the names of its "
        "attributes, once.",
    ),
    Code(
        "feed.supplemental",
        _N,
        "The attribute does not appear in this file; existing products keep their values",
        "No action is needed for a supplemental feed. A new product needs the attribute: send it in a feed that "
        "has it.",
    ),
    Code(
        "feed.foreign_item",
        _N,
        "The element is called like an item but belongs to another namespace",
        "Nothing has to be done if it is not a product. Else write it in the namespace of the other items.",
    ),
    Code(
        "feed.own_table",
        _N,
        "The file is a table that the catalogue exported",
        "Nothing has to be done. Its columns feed and archived change nothing, its cells are read as they were before "
        "the export made them safe, and changes of other feeds' products wait for a person to agree.",
    ),
    Code(
        "id.duplicate",
        _E,
        "The id appears again later in the file",
        "Give every item its own id. The last item with this id is used.",
    ),
    Code(
        "id.case",
        _W,
        "Two ids differ only in capital and small letters",
        "Check whether they are one product. Capital and small letters count as different, so both are imported.",
    ),
    Code(
        "id.other_feed",
        _W,
        "The product belongs to another feed and stays as it is",
        "Import it into that feed, give the products ids of their own, or allow this feed to change the products of "
        "others on its page.",
    ),
    Code("id.control_chars", _E, "The id contains invisible characters", "Use visible characters only."),
    Code(
        "price.format",
        _E,
        "The value is not an amount of money",
        "Write it as 155.00 AED: digits, a point, the currency.",
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
        "Write thousands without a separator and cents after a point, for example 1234.00 AED.",
    ),
    Code(
        "price.separator",
        _N,
        "The amount has three digits after its only separator",
        "Write thousands without a separator and cents after a point, for example 1234.00 AED. It was read as its "
        "currency and the file's other amounts allow.",
    ),
    Code(
        "price.rounded",
        _W,
        "The amount has more decimals than its currency",
        "Round it before you send it. It was rounded half up.",
    ),
    Code(
        "price.currency",
        _E,
        "The currency is not in ISO 4217",
        "Use the three-letter code, for example 155.00 AED.",
    ),
    Code(
        "price.no_currency",
        _W,
        "The amount has no currency",
        "Write the currency after the amount, for example 155.00 AED, or set the feed's default currency.",
    ),
    Code(
        "price.currency_differs",
        _E,
        "The amount is not in the currency of the price",
        "Give all amounts of one item in one currency. This one was not taken.",
    ),
    Code(
        "price.currency_mixed",
        _W,
        "The price is not in the currency of most items in the file",
        "Send each currency in its own feed. The price was imported as it is.",
    ),
    Code("price.zero", _E, "The amount is zero", "Leave out the item until it has a price."),
    Code("price.negative", _E, "The amount is negative", "Send the amount without a minus, or leave out the item."),
    Code("price.too_large", _E, "The amount is larger than any price in its currency", "Check the amount."),
    Code(
        "sale.not_lower",
        _W,
        "The sale price is not lower than the price",
        "Send a sale price only while the product is reduced.",
    ),
    Code(
        "sale.date_format",
        _W,
        "The value is not two dates with a slash between them, the earlier one first",
        "Write start/end, for example 2026-11-22T00:00+0400/2026-11-30T23:59+0400. The known value stays.",
    ),
    Code(
        "sale.date_without_price",
        _W,
        "The item has dates of a sale but no sale price",
        "Send sale_price too, or leave out sale_price_effective_date.",
    ),
    Code(
        "availability.date_missing",
        _W,
        "A preorder or backorder has no availability_date",
        "Say when it can be delivered, for example 2026-11-22T14:30+0400.",
    ),
    Code(
        "date.format",
        _W,
        "The value is not an ISO 8601 date",
        "Write it as 2026-11-22 or 2026-11-22T14:30+0400. The known value stays.",
    ),
    Code(
        "date.too_far",
        _W,
        "The date is further in the future than channels accept",
        "Send a date within a year for availability_date, and within thirty days for expiration_date.",
    ),
    Code(
        "measure.format",
        _W,
        "The value is not a number with a unit",
        "Write it as 3.5 kg. It is kept as found.",
    ),
    Code(
        "availability.legacy",
        _N,
        "The availability is written in an old spelling",
        "Write in_stock, out_of_stock, preorder or backorder.",
    ),
    Code("choice.lenient", _N, "The value is written in an unusual way", "Write the value as the reference lists it."),
    Code("boolean.unknown", _E, "The value is neither yes nor no", "Write yes or no."),
    Code("integer.format", _E, "The value is not a whole number", "Write digits only, for example 4."),
    Code(
        "integer.lenient",
        _N,
        "The whole number is written with decimals",
        "Write digits only, for example 12. It was understood and imported.",
    ),
    Code("url.scheme", _E, "The address does not begin with http:// or https://", "Write the whole address."),
    Code("url.format", _E, "The value is not a web address", "Write it as https://www.example.com/page."),
    Code(
        "url.list",
        _E,
        "The value contains several addresses, and it cannot be told where each ends",
        "Repeat the element for each address. The text was not taken.",
    ),
    Code(
        "url.two_schemes",
        _W,
        "The address begins with two schemes, for example http://https://",
        "Write one of them. The address was imported as it is.",
    ),
    Code(
        "url.space",
        _N,
        "The address contains a space",
        "Write it as %20. It was encoded; the address as found is kept beside it.",
    ),
    Code(
        "url.non_ascii",
        _N,
        "The address contains characters outside ASCII",
        "Percent-encode them. They were encoded; the address as found is kept beside it.",
    ),
    Code(
        "url.characters",
        _N,
        "The address contains characters that need encoding",
        'Percent-encode characters like < > " { } and |. The address was imported as it is.',
    ),
    Code(
        "url.relative",
        _W,
        "The address is not complete",
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
        "The picture is named like a placeholder",
        "Send a picture of the product, or leave out the attribute until there is one.",
    ),
    Code(
        "images.too_many",
        _W,
        "The item has more than ten additional pictures",
        "Send the ten best. All were imported.",
    ),
    Code(
        "gtin.not_digits",
        _W,
        "The GTIN contains characters other than digits",
        "Send digits only. A spreadsheet writes 8.80E+12 unless the column is formatted as text.",
    ),
    Code(
        "gtin.length",
        _W,
        "The GTIN does not have 8, 12, 13 or 14 digits",
        "Check whether a spreadsheet removed leading zeros.",
    ),
    Code(
        "gtin.upc_e",
        _W,
        "The GTIN is a UPC-E, the short form of eight digits",
        "Send all 12 digits of the UPC-A, which stand beside the value. It is imported as it is.",
    ),
    Code("gtin.too_many", _W, "The item has more than ten GTINs", "Send up to ten. All were kept."),
    Code("gtin.checksum", _W, "The GTIN's check digit is wrong", "Copy the GTIN from the product or its maker."),
    Code(
        "gtin.restricted",
        _W,
        "The GTIN is from a range for use inside a company",
        "Send the maker's GTIN, or leave out the attribute.",
    ),
    Code(
        "gtin.coupon",
        _W,
        "The GTIN is from a range for coupons",
        "Send the maker's GTIN, or leave out the attribute.",
    ),
    Code(
        "gtin.reserved",
        _W,
        "The GTIN is from a range that GS1 has not assigned",
        "Send the maker's GTIN, or leave out the attribute.",
    ),
    Code(
        "gtin.bulk",
        _W,
        "The GTIN is for goods sold by measure",
        "Send the GTIN of what is sold. A GTIN of 14 digits that begins with 9 does not name a single product.",
    ),
    Code(
        "gtin.placeholder",
        _W,
        "The GTIN is made up",
        "Send the maker's GTIN, or leave out the attribute.",
    ),
    Code(
        "gtin.duplicate",
        _W,
        "Several ids have the same GTIN",
        "Each size and colour of a product has its own GTIN. Correct it, or send the product once.",
    ),
    Code(
        "gtin.isbn10",
        _N,
        "The value is an ISBN of ten digits",
        "Send the ISBN of 13 digits. It is imported as it is.",
    ),
)

BY_CODE: dict[str, Code] = {code.name: code for code in CODES}


def code_named(name: str, severity: str = Severity.WARNING) -> Code:
    """The code of that name. The registry may no longer have a code that an older version reported: its name stays."""
    return BY_CODE.get(name) or Code(name, Severity(severity), name, "")


class Issue(NamedTuple):
    """Something wrong with one item.

    `found` is the value as it was found, cut to `FOUND_MAX` characters. `line` is the line of the element in the file,
    or of the item where the element is missing.
    """

    code: str
    attribute: str
    found: str = ""
    line: int = 0

    @property
    def severity(self) -> Severity:
        return severity_of(self.code, self.attribute)


@lru_cache(maxsize=4096)
def severity_of(code: str, attribute: str) -> Severity:
    """How bad an issue is on this attribute; "" is the whole item.

    An error on an attribute that is not required is a warning: the value is set aside and the item is imported.
    """
    worst = BY_CODE[code].severity
    known = BY_NAME.get(attribute)
    if worst is Severity.ERROR and attribute and (known is None or known.need is not Need.REQUIRED):
        return Severity.WARNING
    return worst
