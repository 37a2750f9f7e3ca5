"""A word on the admin's first page when periodic tasks do not run."""

from typing import Any

from django import template
from django.template import Context

from schedule import warnings

register = template.Library()


@register.inclusion_tag("admin/schedule/_trouble.html", takes_context=True)
def job_trouble(context: Context) -> dict[str, Any]:
    """For people who may look at periodic tasks; nothing while all is well."""
    may_look = context["request"].user.has_perm("django_celery_beat.view_periodictask")
    return {"sentences": warnings.sentences() if may_look else []}
