"""The periodic work of the catalogue, made once: what staff change afterwards stays as they left it."""

from django.db import migrations


def schedule_sweep(apps, _schema_editor):
    every_minute, _made = apps.get_model("django_celery_beat", "IntervalSchedule").objects.get_or_create(
        every=1, period="minutes"
    )
    apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
        name="Take up interrupted imports",
        defaults={
            "task": "catalog.sweep",
            "interval": every_minute,
            "description": "Rings again for imports that wait while no worker holds them.",
        },
    )


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0002_storage"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]

    operations = [migrations.RunPython(schedule_sweep, migrations.RunPython.noop)]
