"""Template filters of the catalogue's pages."""

from django import template
from django.contrib.humanize.templatetags.humanize import intcomma

from catalog.models import ImportRun

register = template.Library()


@register.filter
def percent(share: float) -> str:
    """0.034 → “3.4 %”; what is more than nothing is never shown as nothing."""
    return f"{share:.1%}".replace("%", " %") if share == 0 or share >= 0.001 else "< 0.1 %"


# The same three verbs in the three sentences that a plan is spoken of.
_VERBS = {
    "will": ("will add", "change", "archive"),
    "did": ("added", "changed", "archived"),
    "do": ("add", "change", "archive"),
}


@register.filter
def effect(run: ImportRun, tense: str) -> str:
    """“will add 1,240, change 8,611 and archive 147 products”: what is nothing is not said."""
    counts = zip(_VERBS[tense], (run.created, run.changed, run.archived), strict=True)
    parts = [f"{verb} {intcomma(count)}" for verb, count in counts if count]
    if tense == "will" and parts and not parts[0].startswith("will"):
        parts[0] = f"will {parts[0]}"
    what = " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]])) or "changes no"
    return f"{what} {'product' if run.created + run.changed + run.archived == 1 else 'products'}"
