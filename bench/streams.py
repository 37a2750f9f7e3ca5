"""How quickly a web process sends all products, plain and packed, and how long other calls take meanwhile.

python -m bench.streams --products 1000000 --keep bench_million

makes that many products in a database of its own and serves them as production does, by one process. Without
`--products` a running site is asked:

python -m bench.streams http://127.0.0.1:8000 --key opm_… --pid 1234

The key's owner may export products. `--pid` is a web process, whose memory is watched. The peak is that of the process
since it began, so each line's is at least that of the lines before. Beside the stream three calls are asked for one
after the other, below what a key may ask for in a minute.
"""

from __future__ import annotations

import argparse
import os
import statistics
import threading
import time
import zlib
from pathlib import Path
from urllib.request import Request, urlopen

import django

STREAMS = (("products/export/", False), ("products/export/", True), ("products/changes/?since=0&format=jsonl", False))
OTHERS = ("list-products/?page_size=20", "filter-options/", "imports/")


def call(site: str, key: str, address: str, packed: bool = False) -> Request:
    headers = {"Authorization": f"Api-Key {key}", **({"Accept-Encoding": "gzip"} if packed else {})}
    return Request(f"{site}/api/v1/{address}", headers=headers)  # noqa: S310 - a site


def read_stream(request: Request) -> tuple[int, int, float, float]:
    """Lines, bytes that were sent, seconds to the first byte, and seconds in all.

    What is packed is unpacked to count, which takes the client less than packing took the server.
    """
    begin, first, lines, size = time.perf_counter(), 0.0, 0, 0
    with urlopen(request, timeout=3600) as answer:  # noqa: S310
        unpack = zlib.decompressobj(16 + zlib.MAX_WBITS) if answer.headers["Content-Encoding"] == "gzip" else None
        while piece := answer.read1(1024 * 1024):
            first = first or time.perf_counter() - begin
            size += len(piece)
            lines += (unpack.decompress(piece) if unpack else piece).count(b"\n")
    return lines, size, first, time.perf_counter() - begin


def peak_of(pid: int) -> str:
    """The most memory that the process had, as the kernel says it."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(line.split(":")[1].strip() for line in status.splitlines() if line.startswith("VmHWM"))


def call_others(site: str, key: str, done: threading.Event, seconds: list[float]) -> None:
    """One call after the other, below what a key may ask for in a minute."""
    while not done.is_set():
        for address in OTHERS:
            begin = time.perf_counter()
            with urlopen(call(site, key, address), timeout=60) as answer:  # noqa: S310
                answer.read()
            seconds.append(time.perf_counter() - begin)
        done.wait(0.5)


def measure(site: str, key: str, pid: int | None) -> None:
    for address in OTHERS:  # the first calls import, compile and connect
        urlopen(call(site, key, address)).close()  # noqa: S310
    if pid:
        print(f"the web process has {peak_of(pid)}", flush=True)
    for address, packed in STREAMS:
        for others in (False, True):
            done, seconds = threading.Event(), list[float]()
            beside = threading.Thread(target=call_others, args=(site, key, done, seconds))
            if others:
                beside.start()
            before = cpu_of(pid) if pid else 0.0
            lines, size, first, took = read_stream(call(site, key, address, packed))
            used = cpu_of(pid) - before if pid else 0.0
            done.set()
            line = (
                f"{address}{', packed' * packed}: {lines:,} lines, {size / 1e6:,.0f} MB, {lines / took:,.0f} a second, "
                f"first {first:.2f} s"
            )
            if others:
                beside.join()
                p95 = statistics.quantiles(seconds, n=20)[-1] if len(seconds) > 1 else seconds[0]
                line += f"; beside it {len(seconds)} calls, p95 {p95 * 1000:,.0f} ms"
            web = f"; web {used / max(lines, 1) * 1e6:.0f} µs a line, peak {peak_of(pid)}" if pid else ""
            print(line + web, flush=True)


def cpu_of(pid: int) -> float:
    """Seconds that the process has computed."""
    times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")


def server_of(port: int) -> int:
    """The process of ours that serves the port, which is its last argument."""
    ends = f"bench.streams\0--serve\0{port}\0".encode()
    return next(
        int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if path.read_bytes().endswith(ends)
    )


def make_machine() -> str:
    """The key of somebody who may export."""
    from django.contrib.auth.models import Group

    from accounts.keys import make_key
    from accounts.models import Scope, User

    User.objects.filter(username="machine").delete()
    machine = User.objects.create_user("machine", "machine@example.com")
    machine.groups.set(Group.objects.filter(name="viewer"))
    return make_key(machine, name="streams", scopes=Scope.values, feeds=[], days=1, by=machine)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("site", nargs="?", default="")
    parser.add_argument("--key", default="")
    parser.add_argument("--pid", type=int)
    parser.add_argument("--products", type=int, default=0)
    parser.add_argument("--keep", default="", metavar="NAME", help="the database to find or make, and to leave there")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.site:
        return measure(asked.site, asked.key, asked.pid)
    os.environ["DJANGO_SETTINGS_MODULE"] = "bench.settings"
    django.setup()
    from bench.database import own_database
    from bench.load import serve, web_workers
    from bench.products import fill

    if asked.serve:
        return serve(asked.serve)
    with own_database(asked.keep):
        fill(asked.products)
        key = make_machine()
        with web_workers("-m", "bench.streams", "--serve") as ports:
            measure(f"http://127.0.0.1:{ports[0]}", key, server_of(ports[0]))
    return None


if __name__ == "__main__":
    main()
