"""Serve the metrics for Prometheus, at a port of their own."""

import signal
import threading
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand
from django.db import connection
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import Metric

from config.metrics import CatalogueCollector


class ServedCollector(CatalogueCollector):
    """Each request is a thread of its own, and so has a connection of its own."""

    def collect(self) -> Iterator[Metric]:
        try:
            yield from super().collect()
        finally:
            connection.close()


class Command(BaseCommand):
    help = (
        "Serve metrics for Prometheus until it is stopped. They name feeds' numbers, not their data; keep them inside."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--address", default="127.0.0.1", help="the address to listen at (default: %(default)s)")
        parser.add_argument("--port", type=int, default=9108, help="the port (default: %(default)s)")

    def handle(self, *, address: str, port: int, **_: Any) -> None:
        registry = CollectorRegistry()
        registry.register(ServedCollector())
        over = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: over.set())
        server, thread = start_http_server(port, addr=address, registry=registry)
        self.stdout.write(f"Metrics at http://{address}:{server.server_port}/metrics")
        self.stdout.flush()
        over.wait()
        server.shutdown()
        thread.join()
