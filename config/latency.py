"""How long the API's calls take: counted in each web process, and added up at the broker, for `manage.py metrics`."""

from __future__ import annotations

import atexit
import logging
import time
from collections import Counter
from threading import Lock, Thread
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from prometheus_client.core import HistogramMetricFamily
from redis import Redis
from redis.exceptions import RedisError
from rest_framework.views import APIView

log = logging.getLogger(__name__)

KEY = "ounass:api_seconds"  # a hash: "products GET 2xx 0.1" is how often that took at most 0.1 seconds
LIMITS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
REST, SUM = "+Inf", "sum"
SEND_EVERY_SECONDS = 10
BROKER_SECONDS = 2

_counts: Counter[str] = Counter()
_lock = Lock()


def count_call(request: HttpRequest, status: int, seconds: float) -> None:
    """Count an answer of the API. Pages are not counted, nor is what leads nowhere."""
    match = request.resolver_match
    if match is None or not issubclass(getattr(match.func, "cls", object), APIView):
        return
    call = f"{match.view_name} {method_of(request)} {status // 100}xx"
    limit = next((str(limit) for limit in LIMITS if seconds <= limit), REST)
    with _lock:
        _counts[f"{call} {limit}"] += 1
        _counts[f"{call} {SUM}"] += round(seconds * 1_000_000)


def method_of(request: HttpRequest) -> str:
    """One of those that there are: a client may name any."""
    return str(request.method) if str(request.method).lower() in APIView.http_method_names else "OTHER"


def send_counts() -> None:
    """Add what was counted to the broker's sums. While it does not answer, this process keeps its counts."""
    global _counts
    with _lock:
        sent, _counts = _counts, Counter()
    if not sent:
        return
    try:
        with _broker() as broker, broker.pipeline(transaction=True) as asked:
            for field, count in sent.items():
                asked.hincrby(KEY, field, count)
            asked.execute()
    except (RedisError, OSError):
        with _lock:
            _counts.update(sent)


def start_sending() -> None:
    """Have this web process send its counts, and the last ones when it ends."""

    def send_for_ever() -> None:
        while True:
            time.sleep(SEND_EVERY_SECONDS)
            try:
                send_counts()
            except Exception:
                log.exception("The times of the API's calls could not be sent")

    atexit.register(send_counts)
    Thread(target=send_for_ever, name="latency", daemon=True).start()


def latency_histogram() -> HistogramMetricFamily:
    """What all web processes have counted."""
    with _broker() as broker:
        counts = {name.decode(): int(count) for name, count in dict(broker.hgetall(KEY)).items()}
    histogram = HistogramMetricFamily(
        "catalogue_api_seconds", "How long the API's calls took.", labels=["call", "method", "answer"]
    )
    for call in sorted({name.rpartition(" ")[0] for name in counts}):
        total, buckets = 0, []
        for limit in (*map(str, LIMITS), REST):
            total += counts.get(f"{call} {limit}", 0)
            buckets.append((limit, float(total)))
        histogram.add_metric(call.split(" "), buckets, counts.get(f"{call} {SUM}", 0) / 1_000_000)
    return histogram


def _broker() -> Redis:
    options: Any = {"socket_timeout": BROKER_SECONDS, "socket_connect_timeout": BROKER_SECONDS}
    return Redis.from_url(settings.REDIS_URL, **options)
