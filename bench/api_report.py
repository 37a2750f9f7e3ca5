"""What became of the calls under load → a table for the terminal, and a page."""

from __future__ import annotations

from dataclasses import dataclass

from bench.report import DOCS


@dataclass
class Row:
    """One call: ms that its p95 may be and that it took, ours and naive. `first` is the request after a change."""

    call: str
    most: float
    p50: float
    p95: float
    p99: float
    first: float
    errors: int
    naive_p95: float | None = None
    naive_errors: int = 0

    @property
    def good(self) -> bool:
        return self.p95 < self.most and not self.errors


HEAD = f"{'ms':28}" + "".join(f"{name:>11}" for name in ("first", "p50", "p95", "p99", "promised"))


def line(row: Row) -> str:
    figures = "".join(f"{ms:>11,.1f}" for ms in (row.first, row.p50, row.p95, row.p99))
    errors = f"   {row.errors} errors" if row.errors else ""
    return f"{row.call:28}{figures}{row.most:>11,.0f}{'ok' if row.good else 'NO':>11}{errors}"


def naive_line(row: Row) -> str:
    return f"{row.call + ', naive':39}{'':11}{row.naive_p95:>11,.0f}{row.naive_errors:>11,} errors"


def write(rows: list[Row], queries: dict[str, list[int]], *, products: int, rate: float, memory: str) -> None:
    """Write docs/performance-api.md anew."""
    page = _PAGE.format(
        products=products,
        rate=rate,
        memory=memory,
        rows="\n".join(map(_told, rows)),
        queries="\n".join(f"| {call} | {' · '.join(map(str, numbers))} |" for call, numbers in queries.items()),
    )
    (DOCS / "performance-api.md").write_text(page, encoding="utf-8")


def _told(row: Row) -> str:
    kept = "yes" if row.good else "**no**"
    shares = f"{row.p95 / row.most:.2f} | {row.first / row.most:.2f}"
    return f"| {row.call} | {row.most:g} ms | {kept} | {shares} | {_naive(row)} |"


def _naive(row: Row) -> str:
    if row.naive_p95 is None:
        return "–"
    return f"{'over ' if row.naive_errors else ''}{row.naive_p95 / row.p95:,.1f}"


_PAGE = """\
# Performance of the API

Measured by `make benchapi ARGS="--products {products} --write"`, which made this page: each reading call of the API,
asked {rate:g} times a second of two web workers, with {products:,} products. The clients and PostgreSQL, which had
`shared_buffers` of {memory}, ran on the same machine. The promise is about the p95, the time within which 95 of 100
requests are answered, waiting included. Other times are shares and ratios only, because they are one machine's.

Before each call the catalogue gets another version, so that no cache knows anything about it: the first request counts
everything, as it does after an import. Brands, prices, words and products differ from request to request; the other
calls ask for the same page each time, which is answered from memory after the first request.

The naive calls are what one writes first: `count()`, `OFFSET`, `DISTINCT` and a `ModelSerializer`, on the same
products in the same run ([bench/naive.py](../bench/naive.py)). *Over* means that many of their requests were given up
after 5 seconds.

| call | promised p95 | kept | p95 ÷ promise | first request ÷ promise | naive p95 ÷ ours |
|---|---:|---|---:|---:|---:|
{rows}

A search costs what it finds. The index of words does not know which products are visible, so the exact number
takes a look at each of them. Some thousand cost nothing; a word that a sixteenth of a million products have takes a
tenth of a second of a core, the first time after a change. *Search with a typo* asks for each of some twenty such words
in its first second, and only then takes longer than its promise.

With a million products in four markets (`--markets 4`), which have the same ids, each call of one market keeps its
promise, *search with a typo* too: its p95 is a fifth of it.

## Queries

The queries of each call for pages of 1, 20 and 100 products, with empty caches and without the query that identifies
the user:

| call | queries |
|---|---|
{queries}
"""
