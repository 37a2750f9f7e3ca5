"""A checkout on somebody's machine: readable errors, no secrets to configure."""

import devservers
from config.settings.base import *  # noqa: F403
from config.settings.base import SIMPLE_JWT, env

DEBUG = True
SECRET_KEY = env.str("DJANGO_SECRET_KEY", default="only-for-a-checkout-production-refuses-to-start-without-its-own")
SIMPLE_JWT = {
    **SIMPLE_JWT,
    "SIGNING_KEY": env.str(
        "JWT_SIGNING_KEY", default="only-for-a-checkout-production-refuses-to-sign-tokens-without-a-key-of-its-own"
    ),
}
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
ADMIN_PASSWORD_FILE = devservers.STATE / "admin-password"  # so that a second start can still say how to log in
