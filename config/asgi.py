"""The ASGI application, for servers that speak it."""

import os

from django.core.asgi import get_asgi_application

from config import embedded

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")
embedded.ensure()
application = get_asgi_application()
