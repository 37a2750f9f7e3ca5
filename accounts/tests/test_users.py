"""One person, one name, one address."""

from io import StringIO

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import IntegrityError

from accounts.models import User

pytestmark = pytest.mark.django_db


def test_an_email_address_is_kept_in_lower_case() -> None:
    user = User.objects.create_user("ana", "Ana.Lima@Example.COM")
    assert user.email == "ana.lima@example.com"


def test_two_people_cannot_share_an_address_in_any_case() -> None:
    User.objects.create_user("ana", "ana@example.com")
    with pytest.raises(IntegrityError, match="user_email_unique_any_case"):
        User.objects.create_user("bea", "ANA@example.com")


def test_an_address_never_enters_the_database_in_capitals() -> None:
    with pytest.raises(IntegrityError, match="user_email_given_in_lower_case"):
        User.objects.create(username="ana", email="Ana@example.com")


def test_everybody_has_an_address() -> None:
    with pytest.raises(IntegrityError, match="user_email_given_in_lower_case"):
        User.objects.create_user("ana")


def test_two_usernames_differ_by_more_than_capitals() -> None:
    User.objects.create_user("ana", "ana@example.com")
    with pytest.raises(IntegrityError, match="user_username_unique_any_case"):
        User.objects.create_user("Ana", "other@example.com")


def test_nobody_takes_another_persons_address_as_a_username() -> None:
    User.objects.create_user("ana", "ana@example.com")
    with pytest.raises(IntegrityError, match="user_username_nobody_elses_email"):
        User.objects.create_user("Ana@Example.com", "thief@example.com")


def test_ones_own_address_may_be_the_username() -> None:
    user = User(username="Ana@Example.com", email="ana@example.com", password="!")
    user.full_clean()
    user.save()


@pytest.mark.parametrize(
    ("username", "email", "field", "code"),
    [
        ("ANA", "new@example.com", "username", "username_taken"),
        ("new", "ANA@example.com", "email", "email_taken"),
        ("who@example.com", "new@example.com", "username", "username_is_an_email"),
    ],
)
def test_an_error_stands_at_its_field(username: str, email: str, field: str, code: str) -> None:
    User.objects.create_user("ana", "ana@example.com")
    with pytest.raises(ValidationError) as caught:
        User(username=username, email=email, password="!").full_clean()
    assert {name: [error.code for error in errors] for name, errors in caught.value.error_dict.items()} == {
        field: [code]
    }


def test_createsuperuser_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "correct horse battery")
    call_command("createsuperuser", "--noinput", username="root", email="Root@Example.com", stdout=StringIO())
    assert User.objects.get(email="root@example.com", is_superuser=True, is_staff=True).check_password(
        "correct horse battery"
    )


def test_the_migrations_say_what_the_models_say() -> None:
    call_command("makemigrations", "accounts", check=True, dry_run=True, stdout=StringIO())
