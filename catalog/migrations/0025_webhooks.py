"""Addresses that are told what happens, and what each is told."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0024_what_changed_since"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="feedsource",
            name="quiet_told_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.CreateModel(
            name="Webhook",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100, unique=True, verbose_name="name")),
                ("address", models.TextField(verbose_name="address")),
                (
                    "events",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(
                            choices=[
                                ("import.review", "An import waits for a person"),
                                ("import.applied", "An import was applied"),
                                ("import.failed", "An import failed, or its undo"),
                                ("import.undone", "An import was undone"),
                                ("feed.quiet", "A feed brings nothing new"),
                                ("products.changed", "Products were changed"),
                            ]
                        ),
                        size=None,
                        verbose_name="events",
                    ),
                ),
                (
                    "is_active",
                    models.BooleanField(
                        default=True, help_text="An address that is not gets nothing new.", verbose_name="active"
                    ),
                ),
                ("off_because", models.TextField(blank=True, default="", editable=False)),
                ("secret", models.TextField(editable=False)),
                ("old_secret", models.TextField(blank=True, default="", editable=False)),
                ("old_secret_until", models.DateTimeField(editable=False, null=True)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="made"),
                ),
                (
                    "made_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="made by",
                    ),
                ),
            ],
            options={
                "verbose_name": "webhook",
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="WebhookDelivery",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.UUIDField(default=uuid.uuid4, editable=False)),
                ("event", models.TextField(verbose_name="event")),
                (
                    "about",
                    models.TextField(
                        help_text="What it is about, for example catalog.importrun:12.", verbose_name="about"
                    ),
                ),
                ("body", models.TextField(verbose_name="body")),
                ("request_id", models.TextField(blank=True, default="", editable=False)),
                (
                    "status",
                    models.TextField(
                        choices=[("waiting", "Waiting"), ("sent", "Sent"), ("parked", "Parked")],
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
                (
                    "written_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="written"),
                ),
                (
                    "waiting_since",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                ("tried_at", models.DateTimeField(null=True, verbose_name="last attempt")),
                ("finished_at", models.DateTimeField(null=True, verbose_name="sent or given up")),
                ("seconds", models.FloatField(null=True, verbose_name="took")),
                ("answer_status", models.PositiveIntegerField(null=True, verbose_name="status of the answer")),
                ("answer", models.TextField(blank=True, default="", verbose_name="answer")),
                ("error", models.TextField(blank=True, default="", verbose_name="error")),
                (
                    "webhook",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="catalog.webhook",
                        verbose_name="webhook",
                    ),
                ),
            ],
            options={
                "verbose_name": "delivery",
                "verbose_name_plural": "deliveries",
                "ordering": ["-pk"],
                "default_permissions": (),
            },
        ),
        migrations.AddConstraint(
            model_name="webhook",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "events__contained_by",
                        [
                            "import.review",
                            "import.applied",
                            "import.failed",
                            "import.undone",
                            "feed.quiet",
                            "products.changed",
                        ],
                    )
                ),
                name="webhook_events_known",
            ),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(
                models.F("webhook"), models.F("id"), condition=models.Q(("status", "waiting")), name="delivery_waiting"
            ),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(fields=["webhook", "-id"], name="delivery_latest"),
        ),
        migrations.AddConstraint(
            model_name="webhookdelivery",
            constraint=models.UniqueConstraint(
                condition=models.Q(("event__startswith", "import.")),
                fields=("webhook", "event", "about"),
                name="delivery_told_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="webhookdelivery",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["waiting", "sent", "parked"])), name="delivery_status_known"
            ),
        ),
    ]
