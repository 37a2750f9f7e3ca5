"""Figures → a table for the terminal, and a page with a picture. Ratios only: seconds are one machine's."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from pathlib import Path

Figures = dict[str, float]

SCENARIOS = {"first": "first import", "unchanged": "same file again", "changed": "10 % changed"}
FLOORS = ("parse", "copy", "merge")
PEERS = {"bulk_create": "`bulk_create(update_conflicts=True)`", "import_export": "django-import-export, in bulk"}
STEPS = ("stage", "plan", "apply")
DOCS = Path(__file__).resolve().parents[1] / "docs"


@dataclass
class Results:
    """What was measured with catalogues of so many items: figures by what and scenario."""

    items: int
    figures: dict[tuple[str, str], Figures] = field(default_factory=dict)

    def add(self, what: str, scenario: str, figures: Figures) -> None:
        self.figures[what, scenario] = figures

    def seconds(self, what: str, scenario: str, part: str = "total") -> float | None:
        return self.figures.get((what, scenario), {}).get(part)

    def floor(self, scenario: str) -> float:
        """The sum of the floors, in seconds."""
        return sum(self.figures[name, scenario]["total"] for name in FLOORS)

    def of_floor(self, scenario: str) -> float:
        return self.figures["ours", scenario]["total"] / self.floor(scenario)

    def times_as_fast(self, peer: str, scenario: str, part: str = "total") -> float | None:
        """How many times as fast ours is as the peer, or as this part of what it does."""
        seconds = self.seconds(peer, scenario, part)
        return seconds / self.figures["ours", scenario]["total"] if seconds else None

    @property
    def peak_mb(self) -> float:
        return max(figures["peak_mb"] for (what, _), figures in self.figures.items() if what == "ours")


def text(results: Results) -> str:
    """Items a second, for the terminal."""
    columns = (*STEPS, "total")
    lines = [f"\n{results.items:,} items; items per second", f"{'':36}" + "".join(f"{c:>10}" for c in columns)]
    for (what, scenario), figures in results.figures.items():
        speeds = (f"{results.items / figures[c]:>10,.0f}" if figures.get(c) else f"{'–':>10}" for c in columns)
        peak = f"{figures['peak_mb']:>7,.0f} MB"
        lines.append(f"{what + ', ' + SCENARIOS[scenario]:36}{''.join(speeds)}{peak}")
    for scenario, name in SCENARIOS.items():
        ratios = [f"{results.of_floor(scenario):.2f} × the floors"]
        ratios += [
            f"{times:.1f} times as fast as {peer}" for peer in PEERS if (times := results.times_as_fast(peer, scenario))
        ]
        lines.append(f"{name}: {', '.join(ratios)}")
    return "\n".join(lines)


# --- the page -----------------------------------------------------------------------------------------


def write(all_results: list[Results]) -> None:
    """Write docs/performance.md and its picture anew."""
    (DOCS / "performance.svg").write_text(picture(all_results), encoding="utf-8")
    (DOCS / "performance.md").write_text(page(all_results), encoding="utf-8")


def page(all_results: list[Results]) -> str:
    return _PAGE.format(
        floors="\n".join(_row(name, all_results, Results.of_floor, key) for key, name in SCENARIOS.items()),
        head=" | ".join(f"{results.items:,} items" for results in all_results),
        rule=" | ".join("---:" for _ in all_results),
        peers=_peers(all_results, "total"),
        writing=_peers(all_results, "writing"),
        steps="\n".join(_shares(all_results, key, name) for key, name in SCENARIOS.items()),
        memory=_row("peak of the largest process, beside the smallest size", all_results, _peak_ratio(all_results), ""),
    )


def _row(name: str, all_results: list[Results], ratio: object, scenario: str) -> str:
    cells = [ratio(results, scenario) for results in all_results]  # type: ignore[operator]
    return f"| {name} | {' | '.join('–' if cell is None else f'{cell:.2f}' for cell in cells)} |"


def _peers(all_results: list[Results], part: str) -> str:
    return "\n".join(
        _row(f"{name}: {scenario}", all_results, _peer_ratio(peer, part), key)
        for peer, name in PEERS.items()
        for key, scenario in SCENARIOS.items()
    )


def _peer_ratio(peer: str, part: str) -> object:
    return lambda results, scenario: results.times_as_fast(peer, scenario, part)


def _peak_ratio(all_results: list[Results]) -> object:
    return lambda results, _scenario: results.peak_mb / all_results[0].peak_mb


def _shares(all_results: list[Results], key: str, name: str) -> str:
    cells = []
    for results in all_results:
        total = results.figures["ours", key]["total"]
        cells.append(" · ".join(f"{results.figures['ours', key][step] / total:.0%}" for step in STEPS))
    return f"| {name} | {' | '.join(cells)} |"


_PAGE = """\
# Performance

