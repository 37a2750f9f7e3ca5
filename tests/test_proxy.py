"""The proxy that docker-compose.yml starts in front of web: a real nginx with config/nginx.conf."""

import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import trustme
from django.urls import reverse

from catalog.tests.factories import wait_until
from devservers import BASE_DIR

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
CONFIGURATION = (BASE_DIR / "config" / "nginx.conf").read_text()
needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


@dataclass
class Web:
    """Stands behind the proxy and writes down what arrives."""

    requests: list[tuple[str, str, dict[str, str], int]] = field(default_factory=list)


@dataclass
class Proxy:
    port: int
    http_port: int
    authority: trustme.CA
    log: Path

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, str, dict[str, str]]:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        connection = HTTPSConnection("127.0.0.1", self.port, timeout=20, context=context)
        try:
            connection.request(method, path, body or None, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), dict(answer.headers)
        finally:
            connection.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def web() -> Iterator[tuple[Web, ThreadingHTTPServer]]:
    seen = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            seen.requests.append((self.command, self.path, dict(self.headers), len(self.rfile.read(length))))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        do_POST = do_GET  # noqa: N815 - the name that its caller wants

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield seen, server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def proxy(web: tuple[Web, ThreadingHTTPServer], tmp_path: Path) -> Iterator[Proxy]:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(tmp_path / "privkey.pem")
    (tmp_path / "fullchain.pem").write_bytes(b"".join(part.bytes() for part in certificate.cert_chain_pems))
    proxy = Proxy(free_port(), free_port(), authority, tmp_path / "access.log")
    text = CONFIGURATION
    for found, here in {
        "/etc/nginx/tls": str(tmp_path),
        "/tmp/nginx": f"{tmp_path}/nginx",  # noqa: S108 - as the configuration has it
        "/dev/stdout": str(proxy.log),
        "listen 8443": f"listen 127.0.0.1:{proxy.port}",
        "listen 8080": f"listen 127.0.0.1:{proxy.http_port}",
        "web:8000": f"127.0.0.1:{web[1].server_port}",
    }.items():
        assert found in text
        text = text.replace(found, here)
    (tmp_path / "nginx.conf").write_text(f"daemon off;\n{'' if os.geteuid() else 'user root;'}\n{text}")
    process = subprocess.Popen([str(NGINX), "-c", str(tmp_path / "nginx.conf")], stderr=subprocess.PIPE)
    try:
        wait_until(lambda: process.poll() is not None or is_listening(proxy.port), 20)
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        yield proxy
    finally:
        process.terminate()
        process.communicate(timeout=20)


def is_listening(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_the_proxy_knows_where_large_files_arrive() -> None:
    (pattern,) = re.findall(r"location ~ (\S+) \{", CONFIGURATION)
    for path in (reverse("upload-products"), reverse("admin:catalog_product_import")):
        assert re.search(pattern, path)
    assert not re.search(pattern, reverse("admin:catalog_product_changelist"))


@needs_nginx
def test_what_a_client_says_of_itself_is_replaced_and_tokens_stay_out_of_the_log(
    proxy: Proxy, web: tuple[Web, ThreadingHTTPServer]
) -> None:
    said = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "http", "Host": "catalogue.example.com"}
    assert proxy.ask("GET", "/mail/stop/?token=secret", headers=said)[:2] == (200, "ok")
    ((method, path, headers, _size),) = web[0].requests
    assert (method, path) == ("GET", "/mail/stop/?token=secret")
    assert {name: headers[name] for name in ("Host", "X-Forwarded-For", "X-Forwarded-Proto")} == {
        "Host": "catalogue.example.com",
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Proto": "https",
    }
    wait_until(lambda: "/mail/stop/" in proxy.log.read_text(), 10)
    assert "secret" not in proxy.log.read_text()


@needs_nginx
def test_without_tls_there_is_only_the_way_to_it(proxy: Proxy, web: tuple[Web, ThreadingHTTPServer]) -> None:
    with socket.create_connection(("127.0.0.1", proxy.http_port), timeout=10) as client:
        client.sendall(b"GET /admin/?a=1 HTTP/1.0\r\nHost: catalogue.example.com\r\n\r\n")
        head = client.makefile("rb").read()
    assert b" 308 " in head.splitlines()[0]
    assert b"Location: https://catalogue.example.com/admin/?a=1" in head
    assert web[0].requests == []


@needs_nginx
def test_a_slow_body_waits_at_the_proxy_and_a_large_one_is_for_uploads_only(
    proxy: Proxy, web: tuple[Web, ThreadingHTTPServer]
) -> None:
    context = ssl.create_default_context()
    proxy.authority.configure_trust(context)
    with (
        socket.create_connection(("127.0.0.1", proxy.port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as client,
    ):
        client.sendall(b"POST /upload-products/ HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\n1")
        time.sleep(0.5)
        assert web[0].requests == []
        client.sendall(b"2")
        assert client.makefile("rb").readline().startswith(b"HTTP/1.1 200")
    large = b"0" * (11 * 1024 * 1024)
    assert proxy.ask("POST", "/upload-products/", large)[0] == 200
    status, body, headers = proxy.ask("POST", "/login/", large)
    assert (status, headers["Content-Type"]) == (413, "application/json")
    assert "larger than this server takes" in body
    assert [(path, size) for _method, path, _headers, size in web[0].requests] == [
        ("/upload-products/", 2),
        ("/upload-products/", len(large)),
    ]


@needs_nginx
def test_while_web_is_away_people_read_when_to_come_back(proxy: Proxy, web: tuple[Web, ThreadingHTTPServer]) -> None:
    web[1].shutdown()
    web[1].server_close()
    status, body, headers = proxy.ask("GET", "/admin/")
    assert (status, headers["Retry-After"]) == (503, "30")
    assert "Try again in half a minute" in body
