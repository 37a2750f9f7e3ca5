"""OpenID Connect: who comes in by it, and everything that must not."""

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import time_machine
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import Group
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.invitations import invite
from accounts.limits import OPENID
from accounts.models import Invitation, LoginRecord, User
from accounts.tests.conftest import PASSWORD, logged_in, make_person, post
from accounts.tests.provider import CLIENT, OTHER_KEY, SECRET, FakeProvider, run_provider
from accounts.tests.test_history import kept
from accounts.tests.test_login import ELSEWHERE, REFUSED
from accounts.tests.test_pages import HOME, LOGIN, enter, link_in_mail, text
from accounts.tests.test_second_factor import CODE, code_now, protect
from config.environment import checked_groups, checked_provider

Worker = Callable[[], list[str]]
THERE, BACK = reverse("account_openid"), reverse("account_openid_back")
USERS = reverse("admin:accounts_user_changelist")
DORA = {"email": "Dora@Example.com", "email_verified": True, "given_name": "Dora", "family_name": "Ash"}
NOT_ACCEPTED = "What Keycloak answered was not accepted."


@pytest.fixture(scope="module")
def running() -> Iterator[FakeProvider]:
    with run_provider() as provider:
        yield provider


@pytest.fixture
def provider(running: FakeProvider, settings: Any, db: None) -> FakeProvider:
    running.reset()
    running.signed = dict(DORA)
    settings.OPENID_SERVER, settings.OPENID_NAME = running.address, "Keycloak"
    settings.OPENID_CLIENT_ID, settings.OPENID_CLIENT_SECRET = CLIENT, SECRET
    settings.OPENID_DOMAINS = ["example.com"]
    return running


def come(provider: FakeProvider, client: Client | None = None, query: Any = None) -> Any:
    """The answer to somebody who goes to the provider and comes back."""
    client = client or Client()
    answer = client.get(THERE, query or {})
    assert answer.status_code == 302, answer.content.decode()
    return client.get(provider.authorize(answer["Location"]))


def refused(answer: Any, status: int = 403) -> str:
    assert answer.status_code == status, answer.content.decode()
    assert not answer.wsgi_request.user.is_authenticated
    assert "sessionid" not in answer.wsgi_request.COOKIES or "_auth_user_id" not in answer.wsgi_request.session
    return text(answer)


# --- with nothing configured --------------------------------------------------------------------------
def test_without_a_provider_there_is_nothing(vera: User) -> None:
    for path in (THERE, BACK):
        assert Client().get(path).status_code == 404
        assert Client().post(path).status_code in (403, 404, 405)
    assert "openid" not in text(Client().get(LOGIN))
    enter("vera")


# --- coming in ----------------------------------------------------------------------------------------
def test_somebody_new_of_the_domain_is_in_without_rights_and_told_whom_to_ask(
    provider: FakeProvider, mona: User, vera: User
) -> None:
    client = Client()
    answer = come(provider, client)
    assert answer["Location"] == HOME
    dora = User.objects.get(email="dora@example.com")
    assert (dora.username, dora.get_full_name()) == ("dora@example.com", "Dora Ash")
    assert [dora.is_staff, dora.is_superuser, dora.has_usable_password(), dora.groups.exists()] == [False] * 4
    assert EmailAddress.objects.get(user=dora).verified
    for page in (client.get(HOME), client.get("/admin/", follow=True)):
        assert "You have no rights here yet" in text(page)
        assert "mona@example.com" in text(page)
        assert "vera@example.com" not in text(page)
    assert kept(user=dora) == [("browser", "openid", "")]
    assert SocialAccount.objects.get().extra_data == {}, "nothing of the provider's is kept"


def test_others_without_rights_are_told_no_names(provider: FakeProvider, carl: User, mona: User) -> None:
    assert "mona@example.com" not in text(logged_in(carl).get(HOME))


def test_the_second_time_it_is_the_same_account_whatever_the_address(provider: FakeProvider) -> None:
    come(provider)
    provider.signed["email"] = "ash@example.com"
    come(provider)
    assert User.objects.count() == 1


