"""An e-mail's text, made from its folder: `templates/emails/<name>/{subject.txt,body.txt,body.html}`."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import css_inline
from django.conf import settings
from django.template import Context
from django.template.loader import get_template

SUBJECT_CHARS = 150
# Stands in a stored text where the mail has a secret: whoever looks at messages must not be able to use it.
HIDDEN = "~hidden~"

# What neither a mail nor the database can hold, or what would turn the direction of the words around it.
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")
_LONE_SURROGATES = re.compile(r"[\ud800-\udfff]")
_inliner = css_inline.CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)


class Rendered(NamedTuple):
    subject: str
    text: str
    html: str


def render_mail(name: str, context: Mapping[str, Any]) -> Rendered:
    """The three parts of an e-mail.

    The subject is one line of at most 150 characters, whatever its values are. The two text parts show values as they
    are, the HTML escapes them; no part has characters that a mail or the database cannot hold. Styles are inlined,
    `@media` rules stay in the head. Several blank lines become one.
    """
    subject = " ".join(_render_part(name, "subject.txt", context, autoescape=False).split())
    if len(subject) > SUBJECT_CHARS:
        subject = subject[: SUBJECT_CHARS - 1].rstrip() + "…"
    text = re.sub(r"\n{3,}", "\n\n", _render_part(name, "body.txt", context, autoescape=False)).strip() + "\n"
    return Rendered(subject, text, _inliner.inline(_render_part(name, "body.html", context, autoescape=True)))


def _render_part(name: str, part: str, context: Mapping[str, Any], *, autoescape: bool) -> str:
    template: Any = get_template(f"emails/{name}/{part}")  # its own template decides by the context what is escaped
    return clean_text(template.template.render(Context(dict(context), autoescape=autoescape)))


def clean_text(text: str) -> str:
    """The text without control characters, with `\\n` at the end of each line, and � for each lone surrogate."""
    text = re.sub(r"\r\n?", "\n", text)
    return _LONE_SURROGATES.sub("\N{REPLACEMENT CHARACTER}", _CONTROLS.sub("", text))


def public_url(path: str) -> str:
    """The whole address of a page, for a link in a mail."""
    return f"{settings.SITE_URL.rstrip('/')}{path}"
