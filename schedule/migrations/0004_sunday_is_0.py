from typing import Any

from django.db import migrations

from schedule.crontabs import weekdays_of_celery


def store_sundays_as_0(apps: Any, _schema_editor: Any) -> None:
    """Celery does not take Sunday for 7, and beat left such a job out silently."""
    for schedule in apps.get_model("django_celery_beat", "CrontabSchedule").objects.filter(day_of_week__contains="7"):
        schedule.day_of_week = weekdays_of_celery(schedule.day_of_week)
        schedule.save(update_fields=["day_of_week"])


class Migration(migrations.Migration):

    dependencies = [
        ("schedule", "0003_plain_words"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]

    operations = [migrations.RunPython(store_sundays_as_0, migrations.RunPython.noop)]