def test_an_address_that_is_no_name_gets_in_too(provider: FakeProvider) -> None:
    provider.signed["email"] = "o'brien@example.com"
    come(provider)
    assert User.objects.get(email="o'brien@example.com").username.startswith("o-brien-example-com-")


def test_a_very_long_address_gets_in_too(provider: FakeProvider, settings: Any) -> None:
    domain = f"{'b' * 60}.{'c' * 60}.example.com"
    settings.OPENID_DOMAINS = [domain]
    provider.signed["email"] = f"{'a' * 60}@{domain}"
    come(provider)
    assert len(User.objects.get().username) <= 150


def test_an_account_with_the_confirmed_address_is_linked(provider: FakeProvider) -> None:
    dora = make_person("dora", "viewer", is_staff=True)
    assert come(provider)["Location"] == reverse("admin:index")
    assert SocialAccount.objects.get().user == dora
    assert User.objects.get() == dora


def test_the_login_page_has_a_button_that_keeps_where_one_was_going(provider: FakeProvider) -> None:
    make_person("dora", "viewer", is_staff=True)
    page = text(Client().get(LOGIN, {"next": "/admin/catalog/feed/"}))
    assert f'href="{THERE}?next=%2Fadmin%2Fcatalog%2Ffeed%2F"' in page
    assert "Log in with Keycloak" in page
    assert come(provider, query={"next": "/admin/catalog/feed/"})["Location"] == "/admin/catalog/feed/"


@pytest.mark.parametrize("target", ELSEWHERE)
def test_it_sends_nobody_elsewhere(provider: FakeProvider, target: str) -> None:
    assert come(provider, query={"next": target})["Location"] == HOME
    assert logged_in(User.objects.get()).get(THERE, {"next": target})["Location"] == HOME


def test_what_is_asked_of_the_provider(provider: FakeProvider, settings: Any) -> None:
    settings.SITE_URL = "https://catalogue.example.com"
    settings.OPENID_SCOPE = ["openid", "email", "groups"]
    come(provider)
    (asked,) = provider.asked
    assert asked["redirect_uri"] == f"https://catalogue.example.com{BACK}", "and not the host that the request names"
    assert {*asked["scope"].split()} == {"openid", "email", "groups"}
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["nonce"]) > 30
    (call,) = provider.token_calls
    assert (call["client_id"], call["client_secret"]) == (CLIENT, SECRET)
    assert call["code_verifier"]


def test_what_is_only_said_beside_the_token_counts(provider: FakeProvider) -> None:
    provider.beside, provider.signed = provider.signed, {}
    assert come(provider).status_code == 302
    assert User.objects.filter(email="dora@example.com").exists()


# --- invitations --------------------------------------------------------------------------------------
def test_an_invitation_is_accepted_through_it(provider: FakeProvider, mona: User) -> None:
    invite("dora@example.com", Group.objects.get(name="approver"), by=mona)
    assert come(provider)["Location"] == reverse("admin:index")
    dora = User.objects.get(email="dora@example.com")
    assert dora.is_staff
    assert [group.name for group in dora.groups.all()] == ["approver"]
    assert dora.second_factor_due is not None
    assert dora.second_factor_due <= timezone.now()
    assert Invitation.objects.get().state == "accepted"


def test_an_invitation_above_what_its_sender_may_do_by_now_gives_nothing(provider: FakeProvider, mona: User) -> None:
    invite("dora@example.com", Group.objects.get(name="approver"), by=mona)
    mona.groups.clear()
    assert come(provider)["Location"] == HOME
    assert not User.objects.get(email="dora@example.com").groups.exists()


def test_the_page_of_an_invitation_offers_it_to_addresses_of_the_provider(
    provider: FakeProvider, mona: User, settings: Any, worker: Worker
) -> None:
    invite("dora@example.com", Group.objects.get(name="viewer"), by=mona)
    invite("ella@elsewhere.example", Group.objects.get(name="viewer"), by=mona)
    worker()
    pages = [link_in_mail(number) for number in (0, 1)]
    offered = ["Accept it with Keycloak" in text(Client().get(page)) for page in pages]
    assert sorted(offered) == [False, True]
    settings.OPENID_PASSWORD_LOGIN = False
    page = pages[offered.index(True)]
    form = {"username": "dora", "password1": PASSWORD, "password2": PASSWORD}
    assert 'name="password1"' not in text(Client().get(page))
    assert Client().post(page, form).status_code == 200
    assert not User.objects.filter(username="dora").exists()


