"""Groups decide what others may do: superusers keep them, the code keeps the roles."""

import pytest
from django.contrib.auth.models import Group, Permission
from django.urls import reverse

from accounts.models import User
from accounts.roles import ROLES
from accounts.tests.conftest import logged_in

LIST = reverse("admin:accounts_rolegroup_changelist")
ADD = reverse("admin:accounts_rolegroup_add")


def page(group: Group, name: str = "change") -> str:
    return reverse(f"admin:accounts_rolegroup_{name}", args=[group.pk])


@pytest.fixture
def gina(vera: User) -> User:
    """Vera, with every right over groups that Django knows."""
    vera.user_permissions.set(Permission.objects.filter(content_type__model="group"))
    return vera


def test_a_role_says_what_it_may_do_and_where_that_stands(olga: User) -> None:
    text = logged_in(olga).get(page(Group.objects.get(name="approver"))).content.decode()
    assert ROLES["approver"].description in text
    assert "accounts/roles.py" in text
    assert "Can confirm an import" in text


def test_a_role_is_not_edited_even_by_a_superuser(olga: User) -> None:
    viewer = Group.objects.get(name="viewer")
    everything = {"name": "viewer", "permissions": list(Permission.objects.values_list("pk", flat=True))}
    assert logged_in(olga).post(page(viewer), everything).status_code == 403
    assert viewer.permissions.count() == len(ROLES["viewer"].permissions)


def test_a_role_is_not_deleted_even_by_a_superuser(olga: User) -> None:
    viewer = Group.objects.get(name="viewer")
    assert logged_in(olga).post(page(viewer, "delete"), {"post": "yes"}).status_code == 403
    bulk = {"action": "delete_selected", "_selected_action": [str(viewer.pk)], "post": "yes"}
    assert logged_in(olga).post(LIST, bulk).status_code == 403
    assert Group.objects.filter(name="viewer").exists()


def test_a_superuser_keeps_other_groups(olga: User) -> None:
    look = Permission.objects.get(codename="view_logentry")
    assert logged_in(olga).post(ADD, {"name": "auditors", "permissions": [look.pk]}).status_code == 302
    assert list(Group.objects.get(name="auditors").permissions.all()) == [look]


def test_nobody_else_edits_a_group_and_so_their_own_rights(gina: User) -> None:
    own = Group.objects.create(name="auditors")
    gina.groups.add(own)
    everything = {"name": "auditors", "permissions": list(Permission.objects.values_list("pk", flat=True))}
    client = logged_in(gina)
    assert client.post(page(own), everything).status_code == 403
    assert client.post(ADD, {**everything, "name": "new"}).status_code == 403
    assert client.post(page(own, "delete"), {"post": "yes"}).status_code == 403
    assert not own.permissions.exists()


def test_a_manager_sees_the_roles(mona: User) -> None:
    client = logged_in(mona)
    assert "approver" in client.get(LIST).content.decode()
    assert client.get(page(Group.objects.get(name="approver"))).status_code == 200


def test_the_list_counts_members(mona: User, vera: User, olga: User) -> None:
    row = logged_in(olga).get(LIST).context["cl"].queryset.get(name="viewer")
    assert row.members == 1
