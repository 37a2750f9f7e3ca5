"""Where products come from."""

import re
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, RegexValidator, URLValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalog.feeds.attributes import BY_ALIAS, BY_NAME
from catalog.feeds.cleaning.check import Rules
from catalog.feeds.reading.encodings import TABLE_ENCODINGS, UTF_8
from catalog.feeds.reading.settings import FileSettings
from catalog.models.market import DEFAULT_MARKET, Market

# Of ASCII: an id with it still fits into every index.
PREFIX_CHARS = 20


class Mode(models.TextChoices):
    """What an import may do. Each label is the sentence that people choose by."""

    ADD = "add", _("Add new products, leave existing ones as they are")
    UPDATE = "update", _("Add new products and change existing ones")
    SYNC = "sync", _("Add, change, and archive this feed's products that are missing from the file")


def validate_aliases(aliases: Any) -> None:
    """A shop's own element names, each with the attribute that it is. Says of each wrong one what would do."""
    if not isinstance(aliases, dict):
        raise ValidationError(_('Write an object in braces, for example {"artikelnummer": "mpn"}.'))
    problems = [problem for name, attribute in aliases.items() if (problem := _problem_of(name, attribute))]
    if problems:
        raise ValidationError(problems)


def _problem_of(name: str, attribute: Any) -> str:
    names = {"name": _shown(name), "attribute": _shown(str(attribute))}
    if not name or not name.isprintable() or name != name.strip() or _NO_NAME.search(name):
        return (
            _('"%(name)s" is not the name of an element or column. Write it as in the feed, without a prefix.') % names
        )
    if name in BY_ALIAS:
        return _('"%(name)s" is an attribute itself and cannot stand for another.') % names
    if not isinstance(attribute, str) or attribute not in BY_NAME:
        return _('"%(attribute)s", for "%(name)s", is not an attribute. Use one, for example mpn.') % names
    return ""


_NO_NAME = re.compile(r"[<>]|^\{|^[\w.-]+:[\w.-]+$")  # the last is a name with its prefix


def percent(label: Any, default: int, help_text: Any) -> "models.PositiveSmallIntegerField[Any, Any]":
    """A limit in percent of one of the guards; empty switches it off."""
    return models.PositiveSmallIntegerField(
        label, default=default, null=True, blank=True, validators=[MaxValueValidator(1000)], help_text=help_text
    )


def _shown(text: str) -> str:
    """A name that may be anything, for a message."""
    return text[:100].encode(errors="replace").decode()


