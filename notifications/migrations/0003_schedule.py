"""The senders' periodic work, made once: what staff change afterwards stays as they left it."""

from django.db import migrations


def schedule_delivery(apps, _schema_editor):
    every_minute, _made = apps.get_model("django_celery_beat", "IntervalSchedule").objects.get_or_create(
        every=1, period="minutes"
    )
    apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
        name="Send waiting messages",
        defaults={
            "task": "notifications.deliver",
            "interval": every_minute,
            "description": "Sends what is to be tried again, and what no worker was called for.",
        },
    )


class Migration(migrations.Migration):
    dependencies = [
        ("notifications", "0002_outage"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]

    operations = [migrations.RunPython(schedule_delivery, migrations.RunPython.noop)]
