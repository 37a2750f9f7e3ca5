"""A warning on the admin's first page while periodic tasks do not run."""

from typing import Any

from django import template
from django.template import Context

from schedule.warnings import schedule_warnings

register = template.Library()


@register.inclusion_tag("admin/schedule/_warnings.html", takes_context=True)
def job_warnings(context: Context) -> dict[str, Any]:
    """For people who may look at periodic tasks; nothing while all is well."""
    may_look = context["request"].user.has_perm("django_celery_beat.view_periodictask")
    return {"warnings": schedule_warnings() if may_look else []}
