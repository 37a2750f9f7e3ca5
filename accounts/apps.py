from datetime import timedelta

from django.apps import AppConfig, apps
from django.core import checks
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _

from schedule.jobs import Job


class AccountsConfig(AppConfig):
    """People and what they may do. Knows no other app but `notifications` and `schedule`."""

    name = "accounts"
    verbose_name = _("People")
    jobs = (
        Job(
            "accounts.forget_old_logins",
            "Forget old API logins",
            "Deletes the logins through the API that nobody can refresh any more, and old lines of the login history.",
            every=timedelta(days=1),
        ),
        Job(
            "accounts.forget_old_sessions",
            "Forget old sessions",
            "Deletes the sessions of browsers whose time is over.",
        ),
    )

    def ready(self) -> None:
        import accounts.api.schema
        import accounts.signals  # noqa: F401
        from accounts.checks import roles_name_real_permissions
        from accounts.mails import register_mails
        from accounts.roles import sync_role_groups

        register_mails()
        checks.register(roles_name_real_permissions)
        # post_migrate is sent for each app in turn; after the last one all permissions exist.
        last = [config for config in apps.get_app_configs() if config.models_module][-1]
        post_migrate.connect(sync_role_groups, sender=last, dispatch_uid="accounts.roles")
