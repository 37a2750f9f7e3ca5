"""What a worker process under test runs with: the suite's settings, on the suite's own database, files and queue."""

import os
from pathlib import Path
from typing import Any

from config.mail import mail_settings
from config.settings.base import CELERY_BROKER_TRANSPORT_OPTIONS as OPTIONS
from config.settings.test import *  # noqa: F403
from config.settings.test import DATABASES

DATABASES["default"]["NAME"] = os.environ["TEST_DATABASE"]
MEDIA_ROOT = Path(os.environ["TEST_MEDIA_ROOT"])
CELERY_BROKER_URL = os.environ["TEST_BROKER"]
# A developer's worker listens at the same broker, and must not hear what is meant for this one.
CELERY_BROKER_TRANSPORT_OPTIONS = dict[str, Any](OPTIONS, global_keyprefix=os.environ["TEST_QUEUE"])
globals().update(mail_settings(os.environ["TEST_EMAIL_URL"]))
EMAIL_TIMEOUT = 60  # a test says itself when a silent server has been waited for long enough
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 1
