"""Measures and prints the table. See ``scripts/benchmark --help`` and docs/performance.md."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

from benchmarks import figures, fleet, processes, web
from benchmarks.figures import Row
from benchmarks.options import Parser, at_least_one
from nesgw.simulator.profiles import PROFILES


def main() -> None:
    """Run what was asked for."""
    options = _options()
    if not processes.termineter_is_there():
        print("termineter is not there: .venv/bin/pytest tests/simulator/test_termineter.py makes its environment")
    names = options.only or list(_FIGURES)
    print(f"{'figure':<36} {'case':<44} {'measured':>10} {'bar':>7}         note", flush=True)
    for name in names:
        for row in _FIGURES[name](options):
            bar = "" if row.bar is None else f"{row.bar:g}"
            measured = f"{row.measured:.3f}" if row.measured < 100 else f"{row.measured:.0f}"
            print(
                f"{row.figure:<36} {row.case:<44} {measured:>10} {bar:>7} {row.verdict:<6}  {row.unit} {row.note}",
                flush=True,
            )


def _options() -> argparse.Namespace:
    parser = Parser(prog="scripts/benchmark", description="Measure nesgw against its bars.")
    parser.add_argument(
        "--only",
        choices=_FIGURES,
        metavar="NAME",
        action="append",
        help=f"one of: {', '.join(_FIGURES)}; may be repeated",
    )
    parser.add_argument("--profiles", type=_profiles, default=[*PROFILES], help="for reading and faster (default: all)")
    parser.add_argument("--rounds", type=at_least_one, default=2, help="how often two readers take turns (default: 2)")
    parser.add_argument("--polls", type=at_least_one, default=8, help="polls of each turn (default: 8)")
    parser.add_argument("--long", action="store_true", help="the counts and minutes of the bars: about an hour")
    return parser.parse_args()


def _profiles(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in PROFILES]:
        raise argparse.ArgumentTypeError(f"there is no profile {unknown[0]!r}, only {', '.join(PROFILES)}")
    return names


def _reading(options: argparse.Namespace) -> Iterator[Row]:
    return figures.reading(options.profiles, options.rounds, options.polls)


def _faster(options: argparse.Namespace) -> Iterator[Row]:
    return figures.faster(options.profiles, options.rounds, options.polls)


def _cpu(options: argparse.Namespace) -> Iterator[Row]:
    yield from figures.cpu(5 if options.long else 3, 20)
    if options.long:
        yield from figures.cpu(3, 12, 10.0, ("per-poll",))


def _web(options: argparse.Namespace) -> Iterator[Row]:
    yield from web.beats(120 if options.long else 20)
    yield from web.use(17_280 if options.long else 1_000)  # 48 hours on a beat of 10 s


def _fleet(options: argparse.Namespace) -> Iterator[Row]:
    small = fleet.Plan(gateways=10, meters=4, interval=2.0, seconds=10.0, restart=True)
    yield from fleet.measure(small)
    if options.long:  # 1,000 meters at 10 s, and 10,000 at 60 s
        for gateways, interval in ((63, 10.0), (625, 60.0)):
            yield from fleet.measure(fleet.Plan(gateways, interval=interval, discovery=False, acl=True, restart=True))


_FIGURES: dict[str, Callable[[argparse.Namespace], Iterator[Row]]] = {
    "reading": _reading,
    "faster": _faster,
    "cpu": _cpu,
    "start": lambda options: figures.start(11 if options.long else 5),
    "beat": lambda options: figures.fastest(10 if options.long else 0.5),
    "jitter": lambda options: figures.jitter(100) if options.long else figures.jitter(30, 1.0),
    "memory": lambda options: figures.memory(10_000, 1_000) if options.long else figures.memory(1_000, 200),
    "several": lambda options: figures.several(64, 120) if options.long else figures.several(8, 30),
    "web": _web,
    "fleet": _fleet,
    "traffic": lambda options: figures.traffic(120 if options.long else 30),
}

if __name__ == "__main__":
    main()
