"""The door of the API: who gets in, what strangers learn, and how often they may try."""

import socket
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine
from django.conf import settings
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.client import MULTIPART_CONTENT
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from rest_framework.settings import api_settings
from rest_framework.test import APIClient

from accounts.api.urls import urlpatterns
from accounts.limits import LOGIN_ACCOUNT, LOGIN_ADDRESS, LOGIN_PAIR
from accounts.models import KnownAddress, LoginSession, User
from accounts.sessions import forget_old_logins
from accounts.tests.conftest import PASSWORD, bearer, check, log_in, make_person, post
from config.settings import base
from config.tests.problems import said

WRONG = "not the password"
LOGIN_PAGE = reverse("account_login")
PAGES = (LOGIN_PAGE, reverse("account_signup"), reverse("account_reset_password"))
FORMS = {"/login/": "application/json", **dict.fromkeys(PAGES, MULTIPART_CONTENT)}


def attempt(username: str = "carl", password: str = WRONG, **headers: Any) -> Any:
    return post("/login/", {"username": username, "password": password}, **headers)


def statuses(times: int, **attempts: Any) -> list[int]:
    return [attempt(**attempts).status_code for _ in range(times)]


@pytest.mark.parametrize("field", ["username", "email"])
@pytest.mark.parametrize("typed", ["carl", "CARL", " Carl ", "carl@example.com", "Carl@Example.COM"])
def test_one_logs_in_by_username_or_address_in_any_case(carl: User, field: str, typed: str) -> None:
    answer = post("/login/", {field: typed, "password": PASSWORD})
    assert answer.status_code == 200
    assert answer.json().keys() == {"access", "refresh", "user", "token", "username"}
    assert (answer.json()["token"], answer.json()["username"]) == (answer.json()["access"], "carl")
    assert answer.json()["user"] == {
        "pk": str(carl.pk),
        "username": "carl",
        "email": "carl@example.com",
        "first_name": "",
        "last_name": "",
    }


@pytest.mark.parametrize("form", ["multipart", "application/x-www-form-urlencoded"])
def test_one_logs_in_with_a_form(carl: User, form: str) -> None:
    sent: Any = {"username": "carl", "password": PASSWORD}
    wrong: Any = {**sent, "password": WRONG}
    if form != "multipart":
        sent, wrong = urlencode(sent), urlencode(wrong)
    kind: Any = {"format": form} if form == "multipart" else {"content_type": form}
    assert APIClient().post("/login/", wrong, **kind).status_code == 401
    assert check(APIClient().post("/login/", sent, **kind).json()["token"]) == 200
    assert said(APIClient().post("/login/", {"username": "carl"}, format="multipart")) == {
        "password": ["This field is required."]
    }
    assert APIClient().post("/signup/", sent, **kind).status_code == 415  # JSON only, as all other calls


@pytest.mark.parametrize(("scheme", "status"), [("Bearer", 200), ("Token", 200), ("token", 401), ("Basic", 401)])
def test_a_token_is_taken_under_both_names(carl: User, scheme: str, status: int) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"{scheme} {log_in()['access']}")
    answer = client.get("/auth-protected-check/")
    assert answer.status_code == status
    if status == 200:
        assert (answer.json()["username"], answer.json()["message"]) == ("carl", "The token is valid.")
        assert client.post("/logout/").json() == {"detail": "You are logged out.", "message": "You are logged out."}


@pytest.mark.parametrize("username", ["İpek", "ΓΙΩΡΓΟΣ", "Straße", "ليلى"])
def test_a_name_in_any_script_logs_in_as_it_is_written(db: None, username: str) -> None:
    User.objects.create_user(username, "someone@example.com", PASSWORD)
    log_in(username)


def test_a_login_is_seen_in_the_admin(carl: User) -> None:
    log_in()
    carl.refresh_from_db()
    assert carl.last_login
    assert LoginSession.objects.get().user == carl


def test_a_login_leaves_no_cookie_and_does_not_open_the_admin(olga: User) -> None:
    browser = Client()
    answer = browser.post("/login/", {"username": "olga", "password": PASSWORD}, content_type="application/json")
    assert answer.status_code == 200
    assert not answer.cookies
    assert browser.get(reverse("admin:index")).status_code == 302


@pytest.mark.parametrize("route", [str(call.pattern) for call in urlpatterns])
def test_no_answer_about_an_account_is_kept_by_anybody_on_the_way(carl: User, route: str) -> None:
    tokens = attempt(password=PASSWORD)
    api = bearer(tokens.json()["access"])
    answers = [tokens, post(f"/{route}"), api.get(f"/{route}"), api.post(f"/{route}")]
    assert all("no-store" in answer["Cache-Control"] for answer in answers)


