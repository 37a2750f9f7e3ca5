"""Spans for OpenTelemetry, errors for Sentry: each only where a setting names its receiver, and without anybody's data.

What is sent is what is listed here: names of calls and tasks, numbers, times, and where in the code an error was. No
address, account, value, text of an error or part of a feed is among it. `request_id` leads to the log, which has them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from django.conf import settings

from events.log import current_request_id

SERVICE = "ounass-product-management"
SEND_SECONDS = 5


# --- spans --------------------------------------------------------------------------------------------
@contextmanager
def span(name: str, *, parent: str = "", **attributes: str) -> Iterator[dict[str, str | int]]:
    """A span around the block, if anybody takes spans. The block may add attributes, and a better `name`."""
    more: dict[str, str | int] = {}
    if not settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        yield more
        return
    from opentelemetry.trace import StatusCode
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    before = TraceContextTextMapPropagator().extract({"traceparent": parent}) if parent else None
    tracer = _provider(os.getpid()).get_tracer(SERVICE)
    # An exception's text may quote anything: its type says enough.
    with tracer.start_as_current_span(name, before, record_exception=False, set_status_on_exception=False) as current:
        try:
            yield more
        except BaseException as error:
            more["error.type"] = type(error).__name__
            current.set_status(StatusCode.ERROR)
            raise
        finally:
            current.update_name(str(more.pop("name", name)))
            current.set_attributes({"request_id": current_request_id(), **attributes, **more})


def trace_header() -> dict[str, str]:
    """What a task needs to be in the trace of the request that enqueues it."""
    carrier: dict[str, str] = {}
    if settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        TraceContextTextMapPropagator().inject(carrier)
    return carrier


def send_spans() -> None:
    """Those that wait. Worker processes end without Python's own goodbye."""
    if settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        _provider(os.getpid()).force_flush(SEND_SECONDS * 1000)


@lru_cache(maxsize=1)
def _provider(_pid: int) -> Any:
    """One for each process: its thread is not there in a process that was forked from it."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    endpoint = settings.OTEL_EXPORTER_OTLP_ENDPOINT.rstrip("/") + "/v1/traces"
    provider = TracerProvider(resource=Resource({"service.name": SERVICE}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint, timeout=SEND_SECONDS)))
    return provider


# --- errors -------------------------------------------------------------------------------------------
def report_errors() -> None:
    """Have this process, and those that it forks, send errors, if anybody takes them."""
    if not settings.SENTRY_DSN:
        return
    import sentry_sdk
    from sentry_sdk.integrations.celery import CeleryIntegration
    from sentry_sdk.integrations.django import DjangoIntegration
    from sentry_sdk.integrations.logging import LoggingIntegration

    sentry_sdk.init(
        dsn=settings.SENTRY_DSN,
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[DjangoIntegration(), CeleryIntegration(), LoggingIntegration(level=None)],
        before_send=_only_what_is_listed,
        max_breadcrumbs=0,
        include_local_variables=False,
        send_default_pii=False,
        send_client_reports=False,
        auto_session_tracking=False,
        server_name=SERVICE,
    )


OURS = ("accounts", "catalog", "config", "events", "notifications", "schedule")
LISTED = ("event_id", "timestamp", "level", "platform", "logger", "sdk")
LISTED_OF_A_FRAME = (
    "filename",
    "function",
    "module",
    "lineno",
    "in_app",
    "pre_context",
    "context_line",
    "post_context",
)


def _only_what_is_listed(event: Mapping[str, Any], _hint: Any) -> Any:
    """Where it happened, and what the program's own messages say without their values."""
    kept = {name: event[name] for name in LISTED if name in event}
    kept["tags"] = {"request_id": current_request_id()}  # what is bound in the log of the same moment
    # Ours are templates, whose values are apart; others put them into the text.
    if str(event.get("logger", "")).partition(".")[0] in OURS:
        kept["logentry"] = {"message": event.get("logentry", {}).get("message", ""), "params": []}
    if exceptions := event.get("exception", {}).get("values"):
        kept["exception"] = {"values": [_without_values(exception) for exception in exceptions]}
    return kept


def _without_values(exception: Mapping[str, Any]) -> dict[str, Any]:
    frames = (exception.get("stacktrace") or {}).get("frames", [])
    kept = [{name: frame[name] for name in LISTED_OF_A_FRAME if name in frame} for frame in frames]
    return {"type": exception.get("type"), "module": exception.get("module"), "stacktrace": {"frames": kept}}
