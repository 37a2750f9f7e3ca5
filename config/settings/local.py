"""A checkout on somebody's machine: servers of its own, readable errors, no secrets to configure."""

from celery import signals

import devservers
from config.mail import mail_settings
from config.settings.base import *  # noqa: F403
from config.settings.base import CACHES, DATABASES, FEED_CREDENTIAL_KEYS, REDIS_URL, SIMPLE_JWT, broker_url, env
from events.rendering import logging_settings

DEBUG = True
SECRET_KEY = env.str("DJANGO_SECRET_KEY", default="only-for-a-checkout-production-refuses-to-start-without-its-own")
SIMPLE_JWT = {
    **SIMPLE_JWT,
    "SIGNING_KEY": env.str(
        "JWT_SIGNING_KEY", default="only-for-a-checkout-production-refuses-to-sign-tokens-without-a-key-of-its-own"
    ),
}
FEED_CREDENTIAL_KEYS = FEED_CREDENTIAL_KEYS or [
    "only-for-a-checkout-production-encrypts-credentials-with-a-key-of-its-own"
]
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
LOGGING = logging_settings(as_text=True)
ADMIN_PASSWORD_FILE = devservers.STATE / "admin-password"  # so that a second start can still say how to log in

# --- servers --------------------------------------------------------------------------------------
if not env.str("DATABASE_URL", default=""):
    DATABASES["default"] |= devservers.database()
if not REDIS_URL:
    REDIS_URL = devservers.redis_url()
    CACHES["default"]["LOCATION"] = REDIS_URL
    CELERY_BROKER_URL = broker_url(REDIS_URL)
if not env.str("EMAIL_URL", default=""):  # then no mail leaves the machine
    globals().update(mail_settings((devservers.STATE / "mail").as_uri()))


@signals.celeryd_init.connect
@signals.beat_init.connect
def start_servers(**_: object) -> None:
    """Have the database and the broker up for a worker or a beat that is started by hand."""
    devservers.ensure()
