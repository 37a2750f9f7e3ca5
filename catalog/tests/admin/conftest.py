"""In these tests each of the cast is the browser that they are logged in with."""

import pytest
from django.test import Client

from catalog.models import Feed
from catalog.tests.pages import browser


@pytest.fixture
def alice(feed: Feed) -> Client:
    return browser("alice")


@pytest.fixture
def bob(feed: Feed) -> Client:
    return browser("bob")


@pytest.fixture
def ida(feed: Feed) -> Client:
    return browser("ida")


@pytest.fixture
def mona(feed: Feed) -> Client:
    return browser("mona")
