"""Pictures of products. What a feed names is loaded by the browsers of staff, which also reach their own network."""

import re
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from catalog.admin.sample_pictures import SAMPLE_PICTURES, draw_sample

NOT_LOADED = _("Not loaded: this address may lead into your own network.")

# Whatever browsers read otherwise than we do (a user, a backslash, an escape) is no part of a host.
_WEB_ADDRESS = re.compile(r"(https?)://([^\s/?#@:\\%\[\]]{1,253})(?::(\d+))?([/?#].*)?", re.IGNORECASE | re.DOTALL)
_USUAL_PORT = {"http": "80", "https": "443"}
# A name with a dot, the last part of which is letters: browsers take one that ends in a number for an IPv4 address.
_PUBLIC_NAME = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)+(?:[a-z]{2,63}|xn--[a-z0-9-]{1,59})")
# RFC 6761, 6762, 7686, 8375, and what ICANN leaves to private networks or is usual there.
_PRIVATE_ENDINGS = frozenset(
    "arpa cluster consul corp docker home host internal intra intranet invalid lan local localdomain localhost mail "
    "onion private svc test workgroup".split()
)


def thumbnail(address: str, of: Any = None) -> SafeString | str:
    """A small picture, or that it is not loaded; nothing when it is not a web address.

    The one of an invented product is drawn after the product or item that it is `of`.
    """
    source = public_source(address)
    if source.startswith(SAMPLE_PICTURES):
        source = draw_sample(getattr(of, "product_type", ""), getattr(of, "color", ""))
    if source:
        return format_html('<img class="thumb" src="{}" alt="" loading="lazy" referrerpolicy="no-referrer">', source)
    if address.startswith(("http://", "https://")):
        return format_html('<span class="thumb" role="img" title="{0}" aria-label="{0}"></span>', NOT_LOADED)
    return ""


def public_source(address: str) -> str:
    """The address to load the picture from: by https, from a public name; `""` when it has none.

    By https, because a server of the own network that a public name leads to cannot show a certificate for that name,
    so that the browser asks it for nothing.
    """
    parts = _WEB_ADDRESS.fullmatch(address)
    if not parts:
        return ""
    scheme, host, port, rest = parts.groups()
    try:
        name = host.encode("idna").decode().lower().removesuffix(".")
    except UnicodeError:
        return ""
    is_public = _PUBLIC_NAME.fullmatch(name) and name.rpartition(".")[2] not in _PRIVATE_ENDINGS
    is_elsewhere = name != urlsplit(settings.SITE_URL).hostname
    has_usual_port = port in (None, _USUAL_PORT[scheme.lower()])
    return f"https://{name}{rest or ''}" if is_public and is_elsewhere and has_usual_port else ""
