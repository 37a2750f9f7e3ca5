"""A web process with both settings and their receivers in it: `python -m config.tests.sending` says what they got."""

import gzip
import json
import logging
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

GOT: list[tuple[str, bytes]] = []
CANARY = "canary-of-a-person"


class Receiver(BaseHTTPRequestHandler):
    """Takes whatever comes."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        GOT.append((self.path, gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


def ask(application: Any, path: str) -> None:
    from django.test import RequestFactory

    environ = RequestFactory().get(path, {"search": CANARY}, HTTP_HOST="localhost").environ
    environ["HTTP_AUTHORIZATION"] = f"Bearer {CANARY}"
    environ["HTTP_COOKIE"] = f"sessionid={CANARY}"
    b"".join(application(environ, lambda *_: None))


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    Thread(target=server.serve_forever, daemon=True).start()
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{server.server_port}"
    os.environ["SENTRY_DSN"] = f"http://key@127.0.0.1:{server.server_port}/1"
    import django

    django.setup()
    import sentry_sdk
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    from config import health
    from config.celery import app
    from config.wsgi import application
    from events.telemetry import send_spans, span
    from schedule.queue import enqueue_now

    def work() -> None:
        """Does nothing."""

    def fail() -> Any:
        secret = CANARY
        logging.getLogger("catalog.imports").error("The part %s is wrong", secret)
        logging.getLogger("django.request").error(f"The part {secret} is wrong")
        raise ValueError(f"cannot read {secret}")

    health.database_states = fail
    ask(application, "/list-products/")
    ask(application, "/health-check/ready/")
    sent: dict[str, Any] = {}
    vars(app)["send_task"] = lambda _name, **options: sent.update(options)
    with span("request"):
        enqueue_now("a.task")
    app.task(name="a.task")(work).apply(headers=sent["headers"])
    send_spans()
    sentry_sdk.flush()
    spans = []
    for path, body in GOT:
        if path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                spans += [each for scope in resource.scope_spans for each in scope.spans]
    traces = {each.name: each.trace_id.hex() for each in spans}
    errors = [body.decode() for path, body in GOT if path.startswith("/api/1/")]
    everything = b"".join(body for _path, body in GOT)
    print(json.dumps({"traces": traces, "errors": errors, "leaks": CANARY.encode() in everything}))


if __name__ == "__main__":
    main()