# --- groups -------------------------------------------------------------------------------------------
def test_groups_give_and_take_roles(provider: FakeProvider, settings: Any) -> None:
    settings.OPENID_GROUPS = {"/shop/managers": "manager", "shop": "viewer"}
    provider.signed["groups"] = ["/shop/managers", "others"]
    assert come(provider)["Location"] == reverse("admin:index")
    dora = User.objects.get()
    dora.groups.add(Group.objects.get(name="importer"))
    assert dora.is_staff
    assert dora.second_factor_due is not None

    provider.signed["groups"] = "shop"
    come(provider)
    assert {group.name for group in dora.groups.all()} == {"viewer", "importer"}, "the importer is not the provider's"
    dora.groups.remove(Group.objects.get(name="importer"))
    del provider.signed["groups"]
    assert come(provider)["Location"] == HOME
    assert not User.objects.get().is_staff


def test_a_superuser_and_people_without_a_mapping_keep_what_they_have(provider: FakeProvider, settings: Any) -> None:
    dora = make_person("dora", "viewer", is_staff=True)
    come(provider)
    settings.OPENID_GROUPS = {"shop": "viewer"}
    User.objects.filter(pk=dora.pk).update(is_superuser=True)
    come(provider)
    assert dora.groups.exists()


# --- the second factor --------------------------------------------------------------------------------
def test_it_skips_no_second_factor(provider: FakeProvider) -> None:
    dora = make_person("dora", "viewer", is_staff=True)
    protect(dora)
    client = Client()
    assert come(provider, client)["Location"] == CODE
    assert client.get("/admin/").status_code == 302
    assert client.post(CODE, {"code": "000000"}).status_code == 200
    assert client.post(CODE, {"code": code_now()})["Location"] == reverse("admin:index")
    assert kept(user=dora) == [("browser", "", "wrong_code"), ("browser", "openid,totp", "")]


def test_rights_that_need_one_are_shut_until_it_is_there(provider: FakeProvider, settings: Any) -> None:
    settings.SECOND_FACTOR_ROLES = ["manager"]
    settings.OPENID_GROUPS = {"shop": "manager"}
    provider.signed["groups"] = ["shop"]
    client = Client()
    come(provider, client)
    assert client.get("/admin/")["Location"] == reverse("mfa_index")


# --- what must not work -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("claims", "sentence"),
    [
        ({"email": None}, "Keycloak did not say your e-mail address."),
        ({"email": "no address"}, "Keycloak did not say your e-mail address."),
        ({"email_verified": False}, "Keycloak has not confirmed that dora@example.com is yours."),
        ({"email_verified": None}, "Keycloak has not confirmed that dora@example.com is yours."),
        ({"email_verified": "true"}, "Keycloak has not confirmed that dora@example.com is yours."),
        ({"email": "dora@elsewhere.example"}, "dora@elsewhere.example is not an address whose owners may log in"),
        ({"email": "dora@sub.example.com"}, "dora@sub.example.com is not an address"),
        ({"email": "dora@example.com.elsewhere.example"}, "is not an address whose owners may log in this way."),
    ],
)
@pytest.mark.parametrize("is_there", [True, False], ids=["known", "unknown"])
def test_nobody_comes_in_by_such_an_address(
    provider: FakeProvider, claims: dict[str, Any], sentence: str, is_there: bool
) -> None:
    if is_there:  # and a link of before is no way in either
        dora = make_person("dora", is_superuser=True)
        SocialAccount.objects.create(user=dora, provider=provider.address, uid="1")
    provider.signed |= claims
    assert sentence in refused(come(provider))
    assert User.objects.count() == is_there


