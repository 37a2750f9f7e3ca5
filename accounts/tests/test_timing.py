"""That the time of an answer tells nobody whether there is an account: measured, beside the tests that count hashes.

What is measured is this thread's own time at work, in medians of tries that take turns, so that what else the machine
does makes no difference. Look-ups are counted, not timed.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import Any
from uuid import uuid4

import pytest
from allauth.account.forms import default_token_generator
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from accounts.models import User
from accounts.tests.conftest import PASSWORD, make_person, post

TRIES = 15
# Calls without a hash are quick, and what is quick varies more.
MANY_TRIES, MORE_TOLERANCE = 101, 1.6
# One hash is most of the time of the other calls, so one more or less is far beyond this.
TOLERANCE = 1.35
Way = Callable[[], Any]


class SlowHasher(PBKDF2PasswordHasher):
    """As in production, and a twentieth of the work."""

    algorithm = "slow"
    iterations = 50_000


@pytest.fixture(autouse=True)
def slow_hashes(settings: Any) -> None:
    settings.PASSWORD_HASHERS = [f"{__name__}.SlowHasher"]


def times(*ways: Way, tries: int = TRIES) -> list[float]:
    """The median time of each."""
    taken: list[list[float]] = [[] for _ in ways]
    for _ in range(tries):
        for way, seconds in zip(ways, taken, strict=True):
            cache.clear()  # nobody has tried too often
            start = time.thread_time()
            way()
            seconds.append(time.thread_time() - start)
    return [median(seconds) for seconds in taken]


def assert_alike(*ways: Way, tries: int = TRIES, tolerance: float = TOLERANCE) -> None:
    seconds = times(*ways, tries=tries)
    assert max(seconds) < tolerance * min(seconds), seconds


def people() -> list[str]:
    """Names with an account that is open, closed or without a password, and one without an account."""
    make_person("known")
    make_person("closed", is_active=False)
    make_person("mute")
    User.objects.filter(username="mute").update(password="!")
    return ["known", "closed", "mute", "unknown"]


def test_the_measure_sees_a_hash(db: None) -> None:
    """Else what follows would show nothing."""
    user = make_person("known")
    with_one, with_two = times(lambda: user.check_password("x"), lambda: [user.check_password("x") for _ in "12"])
    assert with_two > TOLERANCE * with_one


def test_a_refused_login_takes_as_long_for_everybody(db: None) -> None:
    def refused(name: str) -> Way:
        return lambda: post("/login/", {"username": name, "password": "wrong"}).status_code == 401 or pytest.fail(name)

    assert_alike(*(refused(name) for name in people()))


def test_a_refused_login_in_the_browser_takes_as_long_for_everybody(vera: User) -> None:
    login = reverse("account_login")

    def refused(name: str, password: str) -> Way:
        return lambda: Client().post(login, {"username": name, "password": password})

    assert_alike(*(refused(name, "wrong") for name in ["vera", *people()]))


def test_signing_up_with_a_known_address_takes_as_long(carl: User, settings: Any) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    new = iter(range(1000))

    def sign_up(address: str) -> Way:
        def way() -> None:
            number = next(new)
            body = {"username": f"nina{number}", "email": address.format(number), "password": PASSWORD}
            assert post("/signup/", body).status_code == 201

        return way

    assert_alike(sign_up("carl@example.com"), sign_up("nina{}@example.com"))


def test_confirming_a_reset_with_any_id_takes_as_long(carl: User) -> None:
    token = default_token_generator.make_token(User())

    def confirm(uid: object) -> Way:
        body = {"uid": str(uid), "token": token, "new_password1": PASSWORD, "new_password2": PASSWORD}
        return lambda: post("/password/reset/confirm/", body)

    assert_alike(confirm(carl.pk), confirm(uuid4()), tries=MANY_TRIES, tolerance=MORE_TOLERANCE)


@pytest.mark.parametrize("path", ["/password/reset/", "/signup/resend-email/"])
def test_asking_for_a_mail_takes_as_long_for_everybody(db: None, path: str) -> None:
    def ask(name: str) -> Way:
        return lambda: post(path, {"email": f"{name}@example.com"})

    assert_alike(*(ask(name) for name in people()), tries=MANY_TRIES, tolerance=MORE_TOLERANCE)
