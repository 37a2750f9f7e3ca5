"""What the admin's pages say of messages."""

from typing import Any

from django import template
from django.conf import settings
from django.db.models import Model
from django.template import Context

from notifications import warnings
from notifications.outbox import named

register = template.Library()


@register.inclusion_tag("admin/notifications/_trouble.html", takes_context=True)
def mail_trouble(context: Context) -> dict[str, Any]:
    """For people who may look at messages; nothing while all is well."""
    may_look = context["request"].user.has_perm("notifications.view_message")
    return {"sentences": warnings.sentences() if may_look else []}


@register.inclusion_tag("admin/notifications/_about.html", takes_context=True)
def mails_about(context: Context, thing: Model) -> dict[str, Any]:
    """The way to what people were told about the thing, for those who may look at messages."""
    return {"about": named(thing), "may_look": context["request"].user.has_perm("notifications.view_message")}


@register.simple_tag
def mail_stays_here() -> bool:
    """Whether mails are only caught, as on a developer's machine."""
    return not settings.EMAIL_BACKEND.endswith(".smtp.EmailBackend")
