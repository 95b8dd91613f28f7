"""The learning-rate range test."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ...core import GradientTransformation, argument_of, replaced
from ...core.types import OptState, Params

STOP = 4.0
"""The test ends once the smoothed loss is this many times the smallest one."""
SMOOTHING = 0.9
"""The decay of the average of the losses."""
MARGIN = 10.0
"""The suggestion is at most the rate of the smallest loss divided by this."""


class LearningRates(NamedTuple):
    """What a range test found. `print` shows the suggestion and its reason."""

    suggestion: float | None  # a learning rate to begin with; None if the loss never fell
    reason: str
    rates: np.ndarray  # f64[steps]  of each step
    losses: np.ndarray  # f64[steps]  before each step, NaN and infinity included
    smoothed: np.ndarray  # f64[steps]  the average that the suggestion is read from

    def __str__(self) -> str:
        return f"{'none' if self.suggestion is None else f'{self.suggestion:.2g}'}: {self.reason}"

    def plot(self, ax: Any = None) -> Any:
        """Draws the losses against the rate, with the suggestion. Returns the matplotlib Axes."""
        try:
            from matplotlib import pyplot as plt
        except ImportError as error:
            raise ImportError('plot needs matplotlib: pip install "gradchain[plot]".') from error
        if ax is None:
            _, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
        ax.plot(self.rates, self.losses, color="0.75", linewidth=1, label="loss")
        ax.plot(self.rates, self.smoothed, color="#4c72b0", linewidth=2, label="smoothed")
        if self.suggestion is not None:
            ax.axvline(self.suggestion, color="#c44e52", label=f"suggestion {self.suggestion:.2g}")
        highest = self.smoothed[np.isfinite(self.smoothed)].max(initial=self.losses[0])
        ax.set(xscale="log", xlabel="learning rate", ylabel="loss", ylim=(None, 1.1 * highest))
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False)
        return ax


def find_learning_rate(
    train_step: Callable[[Any, Params, OptState, Any], tuple[Params, OptState, Any]],
    tx: GradientTransformation,
    params: Params,
    batches: Iterable[Any],
    *,
    low: float = 1e-7,
    high: float = 10.0,
    steps: int = 100,
    name: str = "learning_rate",
) -> LearningRates:
    """Finds a learning rate to begin with: trains a copy while the rate grows, and watches the loss.

        def train_step(tx, params, state, batch):
            loss, grads = jax.value_and_grad(loss_fn)(params, batch)
            params, state = tx.step(grads, state, params)
            return params, state, loss

        found = find_learning_rate(train_step, adamw(1e-3), params, batches)
        tx = adamw(found.suggestion)

    Step i of n has the rate low (high / low)^(i / (n - 1)). The test ends early once the smoothed loss is
    four times its smallest value, or is not finite. The suggestion is where the smoothed loss falls fastest
    per decade, and at most a tenth of the rate of its smallest value. The step is compiled once.

    Args:
        train_step: `train_step(tx, params, state, batch) -> (params, state, loss)`, written in JAX.
        tx: a transformation with a learning rate.
        params: where to begin; they are not changed.
        batches: one for each step. If they end, the test ends.
        low, high: the range, 0 < low < high.
        steps: how many rates, at least 10.
        name: the hyperparameter that grows, dotted if there are several.

    Raises: KeyError if `tx` has no such hyperparameter, or several; ValueError for a bad range, or for
        fewer than 10 batches.
    Reference: Smith, 2015, Cyclical Learning Rates for Training Neural Networks, arXiv:1506.01186.
    """
    if not 0 < low < high < np.inf:
        raise ValueError(f"find_learning_rate: expected 0 < low < high, received {low} and {high}.")
    if steps < FEWEST:
        raise ValueError(f"find_learning_rate: steps must be at least {FEWEST}, received {steps}.")
    argument_of("find_learning_rate", tx, name)

    def at(rate: Any) -> Any:
        return replaced(tx, {name: rate}, "find_learning_rate")

    @jax.jit
    def step(rate: jax.Array, params: Params, state: OptState, batch: Any) -> Any:
        return train_step(at(rate), params, state, batch)

    rates = np.geomspace(low, high, steps)
    state = jax.jit(lambda rate: at(rate).init(params))(jnp.float32(low))
    losses: list[float] = []
    smoothed: list[float] = []
    for rate, batch in zip(rates, batches, strict=False):
        params, state, loss = step(jnp.float32(rate), params, state, batch)
        losses.append(float(loss))
        smoothed.append(_smoothed(losses))
        if not np.isfinite(losses[-1]) or smoothed[-1] > STOP * min(smoothed) > 0:
            break
    else:
        if len(losses) < FEWEST:
            raise ValueError(
                f"find_learning_rate: there were {len(losses)} batches; give at least {FEWEST}, "
                "one for each step."
            )
    done = rates[: len(losses)]
    suggestion, reason = _suggested(done, np.asarray(smoothed))
    return LearningRates(suggestion, reason, done, np.asarray(losses), np.asarray(smoothed))


FEWEST = 10
"""Steps that a test needs at least."""


def _smoothed(losses: list[float]) -> float:
    """The average of the losses so far with the last ones weighing most, without bias towards 0."""
    weights = SMOOTHING ** np.arange(len(losses))[::-1]
    return float(np.average(losses, weights=weights))


def _suggested(rates: np.ndarray, smoothed: np.ndarray) -> tuple[float | None, str]:
    """A rate and why."""
    finite = np.isfinite(smoothed)
    rates, smoothed = rates[finite], smoothed[finite]
    lowest = int(smoothed.argmin()) if len(smoothed) else 0
    if lowest < 2 or smoothed[lowest] > 0.99 * smoothed[0]:
        return None, "the loss never fell; try a lower range, more steps, or look at the loss itself."
    slopes = np.gradient(smoothed[: lowest + 1], np.log10(rates[: lowest + 1]))
    steepest, cautious = float(rates[slopes.argmin()]), float(rates[lowest] / MARGIN)
    if steepest <= cautious:
        return steepest, f"there the loss falls fastest; it is smallest at {rates[lowest]:.2g}."
    return cautious, f"a tenth of {rates[lowest]:.2g}, where the loss is smallest."
