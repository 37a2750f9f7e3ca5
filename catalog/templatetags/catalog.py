"""Template filters of the catalogue's pages."""

import html
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from django import template
from django.contrib.admin.utils import quote
from django.contrib.humanize.templatetags.humanize import intcomma
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext

from catalog.models import ImportRun, Market

register = template.Library()

# Browsers remove these two from an address, however they are escaped, so their pages have other names.
DOT_IDS = {".": "_2E", "..": "_2E_2E"}


@register.simple_tag
def product_url(product_id: str, market: Market, page: str = "change") -> str:
    """The product's page in the admin, whatever characters its id has. Only the default market is not named."""
    url = reverse(f"admin:catalog_product_{page}", args=[DOT_IDS.get(product_id) or quote(product_id)])
    return url if market.is_default else f"{url}?{urlencode({'market': market.code})}"


@register.filter
def with_landmark(page: SafeString) -> SafeString:
    """The theme's page with its content marked as that, for screen readers and for the link that skips the menu."""
    marked = page.replace('<div id="content"', '<div id="content" role="main" tabindex="-1"', 1)
    return mark_safe(marked)  # noqa: S308 - the page as it was, but for these two attributes


@register.filter
def percent(share: float) -> str:
    """0.034 → “3.4 %”; more than nothing is never shown as 0.0 %."""
    return f"{share:.1%}".replace("%", " %") if share == 0 or share >= 0.001 else "< 0.1 %"


@register.filter
def named(things: dict[str, Any], name: str) -> Any:
    """The one with this name; None if there is none."""
    return things.get(name)


@register.filter
def points(change: float) -> str:
    """-0.021 → “−2.1”; less than 0.05 points is not a change."""
    return f"{change * 100:+.1f}".replace("-", "−") if abs(change) >= 0.0005 else "="


@register.simple_tag
def field_rows(fields: Iterable[Any], is_new: bool, change: Any = None) -> SafeString:
    """The table rows of fields, old and new; of a new product only new. With a change, each can be left out of it.

    It is neither a template nor `format_html`, which take ten and three times as long: a page of new products has two
    thousand rows.
    """
    leave_out = escape_markup(gettext("Leave out"))
    rows = []
    for field in fields:
        label, note, part = escape_markup(field.label), "", ""
        if field.note:
            note = f" <small>{escape_markup(field.note)}</small>"
        if change and field.name:
            part = (
                f' <button class="part" form="leave-out" name="part" value="{change.pk} {escape_markup(field.name)}"'
                f' aria-label="{leave_out}: {label}" title="{leave_out}">×</button>'
            )
        old = "" if is_new else f'<td class="old" dir="auto">{escape_markup(field.old)}</td>'
        new = f'<td class="new" dir="auto">{escape_markup(field.new)}{note}</td>'
        rows.append(f'<tr><th scope="row">{label}{part}</th>{old}{new}</tr>')
    return mark_safe("".join(rows))  # noqa: S308 - each part is escaped


def escape_markup(value: Any) -> str:
    """As `conditional_escape`, in a tenth of its time."""
    return value if isinstance(value, SafeString) else html.escape(str(value))


# The verbs of a plan in three sentences. The last of each is for a plan that changes nothing.
_VERBS = {
    "will": ("add", "change", "archive", "will change no"),
    "did": ("added", "changed", "archived", "changed no"),
    "do": ("add", "change", "archive", "change no"),
}


@register.filter
def effect(run: ImportRun, tense: str) -> str:
    """“will add 1,240, change 8,611 and archive 147 products”: zeros are left out."""
    *verbs, nothing = _VERBS[tense]
    numbers = (run.created, run.changed, run.archived)
    parts = [f"{verb} {intcomma(number)}" for verb, number in zip(verbs, numbers, strict=True) if number]
    if not parts:
        return f"{nothing} products"
    what = " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
    return f"{'will ' if tense == 'will' else ''}{what} {_product_word(sum(numbers))}"


@register.filter
def undo_effect(numbers: Any, tense: str) -> str:
    """“4 products are as before the import; 1 was kept: it has changed since; …”, of a run or a prospect."""
    undone, kept, gone = numbers.undone, numbers.kept, numbers.gone
    be, keep = ("will be", "will be kept") if tense == "will" else ("are", "were kept")
    parts = [f"{intcomma(undone)} {_product_word(undone)} {_agree(undone, be)} as before the import"]
    if kept:
        why = "it has" if kept == 1 else "they have"
        parts.append(f"{intcomma(kept)} {_agree(kept, keep)} because {why} changed since")
    if gone:
        parts.append(f"{intcomma(gone)} {_agree(gone, 'are')} no longer in the catalogue")
    return "; ".join(parts)


def _product_word(number: int) -> str:
    return "product" if number == 1 else "products"


def _agree(number: int, verb: str) -> str:
    return verb.replace("are", "is").replace("were", "was") if number == 1 else verb
