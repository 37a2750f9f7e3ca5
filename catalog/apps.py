from datetime import timedelta

from django.apps import AppConfig
from django.core.checks import Tags, register
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _

from schedule.jobs import Job


class CatalogConfig(AppConfig):
    """Products, the feeds they come from, and the imports that change them."""

    name = "catalog"
    verbose_name = _("Catalogue")
    jobs = (
        Job(
            "catalog.sweep",
            "Take up interrupted imports",
            "Enqueues imports again that wait while no worker has claimed them.",
            every=timedelta(minutes=1),
        ),
        Job(
            "catalog.deliver_webhooks",
            "Send waiting webhooks",
            "Sends what has to be tried again, and what no worker was asked to send.",
            every=timedelta(minutes=1),
        ),
        Job(
            "catalog.forget_old",
            "Forget what is old",
            "Deletes old files, exports, invalid items and plans, and what killed processes left.",
        ),
    )

    def ready(self) -> None:
        from accounts import keys
        from catalog.connections import end_idle_transactions
        from catalog.exports import notices as export_notices
        from catalog.fetching import notices as fetch_notices
        from catalog.fetching.credentials import check_keys
        from catalog.imports import notices
        from catalog.imports.reports import digest
        from catalog.models import Feed, Market
        from notifications import digests, subscriptions

        subscriptions.register_kinds(*notices.KINDS, *fetch_notices.KINDS, *export_notices.KINDS)
        digests.register_source(digest.find_failures, notices.PERMISSION)
        digests.register_source(fetch_notices.find_fetch_failures, notices.PERMISSION)
        keys.offer_feeds(lambda: list(Feed.objects.order_by("name").values_list("slug", "name")))
        register(check_keys, Tags.security, deploy=True)
        end_idle_transactions()
        # Also when every table is emptied, which takes the market that the migration made.
        post_migrate.connect(Market.ensure_default, sender=self, dispatch_uid="catalog.markets")
