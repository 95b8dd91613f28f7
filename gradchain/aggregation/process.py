"""A pipeline from the gradients of single elements to the steps of an optimizer."""

from typing import Any

import jax
import jax.numpy as jnp

from ..core import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    run_if,
    transformation,
    with_extra_args_support,
    wrapper,
)
from ..core.types import OptState, Params, Updates
from ..tree.state import get
from .aggregator import Aggregator


def _checked(what: str, tx: Any) -> GradientTransformationExtraArgs:
    """A stage that takes any extra arguments: its signature says which reach it, not its class."""
    plain = GradientTransformation(*tx) if isinstance(tx, GradientTransformationExtraArgs) else tx
    try:
        stage = with_extra_args_support(plain)
    except TypeError as error:
        raise TypeError(f"process: {what}: {error}") from None
    return tx if plain is not tx and stage[1] is tx[1] else stage


def _if_alike(updates: Updates, params: Params | None) -> Params | None:
    """The parameters, or None where the updates have axes for the elements that these lack."""
    shapes = [jnp.shape(x) for x in jax.tree.leaves(updates)]
    return params if shapes == [jnp.shape(x) for x in jax.tree.leaves(params)] else None


@transformation
def process(
    preprocessor: GradientTransformation,
    aggregator: GradientTransformation | Aggregator,
    postprocessor: GradientTransformation,
    aggregator_has_aux: bool = False,
) -> GradientTransformationExtraArgs:
    """Three stages: one on the elements' gradients, one that makes them one, one on the result.

    `process(identity(), average_per_element_updates(), adam(1e-3))`. Where the aggregator's state has
    a field `ready`, the last stage runs only when it is true; until then updates are zeros.

    Args:
        preprocessor: a pair on gradients of single elements, e.g. to clip each.
        aggregator: a pair from those to one update; an `Aggregator` makes the whole one too.
        postprocessor: a pair on the one update, e.g. an optimizer.
        aggregator_has_aux: whether the aggregator returns `(updates, aux)`; the dict `aux` goes to the
            postprocessor as extra arguments.

    State: the tuple of the three states. `init` gets the parameters.
    Raises: TypeError if an argument is no pair, or if the aggregator's result does not fit
        aggregator_has_aux; ValueError for a state of another transformation.

    Example:
        >>> mean = gc.aggregation.average_per_element_updates()
        >>> tx = gc.aggregation.process(gc.clip(1.0), mean, gc.sgd(1.0))
        >>> g = jnp.array([[0.5], [9.0]])
        >>> tx.update(g, tx.init(g[0]))[0].tolist()  # each is clipped: the mean of 0.5 and 1
        [-0.75]
    """
    before = _checked("preprocessor", preprocessor)
    middle = _checked("aggregator", aggregator)
    after = _checked("postprocessor", postprocessor)

    def init(params: Params) -> tuple[OptState, OptState, OptState]:
        return before.init(params), middle.init(params), after.init(params)

    def if_ready(
        whole: bool, updates: Updates, state: Any, params: Params | None = None, **extra_args: Any
    ) -> tuple[Any, OptState]:
        ready, state = state
        return run_if(ready, after, whole, updates, state, params, extra_args)

    last_stage = wrapper(after.init, if_ready, one_program=True)

    def run(
        whole: bool, updates: Updates, state: Any, params: Params | None = None, **extra_args: Any
    ) -> tuple[Any, OptState]:
        if not isinstance(state, (tuple, list)) or len(state) != 3:
            raise ValueError(
                "process: the state must be a tuple of three states, one for each stage. Call init of "
                "this very transformation first."
            )
        updates, first = before.update(updates, state[0], _if_alike(updates, params), **extra_args)
        updates, second = middle.update(updates, state[1], _if_alike(updates, params), **extra_args)
        if aggregator_has_aux:
            updates, aux = _with_aux(updates)
            extra_args |= aux
        ready = get(second, "ready", True)
        stage, last = (after, state[2]) if ready is True else (last_stage, (ready, state[2]))
        result, third = stage.run(whole, updates, last, params, **extra_args)
        return result, (first, second, third)

    kind = Aggregator if isinstance(aggregator, Aggregator) else GradientTransformationExtraArgs
    inside = [(tx, (i,)) for i, tx in enumerate((preprocessor, aggregator, postprocessor))]
    made = wrapper(init, run)
    return kind(*made, step=made.step, inside=inside)


def _with_aux(result: Any) -> tuple[Updates, dict[str, Any]]:
    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict)):
        raise TypeError(
            "process: with aggregator_has_aux=True the aggregator must return ((updates, aux), state), "
            f"aux a dict of extra arguments; received {type(result).__name__} for (updates, aux)."
        )
    return result
