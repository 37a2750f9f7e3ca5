"""Descriptions, written from a style's facts: HTML in CDATA (60 %), plain text (32 %) or Arabic (8 %)."""

from html import escape

from samples.assortment import Style
from samples.draws import Draw, between, percent, pick
from samples.vocabulary import ARABIC, CARE, CLOSINGS, OPENINGS, ORIGINS, STYLING


def describe(style: Style) -> str:
    """The description as the feed has it: XML text, escaped or inside CDATA, and never empty."""
    draw = iter(style.story).__next__
    form = draw()
    if percent(60, form):
        return f"<![CDATA[{_html_text(style, draw)}]]>"
    if percent(92, form):
        return escape(" ".join(_sentences(style, draw, between(0, 2, draw()))), quote=False)
    start = between(0, len(ARABIC) - 1, draw())
    count = between(4, 7, draw())
    sentences = (ARABIC[(start + n) % len(ARABIC)].format(brand=style.house.name) for n in range(count))
    return escape(" ".join(sentences), quote=False)


def _html_text(style: Style, draw: Draw) -> str:
    """Paragraphs and a list, as shops write them into feeds: 400 to 1,200 characters."""
    sentences = _sentences(style, draw, between(2, 5, draw()))
    middle = len(sentences) // 2
    made, worn = escape(" ".join(sentences[:middle])), escape(" ".join(sentences[middle:]))
    facts = (
        f"Colour: {style.colour}",
        f"Composition: {style.composition}" if style.material else "Suitable for daily use",
        f"Made in {pick(ORIGINS, draw())}",
        pick(CARE, draw()),
        f"Style number: {style.number}",
    )
    listed = "".join(f"<li>{fact}</li>" for fact in facts)
    return f"<p>{made}</p><p>{worn}</p><ul>{listed}</ul>"


def _sentences(style: Style, draw: Draw, craft: int) -> list[str]:
    """An opening, `craft` sentences on how it is made, one on how to wear it, and a closing."""
    facts = {
        "brand": style.house.name,
        "noun": style.kind.noun.lower(),
        "colour": style.colour,
        "material": style.composition.lower(),
        "season": style.season.name,
    }
    pool = style.department.craft
    start = between(0, len(pool) - 1, draw())
    crafted = [pool[(start + n) % len(pool)] for n in range(craft)]
    sentences = (pick(OPENINGS, draw()), *crafted, pick(STYLING, draw()), pick(CLOSINGS, draw()))
    return [sentence.format_map(facts) for sentence in sentences]
