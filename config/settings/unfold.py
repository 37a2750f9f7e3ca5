"""The look and the navigation of the admin."""

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse, reverse_lazy
from django.utils.translation import gettext_lazy as _


def _is_below(page: str, request: HttpRequest) -> bool:
    return request.path.startswith(reverse(page))


UNFOLD = {
    "SITE_TITLE": _("Ounass Product Management"),
    "SITE_HEADER": _("Ounass"),
    "SITE_SUBHEADER": _("Product management"),
    "SITE_SYMBOL": "diamond",
    "SITE_URL": None,  # the admin is the site
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "BORDER_RADIUS": "6px",
    "DASHBOARD_CALLBACK": "catalog.admin.dashboard.dashboard",
    "STYLES": [lambda request: static("catalog/admin.css")],
    "SCRIPTS": [lambda request: static("catalog/admin.js")],
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("catalog/favicon.svg")},
    ],
    # In the menu of each person's own name.
    "ACCOUNT": {
        "navigation": [
            {"title": _("My account"), "link": reverse_lazy("account_home")},
            {"title": _("My e-mails"), "link": reverse_lazy("my-mail")},
            {"title": _("Change password"), "link": reverse_lazy("account_change_password")},
        ]
    },
    "SIDEBAR": {
        "show_search": True,
        "command_search": True,
        "show_all_applications": False,
        "navigation": [
            {
                "title": _("Catalogue"),
                "items": [
                    {
                        "title": _("Products"),
                        "icon": "inventory_2",
                        "link": reverse_lazy("admin:catalog_product_changelist"),
                        "permission": lambda request: request.user.has_perm("catalog.view_product"),
                    },
                    {
                        "title": _("My exports"),
                        "icon": "download",
                        "link": reverse_lazy("admin:catalog_export_changelist"),
                        "permission": lambda request: request.user.has_perm("catalog.export_product"),
                    },
                    {
                        "title": _("Imports"),
                        "icon": "fact_check",
                        "badge": "catalog.admin.dashboard.count_waiting",
                        "badge_variant": "warning",
                        "link": reverse_lazy("admin:catalog_importrun_changelist"),
                        # Else it would be lit on the reference too, whose address is below its own.
                        "active": lambda request: (
                            _is_below("admin:catalog_refusedfile_changelist", request)
                            or (
                                _is_below("admin:catalog_importrun_changelist", request)
                                and not _is_below("admin:catalog_reference", request)
                            )
                        ),
                        "permission": lambda request: request.user.has_perm("catalog.view_importrun"),
                    },
                    {
                        "title": _("Feeds"),
                        "icon": "rss_feed",
                        "link": reverse_lazy("admin:catalog_feed_changelist"),
                        "permission": lambda request: request.user.has_perm("catalog.view_feed"),
                    },
                    {
                        "title": _("Markets"),
                        "icon": "public",
                        "link": reverse_lazy("admin:catalog_market_changelist"),
                        "permission": "catalog.chosen_market.are_markets_listed",
                    },
                    {
                        "title": _("Reference"),
                        "icon": "menu_book",
                        "link": reverse_lazy("admin:catalog_reference"),
                        "permission": lambda request: request.user.has_perm("catalog.view_importrun"),
                    },
                ],
            },
            {
                "title": _("People"),
                "collapsible": True,
                "items": [
                    {
                        "title": _("Users"),
                        "icon": "person",
                        "link": reverse_lazy("admin:accounts_user_changelist"),
                        "permission": lambda request: request.user.has_perm("accounts.view_user"),
                    },
                    {
                        "title": _("Invitations"),
                        "icon": "forward_to_inbox",
                        "link": reverse_lazy("admin:accounts_invitation_changelist"),
                        "permission": lambda request: request.user.has_perm("accounts.view_invitation"),
                    },
                    {
                        "title": _("API logins"),
                        "icon": "key",
                        "link": reverse_lazy("admin:accounts_loginsession_changelist"),
                        "permission": lambda request: request.user.has_perm("accounts.view_loginsession"),
                    },
                    {
                        "title": _("Login history"),
                        "icon": "history",
                        "link": reverse_lazy("admin:accounts_loginrecord_changelist"),
                        "permission": lambda request: request.user.has_perm("accounts.view_loginrecord"),
                    },
                    {
                        "title": _("API keys"),
                        "icon": "vpn_key",
                        "link": reverse_lazy("admin:accounts_apikey_changelist"),
                        "permission": lambda request: request.user.has_perm("accounts.view_apikey"),
                    },
                    {
                        "title": _("Roles"),
                        "icon": "group",
                        "link": reverse_lazy("admin:accounts_rolegroup_changelist"),
                        "permission": lambda request: request.user.has_perm("auth.view_group"),
                    },
                ],
            },
            {
                "title": _("Mail"),
                "collapsible": True,
                "items": [
                    {"title": _("My e-mails"), "icon": "notifications", "link": reverse_lazy("my-mail")},
                    {
                        "title": _("Messages"),
                        "icon": "mail",
                        "link": reverse_lazy("admin:notifications_message_changelist"),
                        "permission": lambda request: request.user.has_perm("notifications.view_message"),
                    },
                ],
            },
            {
                "title": _("Webhooks"),
                "collapsible": True,
                "items": [
                    {
                        "title": _("Webhooks"),
                        "icon": "webhook",
                        "link": reverse_lazy("admin:catalog_webhook_changelist"),
                        "permission": lambda request: request.user.has_perm("catalog.view_webhook"),
                    },
                    {
                        "title": _("Deliveries"),
                        "icon": "outbox",
                        "link": reverse_lazy("admin:catalog_webhookdelivery_changelist"),
                        "permission": lambda request: request.user.has_perm("catalog.view_webhook"),
                    },
                ],
            },
            {
                "title": _("Schedule"),
                "collapsible": True,
                "items": [
                    {
                        "title": _("Periodic tasks"),
                        "icon": "schedule",
                        "link": reverse_lazy("admin:django_celery_beat_periodictask_changelist"),
                        "permission": lambda request: request.user.has_perm("django_celery_beat.view_periodictask"),
                    },
                    {
                        "title": _("Crontabs"),
                        "icon": "calendar_month",
                        "link": reverse_lazy("admin:django_celery_beat_crontabschedule_changelist"),
                        "permission": lambda request: request.user.has_perm("django_celery_beat.view_crontabschedule"),
                    },
                    {
                        "title": _("Intervals"),
                        "icon": "timer",
                        "link": reverse_lazy("admin:django_celery_beat_intervalschedule_changelist"),
                        "permission": lambda request: request.user.has_perm("django_celery_beat.view_intervalschedule"),
                    },
                ],
            },
        ],
    },
}
