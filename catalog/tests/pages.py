"""The admin as the cast meets it: Alice approves, Bob looks, Charlie may nothing, Ida imports, Mona manages."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from typing import Any

from django.contrib.auth.models import Group
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from lxml import html

from accounts.models import User
from catalog.models import ImportRun

ROLES = {"alice": "approver", "bob": "viewer", "charlie": "", "ida": "importer", "mona": "manager"}
UPLOAD = reverse("admin:catalog_product_import")
PRODUCTS = reverse("admin:catalog_product_changelist")
EXPORT = reverse("admin:catalog_product_export")
RUNS = reverse("admin:catalog_importrun_changelist")


def staff(name: str) -> User:
    """One of the cast, with the role that goes with the name."""
    user, _ = User.objects.get_or_create(username=name, email=f"{name}@example.com", is_staff=True)
    user.groups.set(Group.objects.filter(name=ROLES[name]))
    return user


def browser(name: str, **options: Any) -> Client:
    """The browser that one of the cast is logged in with."""
    client = Client(**options)
    client.force_login(staff(name))
    return client


def url(run: ImportRun, page: str = "change") -> str:
    """Address of a run's page, or of one of its buttons: live, confirm, discard."""
    return reverse(f"admin:catalog_importrun_{page}", args=[run.pk])


def upload(client: Client, content: bytes, name: str = "feed.xml", **fields: Any) -> Any:
    """What the upload form answers; `fields` are the rest of the form."""
    return client.post(UPLOAD, {"import_file": SimpleUploadedFile(name, content), **fields})


# --- reading pages ------------------------------------------------------------------------------------
def tree(response: Any) -> Any:
    return html.fromstring(response.content.decode())


def text_of(element: Any) -> str:
    """Its text as a browser shows it: white space is one space."""
    return " ".join(element.text_content().split())


def texts(response: Any, xpath: str) -> list[str]:
    return [text_of(element) for element in tree(response).xpath(xpath)]


def with_class(name: str) -> str:
    """The condition of an XPath that the element has the class."""
    return f"contains(concat(' ', normalize-space(@class), ' '), ' {name} ')"


def heading(response: Any) -> str:
    """What a run's page says first."""
    (said,) = texts(response, f"//section[{with_class('verdict')}]/h2|//*[{with_class('live')}]/h2")
    return said


def buttons(response: Any) -> list[str]:
    """The labels of the buttons in the run's part of the page, but for those that filter or leave a part out."""
    others = "ancestor::form[@method='get'] or @form='leave-out'"
    return texts(response, f"//div[{with_class('run')}]//button[not({others})]")


def messages(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def changes(response: Any) -> dict[str, list[tuple[str, ...]]]:
    """The Changes tab: each product's id with its fields, as (label, old, new) or, of a new product, (label, value)."""
    found = {}
    for row in tree(response).xpath("//ul[@class='changes']/li"):
        (product_id,) = row.xpath(".//summary//code")
        found[product_id.text_content()] = [
            tuple(text_of(cell).removesuffix(" ×") for cell in line.xpath("th|td"))  # the button beside it
            for line in row.xpath(".//tbody/tr")
        ]
    return found


# --- what a page could run ----------------------------------------------------------------------------
ACTIVE_ELEMENTS = frozenset("script iframe frame object embed applet base meta link form style svg math".split())
ACTIVE_PREFIXES = ("on", "x-", "@", ":", "hx-", "style", "srcdoc", "formaction")
ADDRESSES = ("href", "src", "action", "data", "poster", "xlink:href")
ORDINARY = ("/", "?", "#", "http://", "https://", "..")
# Lines of the file are fetched when they come into sight: as often as there are issues, by addresses of numbers only.
SOURCES = re.compile(r"hx-get=/admin/catalog/importrun/0/source/(item/0|issue/0/0|error)/|hx-trigger=intersect once")


class _Active(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ACTIVE_ELEMENTS:
            self.found[f"<{tag}>"] += 1
        for name, value in attrs:
            odd_address = name in ADDRESSES and not (value or "").startswith(ORDINARY)
            part = re.sub(r"\d+", "0", f"{name}={value}")  # each page has numbers of its own
            if (odd_address or name.startswith(ACTIVE_PREFIXES)) and not SOURCES.fullmatch(part):
                self.found[part] += 1


def active_parts(response: Any) -> Counter[str]:
    """Everything in the page that could run or load something, and how often. An injection makes it longer."""
    parser = _Active()
    parser.feed(response.content.decode())
    return parser.found
