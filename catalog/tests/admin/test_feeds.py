"""Feeds in the admin: how their files are read, with a sentence for each setting that cannot be."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from catalog.models import Feed
from catalog.models.feed import validate_aliases
from catalog.tests.factories import item, planned
from catalog.tests.pages import text_of, tree

pytestmark = pytest.mark.django_db

SETTINGS: dict[str, Any] = {
    "name": "Boutique",
    "slug": "boutique",
    "mode": "update",
    "default_currency": "KWD",
    "base_url": "https://www.example.com/",
    "domain": "Example.com",
    "aliases": '{"artikelnummer": "mpn"}',
    "table_encoding": "windows-1256",
}


def saved(client: Client, feed: Feed, **changed: Any) -> str:
    """What the page says after the feed's form was sent."""
    address = reverse("admin:catalog_feed_change", args=[feed.pk])
    page = client.post(address, {**SETTINGS, **changed}, follow=True)
    feed.refresh_from_db()
    return text_of(tree(page))


def test_a_managers_settings_are_how_the_next_file_is_read(mona: Client, feed: Feed) -> None:
    saved(mona, feed)
    run = planned(feed, item("1", link="/silk", price="1.250", mpn=None, artikelnummer="N-7"))
    staged = run.staged.get()
    assert (staged.link, staged.currency, staged.mpn) == ("https://www.example.com/silk", "KWD", "N-7")
    assert {issue.code for issue in run.issues.all()} == {"url.relative", "price.no_currency"}


def test_settings_may_be_empty(mona: Client, feed: Feed) -> None:
    saved(mona, feed, default_currency="", base_url="", domain="", aliases="")
    assert (feed.name, feed.base_url, feed.domain, feed.aliases) == ("Boutique", "", "", {})


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("base_url", "www.example.com", "Write a whole web address"),
        ("base_url", "ftp://example.com/", "Write a whole web address"),
        ("domain", "https://example.com", "Write only the domain, for example example.com"),
        ("domain", "example", "Write only the domain, for example example.com"),
        ("aliases", "artikelnummer=mpn", "Enter a valid JSON"),
        ("aliases", '["mpn"]', "Write an object in braces"),
        ("aliases", '{"artikelnummer": "part"}', '"part", for "artikelnummer", is not an attribute.'),
        ("aliases", '{"artikelnummer": ["mpn"]}', "is not an attribute."),
        ("aliases", '{"title": "description"}', '"title" is an attribute itself and cannot stand for another.'),
        ("aliases", '{"x:artikelnummer": "mpn"}', '"x:artikelnummer" is not the name of an element or column.'),
        ("aliases", '{"": "mpn"}', '"" is not the name of an element'),
        ("aliases", '{" mpn": "mpn"}', '" mpn" is not the name of an element'),
        ("aliases", '{"{urn:x}mpn": "mpn"}', "is not the name of an element"),
        ("aliases", '{"<mpn>": "mpn"}', "is not the name of an element"),
        ("aliases", '{"a\\u0000": "mpn"}', "is not the name of an element"),
        ("aliases", '{"a\\ud800": "mpn"}', "Enter a valid JSON"),
        ("aliases", '{"a": "\\udc00"}', "Enter a valid JSON"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_with_a_sentence(
    mona: Client, feed: Feed, field: str, value: str, sentence: str
) -> None:
    assert sentence in saved(mona, feed, **{field: value})
    assert feed.name != "Boutique"


def test_half_a_character_in_a_name_can_be_shown() -> None:
    with pytest.raises(ValidationError) as refused:
        validate_aliases({"a\ud800": "mpn", "b": "\udc00"})
    assert [message.encode() for message in refused.value.messages]


def test_each_wrong_name_has_its_sentence(mona: Client, feed: Feed) -> None:
    said = saved(mona, feed, aliases='{"a": "b", "price": "mpn"}')
    assert '"b", for "a", is not an attribute.' in said
    assert '"price" is an attribute itself' in said
