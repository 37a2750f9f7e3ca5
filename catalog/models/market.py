"""Where products are sold: one country, language and currency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core.validators import RegexValidator
from django.db import connection, models
from django.utils.translation import gettext_lazy as _

from catalog.feeds.scripts import script_of_language

DEFAULT_MARKET = 1
"""The key of the market that is there from the start."""


class Market(models.Model):
    """One country in one language and currency, with products of its own: the same id may be in many markets.

    Merchant Center's words for it are feed label and content language. A market says nothing of its country, language
    or currency until somebody sets them.
    """

    id = models.SmallAutoField(primary_key=True)
    code = models.SlugField(_("code"), unique=True, help_text=_("In addresses and commands, for example ae-en."))
    name = models.TextField(_("name"), help_text=_("For people, for example UAE, English."))
    country = models.CharField(
        _("country"),
        max_length=2,
        blank=True,
        default="",
        validators=[RegexValidator(r"\A[A-Z]{2}\Z", _("Two capital letters, for example AE."))],
        help_text=_("The ISO 3166 code, for example AE. Merchant Center calls it the feed label."),
    )
    language = models.CharField(
        _("language"),
        max_length=35,
        blank=True,
        default="",
        validators=[
            RegexValidator(
                r"(?i)\A[a-z]{2,3}(-[a-z]{4})?(-([a-z]{2}|[0-9]{3}))?(-[a-z0-9]{4,8})*\Z",
                _("A language tag, for example ar or zh-Hant."),
            )
        ],
        help_text=_("The BCP 47 tag, for example ar. A file in another script is held for review."),
    )
    currency = models.CharField(
        _("currency"),
        max_length=3,
        blank=True,
        default="",
        validators=[RegexValidator(r"\A[A-Z]{3}\Z", _("Three capital letters, for example AED."))],
        help_text=_("The ISO 4217 code, for example AED. A file in another currency is held for review."),
    )

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_default(self) -> bool:
        return self.pk == DEFAULT_MARKET

    @property
    def script(self) -> str:
        """The script that its language is written in; "" if it has none."""
        return script_of_language(self.language)

    @classmethod
    def ensure_default(cls, **_signal: Any) -> None:
        """Make the market that every catalogue has, unless it is there."""
        with connection.cursor() as cursor:
            cursor.execute(
                """
                INSERT INTO catalog_market (id, code, name, country, language, currency)
                VALUES (%(id)s, 'default', 'Default market', '', '', '') ON CONFLICT DO NOTHING;
                SELECT setval(pg_get_serial_sequence('catalog_market', 'id'), max(id)) FROM catalog_market
                """,
                {"id": DEFAULT_MARKET},
            )


@dataclass(frozen=True, slots=True)
class MarketState:
    """A market as a call finds it: its key, its code, the version of its products, and since when it is known what
    changed."""

    id: int
    code: str
    version: int
    known_since: int

    @classmethod
    def of_all(cls) -> list[MarketState]:
        """Every market, the default one first. Asked by every call that reads products: written out for them."""
        with connection.cursor() as cursor:
            cursor.execute("""
                SELECT market.id, code, COALESCE(version, 0), COALESCE(known_since, 0)
                FROM catalog_market market LEFT JOIN catalog_catalogstate state ON state.market_id = market.id
                ORDER BY market.id
            """)
            return [cls(*row) for row in cursor.fetchall()]
