"""As production serves it, but on the database of the measurement and without a proxy."""

import os
from datetime import timedelta

from config.settings.local import *  # noqa: F403
from config.settings.local import CACHES, DATABASES, SIMPLE_JWT

DEBUG = False
DATABASES["default"]["NAME"] = os.environ.get("BENCH_DATABASE") or DATABASES["default"]["NAME"]
# A kept database may have been made anew, with the versions that another one had.
CACHES["default"]["KEY_PREFIX"] = "bench_" + os.environ.setdefault("BENCH_RUN", str(os.getpid()))
ROOT_URLCONF = "bench.naive"
SIMPLE_JWT = {**SIMPLE_JWT, "ACCESS_TOKEN_LIFETIME": timedelta(hours=2)}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": True,
    "handlers": {"nowhere": {"class": "logging.NullHandler"}},
    "root": {"handlers": ["nowhere"]},
}
