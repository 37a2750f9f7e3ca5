"""The WSGI application that gunicorn and runserver serve."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")
django_application = get_wsgi_application()

# These need the models, which the line above loads. runserver has loaded them before; gunicorn has not.
# The addresses are loaded now, and not while the first request waits.
import config.urls  # noqa: E402, F401
from config.latency import start_sending  # noqa: E402
from config.middleware import in_utf8, limit_reading, limit_waiting  # noqa: E402
from events.telemetry import report_errors  # noqa: E402

limit_waiting()
start_sending()
report_errors()
application = limit_reading(in_utf8(django_application))
