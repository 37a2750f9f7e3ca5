"""What people may do, as data. `migrate` keeps one group per role equal to this table."""

from dataclasses import dataclass

from django.apps import apps as installed_apps
from django.apps.registry import Apps


@dataclass(frozen=True)
class Role:
    """A group of this name; permissions are spelled "app.codename", so that no other app is imported."""

    name: str
    description: str
    permissions: tuple[str, ...]


VIEWER = Role(
    "viewer",
    "Looks at products, feeds, imports and what they changed, and exports products.",
    (
        "catalog.view_product",
        "catalog.export_product",
        "catalog.view_feed",
        "catalog.view_market",
        "catalog.view_importrun",
        "catalog.view_change",
    ),
)
IMPORTER = Role(
    "importer",
    "Uploads feeds and discards imports, and does what a viewer may do.",
    (*VIEWER.permissions, "catalog.add_importrun", "catalog.discard_importrun"),
)
APPROVER = Role(
    "approver",
    "Confirms and undoes imports, and does what an importer may do.",
    (*IMPORTER.permissions, "catalog.confirm_importrun", "catalog.undo_importrun"),
)
MANAGER = Role(
    "manager",
    "Manages products, feeds, webhooks, people, schedules and messages, and does what an approver may do.",
    (
        *APPROVER.permissions,
        "catalog.change_product",
        "catalog.add_feed",
        "catalog.change_feed",
        "catalog.add_market",
        "catalog.change_market",
        "catalog.view_webhook",
        "catalog.add_webhook",
        "catalog.change_webhook",
        "accounts.view_user",
        "accounts.add_user",
        "accounts.change_user",
        "accounts.view_invitation",
        "accounts.add_invitation",
        "accounts.view_loginsession",
        "accounts.change_loginsession",
        "accounts.view_loginrecord",
        "accounts.view_apikey",
        "accounts.add_apikey",
        "accounts.change_apikey",
        "auth.view_group",
        "notifications.view_message",
        "notifications.resend_message",
        "django_celery_beat.view_periodictask",
        "django_celery_beat.change_periodictask",
        "django_celery_beat.view_crontabschedule",
        "django_celery_beat.view_intervalschedule",
    ),
)
ROLES = {role.name: role for role in (VIEWER, IMPORTER, APPROVER, MANAGER)}


def description_of(group_name: str) -> str:
    """What the role is for; `""` for a group that is not a role."""
    return ROLES[group_name].description if group_name in ROLES else ""


def sync_role_groups(*, using: str, apps: Apps = installed_apps, **_signal: object) -> None:
    """Give each role's group exactly the role's permissions. Other groups and everybody's memberships stay.

    A permission whose app is not migrated yet is given by the migrate that creates it; a permission that no model has
    is an error of `manage.py check`.
    """
    try:
        group_model = apps.get_model("auth", "Group")
    except LookupError:  # migrated to a state before groups existed
        return
    permissions = apps.get_model("auth", "Permission").objects.using(using).select_related("content_type")
    existing = {f"{permission.content_type.app_label}.{permission.codename}": permission for permission in permissions}
    for role in ROLES.values():
        group, _ = group_model.objects.using(using).get_or_create(name=role.name)
        group.permissions.set(existing[name] for name in role.permissions if name in existing)
