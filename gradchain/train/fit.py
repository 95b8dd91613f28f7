"""A training loop that survives: it saves what it needs to go on, and goes on from what it saved."""

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np

from ..core import GradientTransformation
from ..core.types import OptState, Params, PyTree
from .checkpoints import Checkpoints, Unsaved
from .checksums import has_nan
from .compiled import compiled_step, typed_key
from .contents import Saved
from .history import History, not_finite
from .placing import placed_state
from .position import of_this_process, source_of
from .preemption import Signals
from .progress import Bar
from .together import gathered


class FitResult(NamedTuple):
    """What `fit` has trained."""

    params: Params
    opt_state: OptState
    step: int  # steps taken, with those of earlier runs
    metrics: dict[str, list[Any]]  # of this call, by name: "step", "loss", "grad_norm", and those of aux


def fit(
    loss: Callable[..., Any],
    params: Params,
    tx: GradientTransformation,
    data: Any,
    steps: int,
    *,
    directory: str | Path | None = None,
    save_every: int = 100,
    keep: int = 3,
    key: Any = 0,
    has_aux: bool = False,
    shardings: PyTree = None,
    log_every: int = 10,
    on_metrics: Callable[[int, dict[str, Any]], Any] | None = None,
    measure: bool = False,
    nan: Literal["stop", "go_on"] = "stop",
    progress: bool = True,
) -> FitResult:
    """Trains for a number of steps. The same call goes on from the newest checkpoint in `directory`.

    Parameters, state, position in the data, key and step are saved every `save_every` steps and at the
    end, in the background. An interrupted run that goes on ends with the very bits of one that was not.

    Args:
        loss: `loss(params, batch, key)`, one real number; with `has_aux` and a dict of metrics.
        params, tx: the parameters to begin with, which are copied; any transformation.
        data: `data(step) -> batch`, steps counted from 0, or an iterator with `get_state` and `set_state`
            (Grain's). Where it ends before `steps`, training ends too.
        steps: in all, with those of earlier runs. key: a seed or random key; each step's is made of it.
        directory: for checkpoints; made if missing. None: nothing is saved. keep: how many stay.
        shardings: of the parameters, a tree or a prefix of one; the state's follow. `data` places batches.
        log_every: steps between metrics, which `on_metrics(step, metrics)` gets. measure: with those that
            `gradchain.measurements` finds in the state.
        nan: whether a loss that is not finite ends the run, before anything is saved over.
        progress: a bar, if standard error is a terminal.

    Raises: `Preempted` after SIGTERM (exit code 143) and KeyboardInterrupt after Ctrl-C, when the step is
        finished and saved; a second one acts at once. `SaveError` if a checkpoint cannot be written,
        FloatingPointError for a NaN; CheckpointError if what is saved does not fit, or none of it is whole.
    """
    _check(steps=(steps, 0), save_every=(save_every, 1), keep=(keep, 1), log_every=(log_every, 1))
    if nan not in ("stop", "go_on"):
        raise ValueError(f'fit: nan must be "stop" or "go_on", received {nan!r}.')
    source = source_of(data, saved=directory is not None)
    run = Saved(0, *placed_state(tx, params, shardings), typed_key(key), [])
    with contextlib.ExitStack() as stack:
        saves = Unsaved() if directory is None else Checkpoints(Path(directory), tx, run, keep)
        stack.callback(saves.close)
        if saves.steps:
            del run  # before its memory is needed twice
            run = saves.newest()
            source.go_to(of_this_process(run.positions))
            _say(f"fit: goes on from step {run.step} of {directory}.")
        signals = stack.enter_context(Signals(directory is not None))
        bar = stack.enter_context(Bar(steps, run.step, progress))
        history = History(log_every, on_metrics, bar.show, stops=nan == "stop")
        advance = compiled_step(loss, tx, run, has_aux=has_aux, measure=measure)

        while run.step < steps and not signals.came(run.step):
            try:
                batch = source.batch(run.step)
            except StopIteration:
                break
            new_params, state, value, others = advance(
                run.params, run.opt_state, batch, run.key, np.uint32(run.step)
            )
            run = run._replace(step=run.step + 1, params=new_params, opt_state=state)
            history.add(run.step, value, others, last=run.step == steps)
            saves.check()
            if run.step % save_every == 0:
                _save(saves, run, source, history)
        _save(saves, run, source, history)
        saves.check(wait=True)
    signals.end(run.step, str(directory))
    return FitResult(run.params, run.opt_state, run.step, history.metrics)


def _save(saves: Checkpoints | Unsaved, run: Saved, source: Any, history: History) -> None:
    """Saves the run, unless its numbers are lost."""
    history.finish()
    if history.stops and has_nan(run.params):
        raise not_finite(f"the parameters after step {run.step} hold NaN")
    saves.save(run._replace(positions=gathered(source.position())))


def _check(**numbers: tuple[int, int]) -> None:
    """Raises: ValueError for a number that is not whole, or too small."""
    for name, (n, least) in numbers.items():
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < least:
            raise ValueError(f"fit: {name} must be a whole number, at least {least}, received {n!r}.")


def _say(text: str) -> None:
    """Tells the user, once."""
    if jax.process_index() == 0:
        print(text, file=sys.stderr, flush=True)
