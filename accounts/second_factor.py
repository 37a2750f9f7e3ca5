"""The second factor: who must have one, from when, and whether a code is right. allauth keeps the factors."""

import hashlib
from base64 import urlsafe_b64encode
from datetime import timedelta
from functools import cache

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.core import signing
from django.core.cache import cache as shared_cache
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext_lazy as _

from accounts.history import note_refusal
from accounts.limits import SECOND_FACTOR, SECOND_FACTOR_PAIR, address_of, give_back
from accounts.models import User
from accounts.roles import ROLES

CODES = (Authenticator.Type.TOTP, Authenticator.Type.RECOVERY_CODES)
USED_CODE_SECONDS = 180  # longer than a code is right; allauth's own note of used ones is shorter
CHALLENGE_SALT = "accounts.second_factor"
CHALLENGE_SECONDS = 300


class SecondFactorAdapter(DefaultMFAAdapter):
    """Keys are encrypted, so that a copy of the database opens nothing."""

    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": _("The code is wrong, or was used before."),
        "cannot_delete_authenticator": _("Your rights need a second factor, so this one has to stay."),
    }

    def encrypt(self, text: str) -> str:
        return str(_cipher().encrypt(text.encode()).decode())

    def decrypt(self, encrypted_text: str) -> str:
        return _cipher().decrypt(encrypted_text.encode()).decode()

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        """Recovery codes alone are none."""
        others = Authenticator.objects.filter(user=authenticator.user).exclude(pk=authenticator.pk)
        has_another = others.exclude(type=Authenticator.Type.RECOVERY_CODES).exists()
        return has_another or not is_demanded(authenticator.user)

    def generate_authenticator_name(self, user: User, type: Authenticator.Type) -> str:
        count = Authenticator.objects.filter(user=user, type=type).count()
        return str(_("Passkey %d") % (count + 1))


def _cipher() -> MultiFernet:
    """Keys made from the site's own: its present one encrypts, earlier ones only decrypt."""
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    keys = [salted_hmac("accounts.second_factor.key", "", secret=secret, algorithm="sha256") for secret in secrets]
    return MultiFernet([Fernet(urlsafe_b64encode(key.digest())) for key in keys])


# --- who must have one --------------------------------------------------------------------------------
@cache
def demanding_permissions(roles: tuple[str, ...]) -> frozenset[str]:
    """What only these roles may do: whoever may do any of it needs a second factor, whatever gave them the right."""
    demanding = {name for role in roles for name in ROLES[role].permissions}
    others = {name for role in ROLES.values() if role.name not in roles for name in role.permissions}
    return frozenset(demanding - others)


def is_demanded(person: User) -> bool:
    return any(person.has_perm(name) for name in demanding_permissions(tuple(settings.SECOND_FACTOR_ROLES)))


def has_second_factor(person: User) -> bool:
    return bool(Authenticator.objects.filter(user=person).exists())


def is_missing(person: User) -> bool:
    """Whether the person must have a second factor and has none. From now on the days of grace count."""
    if not is_demanded(person) or has_second_factor(person):
        return False
    if person.second_factor_due is None:
        person.second_factor_due = timezone.now() + timedelta(days=settings.SECOND_FACTOR_GRACE_DAYS)
        User.objects.filter(pk=person.pk, second_factor_due=None).update(second_factor_due=person.second_factor_due)
    return True


def is_overdue(person: User) -> bool:
    """Whether nothing else is allowed until the person has a second factor."""
    return is_missing(person) and person.second_factor_due is not None and person.second_factor_due <= timezone.now()


# --- codes --------------------------------------------------------------------------------------------
def use_code(person: User, code: str, request: HttpRequest) -> Authenticator | None:
    """The factor that gave this code, which is used up with it. Raises `TooManyTries` and `NotCounted`."""
    tries = [SECOND_FACTOR_PAIR.take(person.pk, address_of(request)), SECOND_FACTOR.take(person.pk)]
    code = "".join(code.split())
    with transaction.atomic():
        # Two requests with one recovery code wait for each other here.
        factors = Authenticator.objects.select_for_update().filter(user=person, type__in=CODES).order_by("-type")
        for factor in factors:
            factor.user = person
            if factor.wrap().validate_code(code) and _is_first_use(person, code):
                factor.record_usage()
                give_back(*tries)
                return factor
    note_refusal("wrong_code", person, request)
    return None


def _is_first_use(person: User, code: str) -> bool:
    digest = hashlib.sha256(f"{person.pk}:{code}".encode()).hexdigest()
    return bool(shared_cache.add(f"used-code:{digest}", 1, USED_CODE_SECONDS))


# --- the API's way ------------------------------------------------------------------------------------
def challenge_for(person: User) -> str:
    """Says for five minutes that somebody gave this person's present password."""
    return signing.dumps([str(person.pk), person.get_session_auth_hash()], salt=CHALLENGE_SALT)


def challenged_person(challenge: str) -> User | None:
    try:
        pk, auth_hash = signing.loads(challenge, salt=CHALLENGE_SALT, max_age=CHALLENGE_SECONDS)
    except signing.BadSignature:
        return None
    person = User.objects.filter(pk=pk, is_active=True).first()
    same_password = person is not None and constant_time_compare(auth_hash, person.get_session_auth_hash())
    return person if same_password else None


# --- taking it away -----------------------------------------------------------------------------------
def remove_second_factor(person: User) -> bool:
    """Take all factors of somebody who lost theirs, who then needs new ones at once. Whether there were any."""
    with transaction.atomic():
        count, _by_model = Authenticator.objects.filter(user=person).delete()
        if count:
            User.objects.filter(pk=person.pk).update(second_factor_due=timezone.now())
    return bool(count)
