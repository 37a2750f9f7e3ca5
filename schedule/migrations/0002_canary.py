"""Made the canary's job once. `migrate` makes every required job now, and again when it is missing: schedule.healing."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("schedule", "0001_initial"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]

    operations = []