Measured by `make bench ARGS="--items … --write"`, which made this page: our import beside its floors and its peers,
on the same generated feeds, on the same database, in the same run. It quotes ratios only, because the machine's
speed cancels out in them; two runs differ by a tenth or two.

![The import beside the sum of its floors](performance.svg)

## Beside the floors

The floors are three things that every import needs: lxml walks over the file and looks at nothing; one `COPY` writes
the finished rows into a table like that of staged items; one `MERGE` moves them into a table like that of products,
with its indexes. The table shows our time as a multiple of the sum of the three. It runs from the upload to the
clean-up, with every check, preview, plan and history:

| | {head} |
|---|{rule}|
{floors}

## Beside the peers

The peers read the same file with our reader and our checks, in one process, and write the result: they plan and show
nothing, and keep nothing for undo. django-import-export runs in its best configuration for each import: where there
are no products it does not look for them, otherwise it holds all of them in memory, and it does not write those that
do not differ. The table shows how many times as fast ours is:

| | {head} |
|---|{rule}|
{peers}

The same beside their writing alone, as if they got the rows for nothing, while ours reads and checks:

| | {head} |
|---|{rule}|
{writing}

`–` was not measured: a peer is measured up to the size that it can finish in reasonable time and memory.

## Where the time goes

Shares of stage · plan · apply; the rest is receiving the upload and cleaning up.

| | {head} |
|---|{rule}|
{steps}

## Pages and undo

`make benchpages ARGS="--items 1000000"` asks for every list, filter and call of two imports at each station of their
lives: an import that creates the catalogue, and one that changes a tenth of it. It takes the rarest field and issue,
the most frequent, and one between. With a million items, before a plan's changes had filters by brand, type, move of
the price and issue:

| | bound | |
|---|---:|---:|
| each list and filter, first page and last, the middle of all changes, and every call | 300 ms | 341 of 341 |
| how many of its products were changed since, and what an undo would keep, 20 being edited | 300 ms | within |
| undo of the creations of a first import, times its apply | 2 | 0.63 |

The time to count the products that were changed since grows with their number. If there are more than ten thousand,
each product of the import is looked at: with a million, that takes a second or two.

Words and filters in a plan of a million new products, 153 pages on a machine that had more than twice its cores to do:
146 within 300 ms, the others within 400, five of them for one phrase that 5,065 products have.

## Memory

| | {head} |
|---|{rule}|
{memory}
"""


# --- the picture --------------------------------------------------------------------------------------

_WIDTH, _BAR, _GAP, _LEFT = 640, 22, 10, 210


def picture(all_results: list[Results]) -> str:
    """A bar for each size and scenario: how many times the sum of the floors."""
    bars = [
        (f"{results.items:,} items, {name}", results.of_floor(key))
        for results in all_results
        for key, name in SCENARIOS.items()
    ]
    longest = max(ratio for _, ratio in bars)
    scale = (_WIDTH - _LEFT - 60) / max(longest, 1)
    height = len(bars) * (_BAR + _GAP) + _GAP
    drawn = [_bar(number, label, ratio, scale) for number, (label, ratio) in enumerate(bars)]
    one = _LEFT + scale
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img"'
            ' font-family="sans-serif" font-size="13">',
            "<title>Times the sum of the floors: parse, COPY, MERGE</title>",
            f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
            *drawn,
            f'<line x1="{one:.0f}" y1="0" x2="{one:.0f}" y2="{height}" stroke="#888" stroke-dasharray="4 3"/>',
            "</svg>\n",
        ]
    )


def _bar(number: int, label: str, ratio: float, scale: float) -> str:
    top = _GAP + number * (_BAR + _GAP)
    text_y = top + _BAR - 6
    return (
        f'<text x="{_LEFT - 8}" y="{text_y}" text-anchor="end" fill="#222">{escape(label)}</text>'
        f'<rect x="{_LEFT}" y="{top}" width="{ratio * scale:.0f}" height="{_BAR}" fill="#7c3aed"/>'
        f'<text x="{_LEFT + ratio * scale + 6:.0f}" y="{text_y}" fill="#222">{ratio:.2f}</text>'
    )
