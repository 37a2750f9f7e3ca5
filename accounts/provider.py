"""The OpenID provider that the settings name, if any, and whose passwords it replaces."""

from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.utils.translation import gettext as _

from accounts.models import User


def is_configured() -> bool:
    return bool(settings.OPENID_SERVER)


def is_of_provider(address: str) -> bool:
    """Whether the provider speaks for this e-mail address: its domain is on the list."""
    return is_configured() and address.rpartition("@")[2].strip().lower() in settings.OPENID_DOMAINS


def instead_of_password(address: str) -> str:
    """What people with such an address do, where passwords are off for them; `""` where they are not.

    Nobody is looked up, so it tells nothing about who has an account.
    """
    if settings.OPENID_PASSWORD_LOGIN or "@" not in address or not is_of_provider(address):
        return ""
    said = _("People of %(domain)s log in with %(provider)s, without a password here.")
    return said % {"domain": address.rpartition("@")[2].strip().lower(), "provider": settings.OPENID_NAME}


def may_use_password(person: User) -> bool:
    """False, where passwords are off, for addresses of the provider and for whoever has come in by it."""
    if not is_configured() or settings.OPENID_PASSWORD_LOGIN:
        return True
    return not (is_of_provider(person.email) or is_linked(person))


def is_linked(person: User) -> bool:
    return bool(SocialAccount.objects.filter(user=person, provider=settings.OPENID_SERVER).exists())
