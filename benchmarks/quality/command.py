"""`python -m benchmarks quality`: trains, times, writes the page; what is done is not done again."""

import argparse
import functools
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console

from gradchain.core import nearest

from ..report import machine
from . import figures, page, timing
from .contenders import CONTENDERS, Contender
from .results import Results, read
from .training import Trainer
from .tuning import SEEDS, find_target, train
from .workloads import REACHED_AT, SMALL, WORKLOADS, Workload

YARDSTICK = figures.YARDSTICK
DOCS = Path("docs")


def options(arguments: list[str]) -> argparse.Namespace:
    """The command line of `quality`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks quality", description=__doc__)
    parser.add_argument("--workloads", metavar="A,B", help=f"all: {', '.join(WORKLOADS)}")
    parser.add_argument("--optimizers", metavar="A,B", help=f"all: {', '.join(CONTENDERS)}")
    parser.add_argument("--out", type=Path, default=DOCS, metavar="FOLDER", help="of the page (docs)")
    parser.add_argument("--from", dest="source", type=Path, metavar="JSON", help="page of these results")
    parser.add_argument("--targets", action="store_true", help="measure the targets anew, and stop")
    parser.add_argument("--small", action="store_true", help="one tiny workload, for tests")
    parser.add_argument("--at-once", type=int, default=2, metavar="N", help="optimizers in training (2)")
    args = parser.parse_args(arguments)
    try:
        args.workloads = _named("workload", args.workloads, _workloads(args.small))
        args.optimizers = _named("optimizer", args.optimizers, CONTENDERS)
    except LookupError as error:
        parser.error(error.args[0])
    return args


def _workloads(small: bool) -> Mapping[str, Workload]:
    return {SMALL.name: SMALL} if small else WORKLOADS


def _named(what: str, words: str | None, known: Mapping[str, Any]) -> list[Any]:
    """What is known by these names, separated by commas; all for None."""
    names = list(known) if words is None else words.split(",")
    for name in names:
        if name not in known:
            raise LookupError(
                f"no {what} is called {name!r}.{nearest(name, known)} There are: {', '.join(known)}."
            )
    return [known[name] for name in names]


def facts(workloads: Iterable[Workload]) -> dict[str, Any]:
    """What the page says about how results came about, in JSON's types."""
    kept = ("what", "steps", "every", "target", "batch_size")
    described = {w.name: {key: getattr(w, key) for key in kept} for w in workloads}
    return {"machine": machine(), "seeds": len(SEEDS), "workloads": described}


def main(arguments: list[str]) -> int:
    """Runs the command; returns the exit status."""
    args = options(arguments)
    console = Console()
    if args.source:
        try:
            data = read(args.source)
        except (OSError, ValueError) as error:
            console.print(f"[red]{error}[/]")
            return 2
        return _write(args.out, data, console)
    trainers = {w.name: functools.cache(functools.partial(Trainer, w)) for w in args.workloads}
    if args.targets:
        for name, trainer in trainers.items():
            target, best = find_target(trainer(), CONTENDERS[YARDSTICK], REACHED_AT)
            console.print(f"{name}: {target:.4f} at {best['rate']:.3g}, decay {best['decay']:.3g}")
        return 0
    results = Results(args.out / "quality.json", facts(_workloads(args.small).values()))
    jobs = [(w, c) for c in args.optimizers for w in args.workloads]

    def work(job: tuple[Workload, Contender]) -> None:
        workload, contender = job
        if results.has("training", workload.name, contender.name):
            return
        results.add("training", workload.name, contender.name, train(trainers[workload.name](), contender))
        console.print(f"trained {contender.name} on {workload.name}")

    with ThreadPoolExecutor(args.at_once) as pool:
        list(pool.map(work, jobs))
    for workload in args.workloads:
        left = [c for c in args.optimizers if not results.has("timing", workload.name, c.name)]
        _time(trainers[workload.name], left, results, console)
    return _write(args.out, results.data, console)


def _time(trainer: Any, contenders: list[Contender], results: Results, console: Console) -> None:
    """Measures the steps of optimizers, each in turns with AdamW."""
    if not contenders:
        return
    theirs = timing.Steps(trainer(), CONTENDERS[YARDSTICK], 1e-3, 0.0)
    name = trainer().workload.name
    for contender in contenders:
        ours = timing.Steps(trainer(), contender, *_mild(contender))
        results.add("timing", name, contender.name, timing.measure(theirs, ours))
        console.print(f"timed {contender.name} on {name}")


def _mild(contender: Contender) -> tuple[float, float]:
    """A rate and a decay that do not diverge on the one batch of the measurement."""
    rate, decay = contender.first()[0]
    return rate, decay


def _write(folder: Path, data: dict[str, Any], console: Console) -> int:
    for file in page.write(folder, data):
        console.print(f"wrote {file}")
    return 0
