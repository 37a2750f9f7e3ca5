"""What the admin's pages show about messages."""

from typing import Any

from django import template
from django.conf import settings
from django.db.models import Model
from django.template import Context

from notifications.outbox import about_key
from notifications.warnings import mail_warnings as warnings_about_mail

register = template.Library()


@register.inclusion_tag("admin/notifications/_warnings.html", takes_context=True)
def mail_warnings(context: Context) -> dict[str, Any]:
    """For people who may look at messages; nothing while all is well."""
    may_look = context["request"].user.has_perm("notifications.view_message")
    return {"warnings": warnings_about_mail() if may_look else []}


@register.inclusion_tag("admin/notifications/_about.html", takes_context=True)
def mails_about(context: Context, thing: Model) -> dict[str, Any]:
    """A link to the messages about the thing, for people who may look at messages."""
    return {"about": about_key(thing), "may_look": context["request"].user.has_perm("notifications.view_message")}


@register.simple_tag
def mail_stays_here() -> bool:
    """Whether mails stay on this machine, as in a checkout."""
    return not settings.EMAIL_BACKEND.endswith(".smtp.EmailBackend")
