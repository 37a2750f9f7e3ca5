"""Who somebody is, by name and password. The admin and the API ask here, so what is counted is counted for both."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.db.models import Q, Value
from django.db.models.functions import Lower
from django.db.models.lookups import Exact
from django.http import HttpRequest

from accounts.limits import LOGIN_ACCOUNT, LOGIN_ADDRESS, LOGIN_PAIR, address_of, give_back, same_name
from accounts.models import User


class NameOrAddressBackend(ModelBackend):
    """By username or e-mail address, in any case. Tries that fail are limited, also for names that nobody has.

    One look-up and one hash of the password, whether the account is known, unknown or deactivated: the time tells
    nothing. There must be no second backend, or it would.
    """

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **_more: Any
    ) -> User | None:
        if not username or not password:
            return None
        tries = _take_tries(request, username) if request else []
        user = _check(username, password)
        if user is None or not self.user_can_authenticate(user):
            return None
        for one in tries:
            give_back(one)
        return user


def _take_tries(request: HttpRequest, typed: str) -> list[str]:
    address, name = address_of(request), same_name(typed)
    return [LOGIN_PAIR.take(address, name), LOGIN_ADDRESS.take(address), LOGIN_ACCOUNT.take(name)]


def _check(typed: str, password: str) -> User | None:
    """The person of that name, if the password is theirs."""
    name = Value(same_name(typed))
    as_written = Q(username=typed.strip())  # of a letter like İ, Python and PostgreSQL make two different small ones
    in_any_case = Q(Exact(Lower("username"), name)) | Q(Exact(Lower("email"), name))
    # Never two people: the database forbids a username that is somebody else's address.
    user = User.objects.filter(as_written | in_any_case).first()
    if user is None:
        User().set_password(password)  # as long as it takes to check one
        return None
    return user if user.check_password(password) else None
