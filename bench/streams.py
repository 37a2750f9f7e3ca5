"""How quickly a running site sends all products, and how long other calls take meanwhile.

python -m bench.streams http://127.0.0.1:8000 --key opm_… --pid 1234

The key's owner may export products. `--pid` is a web process, whose memory is watched.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from pathlib import Path
from urllib.request import Request, urlopen

STREAMS = ("products/export/", "products/changes/?since=0&format=jsonl")
OTHERS = ("list-products/?page_size=20", "filter-options/", "imports/")


def call(site: str, key: str, address: str) -> Request:
    return Request(f"{site}/api/v1/{address}", headers={"Authorization": f"Api-Key {key}"})  # noqa: S310 - a site


def read_stream(request: Request) -> tuple[int, int, float, float]:
    """Lines, bytes, seconds to the first byte, and seconds in all."""
    begin, first, lines, size = time.perf_counter(), 0.0, 0, 0
    with urlopen(request, timeout=600) as answer:  # noqa: S310
        while piece := answer.read1(1024 * 1024):
            first = first or time.perf_counter() - begin
            lines, size = lines + piece.count(b"\n"), size + len(piece)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("site")
    parser.add_argument("--key", required=True)
    parser.add_argument("--pid", type=int)
    asked = parser.parse_args()
    for address in STREAMS:
        for others in (False, True):
            done, seconds = threading.Event(), list[float]()
            beside = threading.Thread(target=call_others, args=(asked.site, asked.key, done, seconds))
            if others:
                beside.start()
            lines, size, first, took = read_stream(call(asked.site, asked.key, address))
            done.set()
            line = (
                f"{address}: {lines:,} lines, {size / 1e6:,.0f} MB, {lines / took:,.0f} a second, first {first:.2f} s"
            )
            if others:
                beside.join()
                p95 = statistics.quantiles(seconds, n=20)[-1] if len(seconds) > 1 else seconds[0]
                line += f"; beside it {len(seconds)} calls, p95 {p95 * 1000:,.0f} ms"
            print(line + (f"; peak {peak_of(asked.pid)}" if asked.pid else ""))


if __name__ == "__main__":
    main()
