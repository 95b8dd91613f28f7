"""Studies with Optuna, for spaces too large for a grid: `pip install "gradchain[optuna]"`."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..core import GradientTransformation
from ..core.types import ArrayTree
from ..tools.sweeping.distributions import Uniform
from ..tools.sweeping.runs import Runs
from ..tools.sweeping.sweep import maker, why_not_mapped

try:
    import optuna
except ImportError as error:
    raise ImportError(
        'gradchain.integrations.optuna needs Optuna: install it with pip install "gradchain[optuna]".'
    ) from error


def objective(
    train: Callable[[Any], ArrayTree],
    tx: GradientTransformation | Callable[..., GradientTransformation],
    space: Mapping[str, Uniform | Sequence[Any]],
    *,
    metric: str | None = None,
) -> Callable[[optuna.Trial], float]:
    """The objective of an Optuna study: one trial trains with the hyperparameters that Optuna suggests.

        from gradchain.integrations.optuna import objective

        space = {"learning_rate": gc.log_uniform(1e-5, 1e-1), "nesterov": [False, True]}
        study = optuna.create_study()
        study.optimize(objective(train, gc.adam(1e-3), space, metric="loss"), n_trials=100)
        tx = gc.adam(1e-3).replace(**study.best_params)

    Trials that differ in numbers share one compiled program. A trial that diverges is pruned.

    Args: train, tx and space, as `random_search` takes them; choices must be None, bool, int, float or
        str, as Optuna stores them; metric, the result that counts, None if `train` returns one number.
    Returns: a function of a trial, for `study.optimize`.
    Raises: KeyError for an unknown hyperparameter or metric; TypeError for a choice of another type.
    """
    if not space:
        raise ValueError("objective: the space is empty; name a hyperparameter and its values.")
    choices = {n: [s.low, s.high] if isinstance(s, Uniform) else list(s) for n, s in space.items()}
    for name, values in choices.items():
        wrong = [v for v in values if not isinstance(v, (bool, int, float, str, type(None)))]
        if wrong or not values:
            raise TypeError(
                f"objective: {name} must be a range or choices of None, bool, int, float or str, "
                f"received {values!r}."
            )
    make = maker("objective", tx, choices)
    reasons = {n: why_not_mapped(tx, n, values) for n, values in choices.items()}
    runs = Runs("objective", train, make, {n: why for n, why in reasons.items() if why is not None})
    programs: dict[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {}

    def value(trial: optuna.Trial) -> float:
        point = {name: _suggested(trial, name, source) for name, source in space.items()}
        if not programs:
            runs.settle(point)
        key = runs.key(point)
        if key not in programs:
            programs[key] = runs.alone(point)
        found = float(_counts(programs[key](point), metric))
        if not math.isfinite(found):
            raise optuna.TrialPruned(f"diverged: the metric is {found}")
        return found

    return value


def _suggested(trial: optuna.Trial, name: str, source: Uniform | Sequence[Any]) -> Any:
    if isinstance(source, Uniform):
        return trial.suggest_float(name, source.low, source.high, log=source.log)
    return trial.suggest_categorical(name, list(source))


def _counts(results: Mapping[str, Any], metric: str | None) -> Any:
    """The result that counts."""
    if metric is None and len(results) == 1:
        return next(iter(results.values()))
    if metric is None or metric not in results:
        raise KeyError(
            f"objective: train returned {', '.join(results)}; name one of them as metric, "
            f"received {metric!r}."
        )
    return results[metric]
