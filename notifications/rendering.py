"""Making an e-mail's words from its folder: `templates/emails/<name>/{subject.txt,body.txt,body.html}`."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import css_inline
from django.template import Context
from django.template.loader import get_template

SUBJECT_CHARS = 150

# What neither a mail nor the database can hold, or what would turn the direction of the words around it.
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")
_LONE_SURROGATES = re.compile(r"[\ud800-\udfff]")
_inliner = css_inline.CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)


class Wording(NamedTuple):
    subject: str
    text: str
    html: str


def word(name: str, context: Mapping[str, Any]) -> Wording:
    """The three parts of an e-mail.

    The subject is one line of at most 150 characters, whatever stands in it. In the two text parts values stand as they
    are, in the HTML they are escaped; no part has characters that a mail or the database could not hold. Styles are
    inlined, `@media` rules stay in the head. Of blank lines in a row one is left.
    """
    return Wording(
        subject=_one_line(_render(name, "subject.txt", context, autoescape=False)),
        text=re.sub(r"\n{3,}", "\n\n", _render(name, "body.txt", context, autoescape=False)).strip() + "\n",
        html=_inliner.inline(_render(name, "body.html", context, autoescape=True)),
    )


def clean(text: str) -> str:
    """The text without control characters, with `\\n` at the end of each line and � for what is no character."""
    text = re.sub(r"\r\n?", "\n", text)
    return _LONE_SURROGATES.sub("\N{REPLACEMENT CHARACTER}", _CONTROLS.sub("", text))


def _render(name: str, part: str, context: Mapping[str, Any], *, autoescape: bool) -> str:
    template: Any = get_template(f"emails/{name}/{part}")  # its own template decides by the context what is escaped
    return clean(template.template.render(Context(dict(context), autoescape=autoescape)))


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SUBJECT_CHARS else line[: SUBJECT_CHARS - 1].rstrip() + "…"
