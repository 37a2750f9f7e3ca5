"""What gunicorn reads beside its command line: its lines are written like all others. Requests log themselves."""

from events.rendering import logging_settings

logconfig_dict = logging_settings(as_text=False) | {
    "loggers": {
        "gunicorn.error": {"handlers": [], "level": "INFO", "propagate": True},
        "gunicorn.access": {"handlers": [], "level": "CRITICAL", "propagate": False},
    }
}
