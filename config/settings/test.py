"""The suite: as a checkout, but private, quick and silent."""

from config.settings.local import *  # noqa: F403
from config.settings.local import BASE_DIR, CACHES

DEBUG = False
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # the tests hash hundreds of passwords
MEDIA_ROOT = BASE_DIR / ".local" / "test-media"  # each test has a folder of its own: conftest.py
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
CACHES = {**CACHES, "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
CELERY_BROKER_URL = "memory://"  # the end-to-end test names the real broker itself
