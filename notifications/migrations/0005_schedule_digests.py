"""The digests' periodic task, made once: what staff change afterwards stays as they left it."""

from django.db import migrations


def schedule_digests(apps, _schema_editor):
    every_five_minutes, _made = apps.get_model("django_celery_beat", "IntervalSchedule").objects.get_or_create(
        every=5, period="minutes"
    )
    apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
        name="Send digests",
        defaults={
            "task": "notifications.digest",
            "interval": every_five_minutes,
            "description": "Tells each person what went wrong, at the hour that the person chose.",
        },
    )


class Migration(migrations.Migration):
    dependencies = [
        ("notifications", "0004_preference"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]

    operations = [migrations.RunPython(schedule_digests, migrations.RunPython.noop)]
