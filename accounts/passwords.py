"""Setting passwords, whichever page or call asks for it."""

from allauth.account.models import EmailAddress
from django.db import transaction
from django.http import HttpRequest

from accounts.history import browser_of
from accounts.limits import address_of
from accounts.mails import write_mail
from accounts.models import KnownAddress, User


def save_password(person: User, password: str) -> None:
    """Save the password alone, since rights may have changed while it was hashed, and warn the owner."""
    person.set_password(password)
    with transaction.atomic():
        person.save(update_fields=["password"])
        write_mail("password_changed", person)


def reset_password(person: User, password: str, request: HttpRequest) -> None:
    """Set a forgotten password for somebody who has read the owner's mail, which confirms the address, too."""
    EmailAddress.objects.filter(user=person, email=person.email).update(verified=True)
    save_password(person, password)
    # Who reads the owner's mail is the owner: what strangers try elsewhere locks nobody out here from now on.
    KnownAddress.remember(person, address_of(request), browser_of(request))
