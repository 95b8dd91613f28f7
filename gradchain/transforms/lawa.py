"""The mean of the latest checkpoints."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..core import (
    Leaves,
    MissingParamsError,
    apply_updates,
    cast,
    dtype_of,
    either,
    relaxed_promotion,
    transformation,
    widen,
    wrapper,
)
from ..core.lists import each
from ..core.numerics import safe_increment, zeros_like
from ..core.types import Array, Count, Params, Updates
from ..tree.placeholder import is_placeholder
from .masking import MaskedNode


class LawaParamsState(NamedTuple):
    """State of `lawa_params`."""

    count: Count  # i32[]  steps taken
    taken: Array  # i32[]  checkpoints so far; the next one goes to place taken mod window
    checkpoints: Params  # like params with a first axis of window; the latest, in the order of a ring

    def eval_params(self, params: Params) -> Params:
        """The mean of the latest checkpoints; the parameters themselves before the first."""

        def mean(checkpoints: Any, p: Any) -> Any:
            if isinstance(checkpoints, MaskedNode):
                return p
            with relaxed_promotion():
                known = jnp.minimum(self.taken, len(checkpoints))  # the others are zeros
                total = jnp.sum(widen(checkpoints), axis=0)
                return cast(jnp.where(known > 0, total / jnp.maximum(known, 1), widen(p)), dtype_of(p))

        return jax.tree.map(mean, self.checkpoints, params, is_leaf=lambda x: isinstance(x, MaskedNode))

    def as_if_always(self, params: Params) -> "LawaParamsState":
        """The state if the parameters had always been these: what `reset` takes."""

        def same(checkpoints: Any, p: Any) -> Any:
            if isinstance(checkpoints, MaskedNode):
                return checkpoints
            known = jnp.arange(len(checkpoints)) < self.taken
            return jnp.where(known.reshape([-1] + [1] * jnp.ndim(p)), jnp.asarray(p)[None], 0)

        is_leaf = lambda x: isinstance(x, MaskedNode)  # noqa: E731
        return self._replace(checkpoints=jax.tree.map(same, self.checkpoints, params, is_leaf=is_leaf))


@transformation
def lawa_params(window: int = 5, every: int = 1):
    """Keeps the latest checkpoints of the parameters, for their mean; the updates pass unchanged.

    Every so many steps the parameters replace the oldest of the last `window` ones. Put it last in a chain,
    `chain(adamw(1e-3), lawa_params(5, every=1_000))`, and evaluate `eval_params(state, params)`,
    the mean of those taken so far, at most `window`. Between two checkpoints nothing is computed or moved.

    Args:
        window: how many to keep, at least 1.
        every: steps between two checkpoints, at least 1; an epoch in the paper.

    State: `LawaParamsState(count, taken, checkpoints)`. Memory: window x the parameters.
    Raises: ValueError for a number below 1, or if `update` gets no parameters.
    Reference: Kaddour, 2022, Stop Wasting My Time! Saving Days of ImageNet and BERT Training with Latest
        Weight Averaging, arXiv:2209.14981.

    Example:
        >>> tx, p = gc.chain(gc.sgd(1.0), gc.lawa_params(2)), jnp.array([0.0])
        >>> state = tx.init(p)
        >>> for g in (-1.0, -2.0, -2.0):  # to 1, 3 and 5
        ...     p, state = tx.step(jnp.array([g]), state, p)
        >>> gc.eval_params(state, p).tolist()  # the mean of the last two
        [4.0]
    """
    for argument, value in (("window", window), ("every", every)):
        if value < 1:
            raise ValueError(f"lawa_params: {argument} must be at least 1, received {value!r}.")

    def init(params: Params) -> LawaParamsState:
        checkpoints = params
        if not is_placeholder(params):
            checkpoints = jax.tree.map(lambda p: jnp.stack([zeros_like(p)] * window), params)
        return LawaParamsState(jnp.zeros([], jnp.int32), jnp.zeros([], jnp.int32), checkpoints)

    def run(
        whole: bool,
        updates: Updates,
        state: LawaParamsState,
        params: Params | None = None,
        **extra_args: Any,
    ) -> tuple[Any, LawaParamsState]:
        if params is None:
            raise MissingParamsError("lawa_params")
        leaves, new = Leaves("lawa_params", updates, params), apply_updates(params, updates)
        count = safe_increment(state.count)
        kept = leaves.of("checkpoints", state.checkpoints, same_shape=False)
        ps = leaves.of("new parameters", new)

        def take() -> tuple[list[Array], Array]:
            place = state.taken % window

            def put(checkpoints: Array, p: Array) -> Array:
                return jax.lax.dynamic_update_index_in_dim(checkpoints, p, place, 0)

            return each(put, kept, ps), safe_increment(state.taken)

        like = kept, state.taken
        kept, taken = either(count % every == 0, take, lambda: like, like)
        return new if whole else updates, LawaParamsState(count, taken, leaves.put(kept, state.checkpoints))

    return wrapper(init, run)
