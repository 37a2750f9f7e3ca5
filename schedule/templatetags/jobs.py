"""A warning on the admin's first page while periodic tasks do not run."""

from typing import Any

from django import template
from django.template import Context

from schedule.healing import missing_jobs
from schedule.warnings import schedule_warnings

register = template.Library()


@register.inclusion_tag("admin/schedule/_warnings.html", takes_context=True)
def job_warnings(context: Context) -> dict[str, Any]:
    """For people who may look at periodic tasks; nothing while all is well. Those who may change them restore some."""
    person = context["request"].user
    if not person.has_perm("django_celery_beat.view_periodictask"):
        return {}
    may_restore = person.has_perm("django_celery_beat.change_periodictask") and bool(missing_jobs())
    return {"warnings": schedule_warnings(), "may_restore": may_restore, "csrf_token": context["csrf_token"]}