def test_an_account_is_not_taken_over_by_an_address_that_nobody_confirmed(provider: FakeProvider) -> None:
    """Somebody signs up with another's address and waits for them."""
    post("/signup/", {"username": "mallory", "email": "dora@example.com", "password": PASSWORD})
    page = refused(come(provider))
    assert "An account has your address, and nobody has confirmed it." in page
    assert reverse("account_reset_password") in page
    assert not SocialAccount.objects.exists()
    assert kept() == [("browser", "", "unconfirmed")]


def test_a_new_owner_of_an_old_address_does_not_get_the_old_account(provider: FakeProvider, olga: User) -> None:
    dora = make_person("dora")
    come(provider)
    provider.signed["sub"] = "2"
    assert "your address was somebody else" in refused(come(provider))
    action = {"action": "unlink_openid", "_selected_action": [str(dora.pk)]}
    assert "Unlinked from OpenID: dora." in text(logged_in(olga).post(USERS, action, follow=True))
    assert come(provider).status_code == 302
    assert SocialAccount.objects.get().uid == "2"
    action["_selected_action"] = [str(olga.pk)]
    assert "Unlinked from OpenID: nobody." in text(logged_in(olga).post(USERS, action, follow=True))


def test_a_closed_account_stays_closed(provider: FakeProvider) -> None:
    make_person("dora", is_active=False)
    assert "This account is closed." in refused(come(provider))
    assert not SocialAccount.objects.exists()


def test_somebody_who_is_logged_in_does_not_become_somebody_else(provider: FakeProvider, vera: User) -> None:
    client = enter("vera")
    assert client.get(THERE)["Location"] == HOME
    answer = come(provider, client, {"again": "", "next": HOME})
    assert answer.status_code == 403
    assert "You are logged in as vera, and came back as somebody else." in text(answer)
    assert answer.wsgi_request.user == vera


