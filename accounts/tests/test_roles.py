"""Roles are what the table in `accounts/roles.py` says, on every machine."""

from itertools import pairwise

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command

from accounts import roles
from accounts.checks import roles_name_real_permissions
from accounts.models import User
from accounts.roles import ROLES, Role, sync_role_groups

pytestmark = pytest.mark.django_db


def granted(group_name: str) -> set[str]:
    permissions = Permission.objects.filter(group__name=group_name).select_related("content_type")
    return {f"{permission.content_type.app_label}.{permission.codename}" for permission in permissions}


@pytest.mark.parametrize("role", ROLES.values(), ids=ROLES)
def test_migrate_gives_each_role_exactly_its_permissions(role: Role) -> None:
    assert granted(role.name) == set(role.permissions)


def test_each_role_may_do_what_the_one_before_it_may() -> None:
    table = [set(ROLES[name].permissions) for name in ("viewer", "importer", "approver", "manager")]
    assert all(lower < higher for lower, higher in pairwise(table))


def test_no_role_deletes_anything_or_edits_groups() -> None:
    everything = {name for role in ROLES.values() for name in role.permissions}
    assert not [name for name in everything if ".delete_" in name]
    assert {name for name in everything if name.startswith("auth.")} == {"auth.view_group"}


def test_a_stale_permission_is_taken_away_and_a_missing_one_given_back() -> None:
    viewer = Group.objects.get(name="viewer")
    viewer.permissions.set(Permission.objects.filter(codename="delete_user"))
    call_command("migrate", verbosity=0)
    assert granted("viewer") == set(ROLES["viewer"].permissions)


def test_other_groups_and_memberships_are_left_alone(vera: User) -> None:
    auditors = Group.objects.create(name="auditors")
    auditors.permissions.set(Permission.objects.filter(codename="view_logentry"))
    vera.groups.add(auditors)
    sync_role_groups(using="default")
    assert granted("auditors") == {"admin.view_logentry"}
    assert set(vera.groups.values_list("name", flat=True)) == {"auditors", "viewer"}


def test_every_permission_of_a_role_exists() -> None:
    assert roles_name_real_permissions() == []


def test_a_permission_that_no_model_has_is_an_error_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(roles.ROLES, "viewer", Role("viewer", "", ("catalog.veiw_product",)))
    (error,) = roles_name_real_permissions()
    assert error.id == "accounts.E001"
    assert "catalog.veiw_product" in error.msg


def test_the_check_runs_with_every_command() -> None:
    from django.core.checks.registry import registry

    checks: set[object] = set(registry.get_checks())
    assert roles_name_real_permissions in checks
