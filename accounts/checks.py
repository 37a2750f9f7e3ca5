"""A check of the roles, for `manage.py check` and every `migrate`."""

from django.apps import apps
from django.contrib.auth import get_permission_codename
from django.core.checks import CheckMessage, Error

from accounts.roles import ROLES


def roles_name_real_permissions(**_: object) -> list[CheckMessage]:
    """One error for every permission of a role that no installed model has."""
    real: set[str] = set()
    for model in apps.get_models():
        options = model._meta
        codenames = [get_permission_codename(action, options) for action in options.default_permissions]
        codenames += [codename for codename, _description in options.permissions]
        real.update(f"{options.app_label}.{codename}" for codename in codenames)
    named = {name: role for role in reversed(ROLES.values()) for name in role.permissions}
    return [
        Error(
            f"The role {role.name} has the permission {name}, which no model has.",
            hint="Correct its spelling in accounts/roles.py, or add it to the model's Meta.permissions.",
            id="accounts.E001",
        )
        for name, role in named.items()
        if name not in real
    ]
