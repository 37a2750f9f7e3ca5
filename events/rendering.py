"""How every line of the log is written: as a JSON object, or in a checkout as text."""

from typing import Any

from structlog import contextvars, dev, processors, stdlib
from structlog.typing import EventDict

from events.log import EVENTS


def logging_settings(*, as_text: bool) -> dict[str, Any]:
    """The setting LOGGING, for everything that logs: ours, Django's, Celery's and gunicorn's lines."""
    written: list[Any] = [_named]
    if as_text:
        written = [dev.ConsoleRenderer(colors=False, pad_event_to=0, exception_formatter=dev.plain_traceback)]
    else:
        written += [
            processors.format_exc_info,
            processors.JSONRenderer(),
        ]  # a traceback without the values of variables
    steps = [
        processors.TimeStamper(fmt="iso", key="timestamp" if as_text else "time"),
        stdlib.add_log_level,
        _add_fields,
    ]
    lines = {
        "()": stdlib.ProcessorFormatter,
        "foreign_pre_chain": steps,
        "processors": [stdlib.ProcessorFormatter.remove_processors_meta, *written],
    }
    to_root = {"handlers": [], "level": "INFO", "propagate": True}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": lines},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "lines"}},
        "root": {"handlers": ["console"], "level": "INFO"},
        "loggers": {"django": to_root, "django.server": to_root},  # both have handlers of their own
    }


def _add_fields(_logger: Any, _method: str, line: EventDict) -> EventDict:
    """Those of an event, which were known when it happened; of any other line, what is bound to the context now."""
    record = line["_record"]
    fields = record.fields if hasattr(record, "fields") else contextvars.get_contextvars()
    return {**line, "logger": record.name, **fields}


def _named(_logger: Any, _method: str, line: EventDict) -> EventDict:
    """An event by its name under `event`; what any other line says is its `message`."""
    said = line.pop("event")
    time, level = line.pop("time"), line.pop("level")
    if line["logger"] != EVENTS:
        return {"time": time, "level": level, "message": said, **line}
    del line["logger"]
    return {"time": time, "level": level, "event": said, **line}
