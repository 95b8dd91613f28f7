"""Many values of hyperparameters in one compiled program."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...core import GradientTransformation, argument_of, declared_numbers, is_whole, replaced
from ...core.types import ArrayTree
from .distributions import Uniform, drawn
from .runs import Runs
from .table import Sweep

Make = Callable[..., GradientTransformation]


def sweep(
    train: Callable[..., ArrayTree],
    tx: GradientTransformation | Make,
    space: Mapping[str, Sequence[Any]],
    *,
    args: Sequence[Any] = (),
    chunk: int | None = None,
    progress: bool = True,
) -> Sweep:
    """Trains with every combination of hyperparameters, all in one compiled program.

        def train(tx):  # any function written in JAX
            ...
            return {"loss": loss}

        rates = numpy.geomspace(1e-4, 1e-1, 16)
        table = sweep(train, adamw(1e-3), {"learning_rate": rates, "b1": [0.8, 0.9]})
        tx = table.best("loss").tx

    The runs are mapped by `vmap` over the hyperparameters and shared out among all devices. A run that
    diverges does not stop the others. What cannot be mapped (structure, integers that shape the state,
    schedules, masks) is an outer loop: each of its values is compiled anew, and the table says so.

    Args:
        train: `train(tx, *args)` trains with the transformation it is given, whose numbers may be traced,
            and returns a tree of arrays.
        tx: a transformation, or a function that makes one from the hyperparameters:
            `lambda peak: adam(cosine_decay_schedule(peak, 100))`.
        space: by name, dotted as `hyperparams` has it or plain, the values to try.
        args: trees of arrays that every run is given, such as the data. Arrays that `train` brings along
            otherwise are compiled into the program; large ones take time and memory there.
        chunk: how many runs at once; None for all, or for as many as the memory holds.
        progress: whether to show a bar, where rich is installed and someone looks.

    Returns: a `Sweep`, one row for each combination, the last name varying fastest. Numbers are float32.
    Raises: KeyError for an unknown name (with the nearest); ValueError for an empty or repeated list of
        values; what `train` raises.
    """
    values = {name: _values("sweep", name, given) for name, given in space.items()}
    points = [dict(zip(values, row, strict=True)) for row in itertools.product(*values.values())]
    return _table("sweep", train, tx, values, points, args, chunk, progress)


def random_search(
    train: Callable[..., ArrayTree],
    tx: GradientTransformation | Make,
    space: Mapping[str, Uniform | Sequence[Any]],
    *,
    samples: int,
    seed: int = 0,
    args: Sequence[Any] = (),
    chunk: int | None = None,
    progress: bool = True,
) -> Sweep:
    """Trains with random hyperparameters: as `sweep`, with a sample where it has a grid.

        random_search(train, adamw(1e-3), {"learning_rate": log_uniform(1e-5, 1e-1)}, samples=64)

    Each range is cut into `samples` equal parts, and one number is drawn from each (a Latin hypercube).
    With the same number of runs, this covers each hyperparameter better than a grid does.

    Args: space, by name, `uniform(low, high)`, `log_uniform(low, high)` or a list of choices; samples, how
        many runs; seed; the others as for `sweep`.
    Reference: Bergstra and Bengio, 2012, Random Search for Hyper-Parameter Optimization, JMLR 13;
        McKay, Beckman and Conover, 1979, A Comparison of Three Methods for Selecting Values of Input
        Variables in the Analysis of Output from a Computer Code.
    """
    if samples < 1:
        raise ValueError(f"random_search: samples must be at least 1, received {samples}.")
    rng = np.random.default_rng(seed)
    columns = {
        name: drawn(
            source if isinstance(source, Uniform) else _values("random_search", name, source), rng, samples
        )
        for name, source in space.items()
    }
    points = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return _table("random_search", train, tx, columns, points, args, chunk, progress)


def maker(
    who: str, tx: GradientTransformation | Make, values: Mapping[str, Sequence[Any]]
) -> Callable[[Mapping[str, Any]], Any]:
    """The function from values by name to a transformation.

    Args: values, all that will be tried, by name: those out of range are refused now.
    Raises: KeyError for an unknown name; what the factories of `tx` raise for a value.
    """
    if not isinstance(tx, GradientTransformation):
        return lambda point: tx(**point)
    for name, tried in values.items():
        for value in tried:
            replaced(tx, {name: value}, who)
    return lambda point: replaced(tx, point, who)


def why_not_mapped(tx: GradientTransformation | Make, name: str, values: Sequence[Any]) -> str | None:
    """Why an argument cannot be traced, as far as its values and its factory tell; None if it may be."""
    numbers = (int, float, np.number)
    if not all(isinstance(v, numbers) and not isinstance(v, (bool, np.bool_)) for v in values):
        return "its values are no numbers"
    if not isinstance(tx, GradientTransformation):
        return None
    part, argument = argument_of("sweep", tx, name)
    factory = getattr(part.pair.factory, "inner_factory", part.pair.factory)
    declared = declared_numbers(factory)
    if declared is not None and argument not in declared:
        return f"{part.name} takes it as structure"
    return "it is a whole number" if is_whole(factory, argument) else None


def _table(
    who: str,
    train: Callable[..., ArrayTree],
    tx: GradientTransformation | Make,
    tried: Mapping[str, Sequence[Any]],
    points: list[dict[str, Any]],
    args: Sequence[Any],
    chunk: int | None,
    progress: bool,
) -> Sweep:
    if chunk is not None and chunk < 1:
        raise ValueError(f"{who}: chunk must be at least 1, received {chunk}.")
    if not points or not points[0]:
        raise ValueError(f"{who}: the space is empty; name a hyperparameter and its values.")
    make = maker(who, tx, tried)
    reasons = {name: why_not_mapped(tx, name, values) for name, values in tried.items()}
    looped = {name: why for name, why in reasons.items() if why is not None}
    runs = Runs(who, train, make, looped, args)
    results = runs.results(points, chunk, progress)
    columns = {name: _column([point[name] for point in points]) for name in tried}
    return Sweep(make, columns, results, runs.looped, runs.compile_seconds, runs.seconds)


def _column(values: list[Any]) -> np.ndarray:
    column = np.empty(len(values), object)
    column[:] = values
    numbers = all(isinstance(v, (bool, int, float, np.number)) for v in values)
    return np.asarray(values) if numbers or all(isinstance(v, str) for v in values) else column


def _values(who: str, name: str, given: Sequence[Any]) -> list[Any]:
    if isinstance(given, (str, bytes)) or not hasattr(given, "__len__"):
        raise TypeError(f"{who}: {name} must be a list of values, received {given!r}.")
    values = [v.item() if isinstance(v, np.generic) else v for v in given]
    if not values:
        raise ValueError(f"{who}: {name} has no values; give at least one.")
    for i, value in enumerate(values):
        if any(value is other or (type(value) is type(other) and value == other) for other in values[:i]):
            raise ValueError(f"{who}: {name} has the value {value!r} twice; give it once.")
    return values
