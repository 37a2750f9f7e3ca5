"""What every e-mail's templates need."""

from django import template

from notifications.rendering import HIDDEN
from notifications.subscriptions import stop_url

register = template.Library()


@register.simple_tag
def stop_link() -> str:
    """The address where the recipient stops these mails. Its token is filled in when the mail is sent."""
    return stop_url(HIDDEN)


@register.filter
def duration(seconds: float) -> str:
    """“0.4 s”, “12 s”, “3 min 5 s”, “2 h 10 min”."""
    if seconds < 1:
        return f"{max(seconds, 0.1):.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
