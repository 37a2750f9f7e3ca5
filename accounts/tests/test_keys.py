"""Keys of machines: what opens to one, what never does, and when it ends."""

from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
import time_machine
from django.core.cache import cache
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.keys import CALLS, make_key
from accounts.limits import NotCounted
from accounts.models import ApiKey, Scope, User
from accounts.tests.conftest import PASSWORD, log_in, logged_in, make_person
from config.tests.problems import said

CHECK = "/auth-protected-check/"
KEYS = reverse("account_keys")
ADMIN = reverse("admin:accounts_apikey_changelist")
ADD = reverse("admin:accounts_apikey_add")


def key_of(owner: User, *scopes: str, **more: Any) -> str:
    given: dict[str, Any] = {"name": "shop", "scopes": scopes or Scope.values, "feeds": [], "days": 30, "by": owner}
    return make_key(owner, **{**given, **more})


def machine(secret: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Api-Key {secret}")
    return client


# --- what it opens ------------------------------------------------------------------------------------
@pytest.mark.parametrize("word", ["Api-Key", "api-key", "API-KEY"])
def test_a_key_opens_for_its_owner(carl: User, word: str) -> None:
    answer = APIClient().get(CHECK, headers={"Authorization": f"{word} {key_of(carl)}"})
    assert (answer.status_code, answer.json()["username"]) == (200, "carl")


@pytest.mark.parametrize("secret", ["", "x", "opm_", "opm_é", "Bearer x", "x" * 5000])
def test_what_is_no_key_opens_nothing(carl: User, secret: str) -> None:
    key_of(carl)
    answer = machine(secret).get(CHECK)
    assert (answer.status_code, answer.json()["code"]) == (401, "key_not_valid")


def test_only_a_hash_is_stored(carl: User) -> None:
    secret = key_of(carl)
    (row,) = ApiKey.objects.values()
    assert not any(secret in str(value) or secret[12:] in str(value) for value in row.values())
    assert secret.startswith(row["beginning"])
    assert machine(row["digest"]).get(CHECK).status_code == 401


@pytest.mark.parametrize("path", ["/user/", "/logout/", "/password/change/"])
def test_no_key_opens_its_owners_account(carl: User, path: str) -> None:
    client = machine(key_of(carl))
    answer = client.get(path) if path == "/user/" else client.post(path, {})
    assert (answer.status_code, answer.json()["code"]) == (403, "key_scope")
    assert "another scope" in said(answer)["detail"]


def test_a_key_is_no_login_for_pages(mona: User) -> None:
    assert machine(key_of(mona)).get(reverse("admin:accounts_user_changelist")).status_code == 302


def test_no_scope_gives_what_the_owner_lacks(carl: User, mona: User) -> None:
    for owner, may in ((carl, False), (mona, True)):
        owner.api_key = ApiKey(scopes=Scope.values)
        assert owner.has_perm("catalog.confirm_importrun") is may


def test_a_key_has_no_right_that_its_scopes_do_not_cover(olga: User, mona: User) -> None:
    for owner in (olga, mona):
        owner.api_key = ApiKey(scopes=[Scope.UPLOAD])
        assert owner.has_perm("catalog.add_importrun")
        for permission in ("catalog.confirm_importrun", "catalog.export_product", "accounts.change_user", "no.such"):
            assert not owner.has_perm(permission), permission


# --- when it ends -------------------------------------------------------------------------------------
def test_a_key_of_somebody_who_is_deactivated_opens_nothing(carl: User) -> None:
    client = machine(key_of(carl))
    User.objects.filter(pk=carl.pk).update(is_active=False)
    assert client.get(CHECK).status_code == 401


def test_a_key_expires(carl: User) -> None:
    client = machine(key_of(carl, days=30))
    with time_machine.travel(timezone.now() + timedelta(days=29, hours=23), tick=False):
        assert client.get(CHECK).status_code == 200
    with time_machine.travel(timezone.now() + timedelta(days=30, minutes=1), tick=False):
        assert client.get(CHECK).status_code == 401


def test_another_password_and_logout_leave_a_key_alone(carl: User) -> None:
    client = machine(key_of(carl))
    carl.set_password("another one entirely")
    carl.save()
    assert client.get(CHECK).status_code == 200


def test_each_key_is_counted_by_itself(carl: User) -> None:
    cache.clear()
    busy, quiet = machine(key_of(carl)), machine(key_of(carl))
    with patch.object(type(CALLS), "times", 2, create=True), patch("accounts.keys.CALLS", type(CALLS)("few", 2, 60)):
        assert [busy.get(CHECK).status_code for _ in range(3)] == [200, 200, 429]
        assert busy.get(CHECK)["Retry-After"]
        assert quiet.get(CHECK).status_code == 200


def test_keys_work_while_nothing_can_be_counted(carl: User) -> None:
    client = machine(key_of(carl))
    with patch.object(type(CALLS), "take", side_effect=NotCounted):
        assert client.get(CHECK).status_code == 200


def test_the_last_use_is_noted_with_its_origin_at_most_each_minute(carl: User) -> None:
    client, start = machine(key_of(carl)), timezone.now()
    for minutes, address in ((0, "192.0.2.1"), (0.5, "192.0.2.2"), (1.5, "192.0.2.3")):
        with time_machine.travel(start + timedelta(minutes=minutes), tick=False):
            client.get(CHECK, REMOTE_ADDR=address)
        key = ApiKey.objects.get()
        expected = (0, "192.0.2.1") if minutes < 1 else (1.5, "192.0.2.3")
        assert (key.last_used_at, key.last_used_from) == (start + timedelta(minutes=expected[0]), expected[1])


# --- one's own ----------------------------------------------------------------------------------------
FORM = {"make": "1", "name": "shop", "scopes": ["read", "upload"], "days": "90"}


def enter(username: str) -> Any:
    from django.test import Client

    client = Client()
    client.post(reverse("account_login"), {"username": username, "password": PASSWORD})
    return client


def test_a_person_makes_a_key_sees_it_once_and_revokes_it(carl: User) -> None:
    browser = enter("carl")
    page = browser.post(KEYS, FORM).content.decode()
    secret = page.partition("<code>")[2].partition("</code>")[0]
    assert machine(secret).get(CHECK).status_code == 200
    assert secret not in browser.get(KEYS).content.decode()
    assert secret[:10] in browser.get(KEYS).content.decode()
    key = ApiKey.objects.get()
    assert (key.owner, key.made_by, key.scopes) == (carl, carl, ["read", "upload"])
    assert "no longer works" in browser.post(KEYS, {"revoke": key.pk}, follow=True).content.decode()
    assert machine(secret).get(CHECK).status_code == 401
    assert machine(secret).get(CHECK).json()["code"] == "key_not_valid"


@pytest.mark.parametrize("wrong", [{"name": ""}, {"scopes": []}, {"scopes": ["all"]}, {"days": "0"}, {"feeds": ["x"]}])
def test_what_is_odd_in_the_form_makes_no_key(carl: User, wrong: dict[str, Any]) -> None:
    page = enter("carl").post(KEYS, {**FORM, **wrong})
    assert (page.status_code, ApiKey.objects.count()) == (200, 0)
    assert 'class="wrong"' in page.content.decode()


def test_an_open_browser_is_not_enough_to_make_a_key(carl: User) -> None:
    answer = logged_in(carl).post(KEYS, FORM)
    assert (answer.status_code, ApiKey.objects.count()) == (302, 0)
    assert answer["Location"].startswith(reverse("account_reauthenticate"))


@pytest.mark.parametrize("chosen", ["", "x", "-1", "9" * 30, "²"])
def test_nobody_revokes_another_persons_key(carl: User, mona: User, chosen: str) -> None:
    key_of(mona)
    for one in (chosen, str(ApiKey.objects.get().pk)):
        assert logged_in(carl).post(KEYS, {"revoke": one}).status_code == 302
    assert ApiKey.objects.get().revoked_at is None


# --- in the admin -------------------------------------------------------------------------------------
def add(by: User, owner: User, **more: Any) -> Any:
    return logged_in(by).post(ADD, {"owner": str(owner.pk), **FORM, **more})


def test_a_manager_makes_a_key_for_somebody_and_revokes_it(mona: User, carl: User) -> None:
    answer = add(mona, carl)
    page = answer.content.decode()
    secret = "opm_" + page.partition("opm_")[2].partition("<")[0]
    assert machine(secret).get(CHECK).json()["username"] == "carl"
    assert "no-store" in answer["Cache-Control"]
    assert secret not in str(answer.cookies)
    key = ApiKey.objects.get()
    assert (key.owner, key.made_by) == (carl, mona)
    for address in (ADMIN, reverse("admin:accounts_apikey_change", args=[key.pk])):
        shown = logged_in(mona).get(address).content.decode()
        assert key.beginning in shown
        assert secret not in shown
        assert key.digest not in shown
    done = logged_in(mona).post(ADMIN, {"action": "revoke_selected", "_selected_action": [key.pk]}, follow=True)
    assert "Keys revoked: 1." in done.content.decode()
    assert machine(secret).get(CHECK).status_code == 401


def test_nobody_makes_or_revokes_a_key_of_who_may_do_more(mona: User, olga: User) -> None:
    assert add(mona, olga).status_code == 200
    assert not ApiKey.objects.exists()
    key_of(olga)
    chosen = [ApiKey.objects.get().pk]
    page = logged_in(mona).post(ADMIN, {"action": "revoke_selected", "_selected_action": chosen}, follow=True)
    assert "olga may do more than you" in page.content.decode()
    assert ApiKey.objects.get().revoked_at is None


def test_a_viewer_neither_sees_nor_makes_keys_of_others(vera: User, carl: User) -> None:
    assert logged_in(vera).get(ADMIN).status_code == 403
    assert add(vera, carl).status_code == 403


def test_no_list_is_searched_by_what_is_stored_of_a_key(olga: User) -> None:
    key_of(olga)
    assert logged_in(olga).get(ADMIN, {"digest__startswith": "a"}).status_code == 400


def test_keys_go_with_their_owner(mona: User, olga: User, carl: User) -> None:
    client = machine(key_of(carl))
    page = reverse("admin:accounts_user_delete", args=[carl.pk])
    assert logged_in(olga).post(page, {"post": "yes"}).status_code == 302
    assert client.get(CHECK).status_code == 401


def test_a_second_factor_that_is_due_does_not_stop_a_key(db: None, settings: Any) -> None:
    settings.SECOND_FACTOR_ROLES = ["manager"]
    mary = make_person("mary", "manager", is_staff=True, second_factor_due=timezone.now() - timedelta(days=1))
    assert APIClient().post("/login/", {"username": "mary", "password": PASSWORD}).status_code == 403
    assert machine(key_of(mary)).get(CHECK).status_code == 200


def test_a_token_needs_no_scope(carl: User) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {log_in()['access']}")
    assert client.get("/user/").status_code == 200
