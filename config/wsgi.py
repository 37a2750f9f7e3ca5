"""The WSGI application that gunicorn and runserver serve."""

import logging
import os
import re

from django.core.wsgi import get_wsgi_application

from config.middleware import in_utf8, limit_reading, limit_waiting

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")


def hide_queries(record: logging.LogRecord) -> bool:
    """Let the development server write addresses without what follows `?`: the tokens of mails stand there."""
    if isinstance(record.args, tuple):
        record.args = tuple(re.sub(r"\?\S*", "", part) if isinstance(part, str) else part for part in record.args)
    return True


logging.getLogger("django.server").addFilter(hide_queries)
limit_waiting()
application = limit_reading(in_utf8(get_wsgi_application()))
