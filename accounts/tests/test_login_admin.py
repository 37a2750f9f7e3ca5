"""Logins through the API, as staff see and end them."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from accounts.models import LoginSession, User
from accounts.tests.conftest import check, log_in, logged_in, make_person, post

LIST = reverse("admin:accounts_loginsession_changelist")


def end_all(actor: User) -> Any:
    chosen = [str(session.pk) for session in LoginSession.objects.all()]
    return logged_in(actor).post(LIST, {"action": "end_logins", "_selected_action": chosen}, follow=True)


def test_a_manager_ends_a_login_at_once(mona: User, carl: User) -> None:
    tokens = log_in()
    assert "Logins ended: 1." in end_all(mona).content.decode()
    assert check(tokens["access"]) == 401
    assert post("/token/refresh/", {"refresh": tokens["refresh"]}).status_code == 401


def test_nobody_ends_the_logins_of_who_may_do_more(mona: User, carl: User, olga: User) -> None:
    mine, hers = log_in(), log_in("olga")
    assert "olga may do more than you" in end_all(mona).content.decode()
    assert check(mine["access"]) == check(hers["access"]) == 200


def test_who_may_only_look_ends_nothing(vera: User, carl: User) -> None:
    vera.user_permissions.add(Permission.objects.get(codename="view_loginsession"))
    token = log_in()["access"]
    page = end_all(vera)
    assert "carl" in page.content.decode()
    assert check(token) == 200


def test_a_viewer_does_not_see_them(vera: User) -> None:
    assert logged_in(vera).get(LIST).status_code == 403


@pytest.mark.parametrize("who", ["mona", "olga"])
def test_nobody_makes_changes_or_deletes_a_login_by_hand(mona: User, olga: User, carl: User, who: str) -> None:
    actor = {"mona": mona, "olga": olga}[who]
    log_in()
    session = LoginSession.objects.get()
    client = logged_in(actor)
    page = reverse("admin:accounts_loginsession_change", args=[session.pk])
    assert client.get(page).status_code == 200
    assert client.post(page, {"user": str(actor.pk)}).status_code == 403
    assert (
        client.post(reverse("admin:accounts_loginsession_delete", args=[session.pk]), {"post": "yes"}).status_code
        == 403
    )
    assert client.get(reverse("admin:accounts_loginsession_add")).status_code == 403


def test_no_page_shows_what_a_token_is_made_of(olga: User, carl: User) -> None:
    log_in()
    session = LoginSession.objects.get()
    page = reverse("admin:accounts_loginsession_change", args=[session.pk])
    text = logged_in(olga).get(page).content.decode()
    assert session.refresh_id not in text
    assert session.auth_hash not in text


def test_a_person_is_found_by_name_or_address(olga: User, carl: User) -> None:
    make_person("dora")
    log_in("carl")
    log_in("dora")
    (found,) = logged_in(olga).get(LIST, {"q": "carl@example.com"}).context["cl"].queryset
    assert found.user == carl


def test_a_persons_page_leads_to_their_logins(mona: User, carl: User) -> None:
    make_person("dora")
    log_in("carl")
    log_in("dora")
    client = logged_in(mona)
    page = client.get(reverse("admin:accounts_user_change", args=[carl.pk])).content.decode()
    address = f"{LIST}?user__id__exact={carl.pk}"
    assert f'href="{address}">1 open' in page
    (found,) = client.get(address).context["cl"].queryset
    assert found.user == carl