def _with(**changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda token: token.update(changes)


@pytest.mark.parametrize(
    "change",
    [
        _with(nonce="another"),
        lambda token: token.pop("nonce"),
        _with(aud="another client"),
        _with(aud=[CLIENT, "another client"], azp="another client"),
        _with(iss="https://evil.test"),
        _with(exp=int(time.time()) - 3600),
        _with(iat=int(time.time()) + 3600),
        lambda token: token.pop("exp"),
        lambda token: token.pop("sub"),
    ],
)
def test_a_token_for_another_purpose_is_not_accepted(provider: FakeProvider, change: Any) -> None:
    provider.change = change
    assert NOT_ACCEPTED in refused(come(provider), 502)
    assert not User.objects.exists()


def test_a_token_that_somebody_else_signed_is_not_accepted(provider: FakeProvider) -> None:
    provider.key = OTHER_KEY
    assert NOT_ACCEPTED in refused(come(provider), 502)


def test_a_token_signed_with_what_everybody_knows_is_not_accepted(provider: FakeProvider) -> None:
    for provider.key, provider.algorithm in (("x" * 64, "HS256"), (None, "none")):
        assert NOT_ACCEPTED in refused(come(provider), 502)


def test_the_only_key_need_not_be_named_and_another_one_may_not(provider: FakeProvider) -> None:
    provider.headers = {"kid": "2"}
    assert NOT_ACCEPTED in refused(come(provider), 502)
    provider.headers = {}
    assert come(provider).status_code == 302


def test_two_answers_about_two_people_are_not_accepted(provider: FakeProvider) -> None:
    provider.beside = {"sub": "2"}
    assert NOT_ACCEPTED in refused(come(provider), 502)


def test_a_confirmation_beside_an_address_in_the_token_does_not_count(provider: FakeProvider) -> None:
    provider.signed, provider.beside = {"email": "dora@example.com"}, {"email_verified": True}
    assert "has not confirmed" in refused(come(provider))


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/jwks", "/userinfo"])
@pytest.mark.parametrize("answer", [500, b"<html>", b"{}", b"[]", {"keys": [{"kid": "1", "kty": "odd", "alg": "odd"}]}])
def test_an_odd_answer_is_a_sentence(provider: FakeProvider, path: str, answer: Any) -> None:
    provider.broken[path] = answer
    client = Client()
    first = client.get(THERE)
    if first.status_code == 302:
        first = client.get(provider.authorize(first["Location"]))
    assert NOT_ACCEPTED in refused(first, 502)


def wait_a_second() -> dict[str, str]:
    time.sleep(1)
    return {}


def test_a_provider_that_is_away_or_silent_is_a_sentence(provider: FakeProvider, settings: Any) -> None:
    settings.SOCIALACCOUNT_REQUESTS_TIMEOUT = 0.2
    provider.broken["/token"] = wait_a_second
    started = time.monotonic()
    assert "Keycloak does not answer at the moment." in refused(come(provider), 503)
    assert time.monotonic() - started < 5
    settings.OPENID_SERVER = "http://127.0.0.1:9"  # nobody listens there
    assert "Keycloak does not answer at the moment." in refused(Client().get(THERE), 503)


@pytest.mark.parametrize(
    ("answer", "status", "sentence"),
    [
        ({"error": "access_denied"}, 403, "Keycloak did not let you in, or you gave up there."),
        ({"error": "server_error", "error_description": "<b>evil</b>"}, 502, NOT_ACCEPTED),
        ({"code": "unknown"}, 502, NOT_ACCEPTED),
        ({}, 502, NOT_ACCEPTED),
    ],
)
def test_what_the_provider_refuses_is_said_in_our_words(
    provider: FakeProvider, answer: dict[str, str], status: int, sentence: str
) -> None:
    client = Client()
    page = refused(client.get(provider.authorize(client.get(THERE)["Location"], answer)), status)
    assert sentence in page
    assert "evil" not in page


def test_a_state_is_good_once_for_one_browser_and_ten_minutes(provider: FakeProvider) -> None:
    client = Client()
    back = provider.authorize(client.get(THERE)["Location"])
    stale = "This login was begun in another browser"
    assert stale in refused(Client().get(back)), "somebody else's browser"
    assert stale in refused(client.get(f"{BACK}?code=x&state=made-up"))
    assert stale in refused(client.get(BACK))
    assert client.get(back).status_code == 302
    client.post(reverse("account_logout"))
    assert stale in refused(client.get(back)), "a second time"
    with time_machine.travel(timezone.localtime(), tick=False) as clock:
        back = provider.authorize(client.get(THERE)["Location"])
        clock.shift(601)
        assert stale in refused(client.get(back))


def test_one_address_does_not_have_the_provider_asked_without_end(
    provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(OPENID.__dict__, "times", 2)
    assert [Client().get(THERE).status_code for _ in range(3)] == [302, 302, 429]


def test_no_line_of_the_log_has_a_secret(provider: FakeProvider, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "accounts")
    provider.change = _with(nonce="another")
    come(provider)
    provider.broken["/token"] = {"error": "invalid_client"}
    come(provider)
    said = "".join(f"{record.getMessage()} {record.exc_info}" for record in caplog.records)
    assert "not accepted" in said
    assert SECRET not in said


# --- providers of their own kind ----------------------------------------------------------------------
@pytest.mark.parametrize(("hd", "status"), [("example.com", 302), ("elsewhere.example", 403), (None, 403)])
def test_a_private_google_account_with_a_companys_address_does_not_come_in(
    provider: FakeProvider, monkeypatch: pytest.MonkeyPatch, hd: str | None, status: int
) -> None:
    monkeypatch.setattr("accounts.openid.GOOGLE", provider.address)
    provider.signed |= {"hd": hd} if hd else {}
    assert come(provider).status_code == status


@pytest.mark.parametrize(("claims", "status"), [({"xms_edov": True}, 302), ({"xms_edov": "1"}, 302), ({}, 403)])
def test_microsoft_says_otherwise_that_an_address_is_confirmed(
    provider: FakeProvider, monkeypatch: pytest.MonkeyPatch, claims: dict[str, Any], status: int
) -> None:
    monkeypatch.setattr("accounts.openid.MICROSOFT", provider.address)
    provider.signed |= claims
    assert come(provider).status_code == status


# --- passwords ----------------------------------------------------------------------------------------
@pytest.fixture
def passwords_off(provider: FakeProvider, settings: Any) -> None:
    settings.OPENID_PASSWORD_LOGIN = False


INSTEAD = "People of example.com log in with Keycloak, without a password here."


def test_passwords_can_be_switched_off_for_the_domains(passwords_off: None) -> None:
    dora = make_person("dora")
    ella = User.objects.create_user("ella", "ella@elsewhere.example", PASSWORD)
    form = {"username": "dora", "password": PASSWORD}
    assert REFUSED in text(Client().post(LOGIN, form))
    assert post("/login/", form).status_code == 401
    assert kept(user=dora) == [("browser", "", "password_off"), ("api", "", "password_off")]
    enter("ella")
    assert post("/login/", {"username": "ella", "password": PASSWORD}).status_code == 200
    assert LoginRecord.objects.filter(user=ella, refused="").count() == 2


def test_another_address_is_no_way_round_it(passwords_off: None, provider: FakeProvider) -> None:
    dora = make_person("dora")
    come(provider)
    User.objects.filter(pk=dora.pk).update(email="dora@elsewhere.example")
    assert REFUSED in text(Client().post(LOGIN, {"username": "dora", "password": PASSWORD}))


@pytest.mark.parametrize("name", ["dora", "nobody"])
def test_the_page_says_so_of_an_address_whoever_has_it(passwords_off: None, name: str) -> None:
    make_person("dora")
    form = {"username": f"{name}@Example.com", "password": "wrong"}
    assert INSTEAD in text(Client().post(LOGIN, form))
    sign_up = {"username": "nina", "email": f"{name}@example.com"}
    page = Client().post(reverse("account_signup"), {**sign_up, "password1": PASSWORD, "password2": PASSWORD})
    assert INSTEAD in text(page)
    assert post("/signup/", {**sign_up, "password": PASSWORD}).json()["email"] == [INSTEAD]


def test_whoever_has_no_use_for_a_password_sets_none(passwords_off: None, provider: FakeProvider) -> None:
    client = Client()
    come(provider, client)
    for page in ("account_change_password", "account_set_password"):
        answer = client.post(reverse(page), {"password1": PASSWORD, "password2": PASSWORD}, follow=True)
        assert "You log in with Keycloak, without a password here." in text(answer)
    assert not User.objects.get().has_usable_password()


@pytest.mark.parametrize(
    "page", ["account_email", "account_keys", "account_set_password", "mfa_activate_totp", "mfa_add_webauthn"]
)
def test_an_open_browser_is_not_enough_to_take_an_account_over(provider: FakeProvider, page: str) -> None:
    """Somebody without a password is sent to the provider once more, which asks them."""
    client, address = Client(), reverse(page)
    come(provider, client)
    answer = client.get(address)
    assert answer["Location"].startswith(f"{THERE}?again=")
    provider.signed["auth_time"] = int(time.time()) - 3600
    back = provider.authorize(client.get(answer["Location"])["Location"])
    assert NOT_ACCEPTED in text(client.get(back)), "nobody typed a password there"
    provider.signed["auth_time"] = int(time.time())
    back = provider.authorize(client.get(answer["Location"])["Location"])
    assert provider.asked[-1]["max_age"] == "0"
    assert client.get(back)["Location"] == address
    assert client.get(address).status_code == 200


# --- what the settings may say ------------------------------------------------------------------------
@pytest.mark.parametrize("server", ["http://id.example.com", "id.example.com", "ftp://id.example.com", "https://"])
def test_a_provider_in_the_clear_is_refused(server: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="OPENID_SERVER"):
        checked_provider(server)


def test_a_provider_is_taken_without_the_stroke_at_its_end() -> None:
    assert checked_provider("https://id.example.com/realms/shop/") == "https://id.example.com/realms/shop"
    assert checked_provider("http://localhost:9400") == "http://localhost:9400"
    assert checked_provider("") == ""


def test_groups_are_read_with_their_roles() -> None:
    text_of_groups = "/shop/managers=manager, a=b = viewer,"
    assert checked_groups(text_of_groups) == {"/shop/managers": "manager", "a=b": "viewer"}


@pytest.mark.parametrize("groups", ["managers", "managers=boss", "=manager"])
def test_a_group_without_a_role_of_ours_is_refused(groups: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="OPENID_GROUPS"):
        checked_groups(groups)
