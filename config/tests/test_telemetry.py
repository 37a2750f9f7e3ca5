"""What is sent to OpenTelemetry and Sentry: what was asked for, nobody's data, and nothing unless a setting says so."""

import json
import os
import subprocess
import sys

from django.test import Client

from devservers import BASE_DIR


def test_receivers_get_spans_and_errors_without_anybody_s_data() -> None:
    command = [sys.executable, "-m", "config.tests.sending"]
    environment_of_tests = {"DJANGO_SETTINGS_MODULE": "config.settings.test"}
    run = subprocess.run(
        command, cwd=BASE_DIR, env={**os.environ, **environment_of_tests}, capture_output=True, text=True, check=True
    )
    got = json.loads(run.stdout.splitlines()[-1])
    assert {"GET list-products", "GET ready", "request", "a.task"} <= got["traces"].keys()
    assert got["traces"]["a.task"] == got["traces"]["request"]  # one trace from the request to the worker
    (error,) = [error for error in got["errors"] if "ValueError" in error]
    assert "raise ValueError" in error  # the line of code
    assert "request_id" in error
    assert "The part %s is wrong" in str(got["errors"])
    assert not got["leaks"]


def test_without_the_settings_their_libraries_are_not_even_loaded() -> None:
    Client().get("/health-check/")
    # The client of the broker loads OpenTelemetry's metrics itself where they are installed.
    assert not {name for name in sys.modules if name.startswith(("opentelemetry.exporter", "sentry_sdk"))}
