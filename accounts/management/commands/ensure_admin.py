"""Create the first person who can log in."""

import os
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management import BaseCommand, CommandError

from accounts.models import User


class Command(BaseCommand):
    help = (
        "Create the superuser that DJANGO_ADMIN_USERNAME, _EMAIL and _PASSWORD name, unless it exists, and say how to "
        "log in. Without a password in the environment one is generated and printed."
    )

    def handle(self, *_args: Any, **_options: Any) -> None:
        username = os.environ.get("DJANGO_ADMIN_USERNAME") or "admin"
        user = User.objects.filter(username__iexact=username).first()
        if user is None:
            self.stdout.write(create_admin(username))
        elif user.is_superuser and user.is_staff and user.is_active:
            self.stdout.write(how_to_log_in(user))
        else:
            raise CommandError(
                f"{user.username} exists and is not an active superuser; this command promotes nobody. "
                "Name another user in DJANGO_ADMIN_USERNAME, or let a superuser change this one."
            )


def create_admin(username: str) -> str:
    """Create the superuser; returns the sentence that says how to log in."""
    given = os.environ.get("DJANGO_ADMIN_PASSWORD")
    password = given or secrets.token_urlsafe(12)
    email = User.objects.normalize_email(os.environ.get("DJANGO_ADMIN_EMAIL") or "admin@example.com")
    user = User(username=username, email=email, is_staff=True, is_superuser=True)
    user.set_password(password)
    try:
        user.full_clean()
    except ValidationError as error:
        raise CommandError(f"DJANGO_ADMIN_* do not give a valid user: {' '.join(error.messages)}") from error
    user.save()
    if given:
        return f"Log in as {username} / the password in DJANGO_ADMIN_PASSWORD"
    remember_password(password)
    return f"Log in as {username} / {password}"


def how_to_log_in(user: User) -> str:
    """The sentence for a superuser who existed before. The user stays unchanged."""
    if password := remembered_password(user):
        return f"Log in as {user.username} / {password}"
    given = os.environ.get("DJANGO_ADMIN_PASSWORD")
    if given and user.check_password(given):
        return f"Log in as {user.username} / the password in DJANGO_ADMIN_PASSWORD"
    advice = f"password as set before; change it with manage.py changepassword {user.username}"
    if given:
        advice = f"{advice}; DJANGO_ADMIN_PASSWORD differs and was not applied"
    return f"Log in as {user.username} ({advice})"


def remember_password(password: str) -> None:
    """Remember a generated password for later starts if settings allow it, readable by its owner only."""
    path: Path | None = settings.ADMIN_PASSWORD_FILE
    if path:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.touch(mode=0o600, exist_ok=False)
        path.write_text(password)


def remembered_password(user: User) -> str:
    """The remembered password if it is still this user's; otherwise it is forgotten."""
    path: Path | None = settings.ADMIN_PASSWORD_FILE
    if not path or not path.exists():
        return ""
    password = path.read_text()
    if user.check_password(password):
        return password
    path.unlink()
    return ""
