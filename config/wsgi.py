"""The WSGI application that gunicorn and runserver serve."""

import os

from django.core.wsgi import get_wsgi_application

from config.middleware import in_utf8, limit_reading, limit_waiting

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

limit_waiting()
application = limit_reading(in_utf8(get_wsgi_application()))
