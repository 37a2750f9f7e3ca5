"""Invitations: who may invite whom, and what a link is good for."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import time_machine
from allauth.account.models import EmailAddress
from django.contrib.auth.models import Group, Permission
from django.core import mail
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.invitations import InvitationRefused, accept, invite, resend, withdraw
from accounts.models import Invitation, User
from accounts.tests.conftest import PASSWORD, log_in, logged_in, make_person
from accounts.tests.test_pages import enter, link_in_mail, text
from catalog.tests.factories import at_once
from notifications.models import Message
from notifications.rendering import HIDDEN

Worker = Callable[[], list[str]]
LIST = reverse("admin:accounts_invitation_changelist")
ADD = reverse("admin:accounts_invitation_add")
DORA = {"username": "dora", "first_name": "Dora", "password1": PASSWORD, "password2": PASSWORD}
NOT_WORKING = "This invitation does not work"


def role(name: str) -> Group:
    return Group.objects.get(name=name)


def add(actor: User, role_name: str = "viewer", email: str = "Dora@Example.com") -> Any:
    return logged_in(actor).post(ADD, {"email": email, "role": role(role_name).pk}, follow=True)


def act(actor: User, action: str) -> str:
    chosen = [str(pk) for pk in Invitation.objects.values_list("pk", flat=True)]
    return text(logged_in(actor).post(LIST, {"action": action, "_selected_action": chosen}, follow=True))


@pytest.fixture
def link(mona: User, worker: Worker) -> str:
    invite("dora@example.com", role("approver"), by=mona)
    worker()
    return link_in_mail()


def test_a_manager_invites_and_the_link_lets_in(mona: User, worker: Worker, settings: Any) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION, settings.ACCOUNT_SIGNUP_OPEN = "mandatory", False
    assert "An invitation goes to dora@example.com." in text(add(mona, "approver"))
    assert worker() == ["invitation"]
    assert mail.outbox[0].to == ["dora@example.com"]
    client = Client()
    page = text(client.get(link_in_mail()))
    assert "mona invites dora@example.com as <strong>approver</strong>" in page
    assert client.post(link_in_mail(), DORA)["Location"] == reverse("admin:index")
    assert client.get(reverse("admin:index")).status_code == 200
    dora = User.objects.get(username="dora")
    assert (dora.email, dora.is_staff, dora.is_superuser) == ("dora@example.com", True, False)
    assert [group.name for group in dora.groups.all()] == ["approver"]
    assert EmailAddress.objects.get(user=dora).verified
    enter("dora")
    log_in("dora")
    assert "accepted" in text(logged_in(mona).get(LIST))


def test_a_link_works_once(link: str) -> None:
    assert Client().post(link, DORA).status_code == 302
    for answer in (Client().get(link), Client().post(link, {**DORA, "username": "thief"})):
        assert answer.status_code == 404
        assert NOT_WORKING in text(answer)
    assert not User.objects.filter(username="thief").exists()


def test_a_link_works_for_seven_days(link: str) -> None:
    with time_machine.travel(timezone.localtime() + timedelta(days=6, hours=23)):
        assert Client().get(link).status_code == 200
    with time_machine.travel(timezone.localtime() + timedelta(days=7, minutes=1)):
        assert Client().get(link).status_code == 404


@pytest.mark.parametrize("change", ["", "x", ":"])
def test_a_made_up_link_does_not_work(link: str, change: str) -> None:
    assert Client().get(link[:-4] + change).status_code == 404


def test_sent_again_only_the_newest_link_works(mona: User, link: str, worker: Worker) -> None:
    assert "Invitations sent again: 1." in act(mona, "send_again")
    worker()
    assert link_in_mail() != link
    assert Client().get(link).status_code == 404
    assert Client().get(link_in_mail()).status_code == 200


def test_a_withdrawn_invitation_lets_nobody_in_and_its_mail_is_not_sent(mona: User, worker: Worker) -> None:
    invitation = invite("dora@example.com", role("viewer"), by=mona)
    assert "Invitations withdrawn: 1." in act(mona, "withdraw_selected")
    assert worker() == []
    assert "was accepted or withdrawn before" in act(mona, "send_again")
    with pytest.raises(InvitationRefused):
        withdraw(invitation, by=mona)


def test_an_expired_invitation_can_be_sent_again_or_replaced(mona: User, link: str, worker: Worker) -> None:
    Invitation.objects.update(expires_at=timezone.now())
    assert "expired" in text(logged_in(mona).get(LIST))
    assert Client().get(link).status_code == 404
    act(mona, "send_again")
    worker()
    assert Client().get(link_in_mail()).status_code == 200
    Invitation.objects.update(expires_at=timezone.now())
    assert "An invitation goes to" in text(add(mona))
    assert Invitation.objects.open().count() == 1


# --- who may ------------------------------------------------------------------------------------------
def test_nobody_invites_above_themselves(mona: User, olga: User) -> None:
    above = Group.objects.create(name="owners")
    above.permissions.set(Permission.objects.filter(codename="delete_user"))
    assert "Select a valid choice" in text(add(mona, "owners"))
    with pytest.raises(PermissionDenied):
        invite("dora@example.com", above, by=mona)
    invitation = invite("dora@example.com", above, by=olga)
    for action in ("send_again", "withdraw_selected"):
        assert "gives more than you may do" in act(mona, action)
    with pytest.raises(InvitationRefused):
        resend(invitation, by=mona)
    assert Invitation.objects.open().count() == 1


@pytest.mark.parametrize("name", ["viewer", "importer", "approver"])
def test_who_is_no_manager_invites_nobody(db: None, name: str) -> None:
    person = make_person("vera", name, is_staff=True)
    assert logged_in(person).get(LIST).status_code == logged_in(person).get(ADD).status_code == 403
    assert add(person).status_code == 403
    with pytest.raises(PermissionDenied):
        invite("dora@example.com", role("viewer"), by=person)


@pytest.mark.parametrize("loss", [{"is_active": False}, {"is_staff": False}, "role"])
def test_a_link_of_somebody_who_lost_the_right_does_not_work(mona: User, link: str, loss: Any) -> None:
    if loss == "role":
        mona.groups.set([role("approver")])
    else:
        User.objects.filter(pk=mona.pk).update(**loss)
    assert Client().get(link).status_code == Client().post(link, DORA).status_code == 404
    assert not User.objects.filter(username="dora").exists()


def test_an_address_is_invited_once_and_not_if_somebody_has_it(mona: User, carl: User) -> None:
    assert "carl has this address already." in text(add(mona, email="carl@example.com"))
    add(mona)
    assert "An invitation to this address is open." in text(add(mona))
    assert Invitation.objects.count() == 1


# --- accepting ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"username": "MONA"}, "A user with that username already exists."),
        ({"username": "mona@example.com"}, "A username with an @ must be"),
        ({"password2": "another horse battery"}, "The two passwords are not the same."),
        ({"password1": "short", "password2": "short"}, "This password is too short."),
    ],
)
def test_what_is_wrong_is_said_and_the_link_still_works(link: str, changed: dict[str, str], sentence: str) -> None:
    assert sentence in text(Client().post(link, {**DORA, **changed}))
    assert Client().post(link, DORA).status_code == 302


def test_an_address_that_somebody_took_meanwhile_is_said(link: str) -> None:
    make_person("dora")
    assert "A user with that e-mail address already exists." in text(Client().post(link, {**DORA, "username": "d"}))


def test_a_second_click_makes_no_second_account(link: str) -> None:
    key = link.partition("key=")[2]
    accept(key, username="dora", password=PASSWORD)
    with pytest.raises(InvitationRefused):
        accept(key, username="dora2", password=PASSWORD)


def test_whoever_is_logged_in_is_asked_to_log_out_first(carl: User, link: str) -> None:
    client = enter("carl")
    assert "You are logged in as carl." in text(client.get(link))
    client.post(link, DORA)
    assert not User.objects.filter(username="dora").exists()


def test_no_row_and_no_page_has_the_link(mona: User, olga: User, link: str) -> None:
    key = link.partition("key=")[2]
    message = Message.objects.get()
    assert key not in message.text + message.html + message.about
    assert HIDDEN in message.text
    page = reverse("admin:notifications_message_change", args=[message.pk])
    assert key not in logged_in(olga).get(page).content.decode()


@pytest.mark.django_db(transaction=True)
def test_two_who_invite_the_same_address_at_once_make_one_invitation() -> None:
    people = [make_person(name, "manager", is_staff=True) for name in ("mona", "olga")]
    made = at_once(*(partial(invite, "new@example.com", role("viewer"), by=person) for person in people))
    assert [invitation.pk for invitation in made] == [Invitation.objects.get().pk] * 2