def test_a_session_of_the_admin_does_not_open_the_api(olga: User) -> None:
    browser = Client()
    browser.force_login(olga)
    assert browser.get("/auth-protected-check/").status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"username": "carl"},
        {"password": PASSWORD},
        {"username": "", "password": "x"},
        {"username": "carl", "email": 0, "password": PASSWORD},
    ],
)
def test_a_login_without_name_or_password_is_told_what_is_missing(carl: User, body: dict[str, str]) -> None:
    assert post("/login/", body).status_code == 400


@pytest.mark.parametrize("name", ["x" * 60_000, "carl\x00", "%", "' OR 1=1 --", "carl\n", "\u202ecarl"])
def test_an_odd_name_is_refused_and_no_more(carl: User, name: str) -> None:
    assert attempt(name, PASSWORD).status_code in (200, 400, 401)


def test_a_password_is_taken_as_typed(carl: User) -> None:
    assert attempt(password=f" {PASSWORD}").status_code == 401


# --- what strangers learn -----------------------------------------------------------------------------
STRANGERS: dict[str, Callable[[User], Any]] = {
    "unknown": lambda carl: carl.delete(),
    "deactivated": lambda carl: User.objects.filter(pk=carl.pk).update(is_active=False),
    "without a password": lambda carl: User.objects.filter(pk=carl.pk).update(password="!"),
    "named like the address": lambda carl: User.objects.filter(pk=carl.pk).update(username="carl@example.com"),
}


def refusal(password: str) -> tuple[Any, int]:
    """The answer to a first try in full, and how many look-ups it took."""
    cache.clear()
    with CaptureQueriesContext(connection) as queries:
        answer = attempt("carl@example.com", password, HTTP_X_REQUEST_ID="the-same-one")
    headers = {name: text for name, text in answer.headers.items() if name != "Expires"}  # a second may pass
    return (answer.status_code, answer.content, headers), len(queries)


@pytest.mark.parametrize("change", STRANGERS.values(), ids=STRANGERS)
def test_every_refusal_reads_the_same(carl: User, change: Callable[[User], Any]) -> None:
    known = refusal("wrong")
    change(carl)
    assert refusal("wrong") == known


def test_a_deactivated_account_with_the_right_password_reads_the_same(carl: User) -> None:
    wrong = refusal("wrong")
    User.objects.filter(pk=carl.pk).update(is_active=False)
    assert refusal(PASSWORD) == wrong


class CountedHasher(MD5PasswordHasher):
    """Hashing is what takes the time of a login; so the times are the same when the counts are."""

    algorithm = "counted"
    count = 0

    def encode(self, password: str, salt: str) -> str:
        CountedHasher.count += 1
        return super().encode(password, salt)


@pytest.mark.parametrize("change", [lambda carl: None, *STRANGERS.values()], ids=["known", *STRANGERS])
def test_every_refusal_takes_one_hash(carl: User, settings: Any, change: Callable[[User], Any]) -> None:
    settings.PASSWORD_HASHERS = [f"{__name__}.CountedHasher"]
    carl.set_password(PASSWORD)
    carl.save()
    change(carl)
    CountedHasher.count = 0
    assert attempt("carl@example.com").status_code == 401
    assert CountedHasher.count == 1


def test_one_backend_only() -> None:
    """With two, a known account takes twice as long."""
    assert len(settings.AUTHENTICATION_BACKENDS) == 1


# --- how often ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["carl", "nobody"])
def test_the_sixth_try_has_to_wait(carl: User, name: str) -> None:
    assert statuses(5, username=name) == [401] * 5
    answer = attempt(name)
    assert answer.status_code == 429
    assert 290 < int(answer["Retry-After"]) <= 300
    assert said(answer) == {"detail": f"Too many tries. Try again in {answer['Retry-After']} seconds."}


def test_the_right_password_is_no_way_round_the_wait(carl: User) -> None:
    statuses(5)
    assert attempt(password=PASSWORD).status_code == 429


@pytest.mark.parametrize("spelling", ["CARL", " carl ", "Carl"])
def test_another_spelling_is_no_way_round_the_wait(carl: User, spelling: str) -> None:
    statuses(5)
    assert attempt(spelling).status_code == 429


@pytest.mark.parametrize("spelling", ["m\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}ka", "mi\N{KELVIN SIGN}a"])
def test_a_letter_that_becomes_another_one_is_no_way_round_the_wait(db: None, spelling: str) -> None:
    """PostgreSQL makes i and k of these. What is counted must be what is looked up."""
    make_person("mika")
    statuses(5, username="mika")
    assert attempt(spelling, PASSWORD).status_code in (401, 429)


def test_a_header_is_no_way_round_the_wait(carl: User) -> None:
    tries = [attempt(HTTP_X_FORWARDED_FOR=f"203.0.113.{number}").status_code for number in range(6)]
    assert tries == [401] * 5 + [429]


