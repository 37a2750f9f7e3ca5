"""What the pages about one's own account show in their own way."""

from typing import Any

from django import forms, template
from unfold.widgets import CHECKBOX_CLASSES, INPUT_CLASSES

from accounts.history import browser_name, how_in_words

register = template.Library()
register.filter("browser_name", browser_name)
register.filter("how", how_in_words)


@register.filter
def dressed(field: Any) -> Any:
    """The field in the admin's look."""
    is_box = isinstance(field.field.widget, forms.CheckboxInput)
    attributes = {"class": " ".join(CHECKBOX_CLASSES if is_box else INPUT_CLASSES)}
    if field.errors:
        attributes |= {"aria-invalid": "true", "aria-describedby": f"{field.auto_id}_error"}
    return field.as_widget(attrs=attributes)


@register.simple_tag
def input_classes() -> str:
    return " ".join(INPUT_CLASSES)
