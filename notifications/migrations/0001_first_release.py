"""Messages and who wants which, as of the first release."""

import django.db.models.deletion
import django.db.models.functions.datetime
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("notifications", "0001_message"),
        ("notifications", "0002_outage"),
        ("notifications", "0003_schedule"),
        ("notifications", "0004_preference"),
        ("notifications", "0005_schedule_digests"),
        ("notifications", "0006_schedule_forgetting"),
        ("notifications", "0007_message_parked"),
    ]

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]

    operations = [
        migrations.CreateModel(
            name="Outage",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, editable=False, primary_key=True, serialize=False)),
                ("reason", models.TextField(verbose_name="reason")),
                (
                    "since",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="since"),
                ),
                ("tries", models.PositiveIntegerField(default=0, verbose_name="attempts")),
                (
                    "next_try",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), verbose_name="next attempt"
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "constraints": [models.CheckConstraint(condition=models.Q(("pk", 1)), name="outage_only_one")],
            },
        ),
        migrations.CreateModel(
            name="Preference",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("choices", models.JSONField(default=dict)),
                (
                    "digest",
                    models.TextField(
                        choices=[("off", "Never"), ("daily", "Every day"), ("weekly", "Once a week")],
                        default="off",
                        verbose_name="digest",
                    ),
                ),
                ("hour", models.PositiveSmallIntegerField(default=8, verbose_name="hour")),
                (
                    "weekday",
                    models.PositiveSmallIntegerField(
                        choices=[
                            (0, "Monday"),
                            (1, "Tuesday"),
                            (2, "Wednesday"),
                            (3, "Thursday"),
                            (4, "Friday"),
                            (5, "Saturday"),
                            (6, "Sunday"),
                        ],
                        default=0,
                        verbose_name="day of the week",
                    ),
                ),
                ("time_zone", models.TextField(verbose_name="time zone")),
                ("digested_until", models.DateTimeField()),
                (
                    "person",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="mail_preference",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("digest__in", ["off", "daily", "weekly"])), name="preference_digest_known"
                    ),
                    models.CheckConstraint(condition=models.Q(("hour__lte", 23)), name="preference_hour_of_a_day"),
                    models.CheckConstraint(
                        condition=models.Q(("weekday__in", [0, 1, 2, 3, 4, 5, 6])), name="preference_weekday_known"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Message",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "name",
                    models.TextField(help_text="Which one: a folder in templates/emails.", verbose_name="message"),
                ),
                (
                    "about",
                    models.TextField(help_text="What it is about, as in catalog.importrun:12.", verbose_name="about"),
                ),
                ("address", models.TextField(help_text="Where it goes, or went.", verbose_name="address")),
                ("subject", models.TextField(verbose_name="subject")),
                ("text", models.TextField(verbose_name="text")),
                ("html", models.TextField(verbose_name="HTML")),
                ("attachments", models.JSONField(default=list, help_text="Each with its name, type and text.")),
                (
                    "status",
                    models.TextField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("sent", "Sent"),
                            ("failed", "Not delivered"),
                            ("withdrawn", "Withdrawn"),
                            ("parked", "Parked"),
                        ],
                        default="waiting",
                        verbose_name="status",
                    ),
                ),
                ("attempts", models.PositiveIntegerField(default=0, verbose_name="attempts")),
                (
                    "next_try",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), verbose_name="next attempt"
                    ),
                ),
                ("last_error", models.TextField(blank=True, default="", verbose_name="last error")),
                (
                    "told_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="told"),
                ),
                ("sent_at", models.DateTimeField(null=True, verbose_name="sent")),
                (
                    "recipient",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="recipient",
                    ),
                ),
                ("failed_at", models.DateTimeField(null=True, verbose_name="given up")),
            ],
            options={
                "verbose_name": "message",
                "ordering": ["-told_at"],
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(
                        models.F("next_try"), condition=models.Q(("status", "waiting")), name="message_waiting"
                    ),
                    models.Index(fields=["-told_at"], name="message_latest"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("name", "about", "recipient"), name="message_told_once"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("sent_at__isnull", False), ("status", "sent")),
                            models.Q(("status", "sent"), _negated=True),
                            _connector="OR",
                        ),
                        name="message_sent_when",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["waiting", "sent", "failed", "withdrawn", "parked"])),
                        name="message_status_known",
                    ),
                ],
                "permissions": [("resend_message", "Can send a message again")],
            },
        ),
    ]
