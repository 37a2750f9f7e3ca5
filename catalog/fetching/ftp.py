"""Files from FTP servers, plain or in TLS. Data comes from the host that was checked, never from one that it names."""

from __future__ import annotations

import contextlib
import ftplib
import socket
import ssl
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from catalog.fetching.addresses import FIRST_FREE_PORT, Place
from catalog.fetching.connections import Pace, connect, describe_break, dial, tls_context, with_tls
from catalog.fetching.failures import FetchFailed, FetchRefused, clean_words
from catalog.fetching.targets import (
    PIECE_BYTES,
    Entries,
    Found,
    Listed,
    Spool,
    Target,
    login_refused,
    same_file,
    take_up,
)

IMPLICIT_TLS_PORT = 990


class _Client(ftplib.FTP):
    """ftplib's client over connections of ours."""

    encoding = "utf-8"
    passiveserver = True
    trust_server_pasv_ipv4_address = False

    def __init__(self, place: Place, pace: Pace) -> None:
        super().__init__()
        self.place = place
        self.pace = pace
        self.context: ssl.SSLContext | None = tls_context() if place.scheme == "ftps" else None
        sock = connect(place, pace)
        self.peer = sock.getpeername()[0]
        self.host = place.host
        self.timeout = None
        self.is_implicit = self.context is not None and place.port == IMPLICIT_TLS_PORT
        if self.context and self.is_implicit:
            sock = with_tls(sock, self.context, place.host, pace)
        self._use(sock)
        self.welcome = self.getresp()
        if self.context and not self.is_implicit:
            try:
                self.voidcmd("AUTH TLS")
            except ftplib.error_perm as error:
                raise FetchFailed("tls", f"{place.shown_host} offers no TLS. Nothing was sent.", again=False) from error
            self._use(with_tls(sock, self.context, place.host, pace))

    def _use(self, sock: socket.socket) -> None:
        self.sock = sock
        self.af = sock.family
        self.file = sock.makefile("r", encoding=self.encoding, errors="replace")

    def getline(self) -> str:
        if self.sock:
            self.sock.settimeout(self.pace.remaining)
        line: str = super().getline()
        self.pace.check()
        return line

    def protect_data(self) -> None:
        if self.context:
            self.voidcmd("PBSZ 0")
            self.voidcmd("PROT P")

    def ntransfercmd(self, cmd: str, rest: Any = None) -> tuple[socket.socket, int | None]:
        """The data connection, to the same address as the first one, at a port that belongs to no service."""
        _host, port = self.makepasv()
        if not FIRST_FREE_PORT <= port <= 65535:
            raise FetchRefused("forbidden_port", f"The server names the port {port} for its data, which is forbidden.")
        connection = dial(self.peer, port, self.pace)
        response = self.sendcmd(cmd)
        if response[0] == "2":
            response = self.getresp()
        if response[0] != "1":
            raise ftplib.error_reply(response)  # noqa: S321 # shops still have nothing else
        if self.context and isinstance(self.sock, ssl.SSLSocket):
            connection.settimeout(self.pace.remaining)
            connection = self.context.wrap_socket(
                connection, server_hostname=self.place.host, session=self.sock.session
            )
            self.pace.watch(connection)
        return connection, None


def fetch_ftp(target: Target, spool: Spool) -> Found:
    """The file at the path, or the newest complete one of the folder that fits the pattern."""
    host, pace = target.place.shown_host, spool.pace
    try:
        client = _Client(target.place, pace)
        with contextlib.closing(client):
            username, password = "anonymous", "anonymous@"
            if target.login.kind == "password":
                username, password = target.login.username, target.login.secret
            if any(c in f"{username}{password}" for c in "\r\n"):
                raise login_refused(host)
            try:
                client.login(username, password)
            except ftplib.error_perm as error:
                raise login_refused(host) from error
            client.protect_data()
            client.voidcmd("TYPE I")  # sizes are those of bytes only then
            found = _fetch(client, target, spool)
            with contextlib.suppress(*ftplib.all_errors):
                client.sendcmd("QUIT")
            return found
    except ftplib.error_perm as error:
        pace.check()
        raise FetchFailed("no_file", f"{host} has no such file for us: {clean_words(error, 100)}.") from error
    except ftplib.Error as error:
        pace.check()
        raise FetchFailed("ftp", f"{host} could not send the file: {clean_words(error, 100)}.") from error
    except (OSError, EOFError, ValueError) as error:  # also what is no text and no number
        pace.check()
        raise FetchFailed("broke_off", f"The conversation with {host} broke off: {describe_break(error)}.") from error


def _fetch(client: _Client, target: Target, spool: Spool) -> Found:
    path = target.place.path.removeprefix("/~/") or "/"
    if target.pattern or path.endswith("/"):
        client.cwd(path)
        file, found = take_up(_list_files(client), target, spool)
        place = file.name
    else:
        file, found = take_up([_facts(client, path)], replace(target, marker=""), spool)
        place = path
    if found.unchanged:
        return found
    connection = client.transfercmd(f"RETR {place}")
    with contextlib.closing(connection):
        while True:
            connection.settimeout(spool.pace.remaining)
            piece = connection.recv(PIECE_BYTES)
            spool.pace.check()
            if not piece:
                break
            spool.write(piece)
    client.voidresp()
    after = _facts(client, place)
    same_file(file, (after.size, after.modified), spool.size)
    return found


def _facts(client: _Client, path: str) -> Listed:
    size = client.size(path)
    try:
        modified = _moment(client.sendcmd(f"MDTM {path}").partition(" ")[2])
    except ftplib.error_perm:
        modified = 0.0  # a server without clocks for its files: then only the size tells
    return Listed(path.rpartition("/")[2], size or 0, modified)


def _list_files(client: _Client) -> list[Listed]:
    files: Entries[Listed] = Entries()
    lines: Entries[str] = Entries()

    def add_line(line: str) -> None:
        client.pace.received(len(line))
        lines.append(line)

    try:
        client.retrlines("MLSD", add_line)
    except ftplib.error_perm:
        lines.clear()
        client.retrlines("NLST", add_line)
        client.voidcmd("TYPE I")
        names = [line.rpartition("/")[2] for line in lines]
        for name in names:
            with contextlib.suppress(ftplib.error_perm):  # a folder has no size
                files.append(_facts(client, name))
        return files
    for line in lines:
        facts_text, _blank, name = line.partition(" ")
        facts = dict(fact.lower().split("=", 1) for fact in facts_text.split(";") if "=" in fact)
        if facts.get("type", "file") == "file" and name and "/" not in name:
            files.append(Listed(name, int(facts.get("size", "0") or 0), _moment(facts.get("modify", ""))))
    client.voidcmd("TYPE I")  # the list has set another one
    return files


def _moment(text: str) -> float:
    """20261130073000.123 → seconds, whole ones: some servers say the fraction in one place only."""
    try:
        return datetime.strptime(text.strip()[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0
