"""A checkout of its own, in the folder that EMBEDDED_DIR names."""

from config import embedded
from config.settings.local import *  # noqa: F403

DEBUG = False
MEDIA_ROOT = embedded.STATE / "media"
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