def test_behind_a_proxy_the_address_is_what_the_proxy_saw(carl: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_settings, "NUM_PROXIES", 1)
    tries = [attempt(HTTP_X_FORWARDED_FOR=f"203.0.113.{number}, 198.51.100.7").status_code for number in range(6)]
    assert tries == [401] * 5 + [429]
    assert attempt(HTTP_X_FORWARDED_FOR="198.51.100.8").status_code == 401


def test_one_customers_ipv6_addresses_are_one(carl: User) -> None:
    tries = [attempt(REMOTE_ADDR=f"2001:db8::{number}").status_code for number in range(6)]
    assert tries == [401] * 5 + [429]


def test_ipv4_addresses_in_the_clothes_of_ipv6_are_many(carl: User) -> None:
    tries = [attempt(REMOTE_ADDR=f"::ffff:198.51.100.{number}").status_code for number in range(6)]
    assert tries == [401] * 6


def test_a_stranger_does_not_lock_the_owner_out(carl: User) -> None:
    statuses(50, REMOTE_ADDR="203.0.113.9")
    assert attempt(password=PASSWORD).status_code == 200


def test_a_success_does_not_wipe_the_failures(carl: User) -> None:
    tries = [attempt().status_code for _ in range(4)]
    assert attempt(password=PASSWORD).status_code == 200
    assert [*tries, attempt().status_code, attempt().status_code] == [401] * 5 + [429]


def test_who_knows_the_password_logs_in_as_often_as_they_like(carl: User) -> None:
    assert statuses(30, password=PASSWORD) == [200] * 30


def test_one_address_does_not_try_one_password_on_many_accounts(db: None) -> None:
    answers = [attempt(f"person{number}").status_code for number in range(LOGIN_ADDRESS.times + 1)]
    assert answers == [401] * LOGIN_ADDRESS.times + [429]


def test_many_addresses_do_not_try_many_passwords_on_one_account(carl: User) -> None:
    addresses = [f"198.51.100.{number}" for number in range(LOGIN_ACCOUNT.times + 1)]
    answers = [attempt(REMOTE_ADDR=address).status_code for address in addresses]
    assert answers == [401] * LOGIN_ACCOUNT.times + [429]


# --- known addresses ----------------------------------------------------------------------------------
HOME, HOTEL = "192.0.2.1", "192.0.2.99"


def attack(username: str = "carl") -> int:
    """Twenty wrong tries from four addresses. Returns what the next one gets."""
    for number in range(LOGIN_ACCOUNT.times):
        attempt(username, REMOTE_ADDR=f"198.51.100.{number % 4}")
    return int(attempt(username, REMOTE_ADDR="198.51.100.200").status_code)


def enter_admin(username: str, address: str) -> int:
    form = {"username": username, "password": PASSWORD}
    return Client(REMOTE_ADDR=address).post(LOGIN_PAGE, form).status_code


def test_an_attack_does_not_lock_the_owner_out_where_they_logged_in_before(carl: User) -> None:
    assert attempt(password=PASSWORD, REMOTE_ADDR=HOME).status_code == 200
    assert attack() == 429
    assert attempt(password=PASSWORD, REMOTE_ADDR=HOME).status_code == 200
    assert attempt(password=PASSWORD, REMOTE_ADDR=HOTEL).status_code == 429, "a stranger, for all we know"


@pytest.mark.parametrize("in_api", [True, False], ids=["API", "admin"])
def test_the_admin_and_the_api_know_the_same_addresses(olga: User, in_api: bool) -> None:
    if in_api:
        attempt("olga", PASSWORD, REMOTE_ADDR=HOME)
    else:
        enter_admin("olga", HOME)
    assert attack("olga") == 429
    assert (enter_admin("olga", HOME), enter_admin("olga", HOTEL)) == (302, 429)
    assert attempt("olga@example.com", PASSWORD, REMOTE_ADDR=HOME).status_code == 200


def test_at_a_known_address_wrong_tries_have_to_wait_like_anywhere(carl: User) -> None:
    attempt(password=PASSWORD, REMOTE_ADDR=HOME)
    assert statuses(6, REMOTE_ADDR=HOME) == [401] * 5 + [429]
    assert attempt(password=PASSWORD, REMOTE_ADDR=HOME).status_code == 429


def test_wrong_tries_at_known_addresses_lock_nobody_out_elsewhere(carl: User) -> None:
    for number in range(5):
        attempt(password=PASSWORD, REMOTE_ADDR=f"192.0.2.{number}")
        statuses(5, REMOTE_ADDR=f"192.0.2.{number}")
    assert attempt(password=PASSWORD, REMOTE_ADDR=HOTEL).status_code == 200


