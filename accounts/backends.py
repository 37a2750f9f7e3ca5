"""Log in by name and password. The admin and the API both ask here, so failed tries are counted for both together."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.db.models import Exists, OuterRef, Q, Value
from django.db.models.functions import Lower
from django.db.models.lookups import Exact
from django.http import HttpRequest

from accounts.history import note_refusal
from accounts.limits import (
    LOGIN_ACCOUNT,
    LOGIN_ADDRESS,
    LOGIN_PAIR,
    Limit,
    NotCounted,
    TooManyTries,
    address_of,
    give_back,
    same_name,
)
from accounts.models import KnownAddress, User
from accounts.provider import may_use_password


class NameOrAddressBackend(ModelBackend):
    """By username or e-mail address, in any case. Failed tries are limited, also for names that do not exist.

    One look-up and one hash of the password, whether the account is known, unknown or deactivated, so the time gives
    nothing away. A second backend would change that.
    """

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **_more: Any
    ) -> User | None:
        if not username or not password:
            return None
        name, tries = same_name(username), list[str]()
        address = address_of(request) if request else ""
        if request:
            tries = [take_try(LOGIN_PAIR, address, name), take_try(LOGIN_ADDRESS, address)]
        # Python and PostgreSQL make different small letters of some capitals, for example İ.
        as_written = Q(username=username.strip())
        in_any_case = Q(Exact(Lower("username"), Value(name))) | Q(Exact(Lower("email"), Value(name)))
        # Never two people: the database forbids a username that is somebody else's address.
        at_home = Exists(KnownAddress.matching(address).filter(user=OuterRef("pk")))
        user = User.objects.filter(as_written | in_any_case).annotate(at_home=at_home).first()
        if request:
            # What strangers try on the account counts together; at each address of its owner, tries count alone.
            home = address if user and user.at_home else ""
            tries.append(take_try(LOGIN_ACCOUNT, name, home, user=user))
        if user is None:
            User().set_password(password)  # takes as long as checking one
            note_refusal("unknown", None, request)
            return None
        if not user.check_password(password) or not self.user_can_authenticate(user):
            note_refusal("wrong_password" if user.is_active else "deactivated", user, request)
            return None
        if not may_use_password(user):
            note_refusal("password_off", user, request)
            return None
        give_back(*tries)
        return user


def take_try(limit: Limit, *who: object, user: User | None = None) -> str:
    try:
        return limit.take(*who)
    except (TooManyTries, NotCounted) as error:
        note_refusal("too_many_tries" if isinstance(error, TooManyTries) else "not_counted", user)
        raise
