"""Elementwise optimizers beside what memory allows: bytes per parameter, and time of a step.

A step must read the gradient, the parameter and the state, and write the last two. A copy of one array,
measured in turns with the steps, says how long moving so many bytes takes.
"""

import statistics
from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

from .. import pytorch, worker
from ..harness import COPY, FLAGGED, NOISE, OURS, REFERENCE, WITH_FLAGS, Figure, Limit, benchmark
from ..training import Bench, Case, in_both, least_bytes, shares, state_arrays
from ..trees import gpt2, size

ARRAY = {"w": (4096, 4096)}
LEAST = "least possible"
BYTES, TIME, SHARE = "bytes per parameter", "time of a step", "share of the memory limit"


class Row(NamedTuple):
    """An optimizer, and what its arithmetic needs besides reading and writing everything once."""

    make: Callable[[Any], Any]
    torch: str = ""
    label: str = ""  # in the table, if not its name
    fixed: int = 0  # arrays of the state that never change
    gradient_reads: int = 1
    shapes: Any = ARRAY
    reached: bool = True  # whether it moves the least possible, with the flags
    limits: tuple[Limit, ...] = ()  # of its time


ROWS = {
    "sgd": Row(lambda m: m.sgd(1e-3), "sgd"),
    "momentum": Row(lambda m: m.sgd(1e-3, 0.9), "momentum"),
    "nesterov": Row(lambda m: m.sgd(1e-3, 0.9, nesterov=True), "nesterov"),
    "rmsprop": Row(lambda m: m.rmsprop(1e-3), "rmsprop"),
    "rmsprop_centered": Row(
        lambda m: m.rmsprop(1e-3, centered=True, momentum=0.9),
        "rmsprop_centered",
        "rmsprop, centered, momentum",
    ),
    "adagrad": Row(lambda m: m.adagrad(1e-3), "adagrad"),
    "adadelta": Row(lambda m: m.adadelta(1e-3), "adadelta"),
    "adam": Row(lambda m: m.adam(1e-3), "adam"),
    "adamw": Row(lambda m: m.adamw(1e-3), "adamw"),
    "adamw_scheduled": Row(
        lambda m: m.adamw(m.cosine_decay_schedule(1e-3, 10_000)), label="adamw, cosine schedule"
    ),
    "adamw_injected": Row(lambda m: m.inject_hyperparams(m.adamw)(1e-3), label="inject_hyperparams(adamw)"),
    "nadam": Row(lambda m: m.nadam(1e-3), "nadam"),
    "nadamw": Row(lambda m: m.nadamw(1e-3), "nadamw"),
    "adamax": Row(lambda m: m.adamax(1e-3), "adamax"),
    "adamaxw": Row(lambda m: m.adamaxw(1e-3)),
    "amsgrad": Row(lambda m: m.amsgrad(1e-3), "amsgrad"),
    "adabelief": Row(lambda m: m.adabelief(1e-3)),
    "adan": Row(lambda m: m.adan(1e-3)),
    "lion": Row(lambda m: m.lion(1e-3)),
    "radam": Row(lambda m: m.radam(1e-3), "radam"),
    "yogi": Row(lambda m: m.yogi(1e-3)),
    "rprop": Row(lambda m: m.rprop(1e-3), "rprop"),
    "sign_sgd": Row(lambda m: m.sign_sgd(1e-3)),
    "signum": Row(lambda m: m.signum(1e-3)),
    "acprop": Row(lambda m: m.contrib.acprop(1e-3)),
    "ademamix": Row(lambda m: m.contrib.ademamix(1e-3)),
    "simplified_ademamix": Row(lambda m: m.contrib.simplified_ademamix(1e-3)),
    "adopt": Row(lambda m: m.contrib.adopt(1e-3)),
    "cocob": Row(lambda m: m.contrib.cocob(), fixed=1),
    "madgrad": Row(lambda m: m.contrib.madgrad(1e-3), fixed=1),
    "adamw_clipped": Row(
        lambda m: m.chain(m.clip_by_global_norm(1.0), m.adamw(1e-3)),
        label="clip_by_global_norm, adamw",
        gradient_reads=2,
        reached=False,  # XLA also counts a loop that runs only where the norm over- or underflows
    ),
    "adamw_partition": Row(
        lambda m: m.partition({"a": m.adamw(1e-3), "b": m.sgd(1e-3)}, {"w": "a"}),
        label="partition(adamw, sgd)",
    ),
    "adamw_gpt2": Row(
        lambda m: m.adamw(1e-3),
        "adamw",
        "adamw, GPT-2 small",
        shapes=gpt2(),
        limits=(Limit(1.1, FLAGGED, pytorch.FUSED), Limit(0.7, FLAGGED, REFERENCE)),
    ),
}


def case(name: str) -> Case:
    """What is measured of a row."""
    row = ROWS[name]
    return Case(row.make, row.shapes)


@cache
def bench(name: str) -> Bench:
    """One of the rows, compiled once in a process."""
    return Bench(case(name), (REFERENCE, OURS))


def moved(name: str) -> dict[str, float]:
    """Bytes per parameter of each column in this process."""
    return bench(name).bytes_per_parameter()


def measure(name: str, repeats: int) -> dict[str, list[float]]:
    """Seconds of each column in this process."""
    return bench(name).seconds(repeats)


def figures(name: str, least: int, moved: dict[str, float], times: dict[str, list[float]]) -> list[Figure]:
    """The three tables' lines from what was measured.

    Args: name, of a row; least, bytes per parameter; moved, such bytes of each column; times, seconds of
        each column, and of the copies for each byte.
    """
    row = ROWS[name]
    label = row.label or name
    copies = times[COPY] + times[COPY + WITH_FLAGS]  # the flags do not change them
    limit = least * size(row.shapes) * statistics.median(copies)
    shown = {column: s for column, s in times.items() if not column.startswith(COPY)}
    share = {column: shares(s, limit) for column, s in shown.items()}
    bytes = {column: [value] for column, value in moved.items()} | {LEAST: [float(least)]}
    fewest = (Limit(1.01, FLAGGED, LEAST),) if row.reached else ()  # scalars count too
    return [
        Figure(label, "bytes", bytes, limits=fewest, table=BYTES),
        Figure(label, "s", shown, limits=(Limit(NOISE, FLAGGED, OURS), *row.limits), table=TIME),
        Figure(label, "%", share, table=SHARE),
    ]


def run(name: str, repeats: int) -> list[Figure]:
    """Optax and gradchain without and with XLA's flags, and PyTorch."""
    row = ROWS[name]
    least = least_bytes(state_arrays(case(name)), row.fixed, row.gradient_reads)
    bytes = worker.call(worker.NONE, moved, name)
    bytes |= {column + WITH_FLAGS: b for column, b in worker.call(worker.FLAGS, moved, name).items()}
    times = in_both(measure, name, repeats) | pytorch.columns(row.torch, row.shapes, repeats)
    return figures(name, least, bytes, times)


for _name in ROWS:
    benchmark(f"one_pass/{_name}", "one pass over memory")(partial(run, _name))
