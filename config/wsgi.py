"""The WSGI application that gunicorn and runserver serve."""

import os

from django.core.wsgi import get_wsgi_application

from config import embedded

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")
embedded.ensure()
application = get_wsgi_application()
