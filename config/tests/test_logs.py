"""No log has the token of a link in an e-mail."""

import logging
import re
from typing import Any

import pytest
from django.test import Client

from config import gunicorn
from config.request_log import hide_queries
from devservers import BASE_DIR

TOKEN = "eyJhbGciOiJIUzI1NiIs"


@pytest.mark.parametrize("line", ["GET /mail/stop/?token={} HTTP/1.1", "POST /a/?b=c&token={} HTTP/1.0", "GET /?{}"])
def test_the_development_server_writes_no_queries(line: str, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("django.server")
    assert hide_queries in logger.filters
    record = logger.makeRecord(logger.name, logging.INFO, "", 0, '"%s" %s %s', (line.format(TOKEN), "200", "17"), None)
    assert logger.filter(record)
    assert record.getMessage() == f'"{re.sub(r"[?][^ ]*", "", line)}" 200 17'


def test_gunicorn_writes_no_requests_of_its_own() -> None:
    """Its lines have the whole address; ours, in config/request_log.py, have the path."""
    command = (BASE_DIR / "Dockerfile").read_text().partition("\nCMD [")[2]
    assert "--access-log" not in command
    assert "--config=python:config.gunicorn" in command
    assert not hasattr(gunicorn, "accesslog")
    assert gunicorn.logconfig_dict["loggers"]["gunicorn.access"]["level"] == "CRITICAL"


@pytest.mark.django_db
def test_a_refused_token_is_not_in_the_log(client: Client, caplog: Any) -> None:
    caplog.set_level(logging.DEBUG)
    for method in (client.get, client.post):
        assert method(f"/mail/stop/?token={TOKEN}").status_code == 404
    assert "/mail/stop/" in caplog.text
    assert TOKEN not in caplog.text
    assert TOKEN not in str([getattr(record, "fields", "") for record in caplog.records])
