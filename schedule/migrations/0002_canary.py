"""What shows that workers work, made once: what staff change afterwards stays as they left it."""

from django.db import migrations


def schedule_canary(apps, _schema_editor):
    every_minute, _made = apps.get_model("django_celery_beat", "IntervalSchedule").objects.get_or_create(
        every=1, period="minutes"
    )
    apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
        name="Show that a worker works",
        defaults={
            "task": "schedule.canary",
            "interval": every_minute,
            "description": "Does nothing. The readiness check fails when no worker has done it for three minutes.",
        },
    )


class Migration(migrations.Migration):
    dependencies = [
        ("schedule", "0001_initial"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]

    operations = [migrations.RunPython(schedule_canary, migrations.RunPython.noop)]
