"""A checkout of its own, in the folder that EMBEDDED_DIR names, with the mail server that EMAIL_URL names."""

import devservers
from config.settings.local import *  # noqa: F403
from config.settings.local import LOGGING

DEBUG = False
MEDIA_ROOT = devservers.STATE / "media"
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 2
LOGGING["loggers"] = {"mail.log": {"level": "WARNING"}}  # the mail server's, of each command
