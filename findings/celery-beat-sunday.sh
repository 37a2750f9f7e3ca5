#!/bin/sh
# What django-celery-beat 2.9.0 does with Sunday as 7, seen with Celery 5.7.0, Django 5.2.19 and Python 3.11:
#  - its help says that Sunday is 0 or 7, and its validators accept 7, 0-7 and 5-7 as days of the week;
#  - Celery's crontab refuses each of them: "Invalid end range: 7 > 6.";
#  - so the job is saved, is enabled, and the scheduler leaves it out of what it loads without a line in its log.
# Fails when one of these changes. Needs the package index for the pinned packages; leaves nothing behind.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    django-celery-beat==2.9.0 celery==5.7.0 Django==5.2.19 python-crontab==3.4.0 cron-descriptor==1.4.5
cd "$folder"
venv/bin/python - <<'PYTHON'
import logging
from importlib.metadata import version

import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django_celery_beat"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
)
django.setup()
from celery import Celery
from celery.schedules import crontab
from django.core.management import call_command
from django_celery_beat.models import CrontabSchedule, PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler

call_command("migrate", verbosity=0)
for days in ("0", "7", "0-7", "5-7"):
    schedule = CrontabSchedule(minute="30", hour="4", day_of_week=days)
    schedule.full_clean()
    schedule.save()
    job = PeriodicTask(name=f"on {days}", task="tidy.up", crontab=schedule)
    job.full_clean()
    job.save()

said = []
handler = logging.Handler(logging.INFO)
handler.emit = lambda record: said.append(record.getMessage())
logging.getLogger().addHandler(handler)
scheduler = DatabaseScheduler(Celery("finding", broker="memory://"), lazy=True)
scheduler.enabled_models_qs = lambda: PeriodicTask.objects.enabled()  # whatever hour it is
loaded = sorted(scheduler.all_as_schedule())
refusals = []
for days in ("7", "0-7", "5-7"):
    try:
        crontab(day_of_week=days)
    except ValueError as error:
        refusals.append(str(error))
enabled = sorted(PeriodicTask.objects.filter(enabled=True).values_list("name", flat=True))
print(f"django-celery-beat {version('django-celery-beat')}, Celery {version('celery')}: enabled {enabled}; "
      f"loaded {loaded}; said {said}; Celery: {set(refusals)}")
assert enabled == ["on 0", "on 0-7", "on 5-7", "on 7"], "it has changed"
assert (loaded, said, refusals) == (["on 0"], [], ["Invalid end range: 7 > 6."] * 3), "it has changed"
PYTHON
