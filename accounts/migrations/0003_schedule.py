"""The periodic work about accounts, made once: what staff change afterwards stays as they left it."""

from django.db import migrations


def schedule_forgetting(apps, _schema_editor):
    every_day, _made = apps.get_model("django_celery_beat", "IntervalSchedule").objects.get_or_create(
        every=1, period="days"
    )
    apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
        name="Forget old API logins",
        defaults={
            "task": "accounts.forget_old_logins",
            "interval": every_day,
            "description": "Deletes the logins through the API that nobody can refresh any more.",
        },
    )


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_login_session"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]

    operations = [migrations.RunPython(schedule_forgetting, migrations.RunPython.noop)]
