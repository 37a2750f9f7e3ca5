"""Making an account for oneself. If addresses must be confirmed, nobody learns here that an address is known."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts.mails import request_mail
from accounts.models import User
from accounts.provider import instead_of_password
from events.log import log_event

TAKEN_MEANWHILE = "Somebody else has just taken this username or e-mail address. Choose another one."


class TakenMeanwhile(Exception):
    """Two people took the same name or address at the same time, and this is the later one."""


def must_confirm() -> bool:
    """Whether people must confirm their address before they log in."""
    return bool(settings.ACCOUNT_EMAIL_VERIFICATION == "mandatory")


def check_signup(username: str, email: str, password: str, **names: str) -> None:
    """Raise `ValidationError` for what is wrong, at the field it is about, as far as a stranger may know."""
    if sentence := instead_of_password(email):
        raise ValidationError({"email": sentence})
    person = User(username=username, email=email, **names)
    try:
        validate_password(password, person)
    except ValidationError as error:
        raise ValidationError({"password": error.messages}) from error
    try:
        person.validate_constraints()
    except ValidationError as error:
        untold: set[str] = set()
        if must_confirm():  # and nobody may learn that an address is known
            untold = {"email_taken", *(["username_taken"] if "@" in username else [])}
        problems = {
            name: left
            for name, found in error.error_dict.items()
            if (left := [problem for problem in found if problem.code not in untold])
        }
        if problems:
            raise ValidationError(problems) from error


@transaction.atomic  # there is no account without its mail
def sign_up(username: str, email: str, password: str, **names: str) -> User:
    """The new account, or one that looks like it. Raises `TakenMeanwhile`."""
    if must_confirm() and User.objects.filter(email=email).exists():
        # Take the name, and the time, that a new account would: otherwise a second try with the name would show
        # that the address is known. The account that holds the name has no address that exists, and never opens. A
        # name that is the known address needs no account, because it is never said to be taken.
        if "@" in username:
            make_password(password)
        else:
            create_account(username=username, email=f"{uuid4()}@known.invalid", password=password, is_active=False)
        request_mail("already_known", email)
        return User(username=username, email=email, **names)
    person = create_account(username=username, email=email, password=password, **names)
    log_event("signup", by=person)
    if settings.ACCOUNT_EMAIL_VERIFICATION != "none":
        request_mail("confirm_address", email)
    return person


def create_account(**given: object) -> User:
    with refuse_taken_name():
        person = User.objects.create_user(**given)  # type: ignore[arg-type]
        EmailAddress.objects.create(user=person, email=person.email, primary=True)
    return person


@contextmanager
def refuse_taken_name() -> Iterator[None]:
    """Refuse the later of two people who take the same name or address at the same time."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        raise TakenMeanwhile(TAKEN_MEANWHILE) from error
