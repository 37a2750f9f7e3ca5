"""The second factor: set up, asked for at every door, lost, and demanded of people with certain rights."""

import re
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.limits import SECOND_FACTOR_PAIR
from accounts.models import LoginSession, User
from accounts.second_factor import challenge_for, is_demanded
from accounts.tests.conftest import PASSWORD, check, log_in, logged_in, make_person, post
from accounts.tests.test_pages import HOME, LOGIN, enter, text
from config.environment import checked_roles
from config.tests.problems import said

Worker = Callable[[], list[str]]
INDEX = reverse("mfa_index")
CODE = reverse("mfa_authenticate")
ACTIVATE = reverse("mfa_activate_totp")
DEACTIVATE = reverse("mfa_deactivate_totp")
ADMIN = reverse("admin:index")
USERS = reverse("admin:accounts_user_changelist")
SECRET = generate_totp_secret()
WRONG = "The code is wrong, or was used before."


def code_now(secret: str = SECRET, offset: int = 0) -> str:
    return str(format_hotp_value(hotp_value(secret, int(time.time()) // 30 + offset)))


def protect(person: User) -> list[str]:
    """Give the person an app with the key `SECRET`, and return the recovery codes."""
    TOTP.activate(person, SECRET)
    return list(RecoveryCodes.activate(person).generate_codes())


def half_logged_in(username: str = "carl") -> Client:
    client = Client()
    answer = client.post(LOGIN, {"username": username, "password": PASSWORD})
    assert answer["Location"] == CODE
    return client


def challenge(username: str = "carl") -> dict[str, Any]:
    answer = post("/login/", {"username": username, "password": PASSWORD})
    assert answer.status_code == 202, answer.content
    return dict(answer.json())


def send_code(code: str, **changed: str) -> Any:
    return post("/login/second-factor/", {"challenge": challenge()["challenge"], "code": code, **changed})


# --- setting it up ------------------------------------------------------------------------------------
def test_an_app_is_set_up_and_asked_for_from_then_on(
    carl: User, worker: Worker, django_capture_on_commit_callbacks: Any
) -> None:
    client = enter("carl")
    page = client.get(ACTIVATE).content.decode()
    (secret,) = re.findall(r'id="authenticator_secret">(\w+)<', page)
    assert "data:image/svg+xml" in page
    assert WRONG in text(client.post(ACTIVATE, {"code": "abc"}))
    (secret,) = re.findall(r'id="authenticator_secret">(\w+)<', client.get(ACTIVATE).content.decode())
    assert not Authenticator.objects.exists()
    with django_capture_on_commit_callbacks(execute=True):
        answer = client.post(ACTIVATE, {"code": code_now(secret)}, follow=True)
    assert answer.redirect_chain[-1][0] == reverse("mfa_view_recovery_codes")
    assert len(re.findall(r"<code>\d+</code>", answer.content.decode())) == 10
    assert worker() == ["second_factor_changed"]
    assert secret not in str(Authenticator.objects.values_list("data", flat=True)), "it is stored encrypted"
    assert "Your app has been your second factor" in text(client.get(INDEX))
    client = half_logged_in()
    answer = client.post(CODE, {"code": code_now(secret, 1)})
    assert answer["Location"] == HOME
    assert client.get(HOME).status_code == 200


def test_setting_up_and_taking_away_ask_for_the_password_again(carl: User) -> None:
    protect(carl)
    client = logged_in(carl)  # some time ago
    for page in (DEACTIVATE, reverse("mfa_view_recovery_codes"), reverse("mfa_generate_recovery_codes")):
        assert client.get(page)["Location"].startswith(reverse("account_reauthenticate"))
    for page in (DEACTIVATE, reverse("mfa_generate_recovery_codes")):
        assert client.post(page)["Location"].startswith(reverse("account_reauthenticate"))
    assert Authenticator.objects.count() == 2


def test_new_recovery_codes_replace_the_old_ones(carl: User) -> None:
    old = protect(carl)[0]
    client = half_logged_in()
    client.post(CODE, {"code": code_now()})
    assert client.get(reverse("mfa_generate_recovery_codes")).status_code == 200
    client.post(reverse("mfa_generate_recovery_codes"))
    file = client.get(reverse("mfa_download_recovery_codes")).content.decode()
    assert old not in file
    assert send_code(old).status_code == 401
    assert send_code(file.split()[-1]).status_code == 200


def test_it_is_taken_away_by_its_owner(carl: User, worker: Worker) -> None:
    protect(carl)
    client = half_logged_in()
    client.post(CODE, {"code": code_now()})
    assert client.get(DEACTIVATE).status_code == 200
    client.post(DEACTIVATE)
    assert not Authenticator.objects.exists()
    assert worker() == ["second_factor_changed"]
    enter("carl")


# --- no way past it -----------------------------------------------------------------------------------
def test_half_a_login_opens_nothing(vera: User) -> None:
    protect(vera)
    client = half_logged_in("vera")
    for page in (ADMIN, HOME, INDEX, ACTIVATE, DEACTIVATE, USERS, reverse("account_email")):
        answer = client.get(page)
        assert answer.status_code == 302
        assert answer["Location"].startswith((LOGIN, reverse("admin:login"), reverse("account_reauthenticate"))), page
    assert client.get(reverse("admin:login"))["Location"] == LOGIN
    assert client.get(LOGIN)["Location"] == CODE, "it goes on where it stopped"
    assert Client().get(CODE)["Location"] == LOGIN


def test_a_wrong_code_is_refused_and_counted_with_the_apis(carl: User) -> None:
    protect(carl)
    client = half_logged_in()
    for number in range(SECOND_FACTOR_PAIR.times):
        if number % 2:
            assert send_code("000000").status_code == 401
        else:
            assert WRONG in text(client.post(CODE, {"code": "000000"}))
    assert client.post(CODE, {"code": code_now()}).status_code == 429
    assert send_code(code_now()).status_code == 429
    assert client.get(HOME).status_code == 302


def test_a_code_works_once_through_whichever_door(carl: User) -> None:
    recovery, code = protect(carl)[0], code_now()
    for used in (code, recovery):
        assert half_logged_in().post(CODE, {"code": used})["Location"] == HOME
        assert WRONG in text(half_logged_in().post(CODE, {"code": used}))
        assert said(send_code(used)) == {"detail": WRONG}


def test_a_used_code_stays_used_for_as_long_as_it_would_be_right(carl: User) -> None:
    protect(carl)
    start = timezone.now().replace(second=1, microsecond=0)
    with time_machine.travel(start, tick=False):
        code = code_now(offset=1)
        assert send_code(code).status_code == 200
    with time_machine.travel(start + timedelta(seconds=85), tick=False):
        assert send_code(code).status_code == 401


def test_a_forgotten_password_does_not_go_round_it(carl: User, worker: Worker) -> None:
    protect(carl)
    post("/password/reset/", {"email": "carl@example.com"})
    worker()
    address = re.findall(r"https?://[^/]+(/\S+key=\S+)", str(mail.outbox[-1].body))[0]
    client = Client()
    page = client.get(address)["Location"]
    client.post(page, {"password1": "a better horse battery", "password2": "a better horse battery"})
    assert client.get(HOME).status_code == 302
    answer = client.post(LOGIN, {"username": "carl", "password": "a better horse battery"})
    assert answer["Location"] == CODE


# --- the API ------------------------------------------------------------------------------------------
def test_the_api_asks_for_a_code_and_gives_tokens_for_it(carl: User) -> None:
    protect(carl)
    asked = challenge()
    assert asked.keys() == {"detail", "challenge"}
    assert not LoginSession.objects.exists()
    answer = post("/login/second-factor/", {"challenge": asked["challenge"], "code": code_now()})
    assert answer.status_code == 200
    assert answer.json().keys() >= {"access", "refresh", "user"}
    assert check(answer.json()["access"]) == 200
    assert post("/token/refresh/", {"refresh": answer.json()["refresh"]}).status_code == 200


def test_an_account_without_one_logs_in_as_before(carl: User) -> None:
    assert log_in().keys() >= {"access", "refresh", "user"}


def test_a_challenge_is_good_for_five_minutes_and_for_one_password(carl: User, olga: User) -> None:
    protect(carl)
    asked = challenge()["challenge"]
    body = {"code": code_now()}
    for bad in (asked[:-2], "", "x", challenge_for(User())):
        assert post("/login/second-factor/", {**body, "challenge": bad}).status_code in (400, 401)
    with time_machine.travel(timezone.now() + timedelta(minutes=6)):
        answer = post("/login/second-factor/", {"challenge": asked, "code": code_now()})
        assert answer.json()["detail"].startswith("The challenge is not valid")
    User.objects.filter(pk=carl.pk).update(is_active=False)
    assert post("/login/second-factor/", {**body, "challenge": asked}).status_code == 401
    User.objects.filter(pk=carl.pk).update(is_active=True, password=olga.password)
    assert post("/login/second-factor/", {**body, "challenge": asked}).status_code == 401
    assert not LoginSession.objects.exists()


# --- demanded -----------------------------------------------------------------------------------------
@pytest.fixture
def demanded(settings: Any) -> None:
    settings.SECOND_FACTOR_ROLES = ["approver", "manager"]


def test_rights_and_not_names_of_roles_demand_it(demanded: None, mona: User, vera: User, olga: User) -> None:
    alice = make_person("alice", "approver", is_staff=True)
    ida = make_person("ida", "importer", is_staff=True)
    assert [is_demanded(person) for person in (mona, alice, olga, vera, ida)] == [True, True, True, False, False]


def test_a_checkout_demands_it_of_nobody(mona: User) -> None:
    assert not is_demanded(mona)
    with pytest.raises(ImproperlyConfigured, match="SECOND_FACTOR_ROLES names boss"):
        checked_roles(["boss"])


def test_there_are_days_of_grace_and_then_no_admin_and_no_api(demanded: None, mona: User) -> None:
    tokens = log_in("mona")
    client = enter("mona")
    assert "your rights need a second factor" in text(client.get(ADMIN))
    with time_machine.travel(timezone.localtime() + timedelta(days=13)):
        assert client.get(USERS).status_code == 200
        tokens = post("/token/refresh/", {"refresh": log_in("mona")["refresh"]}).json()
    with time_machine.travel(timezone.localtime() + timedelta(days=14, minutes=1)):
        client = enter("mona")
        for page in (ADMIN, USERS, reverse("my-mail")):
            assert client.get(page)["Location"] == client.post(page)["Location"] == INDEX
        assert "Set one up, then go on." in text(client.get(INDEX))
        answer = post("/login/", {"username": "mona", "password": PASSWORD})
        assert answer.status_code == 403
        assert "/accounts/second-factor/" in answer.json()["detail"]
        assert post("/token/refresh/", {"refresh": tokens["refresh"]}).status_code == 403
        protect(mona)
        assert client.get(USERS).status_code == 200


def test_whose_rights_need_it_keeps_it(demanded: None, mona: User) -> None:
    protect(mona)
    client = half_logged_in("mona")
    client.post(CODE, {"code": code_now()})
    assert "Your rights need a second factor, so this one has to stay." in text(client.post(DEACTIVATE))
    assert Authenticator.objects.count() == 2


def test_others_are_left_alone(demanded: None, vera: User, carl: User) -> None:
    with time_machine.travel(timezone.localtime() + timedelta(days=100)):
        assert enter("vera").get(ADMIN).status_code == 200
        log_in("carl")


# --- lost ---------------------------------------------------------------------------------------------
def reset(actor: User, person: User) -> str:
    action = {"action": "reset_second_factor", "_selected_action": [str(person.pk)]}
    return text(logged_in(actor).post(USERS, action, follow=True))


def test_a_superuser_takes_it_from_somebody_who_lost_it_and_both_get_a_mail(
    olga: User, mona: User, settings: Any, worker: Worker
) -> None:
    protect(mona)
    assert "Removed: the second factor of mona." in reset(olga, mona)
    assert worker() == ["second_factor_removed"] * 2
    assert {message.to[0] for message in mail.outbox} == {"mona@example.com", "olga@example.com"}
    assert "has just been removed by olga" in str(mail.outbox[0].body)
    assert enter("mona").get(ADMIN).status_code == 200
    assert "None of them has a second factor." in reset(olga, mona)
    settings.SECOND_FACTOR_ROLES = ["manager"]
    assert enter("mona").get(ADMIN)["Location"] == INDEX, "she needs a new one at once"


def test_nobody_else_takes_it(mona: User, carl: User) -> None:
    protect(carl)
    reset(mona, carl)
    assert Authenticator.objects.count() == 2


# --- passkeys: tests/browser makes and uses one -------------------------------------------------------
def keep_passkey(person: User) -> Authenticator:
    data = {"name": "Phone", "credential": {}}
    return Authenticator.objects.create(user=person, type=Authenticator.Type.WEBAUTHN, data=data)


def sure_browser(person: User) -> Client:
    """Logged in, with the password typed a moment ago."""
    client = logged_in(person)
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    return client


def test_a_program_of_somebody_with_a_passkey_uses_a_recovery_code(carl: User) -> None:
    keep_passkey(carl)
    code = RecoveryCodes.activate(carl).generate_codes()[0]
    assert send_code("000000").status_code == 401
    assert send_code(code).status_code == 200


def test_the_last_passkey_of_somebody_who_needs_one_stays(demanded: None, mona: User) -> None:
    page = reverse("mfa_remove_webauthn", args=[keep_passkey(mona).pk])
    client = sure_browser(mona)
    assert "Phone then no longer opens your account." in text(client.get(page))
    client.post(page)
    assert Authenticator.objects.count() == 1
    TOTP.activate(mona, SECRET)
    client.post(page)
    assert Authenticator.objects.get().type == Authenticator.Type.TOTP


def test_nobody_removes_anothers_passkey_or_without_the_password(carl: User, mona: User) -> None:
    page = reverse("mfa_remove_webauthn", args=[keep_passkey(carl).pk])
    assert sure_browser(mona).post(page).status_code == 404
    assert logged_in(carl).post(page)["Location"].startswith("/accounts/")
    assert Client().post(page)["Location"].startswith(LOGIN)
    assert Authenticator.objects.count() == 1


@pytest.mark.parametrize("credential", ["", "x", "{}", '{"id": "x"}'])
def test_a_made_up_passkey_opens_nothing(carl: User, credential: str) -> None:
    protect(carl)
    client = Client()
    answer = client.post(reverse("mfa_login_webauthn"), {"credential": credential}, follow=True)
    assert answer.redirect_chain[-1][0] == LOGIN
    assert client.get(HOME).status_code == 302
    client = half_logged_in()
    assert client.post(CODE, {"credential": credential}).status_code in (200, 302)
    assert client.get(CODE).status_code == 200, "a code may still be given"
    assert client.get(HOME).status_code == 302
    client = sure_browser(carl)
    client.post(reverse("mfa_add_webauthn"), {"credential": credential})
    assert Authenticator.objects.count() == 2
