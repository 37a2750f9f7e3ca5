"""The daily clearing out of messages, made once: what staff change afterwards stays as they left it."""

from django.conf import settings
from django.db import migrations


def schedule_forgetting(apps, _schema_editor):
    at_night, _made = apps.get_model("django_celery_beat", "CrontabSchedule").objects.get_or_create(
        minute="20", hour="3", day_of_week="*", day_of_month="*", month_of_year="*", timezone=settings.TIME_ZONE
    )
    apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
        name="Forget old messages",
        defaults={
            "task": "notifications.forget_old",
            "crontab": at_night,
            "description": "Deletes messages that were told long ago, with their attachments.",
        },
    )


class Migration(migrations.Migration):
    dependencies = [
        ("notifications", "0005_schedule_digests"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]

    operations = [migrations.RunPython(schedule_forgetting, migrations.RunPython.noop)]