class Feed(models.Model):
    """A named source of products, with the settings its imports start from."""

    name = models.TextField(_("name"))
    slug = models.SlugField(_("short name"), unique=True, help_text=_("For the command line: import_feed --feed …"))
    market: "models.ForeignKey[Market, Market]" = models.ForeignKey(
        Market,
        models.PROTECT,
        related_name="feeds",
        verbose_name=_("market"),
        default=DEFAULT_MARKET,
        db_default=DEFAULT_MARKET,  # type: ignore[arg-type]
        help_text=_("Its imports change only products of this market. It stays once the feed has an import."),
    )
    prefix = models.CharField(
        _("prefix of ids"),
        max_length=PREFIX_CHARS,
        blank=True,
        default="",
        db_default="",
        validators=[RegexValidator(r"\A[A-Za-z0-9._-]*\Z", _("Use only letters, digits, points, - and _."))],
        help_text=_("Put before each id in its files, for example kering-, so that two suppliers may use one id."),
    )
    mode = models.TextField(_("mode"), choices=Mode, default=Mode.UPDATE, help_text=_("Proposed for each new import."))
    auto_apply = models.BooleanField(
        _("apply without asking"), default=False, help_text=_("Apply an import as soon as its plan is made.")
    )
    default_currency = models.CharField(
        _("default currency"),
        max_length=3,
        blank=True,
        validators=[RegexValidator(r"\A[A-Z]{3}\Z", _("Use three capital letters, for example AED."))],
        help_text=_("The ISO 4217 code of prices without a currency, for example AED."),
    )
    base_url = models.TextField(
        _("base address"),
        blank=True,
        default="",
        validators=[
            URLValidator(
                schemes=["http", "https"], message=_("Write a whole web address, for example https://example.com/.")
            )
        ],
        help_text=_("Completes links and pictures without a host, for example https://www.example.com/."),
    )
    domain = models.TextField(
        _("domain"),
        blank=True,
        default="",
        validators=[
            RegexValidator(
                r"(?i)\A[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+\Z",
                _("Write only the domain, for example example.com, without https:// and without a path."),
            )
        ],
        help_text=_("Links to other domains get a warning. For example example.com, which includes www.example.com."),
    )
    table_encoding = models.TextField(
        _("encoding"),
        choices=[(name, name.upper() if name == UTF_8 else name) for name in TABLE_ENCODINGS],
        default=UTF_8,
        help_text=_(
            "The encoding of CSV and TSV, and of XML that says UTF-8 but is not in it. A byte order mark in the file "
            "counts more."
        ),
    )
    table_sheet = models.TextField(
        _("sheet of workbooks"),
        blank=True,
        default="",
        db_default="",
        help_text=_("The sheet of an Excel workbook to read. If empty, the first one that is not hidden."),
    )
    item_element = models.TextField(
        _("item element"),
        blank=True,
        default="",
        db_default="",
        validators=[
            RegexValidator(r"\A[^\s<>&/:{}]{1,100}\Z", _("Write only the element's name, for example SHOPITEM."))
        ],
        help_text=_("The element that is an item in other XML, for example SHOPITEM. Empty: it is found."),
    )
    aliases = models.JSONField(
        _("names of its own"),
        blank=True,
        default=dict,
        validators=[validate_aliases],
        help_text=_(
            'Names of elements and columns that only this shop uses, each with its attribute: {"Artikel-Nr.": "mpn"}.'
        ),
    )
    may_change_others = models.BooleanField(
        _("may change other feeds' products"),
        default=False,
        db_default=False,
        help_text=_("If not, products of other feeds stay as they are, also when this feed has their ids."),
    )
    guard_archived = percent(
        _("archived, in %"),
        20,
        _("When an import would archive a larger share of this feed's products."),
    )
    guard_items = percent(
        _("more or fewer items, in %"),
        50,
        _("In the mode sync, when the number of items differs by more from the file that was applied last."),
    )
    guard_price_change = percent(
        _("change of a price, in %"),
        50,
        _("A price that changes by more, or that changes its currency, counts as a large change."),
    )
    guard_price_products = percent(
        _("products with a large change, in %"), 10, _("When more of the products have a large change of price.")
    )
    guard_currency = models.BooleanField(
        _("new currency"), default=True, help_text=_("When items come in a currency that no product of this feed has.")
    )
    guard_out_of_stock = percent(
        _("turned out of stock, in %"), 30, _("When a larger share of the products would turn out of stock.")
    )
    guard_zero_price = percent(
        _("zero or negative prices, in %"), 1, _("When a larger share of the items has such a price.")
    )
    guard_lost_values = percent(
        _("lost values, in %"),
        10,
        _("When a larger share of the products would lose a value, for example the brand, the GTIN or the picture."),
    )
    guard_duplicates = percent(
        _("duplicates that differ, in %"),
        10,
        _("When a larger share of the items has the id of a later item but other values."),
    )
    guard_invalid = percent(_("invalid items, in %"), 30, _("When a larger share of the items cannot be imported."))
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(table_encoding__in=TABLE_ENCODINGS), name="feed_table_encoding_known"
            ),
            models.CheckConstraint(condition=models.Q(mode__in=Mode.values), name="feed_mode_known"),
            # Product refers to both, so that it is in the market of its feed.
            models.UniqueConstraint(fields=["id", "market"], name="feed_in_one_market"),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        before = Feed.objects.filter(pk=self.pk).values_list("market", flat=True).first()
        if before not in (None, self.market_id) and self.runs.exists():
            raise ValidationError(
                {"market": _("This feed has imports in another market. Add a feed for this market instead.")}
            )

    def id_in_file(self, product_id: str) -> str:
        """The id as this feed's files have it."""
        return product_id.removeprefix(self.prefix)

    @property
    def rules(self) -> Rules:
        """How its items are read."""
        today = timezone.localdate().isoformat()
        domain = self.domain.lower()
        return Rules(self.default_currency, self.base_url, domain, self._alias_pairs, today, prefix=self.prefix)

    @property
    def file_settings(self) -> FileSettings:
        """How its files are read."""
        return FileSettings(self.table_encoding, self.table_sheet, self.item_element, self._alias_pairs)

    @property
    def _alias_pairs(self) -> tuple[tuple[str, str], ...]:
        return tuple(sorted(self.aliases.items()))
