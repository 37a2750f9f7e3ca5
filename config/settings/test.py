"""The suite: as a checkout, but private, quick and silent."""

import tempfile
from pathlib import Path

from config.settings.local import *  # noqa: F403

DEBUG = False
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # the tests hash hundreds of passwords
MEDIA_ROOT = Path(tempfile.mkdtemp(prefix="ounass-test-media-"))
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
CELERY_BROKER_URL = "memory://"  # the end-to-end test names the real broker itself
