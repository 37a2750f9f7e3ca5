"""A word on the admin's pages when mail does not get out."""

from typing import Any

from django import template
from django.conf import settings
from django.template import Context

from notifications import trouble

register = template.Library()


@register.inclusion_tag("admin/notifications/_trouble.html", takes_context=True)
def mail_trouble(context: Context) -> dict[str, Any]:
    """For people who may look at messages; nothing while all is well."""
    may_look = context["request"].user.has_perm("notifications.view_message")
    return {"sentences": trouble.sentences() if may_look else []}


@register.simple_tag
def mail_stays_here() -> bool:
    """Whether mails are only caught, as on a developer's machine."""
    return not settings.EMAIL_BACKEND.endswith(".smtp.EmailBackend")
