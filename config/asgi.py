"""The ASGI application, for servers that speak it."""

import os

from django.core.asgi import get_asgi_application

from config import embedded
from config.middleware import limit_waiting

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")
embedded.ensure()
limit_waiting()
application = get_asgi_application()
