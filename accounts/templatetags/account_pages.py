"""What the pages about one's own account show in their own way."""

import re
from typing import Any

from django import forms, template
from unfold.widgets import CHECKBOX_CLASSES, INPUT_CLASSES

register = template.Library()

# The first that fits: each of the later ones names itself as the earlier ones, too.
BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrom", "Chrome"), ("Safari", "Safari"))
SYSTEMS = (
    ("iPhone|iPad", "iOS"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)


@register.filter
def dressed(field: Any) -> Any:
    """The field in the admin's look."""
    is_box = isinstance(field.field.widget, forms.CheckboxInput)
    attributes = {"class": " ".join(CHECKBOX_CLASSES if is_box else INPUT_CLASSES)}
    if field.errors:
        attributes |= {"aria-invalid": "true", "aria-describedby": f"{field.auto_id}_error"}
    return field.as_widget(attrs=attributes)


@register.filter
def browser_name(user_agent: str) -> str:
    """“Firefox on Linux”, as far as the browser says."""
    browser = next((name for mark, name in BROWSERS if mark in user_agent), "")
    system = next((name for marks, name in SYSTEMS if re.search(marks, user_agent)), "")
    return " on ".join(filter(None, [browser or "A program" if user_agent else "An unnamed program", system]))


@register.simple_tag
def input_classes() -> str:
    return " ".join(INPUT_CLASSES)