def test_the_address_of_one_person_is_not_that_of_another(carl: User, olga: User) -> None:
    attempt("olga", PASSWORD, REMOTE_ADDR=HOTEL)
    assert attack() == 429
    assert attempt(password=PASSWORD, REMOTE_ADDR=HOTEL).status_code == 429


@pytest.mark.parametrize("password", [PASSWORD, WRONG])
def test_an_address_is_known_after_a_good_login_only(carl: User, password: str) -> None:
    User.objects.filter(pk=carl.pk).update(is_active=password == WRONG)
    assert attempt(password=password).status_code == 401
    assert not KnownAddress.objects.exists()


def test_the_last_ten_addresses_are_known_for_ninety_days(carl: User) -> None:
    for number in range(12):
        attempt(password=PASSWORD, REMOTE_ADDR=f"192.0.2.{number}")
    known = [KnownAddress.matching(f"192.0.2.{number}").exists() for number in range(12)]
    assert known == [False] * 2 + [True] * 10
    with time_machine.travel(timezone.localtime() + KnownAddress.LIFETIME):
        assert not KnownAddress.matching("192.0.2.11").exists()
        forget_old_logins()
    assert not KnownAddress.objects.exists()


def test_nobody_reads_where_somebody_logged_in(carl: User) -> None:
    attempt(password=PASSWORD, REMOTE_ADDR=HOME)
    assert HOME not in str(KnownAddress.objects.values_list().get())


def test_a_refused_login_takes_the_same_queries_whoever_is_named_and_wherever_it_comes_from(carl: User) -> None:
    attempt(password=PASSWORD, REMOTE_ADDR=HOME)
    for name, address in [("carl", HOME), ("carl", HOTEL), ("nobody", HOME)]:
        with CaptureQueriesContext(connection) as queries:
            attempt(name, REMOTE_ADDR=address)
        begun = [query["sql"].split()[0] for query in queries]
        assert begun == ["SELECT", "SAVEPOINT", "INSERT", "DELETE", "RELEASE"], "the look-up, and the history's line"


def test_the_wait_ends_and_trying_on_does_not_prolong_it(carl: User) -> None:
    start = timezone.localtime()
    with time_machine.travel(start, tick=False) as clock:
        statuses(5)
        clock.shift(timedelta(seconds=LOGIN_PAIR.seconds - 1))
        assert attempt().status_code == 429
        clock.shift(timedelta(seconds=2))
        assert attempt(password=PASSWORD).status_code == 200


def test_the_admin_has_the_same_limit_and_says_it_on_its_page(olga: User) -> None:
    for _ in range(5):
        assert Client().post(LOGIN_PAGE, {"username": "olga", "password": "wrong"}).status_code == 200
    page = Client().post(LOGIN_PAGE, {"username": "olga", "password": PASSWORD})
    assert page.status_code == 429
    assert int(page["Retry-After"]) > 0
    assert "Too many tries" in page.content.decode()
    assert attempt("olga", PASSWORD).status_code == 429, "admin and API are counted together"


@pytest.fixture
def silent_cache(settings: Any) -> Iterator[None]:
    """A cache that accepts connections, and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=20) as silence:
        address = f"redis://127.0.0.1:{silence.getsockname()[1]}/0"
        settings.CACHES = {**settings.CACHES, "default": {**base.CACHES["default"], "LOCATION": address}}
        yield


@pytest.mark.parametrize("path", FORMS)
def test_while_tries_cannot_be_counted_none_is_allowed_and_nobody_waits(
    olga: User, silent_cache: None, path: str
) -> None:
    """Also the right password: else who guesses would guess without end."""
    started = time.monotonic()
    answer = Client().post(path, {"username": "olga", "password": PASSWORD}, content_type=FORMS[path])
    assert time.monotonic() - started < 2
    assert answer.status_code == 503
    assert answer["Retry-After"] == "30"
    assert "Tries cannot be counted at the moment" in answer.content.decode()


def test_nobody_waits_for_a_silent_cache_to_be_told_to_come_back(carl: User, silent_cache: None) -> None:
    for path, body in [("/password/reset/", {"email": "carl@example.com"}), ("/signup/", {})]:
        started = time.monotonic()
        assert post(path, body).status_code == 503
        assert time.monotonic() - started < 2


def test_who_is_logged_in_stays_so_without_the_cache(carl: User, settings: Any, request: Any) -> None:
    tokens = log_in()
    request.getfixturevalue("silent_cache")
    assert check(tokens["access"]) == 200
    assert post("/token/refresh/", {"refresh": tokens["refresh"]}).status_code == 200


def test_nobody_reads_a_password_out_of_the_answer(carl: User) -> None:
    assert PASSWORD not in post("/login/", {"username": "nobody", "password": PASSWORD}).content.decode()
    assert PASSWORD not in bearer(log_in()["access"]).get("/user/").content.decode()
