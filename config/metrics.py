"""What Prometheus is told: read from the database and the broker when it asks, whichever process or machine it asks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from redis import Redis
from redis.exceptions import RedisError

from catalog.imports.sql import fetch_rows
from config.latency import latency_histogram

log = logging.getLogger(__name__)

QUEUES = sorted({"celery", *(route["queue"] for route in settings.CELERY_TASK_ROUTES.values())})
PRIORITY_MARK = "\x06\x16"  # the broker's queue of a lower priority is named by this and its number
BROKER_SECONDS = 2

# Name without `catalogue_`, what it says, its labels, and the statement whose rows are the labels' values and a number.
GAUGES: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    (
        "imports",
        "Imports of the last 30 days by status.",
        ("status",),
        "SELECT status, count(*) FROM catalog_importrun WHERE created_at > now() - interval '30 days' GROUP BY status",
    ),
    (
        "import_waiting_seconds",
        "For how long the import that waits longest has waited for workers, or for the catalogue. 0: none does.",
        (),
        """
        SELECT coalesce(extract(epoch FROM now() - min(changed_at)), 0) FROM catalog_importrun
        WHERE status IN ('received', 'staging', 'applying', 'undoing', 'redoing')
        """,
    ),
    (
        "plan_waiting_seconds",
        "For how long the plan that waits longest has waited for a person. 0: none does.",
        (),
        """
        SELECT coalesce(extract(epoch FROM now() - min(changed_at)), 0) FROM catalog_importrun WHERE status = 'review'
        """,
    ),
    (
        "import_items_per_second",
        "Items per second of each step, over the imports of the last day.",
        ("step",),
        """
        SELECT step, sum(items) / sum(took::float) FROM catalog_importrun, jsonb_each_text(seconds) AS each (step, took)
        WHERE finished_at > now() - interval '1 day' GROUP BY step HAVING sum(took::float) > 0
        """,
    ),
    (
        "plans_held",
        "Plans of the last day that something held for a person, by its code.",
        ("code",),
        """
        SELECT hold ->> 'code', count(*) FROM catalog_importrun, jsonb_array_elements(holds) AS hold
        WHERE created_at > now() - interval '1 day' GROUP BY hold ->> 'code'
        """,
    ),
    (
        "refused_files",
        "Files of the last day that were refused when they were uploaded.",
        (),
        "SELECT coalesce(sum(1 + more), 0) FROM catalog_refusedfile WHERE refused_at > now() - interval '1 day'",
    ),
    (
        "fetches",
        "Fetches of the last day by outcome; those that wait or go on, too.",
        ("outcome",),
        """
        SELECT outcome, count(*) FROM catalog_fetch
        WHERE coalesce(finished_at, now()) > now() - interval '1 day' GROUP BY outcome
        """,
    ),
    (
        "fetch_waiting_seconds",
        "For how long the fetch that waits longest is overdue. 0: none is.",
        (),
        """
        SELECT greatest(coalesce(extract(epoch FROM now() - min(next_try_at)), 0), 0) FROM catalog_fetch
        WHERE outcome = 'waiting'
        """,
    ),
    (
        "feeds_not_arriving",
        "Feeds that fail, that are quiet, and whose schedule is paused.",
        ("why",),
        """
        SELECT 'failing', count(*) FILTER (WHERE failing_since IS NOT NULL) FROM catalog_feedsource UNION ALL
        SELECT 'paused', count(*) FILTER (WHERE paused_at IS NOT NULL) FROM catalog_feedsource UNION ALL
        SELECT 'quiet', count(*) FILTER (
            WHERE coalesce(last_new_at, created_at) + expected_hours * interval '1 hour' < now()
        ) FROM catalog_feedsource
        """,
    ),
    (
        "exports",
        "Exports by status, as long as they are kept.",
        ("status",),
        "SELECT status, count(*) FROM catalog_export GROUP BY status",
    ),
    (
        "export_waiting_seconds",
        "For how long the export that waits longest has waited, or been made. 0: none does.",
        (),
        """
        SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0) FROM catalog_export
        WHERE status IN ('waiting', 'making')
        """,
    ),
    (
        "messages",
        "E-mails of the last 30 days by status.",
        ("status",),
        """
        SELECT status, count(*) FROM notifications_message WHERE told_at > now() - interval '30 days' GROUP BY status
        """,
    ),
    (
        "message_waiting_seconds",
        "For how long the e-mail that waits longest has waited. 0: none does.",
        (),
        """
        SELECT coalesce(extract(epoch FROM now() - min(told_at)), 0) FROM notifications_message WHERE status = 'waiting'
        """,
    ),
    (
        "webhook_deliveries",
        "Deliveries of webhooks of the last 30 days by status.",
        ("status",),
        """
        SELECT status, count(*) FROM catalog_webhookdelivery
        WHERE written_at > now() - interval '30 days' GROUP BY status
        """,
    ),
    (
        "webhook_waiting_seconds",
        "For how long the delivery that waits longest for an active webhook has waited. 0: none does.",
        (),
        """
        SELECT coalesce(extract(epoch FROM now() - min(waiting_since)), 0)
        FROM catalog_webhookdelivery delivery JOIN catalog_webhook webhook ON webhook.id = delivery.webhook_id
        WHERE delivery.status = 'waiting' AND webhook.is_active
        """,
    ),
    (
        "task_age_seconds",
        "How long ago each periodic task last ended well.",
        ("task",),
        """
        SELECT job.task, extract(epoch FROM now() - max(run.started_at))
        FROM schedule_jobrun run JOIN django_celery_beat_periodictask job ON job.id = run.job_id
        WHERE run.outcome = 'done' AND job.task <> 'catalog.fetch_due' GROUP BY job.task
        """,
    ),
    (
        "database_connections",
        "Connections to the database by state.",
        ("state",),
        """
        SELECT coalesce(state, 'other'), count(*) FROM pg_stat_activity
        WHERE datname = current_database() GROUP BY coalesce(state, 'other')
        """,
    ),
    (
        "database_connections_limit",
        "How many connections the database takes.",
        (),
        "SELECT setting::int FROM pg_settings WHERE name = 'max_connections'",
    ),
    ("database_bytes", "The size of the database.", (), "SELECT pg_database_size(current_database())"),
)


class CatalogueCollector(Collector):
    """Asks when it is asked. What does not answer is left out, and said by `catalogue_up`."""

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("catalogue_up", "Whether this part answered.", labels=["part"])
        parts: dict[str, tuple[Callable[[], Iterable[Metric]], tuple[type[Exception], ...]]] = {
            "database": (database_gauges, (DatabaseError, InterfaceError)),
            "broker": (broker_metrics, (RedisError, OSError)),
        }
        for part, (gauges, away) in parts.items():
            found: list[Metric] = []
            try:
                found = list(gauges())
            except away as error:
                log.error("The %s does not answer", part, exc_info=error)
            up.add_metric([part], float(bool(found)))
            yield from found
        yield up


def database_gauges() -> Iterator[GaugeMetricFamily]:
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = '10s'")
    for name, says, labels, statement in GAUGES:
        gauge = GaugeMetricFamily(f"catalogue_{name}", says, labels=labels)
        for *values, number in fetch_rows(statement):
            gauge.add_metric([str(value) for value in values], float(number))
        yield gauge


def broker_metrics() -> Iterator[Metric]:
    gauge = GaugeMetricFamily("catalogue_queue_length", "Tasks that wait at the broker.", labels=["queue"])
    options: Any = {"socket_timeout": BROKER_SECONDS, "socket_connect_timeout": BROKER_SECONDS}
    with Redis.from_url(settings.REDIS_URL, **options) as broker:
        for queue in QUEUES:
            names = [queue, *(f"{queue}{PRIORITY_MARK}{number}" for number in range(1, 10))]
            with broker.pipeline(transaction=False) as asked:
                for name in names:
                    asked.llen(name)
                gauge.add_metric([queue], float(sum(asked.execute())))
    yield gauge
    yield latency_histogram()
