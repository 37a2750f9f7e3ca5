"""The first start makes a person who can log in; no later start changes anybody."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from accounts.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("USERNAME", "EMAIL", "PASSWORD"):
        monkeypatch.delenv(f"DJANGO_ADMIN_{name}", raising=False)
    path = settings.ADMIN_PASSWORD_FILE = tmp_path / "state" / "admin-password"
    return path


def ensure_admin() -> str:
    out = StringIO()
    call_command("ensure_admin", stdout=out)
    return out.getvalue().strip()


def test_a_generated_password_is_printed_and_works() -> None:
    who, password = ensure_admin().removeprefix("Log in as ").split(" / ")
    admin = User.objects.get(username=who, email="admin@example.com")
    assert who == "admin"
    assert admin.is_superuser
    assert admin.is_staff
    assert admin.check_password(password)


def test_a_later_start_says_the_same(kept: Path) -> None:
    assert ensure_admin() == ensure_admin()
    assert User.objects.count() == 1
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_changed_password_is_neither_known_nor_kept(kept: Path) -> None:
    ensure_admin()
    admin = User.objects.get()
    admin.set_password("changed since")
    admin.save()
    assert ensure_admin() == ("Log in as admin (password as set before; change it with manage.py changepassword admin)")
    assert not kept.exists()


def test_without_a_place_to_keep_it_a_password_is_printed_once(settings: Settings, kept: Path) -> None:
    settings.ADMIN_PASSWORD_FILE = None
    assert " / " in ensure_admin()
    assert "as set before" in ensure_admin()
    assert not kept.exists()


def test_the_environment_names_the_admin(monkeypatch: pytest.MonkeyPatch, kept: Path) -> None:
    monkeypatch.setenv("DJANGO_ADMIN_USERNAME", "boss")
    monkeypatch.setenv("DJANGO_ADMIN_EMAIL", "Boss@Example.com")
    monkeypatch.setenv("DJANGO_ADMIN_PASSWORD", "from the vault")
    first, second = ensure_admin(), ensure_admin()
    assert first == second == "Log in as boss / the password in DJANGO_ADMIN_PASSWORD"
    assert User.objects.get(username="boss", email="boss@example.com").check_password("from the vault")
    assert not kept.exists()


def test_another_password_in_the_environment_resets_nobody(monkeypatch: pytest.MonkeyPatch, olga: User) -> None:
    monkeypatch.setenv("DJANGO_ADMIN_USERNAME", "Olga")
    monkeypatch.setenv("DJANGO_ADMIN_PASSWORD", "another one")
    assert "was not applied" in ensure_admin()
    before, olga.password = olga.password, ""
    olga.refresh_from_db()
    assert olga.password == before


def test_nobody_is_promoted(monkeypatch: pytest.MonkeyPatch, carl: User) -> None:
    monkeypatch.setenv("DJANGO_ADMIN_USERNAME", "carl")
    with pytest.raises(CommandError, match="carl exists and is not an active superuser"):
        ensure_admin()
    carl.refresh_from_db()
    assert not carl.is_superuser


def test_an_address_of_somebody_else_is_refused_in_words(monkeypatch: pytest.MonkeyPatch, carl: User) -> None:
    monkeypatch.setenv("DJANGO_ADMIN_EMAIL", carl.email)
    with pytest.raises(CommandError, match="that e-mail address already exists"):
        ensure_admin()
