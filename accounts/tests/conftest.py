"""A small cast: Olga owns the place, Mona manages it, Vera may only look, Carl is a customer of the API."""

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from accounts.models import User

PASSWORD = "correct horse battery"


def make_person(username: str, *roles: str, **more: object) -> User:
    person = User.objects.create_user(username, f"{username}@example.com", PASSWORD, **more)
    person.groups.set(Group.objects.filter(name__in=roles))
    return person


def logged_in(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


@pytest.fixture
def olga(db: None) -> User:
    return make_person("olga", is_staff=True, is_superuser=True)


@pytest.fixture
def mona(db: None) -> User:
    return make_person("mona", "manager", is_staff=True)


@pytest.fixture
def vera(db: None) -> User:
    return make_person("vera", "viewer", is_staff=True)


@pytest.fixture
def carl(db: None) -> User:
    return make_person("carl")
