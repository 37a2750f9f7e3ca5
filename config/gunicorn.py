"""What gunicorn reads beside its command line: its lines are written like all others. Requests log themselves."""

import sys

from events.rendering import logging_settings

logconfig_dict = logging_settings(as_text=False) | {
    "loggers": {
        "gunicorn.error": {"handlers": [], "level": "INFO", "propagate": True},
        "gunicorn.access": {"handlers": [], "level": "CRITICAL", "propagate": False},
    }
}

# A page asks the database two dozen times, and after each answer waits until the busy threads of its process have had
# their turn: 5 ms each unless told.
sys.setswitchinterval(0.001)
