"""Real servers on this machine, some of which do everything wrong that one can."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class Wire:
    """One connection as the server has it. Writing to a client that is gone ends the answer."""

    connection: socket.socket
    request: Request
    base: str
    over: threading.Event

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def answer(self, body: bytes = b"", status: str = "200 OK", **headers: str) -> None:
        """A well-formed answer; a header given as "" is left out."""
        lines = {"Content-Length": str(len(body)), "Connection": "close"}
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
        self.send(f"HTTP/1.1 {status}\r\n{head}\r\n".encode("latin-1") + body)

    def wait(self, seconds: float) -> None:
        """Do nothing for so long, or until the server is stopped."""
        if self.over.wait(seconds):
            raise ConnectionAbortedError


Script = Callable[[Wire], None]


@dataclass
class Server:
    """A web server that does what its script says."""

    script: Script
    requests: list[Request] = field(default_factory=list)
    url: str = ""
    port: int = 0


@contextmanager
def serving(script: Script, wrap: Callable[[socket.socket], socket.socket] | None = None) -> Iterator[Server]:
    """A server on a free port of 127.0.0.1; `wrap` puts TLS around each connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()
    server = Server(script)
    server.port = listener.getsockname()[1]
    server.url = f"{'https' if wrap else 'http'}://127.0.0.1:{server.port}"
    threads: list[threading.Thread] = []

    def handle(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.settimeout(20)
            wrapped = wrap(connection) if wrap else connection
            with wrapped:
                head = b""
                while b"\r\n\r\n" not in head:
                    piece = wrapped.recv(65536)
                    if not piece:
                        return
                    head += piece
                head, _, body = head.partition(b"\r\n\r\n")
                first, *lines = head.decode("latin-1").split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                while len(body) < int(headers.get("content-length", 0)):
                    body += wrapped.recv(65536)
                request = Request(first.split(" ")[1], headers, body)
                server.requests.append(request)
                server.script(Wire(wrapped, request, server.url, over))

    def accept() -> None:
        while not over.is_set():
            try:
                connection, _peer = listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=handle, args=[connection], daemon=True)
            thread.start()
            threads.append(thread)

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield server
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join(5)
        for thread in threads:
            thread.join(5)


# What an FTP server says to each command: a line, the bytes of a data connection, or nothing more.
Answers = dict[str, str | bytes | None]


@contextmanager
def ftp_saying(content: bytes, **changed: str | bytes | None) -> Iterator[int]:
    """An FTP server with one file of this content. `changed` is what it says to a command instead; `None` breaks off.

    Bytes are the content of a data connection, after which it says `after`.
    """
    says: Answers = {
        "welcome": "220 ready",
        "USER": "331 and the password",
        "PASS": "230 in",
        "TYPE": "200 so be it",
        "SIZE": f"213 {len(content)}",
        "MDTM": "213 20260101120000",
        "CWD": "250 here",
        "PASV": "",
        "MLSD": f"type=file;size={len(content)};modify=20260101120000; feed.xml\r\n".encode(),
        "NLST": b"feed.xml\r\n",
        "RETR": content,
        "QUIT": "221 bye",
        "after": "226 done",
        **changed,
    }
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def talk(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, contextlib.ExitStack() as at_last:
            connection.settimeout(10)
            lines = connection.makefile("rb")
            data, command = listener, "welcome"
            while True:
                answer = says.get(command, "500 what?")
                if command == "PASV" and not answer:
                    data = at_last.enter_context(socket.create_server(("127.0.0.1", 0)))
                    data.settimeout(10)
                    port = data.getsockname()[1]
                    answer = f"227 at (127,0,0,1,{port // 256},{port % 256})"
                if answer is None:
                    return
                if isinstance(answer, bytes):
                    stream, _peer = data.accept()
                    connection.sendall(b"150 here it comes\r\n")
                    with stream:
                        stream.sendall(answer)
                    answer = str(says["after"])
                connection.sendall(f"{answer}\r\n".encode("latin-1"))
                line = lines.readline().decode("latin-1").strip()
                if not line:
                    return
                command = line.partition(" ")[0].upper()

    def accept() -> None:
        while True:
            try:
                connection, _peer = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=talk, args=[connection], daemon=True))
            threads[-1].start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join(5)
        for thread in threads:
            thread.join(5)
