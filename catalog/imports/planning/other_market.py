"""Does the file belong to another market? Its currency and the script of its texts say so."""

from __future__ import annotations

from collections import Counter

from catalog.feeds.scripts import script_of_text
from catalog.imports.planning.working_table import EVERY_CURRENCY
from catalog.imports.sql import fetch_rows
from catalog.models import ImportRun, Market

# So many items of a file, evenly spread, and so many characters of each say in which script it is.
SAMPLED_ITEMS = 500
SAMPLED_CHARS = 500
# So few in another currency are a mistake in the file rather than another file, unless they are most of it.
MAX_PASSING_ITEMS = 3


def check_market(run: ImportRun) -> dict[str, str]:
    """Why the file looks like that of another market than its feed's, by the guards' codes. Call it while planning.

    A market without a currency or a language says nothing about it.
    """
    market = run.feed.market
    if not market.currency and not market.script:
        return {}
    currencies, scripts = _count_currencies(run), _count_scripts(run)
    others = {
        "guard.market_currency": _other_currency(market, currencies),
        "guard.market_language": _other_script(market, scripts),
    }
    fitting = _fitting_markets(market, currencies, scripts)
    return {
        code: f"This looks like the file of another market: {why}. {fitting}" for code, why in others.items() if why
    }


def _other_currency(market: Market, found: Counter[str]) -> str:
    others = found.total() - found[market.currency]
    if not market.currency or not (others > MAX_PASSING_ITEMS or others * 2 > found.total()):
        return ""
    named = " and ".join(f"{number:,} in {code}" for code, number in found.most_common() if code != market.currency)
    return f"of {found.total():,} prices, {named}. The currency of “{market}” is {market.currency}"


def _other_script(market: Market, found: Counter[str]) -> str:
    others = found.total() - found[market.script]
    if not market.script or others * 2 <= found.total():
        return ""
    named = " and ".join(f"{number:,} in {script}" for script, number in found.most_common() if script != market.script)
    texts = f"of {found.total():,} titles and descriptions that were looked at, {named}"
    return f"{texts}. The language of “{market}” is {market.language}, written in {market.script}"


def _fitting_markets(market: Market, currencies: Counter[str], scripts: Counter[str]) -> str:
    """The markets that the file would fit: they say something that is true of it, and nothing that is not."""
    [(currency, _)] = currencies.most_common(1) or [("", 0)]
    [(script, _)] = scripts.most_common(1) or [("", 0)]
    fitting = [
        f"“{other}” ({other.code})"
        for other in Market.objects.exclude(pk=market.pk)
        if (other.currency or other.script)
        and (not currency or other.currency in ("", currency))
        and (not script or other.script in ("", script))
    ]
    if not fitting:
        return "No other market fits it, either."
    return f"It would fit {' or '.join(fitting)}. Upload it to a feed of that market, or say why it belongs here."


def _count_currencies(run: ImportRun) -> Counter[str]:
    return Counter(
        dict(
            fetch_rows(
                f"SELECT currency, count(*) FROM {EVERY_CURRENCY} WHERE currency <> '' GROUP BY currency", run=run.pk
            )
        )
    )


def _count_scripts(run: ImportRun) -> Counter[str]:
    """How many of the sampled items are mostly in which script."""
    rows = fetch_rows(
        """
        SELECT left(title, %(chars)s), left(description, %(chars)s) FROM catalog_stageditem
        WHERE run_id = %(run)s AND position = ANY(%(positions)s) AND state = 'valid'
        UNION ALL
        SELECT left(title, %(chars)s), left(description, %(chars)s)
        FROM catalog_knownitem known
        JOIN catalog_stageditem item ON item.run_id = known.from_run_id AND item.position = known.from_position
        WHERE known.run_id = %(run)s AND known.position = ANY(%(positions)s)
        """,
        run=run.pk,
        chars=SAMPLED_CHARS,
        positions=list(range(1, run.items + 1, max(run.items // SAMPLED_ITEMS, 1))),
    )
    return Counter(script for title, text in rows if (script := script_of_text(f"{title} {text}")))
