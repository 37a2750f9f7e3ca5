"""Nobody gets at rights that they do not hold: not by the page, not by a request written by hand."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from allauth.account.models import EmailAddress
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.auth.models import Group, Permission
from django.contrib.messages import get_messages
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import LoginSession, User
from accounts.tests.conftest import PASSWORD, log_in, logged_in, make_person, post
from catalog.models import Feed, ImportRun, UploadKey
from notifications.models import Preference
from notifications.outbox import tell

LIST = reverse("admin:accounts_user_changelist")
ADD = reverse("admin:accounts_user_add")


def page(person: User, name: str = "change") -> str:
    return reverse(f"admin:accounts_user_{name}", args=[person.pk])


def password_page(person: User) -> str:
    return reverse("admin:auth_user_password_change", args=[person.pk])


def save(actor: User, person: User, **changes: object) -> Any:
    """Post the change form of `person` as a browser would, with `changes` smuggled in."""
    form: dict[str, object] = {
        "username": person.username,
        "email": person.email,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "is_active": "on",
        "groups": [group.pk for group in person.groups.all()],
        **changes,
    }
    if person.is_staff:
        form.setdefault("is_staff", "on")
    response = logged_in(actor).post(page(person), {key: value for key, value in form.items() if value is not None})
    person.refresh_from_db()
    return response


def permission(codename: str) -> Permission:
    return Permission.objects.get(codename=codename)


def group_of(name: str, *codenames: str) -> Group:
    group = Group.objects.create(name=name)
    group.permissions.set(Permission.objects.filter(codename__in=codenames))
    return group


def test_a_manager_makes_a_colleague_and_gives_a_role(mona: User) -> None:
    new = {"username": "nina", "email": "Nina@Example.com", "usable_password": "true"}
    logged_in(mona).post(ADD, {**new, "password1": PASSWORD, "password2": PASSWORD})
    nina = User.objects.get(email="nina@example.com")
    assert save(mona, nina, is_staff="on", groups=[Group.objects.get(name="approver").pk]).status_code == 302
    assert nina.has_perm("catalog.confirm_importrun")


def test_a_new_person_has_no_rights_whatever_the_form_says(mona: User) -> None:
    new = {"username": "nina", "email": "nina@example.com", "password1": PASSWORD, "password2": PASSWORD}
    smuggled = {"is_superuser": "on", "is_staff": "on", "user_permissions": [permission("delete_user").pk]}
    logged_in(mona).post(ADD, {**new, **smuggled, "groups": [Group.objects.get(name="manager").pk]})
    nina = User.objects.get(username="nina")
    assert not nina.is_superuser
    assert not nina.is_staff
    assert not nina.get_all_permissions()


@pytest.mark.parametrize("who", ["mona", "vera"])
def test_a_manager_lifts_neither_a_colleague_nor_herself(mona: User, vera: User, who: str) -> None:
    person = {"mona": mona, "vera": vera}[who]
    before = person.get_all_permissions()
    save(mona, person, is_superuser="on", user_permissions=[permission("delete_user").pk], first_name="Changed")
    assert person.first_name == "Changed"
    assert not person.is_superuser
    assert User.objects.get(pk=person.pk).get_all_permissions() == before


@pytest.mark.parametrize("who", ["mona", "vera"])
def test_nobody_gives_a_group_with_rights_they_lack(mona: User, vera: User, who: str) -> None:
    person = {"mona": mona, "vera": vera}[who]
    response = save(mona, person, groups=[group_of("cleaners", "delete_user", "view_product").pk])
    assert response.status_code == 200
    assert "Select a valid choice" in response.content.decode()
    assert not person.groups.filter(name="cleaners").exists()


def powerful(kind: str) -> User:
    """Somebody who holds what a manager lacks, in one of the ways to hold it."""
    if kind == "superuser":
        return make_person("boss", is_staff=True, is_superuser=True)
    if kind == "deactivated superuser":
        return make_person("boss", is_staff=True, is_superuser=True, is_active=False)
    boss = make_person("boss", is_staff=True, is_active=kind != "deactivated, by group")
    if kind == "by name":
        boss.user_permissions.add(permission("delete_user"))
    else:
        boss.groups.add(group_of("cleaners", "delete_user"))
    return boss


KINDS = ["superuser", "deactivated superuser", "by name", "by group", "deactivated, by group"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_manager_cannot_edit_somebody_who_holds_more(mona: User, kind: str) -> None:
    boss = powerful(kind)
    response = save(mona, boss, email="mona+boss@example.com", is_active="on", groups=None)
    assert response.status_code == 403
    assert boss.email == "boss@example.com"
    assert logged_in(mona).get(page(boss)).status_code == 200, "looking is allowed"


@pytest.mark.parametrize("kind", KINDS)
def test_a_manager_cannot_set_the_password_of_somebody_who_holds_more(mona: User, kind: str) -> None:
    boss = powerful(kind)
    new = {"password1": "taken over 123", "password2": "taken over 123", "usable_password": "true"}
    assert logged_in(mona).post(password_page(boss), new).status_code == 403
    boss.refresh_from_db()
    assert boss.check_password(PASSWORD)


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_deletes_somebody_who_holds_more(mona: User, kind: str) -> None:
    mona.user_permissions.add(permission("delete_user"))
    boss = powerful(kind)
    boss.user_permissions.add(permission("add_group"))
    assert logged_in(mona).post(page(boss, "delete"), {"post": "yes"}).status_code == 403
    bulk = {"action": "delete_selected", "_selected_action": [str(boss.pk)], "post": "yes"}
    assert logged_in(mona).post(LIST, bulk).status_code == 403
    assert User.objects.filter(pk=boss.pk).exists()


def test_a_bulk_delete_with_one_superuser_in_it_deletes_nobody(mona: User, carl: User, olga: User) -> None:
    mona.user_permissions.add(permission("delete_user"))
    chosen = {"action": "delete_selected", "_selected_action": [str(carl.pk), str(olga.pk)], "post": "yes"}
    assert logged_in(mona).post(LIST, chosen).status_code == 403
    assert User.objects.filter(pk__in=[carl.pk, olga.pk]).count() == 2


def everything_of(person: User) -> None:
    """A row in each table that can name a person."""
    log_in(person.username)
    post("/password/reset/", {"email": person.email})
    EmailAddress.objects.create(user=person, email=person.email)
    Preference.objects.create(person=person, time_zone="UTC", digested_until=timezone.now())
    tell([person], "password_changed", "x", {})
    feed = Feed.objects.create(name="Ounass", slug="ounass")
    ImportRun.objects.create(feed=feed, mode="update", file_size=1, uploaded_by=person)
    UploadKey.objects.create(user=person, key="x", fingerprint="x", status=202, answer={})
    LogEntry.objects.create(user=person, action_flag=ADDITION, object_repr="x")


@pytest.mark.parametrize("way", ["page", "list"])
def test_a_superuser_deletes_a_person_with_all_that_is_theirs(olga: User, carl: User, way: str) -> None:
    everything_of(carl)
    client = logged_in(olga)
    chosen = {"action": "delete_selected", "_selected_action": [str(carl.pk)]}
    address, form = (page(carl, "delete"), {}) if way == "page" else (LIST, chosen)
    asked = client.get(address) if way == "page" else client.post(address, form)
    assert "Login through the API" in asked.content.decode()
    assert "Are you sure" in asked.content.decode()
    assert client.post(address, {**form, "post": "yes"}).status_code == 302
    assert not User.objects.filter(pk=carl.pk).exists()
    assert not LoginSession.objects.exists()
    assert ImportRun.objects.get().uploaded_by is None


def test_nobody_deletes_a_login_with_the_right_to_delete_people(mona: User, carl: User) -> None:
    mona.user_permissions.add(permission("delete_user"))
    log_in()
    session = LoginSession.objects.get()
    delete = reverse("admin:accounts_loginsession_delete", args=[session.pk])
    assert logged_in(mona).post(delete, {"post": "yes"}).status_code == 403
    assert logged_in(mona).post(page(carl, "delete"), {"post": "yes"}).status_code == 302
    assert not LoginSession.objects.exists()


def test_a_manager_sets_a_colleagues_password(mona: User, vera: User) -> None:
    new = {"password1": "a new one for vera", "password2": "a new one for vera", "usable_password": "true"}
    assert logged_in(mona).post(password_page(vera), new).status_code == 302
    vera.refresh_from_db()
    assert vera.check_password("a new one for vera")


def test_a_manager_deletes_nobody(mona: User, carl: User) -> None:
    assert logged_in(mona).post(page(carl, "delete"), {"post": "yes"}).status_code == 403


def test_a_superuser_gives_everything(olga: User, vera: User) -> None:
    save(olga, vera, is_superuser="on", user_permissions=[permission("delete_user").pk])
    assert vera.is_superuser
    assert vera.user_permissions.get() == permission("delete_user")


def test_a_viewer_sees_no_people(vera: User) -> None:
    assert logged_in(vera).get(LIST, {"q": "olga"}).status_code == 403


def test_nobody_searches_by_password_hash(mona: User) -> None:
    assert logged_in(mona).get(LIST, {"password__startswith": "md5"}).status_code == 400


def test_who_may_only_look_at_a_person_sees_no_part_of_the_hash(mona: User, olga: User) -> None:
    text = logged_in(mona).get(page(olga)).content.decode()
    assert "olga@example.com" in text
    assert "md5" not in text
    assert olga.password.split("$")[1][:6] not in text


def test_an_unknown_person_is_not_found(olga: User) -> None:
    assert logged_in(olga).get(reverse("admin:auth_user_password_change", args=[uuid4()])).status_code == 404
    assert logged_in(olga).get(reverse("admin:auth_user_password_change", args=["nonsense"])).status_code == 404


def test_a_taken_address_is_an_error_at_its_field(olga: User, vera: User, carl: User) -> None:
    response = save(olga, vera, email=carl.email.upper())
    assert response.context["adminform"].form.errors == {"email": ["A user with that e-mail address already exists."]}


def test_a_replaced_address_no_longer_opens_the_account(olga: User, carl: User) -> None:
    EmailAddress.objects.create(user=carl, email=carl.email, verified=True, primary=True)
    save(olga, carl, email="new@example.com")
    (address,) = EmailAddress.objects.filter(user=carl)
    assert (address.email, address.verified, address.primary) == ("new@example.com", True, True)


def test_a_longer_list_asks_the_database_no_more_often(
    olga: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client = logged_in(olga)
    with CaptureQueriesContext(connection) as short:
        client.get(LIST)
    for number in range(10):
        make_person(f"person{number}", "viewer", "importer")
    with django_assert_max_num_queries(len(short)):
        client.get(LIST)


# --- what others do to an account ---------------------------------------------------------------------
def said_by(response: Any) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


def test_the_first_role_makes_somebody_staff_and_the_last_one_taken_away_ends_it(olga: User, carl: User) -> None:
    viewer = Group.objects.get(name="viewer")
    assert "carl is staff now, with a role." in said_by(save(olga, carl, groups=[viewer.pk]))
    assert carl.is_staff
    said = said_by(save(olga, carl, groups=[], is_staff="on"))
    assert "carl has no role left, and is no longer staff." in said
    assert not carl.is_staff


def test_a_superuser_stays_staff_without_a_role(olga: User, mona: User) -> None:
    User.objects.filter(pk=mona.pk).update(is_superuser=True)
    save(olga, mona, groups=[], is_staff="on", is_superuser="on")
    assert mona.is_staff


@pytest.mark.parametrize("who", ["olga", "carl"])
def test_the_owner_is_warned_of_a_password_that_is_changed_in_the_admin(
    olga: User, carl: User, worker: Callable[[], list[str]], who: str
) -> None:
    owner = {"olga": olga, "carl": carl}[who]
    new = {"usable_password": "true", "password1": "a better horse battery", "password2": "a better horse battery"}
    assert logged_in(olga).post(password_page(owner), {**new, "password2": "x"}).status_code == 200
    assert worker() == []
    assert logged_in(olga).post(password_page(owner), new).status_code == 302
    assert worker() == ["password_changed"]
    assert mail.outbox[0].to == [owner.email]
    assert ("changed by olga" in str(mail.outbox[0].body)) == (who == "carl")


def test_the_old_address_is_told_when_staff_change_it(olga: User, carl: User, worker: Callable[[], list[str]]) -> None:
    save(olga, carl, email="new@example.com")
    assert worker() == ["address_changed"]
    assert mail.outbox[0].to == ["carl@example.com"]
