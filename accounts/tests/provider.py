"""A small OpenID provider on loopback that can also answer wrongly. tests/browser tries a real one."""

import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

CLIENT, SECRET = "catalogue", "only-for-tests"
KEY, OTHER_KEY = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
Change = Callable[[dict[str, Any]], object]


class FakeProvider:
    """`signed` and `beside` are what it says about the next person; `change` makes its ID token another one."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.reset()

    def reset(self) -> None:
        self.signed: dict[str, Any] = {}
        self.beside: dict[str, Any] = {}
        self.change: Change = lambda _token: None
        self.key: Any = KEY
        self.algorithm, self.headers = "RS256", {"kid": "1"}
        self.broken: dict[str, Any] = {}  # path -> what is answered there
        self.asked: list[dict[str, str]] = []  # what browsers were sent with
        self.token_calls: list[dict[str, str]] = []
        self._codes: dict[str, dict[str, str]] = {}

    def authorize(self, location: str, answer: dict[str, str] | None = None) -> str:
        """Follow a browser here, and say where it is sent back to."""
        parts = urlsplit(location)
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{self.address}/authorize"
        query = dict(parse_qsl(parts.query))
        self.asked.append(query)
        code = secrets.token_hex(8)
        self._codes[code] = query
        back = urlsplit(query["redirect_uri"])
        return f"{back.path}?{urlencode({'state': query['state'], **({'code': code} if answer is None else answer)})}"

    def answer(self, path: str, body: dict[str, str]) -> Any:
        if path in self.broken:
            return self.broken[path]
        if path == "/.well-known/openid-configuration":
            names = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "jwks"}
            addresses = {name: f"{self.address}/{place}" for name, place in names.items()}
            return {"issuer": self.address, "userinfo_endpoint": f"{self.address}/userinfo", **addresses}
        if path == "/jwks":
            return {"keys": [{**json.loads(RSAAlgorithm.to_jwk(KEY.public_key())), "kid": "1", "alg": "RS256"}]}
        if path == "/token":
            self.token_calls.append(body)
            if body.get("code") not in self._codes:
                return {"error": "invalid_grant"}
            asked = self._codes.pop(body["code"])
            now = int(time.time())
            token = {"iss": self.address, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
            token |= {"sub": "1", **self.signed}
            self.change(token)
            signed = jwt.encode(token, self.key, algorithm=self.algorithm, headers=self.headers)
            return {"access_token": "x", "token_type": "Bearer", "id_token": signed}
        return {"sub": self.signed.get("sub", "1"), **self.beside}


@contextmanager
def run_provider() -> Iterator[FakeProvider]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = {name: found[0] for name, found in parse_qs(self.rfile.read(length).decode()).items()}
            answer = provider.answer(urlsplit(self.path).path, body)
            if callable(answer):
                answer = answer()
            is_error = isinstance(answer, int)
            data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(answer if is_error else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    provider = FakeProvider(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield provider
    server.shutdown()
    server.server_close()
